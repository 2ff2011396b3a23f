//! What the CRDs alone give: columns, names, documentation, the scale subresource. Nobody writes statuses here.

use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_prompt, mk_resource, mk_server, mk_tool};
use crate::support::object::Verb;

/// The columns that a table begins with.
fn columns(table: &str) -> Vec<&str> {
    table.lines().next().unwrap_or_default().split_whitespace().collect()
}

/// The cells of the line of an object.
fn cells<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
    line.unwrap_or_else(|| panic!("no line for {name} in\n{table}")).split_whitespace().collect()
}

#[tokio::test]
async fn kubectl_prints_the_columns_of_every_kind() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("columns").await;
    ns.create(&mk_server("weather").with("/spec/replicas", 2)).await;
    ns.create(&mk_tool("forecast").with("/spec/name", "weather.forecast")).await;
    ns.create(&mk_prompt("report").with("/spec/name", "report")).await;
    ns.create(&mk_resource("guide").with("/spec/name", "guide")).await;

    let servers = ns.kubectl(&["get", "mcpservers"], "").await.ok();
    assert_eq!(columns(&servers), ["NAME", "PHASE", "READY", "REPLICAS", "TRANSPORT", "ENDPOINT", "AGE"]);
    assert_eq!(cells(&servers, "weather")[1..3], ["2", "streamable-http"]);
    let wide = ns.kubectl(&["get", "mcpservers", "--output", "wide"], "").await.ok();
    assert_eq!(columns(&wide)[7..], ["TOOLS", "PROMPTS", "RESOURCES", "URL"]);

    let tools = ns.kubectl(&["get", "mcptools"], "").await.ok();
    assert_eq!(columns(&tools), ["NAME", "TOOL", "SERVICE", "METHOD", "SERVERS", "ACCEPTED", "AGE"]);
    assert_eq!(cells(&tools, "forecast")[1..4], ["weather.forecast", "backend", "POST"]);
    let prompts = ns.kubectl(&["get", "mcpprompts"], "").await.ok();
    assert_eq!(columns(&prompts), ["NAME", "PROMPT", "VARIABLES", "SERVERS", "ACCEPTED", "AGE"]);
    assert_eq!(cells(&prompts, "report")[1], "report");
    let resources = ns.kubectl(&["get", "mcpresources"], "").await.ok();
    assert_eq!(columns(&resources), ["NAME", "RESOURCE", "URI", "SERVERS", "ACCEPTED", "AGE"]);
    assert_eq!(cells(&resources, "guide")[1], "guide");
    cluster.done().await;
}

#[tokio::test]
async fn kinds_are_known_by_short_names_and_categories() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("names").await;
    ns.create(&mk_server("weather")).await;
    ns.create(&mk_tool("forecast").with("/spec/name", "forecast")).await;
    ns.create(&mk_prompt("report").with("/spec/name", "report")).await;
    ns.create(&mk_resource("guide").with("/spec/name", "guide")).await;

    for (short, printed) in [
        ("mcps/weather", "mcpserver.mcp.example.com/weather"),
        ("mcpt/forecast", "mcptool.mcp.example.com/forecast"),
        ("mcpp/report", "mcpprompt.mcp.example.com/report"),
        ("mcpr/guide", "mcpresource.mcp.example.com/guide"),
    ] {
        let found = ns.kubectl(&["get", short, "--output", "name"], "").await.ok();
        assert_eq!(found.trim(), printed);
    }
    for category in ["mcp", "ai"] {
        let found = ns.kubectl(&["get", category, "--output", "name"], "").await.ok();
        assert_eq!(found.lines().count(), 4, "{found}");
    }
    cluster.done().await;
}

#[tokio::test]
async fn every_field_is_explained() {
    let cluster = Cluster::own().await;
    for kind in ["mcpservers", "mcptools", "mcpprompts", "mcpresources"] {
        let fields = cluster.kubectl(&["explain", "--recursive", kind], "").await.ok();
        assert!(fields.contains("spec") && fields.contains("status"), "{fields}");
        // One level as a person reads it: a field's line, and its description below.
        let spec = cluster.kubectl(&["explain", &format!("{kind}.spec")], "").await.ok();
        assert!(!spec.contains("<no description>"), "{spec}");
    }
    let transport = cluster.kubectl(&["explain", "mcps.spec.transport"], "").await.ok();
    for value in ["stdio", "http", "streamable-http"] {
        assert!(transport.contains(value), "{transport}");
    }
    let schema = cluster.kubectl(&["explain", "mcpt.spec.inputSchema"], "").await.ok();
    assert!(schema.contains("JSON Schema"), "{schema}");
    cluster.done().await;
}

#[tokio::test]
async fn the_scale_subresource_reads_and_writes_replicas() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("scale").await;
    ns.create(&mk_server("weather").with("/spec/replicas", 2)).await;
    let raw = format!("/apis/mcp.example.com/v1alpha1/namespaces/{}/mcpservers/weather/scale", ns.name);
    let scale = ns.kubectl(&["get", "--raw", &raw], "").await.ok();
    assert!(scale.contains(r#""spec":{"replicas":2}"#), "{scale}");
    ns.kubectl(&["scale", "mcpserver/weather", "--replicas=5"], "").await.ok();
    assert_eq!(ns.get("MCPServer", "weather").await["spec"]["replicas"], 5);
    cluster.done().await;
}

#[tokio::test]
async fn the_crds_can_be_applied_by_client_side_kubectl() {
    let cluster = Cluster::own().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/crd/bases");
    let first = cluster.kubectl(&["apply", "--filename", folder], "").await.ok();
    assert_eq!(first.lines().filter(|line| line.ends_with("configured")).count(), 4, "{first}");
    let second = cluster.kubectl(&["apply", "--filename", folder], "").await.ok();
    assert_eq!(second.lines().filter(|line| line.ends_with("unchanged")).count(), 4, "{second}");
    cluster.done().await;
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("unknown").await;
    let misspelt = mk_server("weather").with("/spec/replcas", 2);
    let said = ns.kubectl(&["create", "--filename", "-"], &misspelt.to_string()).await.refused();
    assert!(said.contains(r#"unknown field "spec.replcas""#), "{said}");
    assert_eq!(ns.send(Verb::Create, &misspelt).await.code, 400);
    cluster.done().await;
}
