//! The tools of public MCP servers, as they list them: `hack/corpus/collect-tools.py` says which.

use mcp_crds::default;
use mcp_crds::field::Findings;
use mcp_crds::kind::{API_VERSION, Kind};
use mcp_crds::validate::schema::{self, Dialect};
use mcp_crds::validate::{Operation, object};
use serde_json::{Value, json};

use crate::support::assert_agrees;

struct Tool {
    server: String,
    definition: Value,
}

fn tools() -> Vec<Tool> {
    let corpus: Value = serde_json::from_str(include_str!("corpus/tools.json")).expect("JSON");
    let servers = corpus.as_array().expect("a list of servers").iter();
    servers
        .flat_map(|server| {
            assert!(
                ["MIT", "Apache-2.0"].iter().any(|licence| server["licence"] == *licence),
                "{}",
                server["licence"]
            );
            let name = server["package"].as_str().expect("a package").to_owned();
            let tools = server["tools"].as_array().expect("tools").clone();
            tools.into_iter().map(move |definition| Tool { server: name.clone(), definition })
        })
        .collect()
}

/// Both schemas of all tools.
fn schemas() -> impl Iterator<Item = Value> {
    tools().into_iter().flat_map(|tool| {
        ["inputSchema", "outputSchema"]
            .into_iter()
            .filter_map(move |field| tool.definition.get(field).cloned())
    })
}

#[test]
fn every_tool_is_accepted() {
    let tools = tools();
    assert!(tools.len() >= 100, "{}", tools.len());
    for (i, Tool { server, definition }) in tools.iter().enumerate() {
        let mut tool = json!({
            "apiVersion": API_VERSION,
            "kind": Kind::Tool.as_str(),
            "metadata": { "name": format!("tool-{i}"), "namespace": "default" },
            "spec": { "service": { "name": "backend", "port": 80 } },
        });
        for (field, value) in definition.as_object().expect("a definition") {
            tool["spec"][field] = value.clone();
        }
        default::apply(Kind::Tool, &mut tool, None);
        let found = object(Kind::Tool, Operation::Create, &tool);
        assert_eq!(found, Findings::default(), "{server}: {definition}");
    }
}

#[test]
fn every_schema_compiles() {
    for schema in schemas() {
        schema::compile(&schema).unwrap_or_else(|error| panic!("{schema}\n{error}"));
    }
}

/// Real schemas with one mistake each, or with none that a metaschema would see.
#[test]
fn mutants_are_judged_as_the_metaschemas_do() {
    let mut numbers = Numbers(1);
    let mut refused = 0;
    let schemas: Vec<Value> = schemas().filter(|schema| schema.to_string().len() < 8_000).collect();
    for round in 0..10_000 {
        let mut schema = schemas[numbers.below(schemas.len())].clone();
        mutate(&mut schema, &mut numbers);
        if round % 4 == 0 {
            mutate(&mut schema, &mut numbers);
        }
        if schema.is_object() && schema.to_string().matches("$schema").count() <= 1 {
            refused += usize::from(!crate::support::errors(&schema).is_empty());
            assert_agrees(Dialect::of(&schema), &schema);
        }
    }
    assert!((1_000..9_000).contains(&refused), "{refused}");
}

/// Changes one place of a value, anywhere in it.
fn mutate(value: &mut Value, numbers: &mut Numbers) {
    let size = value.as_object().map_or(0, serde_json::Map::len) + value.as_array().map_or(0, Vec::len);
    if size > 0 && numbers.below(5) > 0 {
        let at = numbers.below(size);
        match value {
            Value::Object(members) => {
                let name = members.keys().nth(at).expect("a member").clone();
                match numbers.below(8) {
                    0 => {
                        let member = members.remove(&name).expect("the member");
                        members.insert(KEYWORDS[numbers.below(KEYWORDS.len())].to_owned(), member);
                    }
                    1 => _ = members.insert(KEYWORDS[numbers.below(KEYWORDS.len())].to_owned(), any(numbers)),
                    _ => mutate(members.get_mut(&name).expect("the member"), numbers),
                }
            }
            Value::Array(elements) => mutate(&mut elements[at], numbers),
            _ => {}
        }
        return;
    }
    *value = any(numbers);
}

const KEYWORDS: [&str; 20] = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "minimum",
    "maxLength",
    "pattern",
    "anyOf",
    "not",
    "$defs",
    "definitions",
    "dependencies",
    "dependentRequired",
    "exclusiveMinimum",
    "uniqueItems",
    "patternProperties",
    "$id",
    "const",
    "x-any",
];

fn any(numbers: &mut Numbers) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!("string"),
        json!("strng"),
        json!("["),
        json!([]),
        json!({}),
        json!(["a", "a"]),
        json!(["string", "null"]),
        json!([{}]),
        json!({ "a": { "type": "string" } }),
        json!({ "a": 1 }),
    ];
    values[numbers.below(values.len())].clone()
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}
