//! What each step of deciding costs, in one thread and without a network.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use mcp_crds::catalog::{Catalog, Entry};
use mcp_crds::kind::Kind;
use mcp_crds::{default, validate};
use mcp_webhook::{Admission, Metrics, Webhook};
use parking_lot::RwLock;
use serde_json::Value;

use crate::admission::serve::log;
use crate::measure::{Samples, Seconds, time, verdict};
use crate::objects;

/// The most that one rule pass over a typical tool may take, in seconds.
const TOOL_TARGET: f64 = 100e-6;
/// The most that one over the largest real schema may take, in seconds.
const SCHEMA_TARGET: f64 = 5e-3;
/// Schemas of tools of published MCP servers.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/tests/it/corpus/tools.json");

const BATCHES: usize = 200;
const BATCH: usize = 50;

/// Each step, for each kind, beside 1,000 servers and 10,000 tools.
pub(crate) fn steps() -> anyhow::Result<()> {
    log()?;
    println!("Median of {BATCHES} batches of {BATCH}; a catalog of 1,000 servers and 10,000 tools.\n");
    println!("| step | MCPServer | MCPTool | MCPPrompt | MCPResource |");
    println!("|---|---|---|---|---|");
    let catalog = Arc::new(RwLock::new(objects::catalog(1_000)));
    type Step<'a> = (&'a str, &'a dyn Fn(Kind) -> anyhow::Result<Samples>);
    let steps: [Step<'_>; 6] = [
        ("defaults, and a copy of the object", &|kind| Ok(defaults(kind))),
        ("rules on the object", &|kind| Ok(rules(kind))),
        ("what the catalog has to know", &|kind| Ok(reading(kind))),
        ("rules across objects", &|kind| Ok(across(kind, &catalog.read()))),
        ("review to answer, mutating", &|kind| review(Webhook::Mutating, kind, &catalog)),
        ("review to answer, validating", &|kind| review(Webhook::Validating, kind, &catalog)),
    ];
    for (name, step) in steps {
        let medians = Kind::ALL.map(|kind| step(kind).map(|samples| Seconds(samples.median()).to_string()));
        let [server, tool, prompt, resource] = medians;
        println!("| {name} | {} | {} | {} | {} |", server?, tool?, prompt?, resource?);
    }
    let tool = rules(Kind::Tool).median();
    println!(
        "\nRules on a typical tool: {}, target < 100 µs: {}",
        Seconds(tool),
        verdict(tool < TOOL_TARGET)
    );
    largest_schema()
}

/// How deciding grows with what there is beside an object.
pub(crate) fn growth() -> anyhow::Result<()> {
    log()?;
    println!(
        "| objects | rules across objects, MCPTool | MCPServer | validating review, MCPTool | MCPServer |"
    );
    println!("|---|---|---|---|---|");
    for servers in [9, 91, 909, 9_091] {
        let catalog = Arc::new(RwLock::new(objects::catalog(servers)));
        let across = [Kind::Tool, Kind::Server].map(|kind| Seconds(across(kind, &catalog.read()).median()));
        let [tool, server] =
            [Kind::Tool, Kind::Server].map(|kind| review(Webhook::Validating, kind, &catalog));
        println!(
            "| {} | {} | {} | {} | {} |",
            servers * (1 + objects::TOOLS_A_SERVER),
            across[0],
            across[1],
            Seconds(tool?.median()),
            Seconds(server?.median())
        );
    }
    Ok(())
}

fn candidate(kind: Kind) -> Value {
    objects::defaulted(kind, objects::typical(kind, "candidate", &objects::server_name(7)))
}

fn defaults(kind: Kind) -> Samples {
    let object = objects::stored(kind, &objects::typical(kind, "candidate", &objects::server_name(7)));
    time(BATCHES, BATCH, || {
        let mut object = object.clone();
        default::apply(kind, &mut object, None);
        black_box(object);
    })
}

fn rules(kind: Kind) -> Samples {
    let object = objects::stored(kind, &candidate(kind));
    time(BATCHES, BATCH, || {
        black_box(validate::object(kind, validate::Operation::Create, black_box(&object)));
    })
}

fn reading(kind: Kind) -> Samples {
    let object = objects::stored(kind, &candidate(kind));
    time(BATCHES, BATCH, || {
        black_box(Entry::read(kind, objects::NAMESPACE, black_box(&object)));
    })
}

fn across(kind: Kind, catalog: &Catalog) -> Samples {
    let entry = Entry::read(kind, objects::NAMESPACE, &candidate(kind));
    let now = Instant::now();
    time(BATCHES, BATCH, || {
        black_box(catalog.check(black_box(&entry), now));
    })
}

fn review(webhook: Webhook, kind: Kind, catalog: &Arc<RwLock<Catalog>>) -> anyhow::Result<Samples> {
    let admission = Admission::new(Arc::clone(catalog), Metrics::default(), Arc::new(Instant::now));
    let body = body(webhook, kind)?;
    let answer = admission.review(webhook, &body)?;
    anyhow::ensure!(is_allowed(&answer), "refused: {}", String::from_utf8_lossy(&answer));
    Ok(time(BATCHES, BATCH, || {
        black_box(admission.review(webhook, black_box(&body)).ok());
    }))
}

fn body(webhook: Webhook, kind: Kind) -> anyhow::Result<Vec<u8>> {
    let object = objects::typical(kind, "candidate", &objects::server_name(7));
    let object = match webhook {
        Webhook::Mutating => object,
        Webhook::Validating => objects::defaulted(kind, object),
    };
    Ok(serde_json::to_vec(&objects::review(kind, &objects::stored(kind, &object)))?)
}

/// Whether an answer lets the object in.
pub(crate) fn is_allowed(answer: &[u8]) -> bool {
    const ALLOWED: &[u8] = br#""allowed":true"#;
    answer.windows(ALLOWED.len()).any(|part| part == ALLOWED)
}

/// Runs one step as often as is said, for an instruction counter to look at.
pub(crate) fn repeat(step: &str, runs: usize) -> anyhow::Result<()> {
    log()?;
    let (name, kind) = step.split_once('-').unwrap_or((step, ""));
    let kind = match kind {
        "server" => Kind::Server,
        "prompt" => Kind::Prompt,
        "resource" => Kind::Resource,
        _ => Kind::Tool,
    };
    let webhook = if name == "mutating" { Webhook::Mutating } else { Webhook::Validating };
    let body = body(webhook, kind)?;
    match name {
        "parse" => (0..runs).for_each(|_| {
            black_box(serde_json::from_slice::<Value>(black_box(&body)).ok());
        }),
        "rules" => {
            let object = objects::stored(kind, &candidate(kind));
            (0..runs).for_each(|_| {
                black_box(validate::object(kind, validate::Operation::Create, black_box(&object)));
            });
        }
        "mutating" | "validating" => {
            let catalog = Arc::new(RwLock::new(objects::catalog(100)));
            let admission = Admission::new(catalog, Metrics::default(), Arc::new(Instant::now));
            (0..runs).for_each(|_| {
                black_box(admission.review(webhook, black_box(&body)).ok());
            });
        }
        _ => anyhow::bail!("no step {step}"),
    }
    Ok(())
}

/// The rule pass over the largest schema that a published MCP server has.
fn largest_schema() -> anyhow::Result<()> {
    let Ok(text) = std::fs::read_to_string(CORPUS) else {
        println!("Largest real schema: not measured, there is no corpus");
        return Ok(());
    };
    let corpus: Value = serde_json::from_str(&text)?;
    let tools = tools_of(&corpus);
    let Some(largest) = tools.into_iter().max_by_key(|schema| schema.to_string().len()) else {
        anyhow::bail!("the corpus has no tools")
    };
    let size = largest.to_string().len();
    let mut object = candidate(Kind::Tool);
    if let Some(Value::Object(spec)) = object.get_mut("spec") {
        spec.insert("inputSchema".to_owned(), largest.clone());
    }
    let took = time(50, 10, || {
        black_box(validate::object(Kind::Tool, validate::Operation::Create, black_box(&object)));
    });
    println!(
        "Rules on the largest real schema ({size} bytes): {}, target < 5 ms: {}",
        Seconds(took.median()),
        verdict(took.median() < SCHEMA_TARGET)
    );
    Ok(())
}

/// Every input schema, wherever the corpus has it.
fn tools_of(corpus: &Value) -> Vec<&Value> {
    match corpus {
        Value::Array(elements) => elements.iter().flat_map(tools_of).collect(),
        Value::Object(members) => match members.get("inputSchema") {
            Some(schema) => vec![schema],
            None => members.values().flat_map(tools_of).collect(),
        },
        _ => Vec::new(),
    }
}
