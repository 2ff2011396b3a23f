//! Deletion, in every state: nothing of ours stands in its way, and nothing stays behind.

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::manifest::{
    Manifest, mk_gateway, mk_selecting_server, mk_server, mk_stdio_server, mk_tool,
};
use crate::support::namespace::Namespace;
use crate::support::object::{self, condition};
use crate::support::operator::{Installation, Shared};
use crate::support::pods;

const CHILDREN: [&str; 3] = ["Deployment", "Service", "ConfigMap"];

fn with_redis(name: &str) -> Value {
    mk_server(name).with("/spec/redis/serviceName", "redis").with("/spec/config/LOG_LEVEL", "debug")
}

fn child(kind: &str, server: &str) -> String {
    if kind == "ConfigMap" { format!("{server}-config") } else { server.to_owned() }
}

async fn until_nothing_is_left(ns: &Namespace, server: &str) {
    ns.until_gone("MCPServer", server).await;
    for kind in CHILDREN {
        ns.until_gone(kind, &child(kind, server)).await;
    }
}

#[tokio::test]
async fn a_server_goes_with_its_children_whatever_its_state() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("deletion").await;
    ns.create(&mk_selecting_server("ready").with("/spec/config/LOG_LEVEL", "debug")).await;
    ns.create(&mk_server("progressing").with("/spec/config/LOG_LEVEL", "debug")).await;
    ns.create(&mk_server("down").with("/spec/replicas", 0)).await;
    ns.create(&mk_gateway("gateway")).await;
    ns.create(&mk_stdio_server("stdio")).await;
    ns.create(&with_redis("redis")).await;
    for server in ["ready", "progressing", "down", "gateway", "stdio", "redis"] {
        ns.until("MCPServer", server, "has a status", |found| condition(found, "Ready").is_some()).await;
    }
    pods::run(&ns, "ready").await;
    for server in ["ready", "progressing", "down", "gateway", "stdio", "redis"] {
        ns.delete("MCPServer", server).await.accepted();
        until_nothing_is_left(&ns, server).await;
    }
    // One that is deleted before anything could be made of it.
    ns.create(&with_redis("at-once")).await;
    ns.delete("MCPServer", "at-once").await.accepted();
    until_nothing_is_left(&ns, "at-once").await;
}

#[tokio::test]
async fn a_server_made_anew_at_once_gets_children_of_its_own() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("anew").await;
    let manifest = mk_server("weather").with("/spec/config/LOG_LEVEL", "debug");
    ns.create(&manifest).await;
    for kind in CHILDREN {
        ns.until(kind, &child(kind, "weather"), "is made", |_| true).await;
    }
    ns.delete("MCPServer", "weather").await.accepted();
    let anew = ns.create(&manifest).await;
    for kind in CHILDREN {
        ns.until(kind, &child(kind, "weather"), "belongs to the new server", |found| {
            found["metadata"]["ownerReferences"][0]["uid"] == anew["metadata"]["uid"]
                && found["metadata"]["deletionTimestamp"].is_null()
        })
        .await;
    }
    pods::run(&ns, "weather").await;
}

#[tokio::test]
async fn a_child_that_somebody_deletes_or_changes_comes_back_as_it_was() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("drift").await;
    ns.create(&mk_server("weather").with("/spec/config/LOG_LEVEL", "debug")).await;
    for kind in CHILDREN {
        let name = child(kind, "weather");
        let made = ns.until(kind, &name, "is made", |_| true).await;
        ns.delete(kind, &name).await.accepted();
        ns.until(kind, &name, "is made again", |found| {
            found["metadata"]["uid"] != made["metadata"]["uid"]
                && found["metadata"]["deletionTimestamp"].is_null()
        })
        .await;
    }
    ns.patch("Service", "weather", &json!({ "spec": { "ports": [{ "port": 8080, "name": "web" }] } }))
        .await
        .accepted();
    ns.until("Service", "weather", "has its port's name again", |found| {
        found["spec"]["ports"][0]["name"] == "mcp"
    })
    .await;
    let image =
        json!([{ "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other:1" }]);
    let patch = image.to_string();
    ns.kubectl(&["patch", "deployment", "weather", "--type", "json", "--patch", &patch], "").await.ok();
    ns.until("Deployment", "weather", "runs its image again", |found| {
        found["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/weather:1.4.0"
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_service_is_left_alone_and_reported() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("taken").await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "weather" }, "spec": { "ports": [{ "port": 1234 }] },
    });
    let made = ns.create(&service).await;
    ns.create(&mk_server("weather")).await;
    ns.until("MCPServer", "weather", "says that the name is taken", |found| {
        condition(found, "ServiceReady") == Some(("False", "NameTaken"))
    })
    .await;
    ns.delete("MCPServer", "weather").await.accepted();
    ns.until_gone("Deployment", "weather").await;
    let left = ns.get("Service", "weather").await;
    assert_eq!(
        (&left["metadata"]["uid"], &left["spec"]["ports"][0]["port"]),
        (&made["metadata"]["uid"], &json!(1234))
    );
}

#[tokio::test]
async fn a_dead_operator_delays_only_servers_with_redis() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with_short_leases();
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("dead").await;
    ns.create(&mk_selecting_server("plain")).await;
    ns.create(&mk_tool("search").for_server("plain")).await;
    for name in ["waits", "freed"] {
        let stored = ns.create(&with_redis(name)).await;
        assert_eq!(stored["metadata"]["finalizers"], json!(["mcp.example.com/finalizer"]));
    }
    ns.until("MCPServer", "plain", "serves the tool", |found| found["status"]["tools"] == 1).await;
    operator.kill().await;

    // The webhooks are dead, and fail closed for what is not a deletion.
    assert_eq!(ns.patch("MCPTool", "search", &json!({ "spec": { "description": "x" } })).await.code, 500);
    for (kind, name) in [("MCPServer", "plain"), ("MCPTool", "search")] {
        ns.delete(kind, name).await.accepted();
        ns.until_gone(kind, name).await;
    }
    ns.until_gone("Deployment", "plain").await;
    for name in ["waits", "freed"] {
        let left = ns.delete("MCPServer", name).await.accepted();
        assert!(left["metadata"]["deletionTimestamp"].is_string());
    }
    // By hand, as the guide says.
    ns.patch("MCPServer", "freed", &json!({ "metadata": { "finalizers": null } })).await.accepted();
    ns.until_gone("MCPServer", "freed").await;
    assert_eq!(object::name(&ns.get("MCPServer", "waits").await), "waits");

    let operator = installed.start_ready().await;
    ns.until_gone("MCPServer", "waits").await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_namespace_is_deleted_with_everything_in_it() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("ends").await;
    ns.create(&mk_selecting_server("main")).await;
    ns.create(&with_redis("redis")).await;
    ns.create(&mk_tool("search").for_server("main")).await;
    ns.until("MCPServer", "main", "serves the tool", |found| found["status"]["tools"] == 1).await;
    ns.kubectl(&["delete", "namespace", &ns.name, "--timeout=50s"], "").await.ok();
}
