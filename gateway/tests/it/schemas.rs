//! The instances of the JSON Schema Test Suite, as arguments of tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::routing::any;
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::support::backend::Backend;
use super::support::gateway::{Gateway, Objects, tool};

/// The suite's directory; it is fetched once.
fn suite() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/corpus/fetch.sh");
    let output = Command::new("bash").arg(script).output().expect("bash runs");
    assert!(output.status.success(), "not fetched: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

/// A tool, and the arguments that it is given: whether each is valid.
struct Case {
    schema: Value,
    arguments: Vec<(Value, bool)>,
    name: String,
}

/// Arguments are objects. So an instance that is one is given as it is, and any other as a member; then its schema moves,
/// which a schema that refers into itself does not survive.
fn cases(dialect: &str, uri: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(suite().join(dialect)).expect("a directory of the suite") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        let groups: Vec<Value> = serde_json::from_str(&text).expect("groups");
        for group in groups {
            let (mut schema, tests) = (group["schema"].clone(), group["tests"].as_array().expect("tests"));
            // Some are in a dialect of their own making.
            let own = schema.as_object_mut().and_then(|members| members.remove("$schema"));
            if own.is_some_and(|own| own != uri) {
                continue;
            }
            let tests = || tests.iter().map(|test| (test["data"].clone(), test["valid"] == true));
            let name = format!(
                "{dialect}/{}: {}",
                path.file_stem().unwrap().to_string_lossy(),
                group["description"]
            );
            if let Some(members) = schema.as_object()
                && members.get("type").is_none_or(|kind| kind == "object")
            {
                let mut schema = schema.clone();
                schema["$schema"] = uri.into();
                let arguments = tests().filter(|(data, _)| data.is_object()).collect();
                cases.push(Case { schema, arguments, name: name.clone() });
            }
            let moves = ["$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$schema", "$vocabulary"];
            if !moves.iter().any(|keyword| schema.to_string().contains(&format!("{keyword:?}"))) {
                let schema = json!({"$schema": uri, "type": "object", "properties": {"value": schema}});
                let arguments = tests().map(|(data, valid)| (json!({"value": data}), valid)).collect();
                cases.push(Case { schema, arguments, name });
            }
        }
    }
    cases.retain(|case| !case.arguments.is_empty());
    cases
}

async fn assert_agrees(dialect: &str, uri: &str, expected: usize) {
    let called = || async { ([("content-type", "application/json")], "{}") };
    let backend = Backend::serve(Router::new().fallback(any(called))).await;
    let cases = cases(dialect, uri);
    let tools: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| tool(&format!("t{number}"), &json!({"inputSchema": case.schema})))
        .collect();
    let gateway = Gateway::start(&Objects::new(&tools), backend.address, &[], &[]).await;
    let client = gateway.client();
    let list = client.modern("tools/list", json!({})).await.result();
    // What refers elsewhere is refused, and so is not there.
    let is_served = |number: &usize| {
        list["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == format!("t{number}"))
    };
    let served: Vec<(usize, &Case)> =
        cases.iter().enumerate().filter(|(number, _)| is_served(number)).collect();
    let asked = served.iter().flat_map(|(number, case)| {
        case.arguments.iter().map(move |(arguments, valid)| (*number, *case, arguments, *valid))
    });
    let verdicts = futures::stream::iter(asked).map(|(number, case, arguments, valid)| {
        let client = client.clone();
        async move {
            let result = client.call(&format!("t{number}"), arguments.clone()).await.result();
            let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
            assert_eq!(
                result["isError"] == false,
                valid,
                "{}: {} for {arguments}: {text}",
                case.name,
                case.schema
            );
            assert!(valid || text.starts_with("the arguments are not what inputSchema says"), "{text}");
        }
    });
    let count = verdicts.buffer_unordered(16).count().await;
    assert!(count >= expected, "{count} instances, {} of {} tools served", served.len(), cases.len());
}

#[tokio::test]
async fn draft_7() {
    assert_agrees("draft7", "http://json-schema.org/draft-07/schema#", 800).await;
}

#[tokio::test]
async fn draft_2020_12() {
    assert_agrees("draft2020-12", "https://json-schema.org/draft/2020-12/schema", 800).await;
}
