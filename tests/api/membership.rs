//! Who offers what, as labels and selectors change.

use serde_json::{Value, json};

use crate::support::manifest::{Manifest, mk_prompt, mk_resource, mk_selecting_server, mk_server, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{condition, message};
use crate::support::operator::Shared;
use crate::support::pods;

async fn until_offered_by(ns: &Namespace, kind: &str, name: &str, servers: &[&str]) {
    ns.until(kind, name, &format!("is offered by {servers:?}"), |found| {
        let listed = found["status"]["servers"].as_array().cloned().unwrap_or_default();
        condition(found, "Accepted") == Some(("True", "Accepted")) && listed == servers
    })
    .await;
}

/// Waits until the server counts so many tools, prompts and resources, and serves as many.
async fn until_serving(ns: &Namespace, server: &str, counts: [usize; 3]) {
    ns.until("MCPServer", server, &format!("counts {counts:?}"), |found| {
        let status = &found["status"];
        [&status["tools"], &status["prompts"], &status["resources"]]
            == counts.map(|count| json!(count)).each_ref()
    })
    .await;
    ns.until("ConfigMap", &format!("{server}-config"), &format!("serves {counts:?}"), |found| {
        let text = found["data"]["catalog.json"].as_str().unwrap_or_default();
        let catalog: Value = serde_json::from_str(text).unwrap_or_default();
        ["tools", "prompts", "resources"].map(|kind| catalog[kind].as_array().map_or(0, Vec::len)) == counts
    })
    .await;
}

#[tokio::test]
async fn a_tool_goes_from_no_server_to_one_to_two_and_back() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("labels").await;
    ns.create(&mk_selecting_server("main")).await;
    let team = json!([{ "key": "team", "operator": "In", "values": ["search"] }]);
    ns.create(&mk_server("second").with("/spec/toolSelector/matchExpressions", team)).await;
    ns.create(&mk_tool("search")).await;

    until_offered_by(&ns, "MCPTool", "search", &[]).await;
    until_serving(&ns, "main", [0, 0, 0]).await;
    let label = |key: &str, value: Value| json!({ "metadata": { "labels": { key: value } } });
    ns.patch("MCPTool", "search", &label("mcp-server", json!("main"))).await.accepted();
    until_offered_by(&ns, "MCPTool", "search", &["main"]).await;
    until_serving(&ns, "main", [1, 0, 0]).await;
    until_serving(&ns, "second", [0, 0, 0]).await;
    ns.patch("MCPTool", "search", &label("team", json!("search"))).await.accepted();
    until_offered_by(&ns, "MCPTool", "search", &["main", "second"]).await;
    until_serving(&ns, "second", [1, 0, 0]).await;
    ns.patch("MCPTool", "search", &label("mcp-server", Value::Null)).await.accepted();
    until_offered_by(&ns, "MCPTool", "search", &["second"]).await;
    until_serving(&ns, "main", [0, 0, 0]).await;
    ns.delete("MCPTool", "search").await.accepted();
    until_serving(&ns, "second", [0, 0, 0]).await;
}

#[tokio::test]
async fn a_selector_that_changes_takes_and_leaves_members() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("selector").await;
    ns.create(&mk_server("main")).await;
    ns.create(&mk_tool("search").for_server("main")).await;
    ns.create(&mk_tool("fetch").for_server("other")).await;
    ns.create(&mk_prompt("greet").for_server("main")).await;
    ns.create(&mk_resource("guide").for_server("other")).await;
    let select = |selector: Value| json!({ "spec": { "toolSelector": selector } });

    ns.patch("MCPServer", "main", &select(json!({ "matchLabels": { "mcp-server": "main" } })))
        .await
        .accepted();
    until_serving(&ns, "main", [1, 1, 0]).await;
    until_offered_by(&ns, "MCPPrompt", "greet", &["main"]).await;
    until_offered_by(&ns, "MCPResource", "guide", &[]).await;
    ns.patch("MCPServer", "main", &select(json!({ "matchLabels": null }))).await.accepted();
    until_serving(&ns, "main", [2, 1, 1]).await;
    until_offered_by(&ns, "MCPResource", "guide", &["main"]).await;
    ns.patch("MCPServer", "main", &select(json!({ "matchLabels": { "mcp-server": "other" } })))
        .await
        .accepted();
    until_serving(&ns, "main", [1, 0, 1]).await;
    until_offered_by(&ns, "MCPPrompt", "greet", &[]).await;
    ns.delete("MCPServer", "main").await.accepted();
    until_offered_by(&ns, "MCPTool", "fetch", &[]).await;
}

#[tokio::test]
async fn a_tools_change_reaches_the_catalog_and_no_pod_rolls() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("rolls").await;
    ns.create(&mk_selecting_server("main")).await;
    ns.create(&mk_tool("search").for_server("main")).await;
    until_serving(&ns, "main", [1, 0, 0]).await;
    pods::run(&ns, "main").await;
    let template = ns.get("Deployment", "main").await["spec"]["template"].clone();

    let described = json!({ "spec": { "description": "Finds what was said" } });
    ns.patch("MCPTool", "search", &described).await.accepted();
    ns.until("ConfigMap", "main-config", "has the new description", |found| {
        found["data"]["catalog.json"].as_str().is_some_and(|text| text.contains("Finds what was said"))
    })
    .await;
    assert_eq!(ns.get("Deployment", "main").await["spec"]["template"], template);
    ns.patch("MCPServer", "main", &json!({ "spec": { "config": { "LOG_LEVEL": "debug" } } }))
        .await
        .accepted();
    ns.until("Deployment", "main", "rolls", |found| found["spec"]["template"] != template).await;
}

#[tokio::test]
async fn kubectl_shows_what_the_operator_found_out() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("table").await;
    ns.create(&mk_selecting_server("main")).await;
    let variables = json!([{ "name": "city" }, { "name": "day" }]);
    let prompt =
        mk_prompt("report").with("/spec/template", "{{city}}, {{day}}").with("/spec/variables", variables);
    ns.create(&prompt.for_server("main")).await;
    until_offered_by(&ns, "MCPPrompt", "report", &["main"]).await;
    ns.create(&mk_resource("guide")).await;
    until_offered_by(&ns, "MCPResource", "guide", &[]).await;
    let table = ns.kubectl(&["get", "mcpr", "guide", "--no-headers"], "").await.ok();
    let cells: Vec<_> = table.split_whitespace().collect();
    assert_eq!(cells[..5], ["guide", "guide", "docs://guide", "0", "True"], "{table}");
    let table = ns.kubectl(&["get", "mcpp", "report", "--no-headers"], "").await.ok();
    let cells: Vec<_> = table.split_whitespace().collect();
    assert_eq!(cells[..6], ["report", "report", "city,", "day", "1", "True"], "{table}");
}

#[tokio::test]
async fn a_missing_service_is_reported_until_it_is_there() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("services").await;
    ns.create(&mk_tool("search")).await;
    let missing = ns
        .until("MCPTool", "search", "has no Service", |found| {
            condition(found, "ServiceResolved") == Some(("False", "ServiceNotFound"))
        })
        .await;
    let said = message(&missing, "ServiceResolved").to_owned();
    assert_eq!(said, format!("Service \"backend\" does not exist in namespace \"{}\"", ns.name));
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "backend" }, "spec": { "ports": [{ "port": 80 }] },
    });
    ns.create(&service).await;
    ns.until("MCPTool", "search", "has its Service", |found| {
        condition(found, "ServiceResolved") == Some(("True", "Resolved"))
    })
    .await;
}

#[tokio::test]
async fn a_second_tool_of_one_name_is_refused_with_the_first_ones_name() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("duplicates").await;
    ns.create(&mk_selecting_server("main")).await;
    ns.create(&mk_tool("search-v1").with("/spec/name", "search").for_server("main")).await;
    let second = mk_tool("search-v2").with("/spec/name", "search").for_server("main").to_string();
    let refused = ns.kubectl(&["create", "--filename", "-"], &second).await.refused();
    assert!(
        refused.contains("spec.name: Duplicate value: \"search\": tool \"search\" is already offered on server \"main\" by MCPTool \"search-v1\""),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_becomes_ready_with_its_pods_and_is_counted() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("ready").await;
    ns.create(&mk_server("weather").with("/spec/replicas", 2)).await;
    pods::run(&ns, "weather").await;
    let ready = ns
        .until("MCPServer", "weather", "counts its pods", |found| found["status"]["readyReplicas"] == 2)
        .await;
    assert_eq!(ready["status"]["phase"], "Ready");
    assert_eq!(ready["status"]["observedGeneration"], ready["metadata"]["generation"]);
    ns.kubectl(&["scale", "mcps/weather", "--replicas=0"], "").await.ok();
    let down = ns
        .until("MCPServer", "weather", "is scaled to zero", |found| {
            condition(found, "Ready") == Some(("False", "ScaledToZero"))
        })
        .await;
    assert_eq!(down["status"]["phase"], "Pending");
}
