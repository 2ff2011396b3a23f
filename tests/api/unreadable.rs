//! Objects that are none: stored under an older, looser schema, and there when the operator comes.

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_prompt, mk_resource, mk_selecting_server, mk_server, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::condition;
use crate::support::operator::Installation;
use crate::support::schemas;
use crate::support::wait;

#[tokio::test]
async fn an_object_that_cannot_be_read_stops_nothing_else() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("unreadable").await;
    schemas::loosen(&cluster).await;
    let broken = [
        mk_server("no-spec").with("/spec", "none"),
        mk_server("words").with("/spec/port", "eighty").with("/spec/replicas", json!([2])),
        mk_server("selects-badly").with("/spec/toolSelector", json!(["main"])),
        mk_tool("no-spec").with("/spec", json!([])).for_server("main"),
        mk_tool("words").with("/spec/service", "backend:80").with("/spec/name", 7).for_server("main"),
        mk_tool("status").with("/status", "fine").for_server("main"),
        mk_prompt("words")
            .with("/spec/template", json!({}))
            .with("/spec/variables", "city")
            .for_server("main"),
        mk_resource("words").with("/spec/operations", json!({ "0": 1 })).for_server("main"),
    ];
    for object in &broken {
        ns.create(object).await;
    }
    schemas::install(&cluster).await;
    ns.create(&mk_selecting_server("main")).await;
    let operator = Installation::outside(&cluster).await.start_ready().await;

    ns.create(&mk_tool("works").for_server("main")).await;
    ns.until("MCPTool", "works", "is served", |found| {
        condition(found, "Accepted") == Some(("True", "Accepted"))
    })
    .await;
    ns.until("Deployment", "main", "is made", |_| true).await;
    // Each says what is wrong with it, as far as the API server lets anybody write to it: a CEL rule that cannot be
    // evaluated refuses even a status.
    for (kind, name) in [("MCPServer", "words"), ("MCPServer", "selects-badly"), ("MCPTool", "words")] {
        let type_ = if kind == "MCPServer" { "ConfigurationValid" } else { "Accepted" };
        ns.until(kind, name, "says that it is invalid", |found| {
            condition(found, type_) == Some(("False", "Invalid"))
        })
        .await;
    }
    // Each can be put right, and deleted.
    let spec: Value = mk_tool("words").with("/spec/name", "words")["spec"].clone();
    ns.patch("MCPTool", "words", &json!({ "spec": spec })).await.accepted();
    ns.until("MCPTool", "words", "is served", |found| {
        condition(found, "Accepted") == Some(("True", "Accepted"))
    })
    .await;
    for object in &broken {
        let kind = object["kind"].as_str().expect("a kind");
        ns.delete(kind, crate::support::object::name(object)).await.accepted();
        ns.until_gone(kind, crate::support::object::name(object)).await;
    }
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_stored_port_that_is_none_is_reported_and_can_be_repaired() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("unreadable").await;
    schemas::loosen(&cluster).await;
    ns.create(&mk_server("weather").with("/spec/port", 70_000)).await;
    ns.create(&mk_tool("search").with("/spec/service/port", 70_000)).await;
    schemas::install(&cluster).await;
    let operator = Installation::outside(&cluster).await.start_ready().await;

    ns.until("MCPServer", "weather", "says that its port is none", |found| {
        condition(found, "ConfigurationValid") == Some(("False", "Invalid"))
    })
    .await;
    ns.until("MCPTool", "search", "says that its port is none", |found| {
        condition(found, "Accepted") == Some(("False", "Invalid"))
    })
    .await;
    assert!(ns.find("Service", "weather").await.is_none());
    // A label can be set, as the port does not change; and the port can be put right.
    ns.patch("MCPServer", "weather", &json!({ "metadata": { "labels": { "team": "a" } } })).await.accepted();
    ns.patch("MCPServer", "weather", &json!({ "spec": { "port": 8080 } })).await.accepted();
    ns.until("Service", "weather", "is made", |_| true).await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn an_object_that_is_nested_without_end_stops_nothing_else() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("deep").await;
    let deep = (0..200).fold(json!({ "type": "string" }), |inner, _| json!({ "not": inner }));
    ns.create(&mk_tool("deep").with("/spec/inputSchema", deep.clone()).for_server("main")).await;
    ns.create(&mk_server("deep").with("/spec/volumes", json!([{ "name": "data", "csi": deep }]))).await;
    let installed = Installation::outside(&cluster).await;
    let first = installed.start_ready().await;

    ns.create(&mk_selecting_server("main")).await;
    ns.create(&mk_tool("works").for_server("main")).await;
    ns.until("MCPServer", "main", "serves what is valid", |found| found["status"]["tools"] == 1).await;
    until_says(&ns, "mcpt", "Accepted", "spec.inputSchema: Too long: may not nest objects and arrays").await;
    until_says(&ns, "mcps", "ConfigurationValid", "spec.volumes: Too long: must not be nested over 100 deep")
        .await;
    assert!(ns.find("Deployment", "deep").await.is_none(), "nothing is made of a part");
    first.terminate().await;

    // One that starts anew reads them all, and goes on.
    let second = installed.start_ready().await;
    ns.create(&mk_tool("later").for_server("main")).await;
    ns.until("MCPServer", "main", "goes on", |found| found["status"]["tools"] == 2).await;
    ns.patch("MCPTool", "deep", &json!({ "spec": { "inputSchema": null } })).await.accepted();
    ns.until("MCPServer", "main", "serves what was put right", |found| found["status"]["tools"] == 3).await;
    ns.delete("MCPServer", "deep").await.accepted();
    ns.until_gone("MCPServer", "deep").await;
    second.terminate().await;
    cluster.done().await;
}

/// Waits until a condition of the object `deep` says this. Here nobody could read the whole object.
async fn until_says(ns: &Namespace, kind: &str, type_: &str, text: &str) {
    let path = format!("jsonpath={{.status.conditions[?(@.type==\"{type_}\")].message}}");
    wait::until(format_args!("{kind} deep says {text}"), async || {
        let said = ns.kubectl(&["get", kind, "deep", "-o", &path], "").await.ok();
        if said.starts_with(text) { Ok(()) } else { Err(said) }
    })
    .await;
}
