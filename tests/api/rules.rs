//! Every example of `tests/rules` through a real API server: what is refused, with which causes and warnings, by which way,
//! and what is accepted instead.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use mcp_crds::default;
use mcp_crds::kind::Kind;
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::namespace::Namespace;
use crate::support::object::{self, Reply, Verb};
use crate::support::operator::Installation;
use crate::support::rules::{self, Cause, Example, Layer, NAMESPACE, Operation, cut};
use crate::support::schemas;

/// How many examples are worked on side by side.
const CONCURRENCY: usize = 16;

/// Makes what is there before the example's object comes, as the webhooks of its time stored it.
async fn seed(namespace: &Namespace, example: &Example) {
    for name in &example.services {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name },
            "spec": { "ports": [{ "port": 80 }] },
        });
        let reply = namespace.send(Verb::Create, &service).await;
        // A rule about names of Services shows some that there cannot be.
        assert!(matches!(reply.code, 201 | 422), "{:#}", reply.body);
    }
    for manifest in example.existing.iter().chain(&example.old) {
        let mut object = manifest.clone();
        let kind = object["kind"].as_str().and_then(Kind::from_name).expect("a kind of ours");
        default::apply(kind, &mut object, None);
        if object["metadata"]["namespace"] == NAMESPACE {
            namespace.apply(&object).await;
        } else {
            namespace.cluster.namespace("elsewhere").await.apply(&object).await;
        }
    }
}

/// Sends an object as the example says, over the one that is stored where there is one.
async fn send(namespace: &Namespace, example: &Example, manifest: &Value, dry_run: bool) -> Reply {
    let mut object = manifest.clone();
    loop {
        let verb = if example.old.is_some() { Verb::Replace } else { Verb::Create };
        if example.old.is_some() {
            let stored = namespace.get(example.kind.as_str(), object::name(manifest)).await;
            object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
        }
        let reply = match dry_run {
            true => namespace.dry_run(verb, &object).await,
            false => namespace.send(verb, &object).await,
        };
        // The operator may have written its status in between.
        if reply.code != 409 {
            return reply;
        }
    }
}

fn lines(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

fn same(what: &str, expected: &[String], found: &[String]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let show = |lines: &[String]| lines.iter().map(|line| format!("\n    {line}")).collect::<String>();
    Err(format!("  {what}: expected{}\n  and found{}", show(expected), show(found)))
}

/// Holds an answer against what the example says.
fn judge(what: &str, namespace: &Namespace, example: &Example, reply: &Reply) -> Result<(), String> {
    if example.causes.is_empty() {
        if !(200..300).contains(&reply.code) {
            return Err(format!("  {what}: {}: {:#}", reply.code, reply.body));
        }
    } else {
        let found = reply.causes().map_err(|problem| format!("  {what}: {problem}"))?;
        same(what, &lines(&example.causes), &lines(&found))?;
    }
    let here = format!("namespace \"{}\"", namespace.name);
    let there = format!("namespace \"{NAMESPACE}\"");
    let expected: Vec<String> =
        example.warnings.iter().map(|text| cut(&text.replace(&there, &here))).collect();
    // This API server takes no Service whose name begins with a digit.
    let is_absent = |text: &&String| {
        example.services.iter().any(|name| text.contains(&format!(": Service \"{name}\" does not exist")))
    };
    let found: Vec<String> = reply.warnings.iter().filter(|text| !is_absent(text)).cloned().collect();
    same(&format!("{what}, warnings"), &expected, &found)
}

/// What is stored of the example's object, without what the operator and the API server write beside it.
async fn stored(namespace: &Namespace, example: &Example) -> Option<(Value, Value)> {
    let found = namespace.find(example.kind.as_str(), object::name(&example.object)).await?;
    Some((found["spec"].clone(), found["metadata"]["labels"].clone()))
}

async fn by_dry_run(namespace: &Namespace, example: &Example) -> Result<(), String> {
    let before = stored(namespace, example).await;
    judge("dry run", namespace, example, &send(namespace, example, &example.object, true).await)?;
    let after = stored(namespace, example).await;
    if before == after { Ok(()) } else { Err(format!("  dry run left a trace: {after:?}")) }
}

async fn for_real(namespace: &Namespace, example: &Example) -> Result<(), String> {
    let before = stored(namespace, example).await;
    judge("sent", namespace, example, &send(namespace, example, &example.object, false).await)?;
    let after = stored(namespace, example).await;
    let refused = !example.causes.is_empty();
    if refused && before != after { Err(format!("  refused, and stored: {after:?}")) } else { Ok(()) }
}

/// What server-side apply says by itself, before any webhook is asked: of types, and of keys that are there twice.
const OF_SERVER_SIDE_APPLY: &str = "failed to create typed patch object";

/// Server-side apply, for what has the right types.
async fn by_server_side_apply(namespace: &Namespace, example: &Example) -> Result<(), String> {
    let named = !object::name(&example.object).is_empty();
    if example.causes.is_empty() || example.layer == Layer::Schema || !named {
        return Ok(());
    }
    let reply = namespace.dry_run(Verb::Apply, &example.object).await;
    if reply.body["message"].as_str().is_some_and(|text| text.starts_with(OF_SERVER_SIDE_APPLY)) {
        return Ok(());
    }
    let found = reply.causes().map_err(|problem| format!("  server-side apply: {problem}"))?;
    same("server-side apply", &lines(&example.causes), &lines(&found))
}

async fn the_fix(namespace: &Namespace, example: &Example) -> Result<(), String> {
    let Some(fix) = &example.fix else { return Ok(()) };
    let reply = send(namespace, example, &fix.object, false).await;
    if !(200..300).contains(&reply.code) {
        return Err(format!("  the fix: {}: {:#}", reply.code, reply.body));
    }
    same("the fix, warnings", &[], &reply.warnings)
}

/// What kubectl prints where the API server refuses an object.
fn printed(example: &Example) -> String {
    let name = object::name(&example.object);
    let subject = format!("The {} \"{name}\" is invalid: ", example.kind);
    match lines(&example.causes).as_slice() {
        [only] => format!("{subject}{only}\n"),
        several => several.iter().fold(format!("{subject}\n"), |text, line| format!("{text}* {line}\n")),
    }
}

/// Through kubectl, as most people do it: both kinds of apply.
async fn by_kubectl(namespace: &Namespace, example: &Example) -> Result<(), String> {
    let mut manifest = example.object.clone();
    manifest["metadata"]["namespace"] = json!(namespace.name);
    let manifest = manifest.to_string();
    for way in [&["apply"][..], &["apply", "--server-side", "--force-conflicts"]] {
        let arguments: Vec<&str> = way.iter().chain(&["--filename", "-"]).copied().collect();
        let ran = namespace.kubectl(&arguments, &manifest).await;
        if ran.stderr.contains(OF_SERVER_SIDE_APPLY) {
            continue;
        }
        // Client-side apply warns where it finds objects that it did not make.
        let said: String = ran
            .stderr
            .lines()
            .filter(|line| !line.starts_with("Warning: "))
            .map(|line| format!("{line}\n"))
            .collect();
        if (ran.code, said.as_str()) != (1, printed(example).as_str()) {
            return Err(format!("  kubectl {way:?}: {}{}", ran.stdout, ran.stderr));
        }
    }
    Ok(())
}

/// Every way for one example, in an order in which none spoils the next.
async fn all_ways(namespace: &Namespace, example: &Example, with_kubectl: bool) -> Result<(), String> {
    by_dry_run(namespace, example).await?;
    if example.operation != Operation::Scale {
        by_server_side_apply(namespace, example).await?;
    }
    if with_kubectl {
        by_kubectl(namespace, example).await?;
    }
    for_real(namespace, example).await?;
    the_fix(namespace, example).await
}

#[tokio::test]
async fn every_example_is_refused_or_accepted_as_it_says_by_every_way() {
    let cluster = Cluster::own().await;
    let client = cluster.client().await;
    let rules = rules::rules();
    let examples = rules.iter().flat_map(|rule| rule.examples.iter().map(move |example| (rule, example)));
    let examples: Vec<_> = stream::iter(examples)
        .map(async |(rule, example)| (rule, example, Namespace::make(&cluster, &client, "example").await))
        .buffered(CONCURRENCY)
        .collect()
        .await;

    // What was stored before a rule was there may be what the schema refuses today.
    schemas::loosen(&cluster).await;
    let all = stream::iter(&examples);
    all.for_each_concurrent(CONCURRENCY, async |(_, example, namespace)| seed(namespace, example).await)
        .await;
    schemas::install(&cluster).await;
    let operator = Installation::outside(&cluster).await.start_ready().await;

    // One of each rule through kubectl: the documentation shows it so.
    let mut shown = BTreeSet::new();
    let jobs: Vec<_> = examples
        .iter()
        .map(|(rule, example, namespace)| {
            let can_be_shown = !example.causes.is_empty()
                && example.layer == Layer::Webhook
                && example.operation == Operation::Create
                && !object::name(&example.object).is_empty();
            (rule, example, namespace, can_be_shown && shown.insert(&rule.id))
        })
        .collect();
    let verdicts: Vec<Option<String>> = stream::iter(jobs)
        .map(async |(rule, example, namespace, with_kubectl)| {
            let problem = all_ways(namespace, example, with_kubectl).await.err()?;
            Some(format!("{} ({}, {}):\n{problem}", rule.id, example.name, namespace.name))
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let problems: Vec<String> = verdicts.into_iter().flatten().collect();
    operator.terminate().await;
    // What is logged of each says nothing more.
    drop(examples);
    assert!(problems.is_empty(), "{} failed\n\n{}", problems.len(), problems.join("\n\n"));
}
