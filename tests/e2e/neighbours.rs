//! Servers beside other things: what one of them does, or somebody else, is no other's trouble.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::installed::Installed;
use crate::running::{PODS, mk_running, pods, signal, until_answers, until_pods, until_reason};
use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{condition, message, name};
use crate::support::schemas;
use crate::support::wait;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_somebody_else_has_made_is_left_alone_and_its_name_is_taken_when_it_goes() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("foreign").await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "weather" },
        "spec": { "selector": { "app": "theirs" }, "ports": [{ "port": 80 }] },
    });
    let theirs = ns.create(&service).await;
    // The webhook warns of it, and lets it pass.
    ns.create(&mk_running("weather")).await;
    let found = until_reason(&ns, "weather", "False", "NameTaken").await;
    assert_eq!(condition(&found, "ServiceReady"), Some(("False", "NameTaken")));
    assert!(message(&found, "Ready").starts_with("Service \"weather\" is not this server's: "), "{found:#}");
    // Its pods come up all the same.
    wait::within(PODS, "its pod is ready", async || {
        let found = ns.get("MCPServer", "weather").await;
        if found["status"]["readyReplicas"] == 1 { Ok(()) } else { Err(format!("{:#}", found["status"])) }
    })
    .await;
    let now = ns.get("Service", "weather").await;
    assert_eq!(now["metadata"]["resourceVersion"], theirs["metadata"]["resourceVersion"]);
    ns.delete("Service", "weather").await.accepted();
    until_pods(&ns, "weather", 1).await;
    until_answers(ns.address("weather").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_fifty_servers_is_deleted_some_of_them_with_redis_and_some_with_pods() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("fifty").await;
    for number in 0..50 {
        let server =
            mk_running(&format!("server-{number}")).with("/spec/replicas", i32::from(number % 5 == 0));
        let with_redis = number % 7 == 0;
        ns.create(&if with_redis { server.with("/spec/redis/serviceName", "redis") } else { server }).await;
    }
    for number in (0..50).step_by(5) {
        until_pods(&ns, &format!("server-{number}"), 1).await;
    }
    ns.kubectl(&["delete", "namespace", &ns.name, "--timeout=55s"], "").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_falls_when_the_only_pod_does_and_rises_with_it() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("falls").await;
    ns.create(&mk_running("weather")).await;
    until_pods(&ns, "weather", 1).await;
    let pod = pods(&ns, "weather").await.remove(0);
    signal(&pod, "-STOP");
    let found = wait::within(PODS, "it is not ready", async || {
        let found = ns.get("MCPServer", "weather").await;
        match condition(&found, "Ready") {
            Some(("False", _)) => Ok(found),
            _ => Err(format!("{:#}", found["status"])),
        }
    })
    .await;
    assert_eq!(found["status"]["readyReplicas"], 0);
    signal(&pod, "-CONT");
    until_pods(&ns, "weather", 1).await;
}

/// Objects from a time when the API server took anything, and an operator that comes later.
#[tokio::test(flavor = "multi_thread")]
async fn stored_objects_that_are_none_stop_nothing_else() {
    let cluster = Cluster::with_node().await;
    schemas::install(&cluster).await;
    schemas::loosen(&cluster).await;
    let ns = cluster.namespace("unreadable").await;
    ns.create(&mk_running("no-port").with("/spec/port", 70_000)).await;
    ns.create(&mk_running("words").with("/spec/port", "eighty").with("/spec/replicas", json!(["two"]))).await;
    ns.create(&mk_running("nothing").with("/spec", "none")).await;
    ns.create(&mk_tool("words").with("/spec", json!([]))).await;
    ns.create(&mk_running("from-before")).await;
    let _installed = Installed::on(cluster).await;

    ns.create(&mk_running("weather")).await;
    for server in ["weather", "from-before"] {
        until_pods(&ns, server, 1).await;
    }
    for server in ["no-port", "words"] {
        let found = until_reason(&ns, server, "False", "Invalid").await;
        assert!(message(&found, "Ready").contains("spec.port: Invalid value: "), "{:#}", found["status"]);
        assert!(ns.find("Deployment", server).await.is_none());
    }
    // Put right, it runs.
    ns.patch("MCPServer", "no-port", &json!({ "spec": { "port": 8080 } })).await.accepted();
    until_pods(&ns, "no-port", 1).await;
}

/// A server that is asked whenever a minute begins, and whose processes may be stopped without the kubelet minding.
fn mk_asked(name: &str) -> Value {
    mk_running(name).with("/spec/schedule", "* * * * *").with("/spec/probes/type", "TCP")
}

fn last_probe(server: &Value) -> Option<Timestamp> {
    server["status"]["lastProbeTime"].as_str().map(|time| time.parse().expect("a time"))
}

async fn until_probed(ns: &Namespace, server: &str, status: &str) {
    wait::within(PODS, format_args!("ProbeSucceeded of {server} is {status}"), async || {
        let found = ns.get("MCPServer", server).await;
        let is_told = condition(&found, "ProbeSucceeded").is_some_and(|(told, _)| told == status);
        if is_told { Ok(()) } else { Err(format!("{:#}", found["status"])) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_take_connections_and_never_answer_delay_no_other() {
    const SILENT: usize = 10;
    let installed = Installed::shared().await;
    let ns = installed.namespace("silent").await;
    let silent: Vec<_> = (0..SILENT).map(|number| mk_asked(&format!("silent-{number}"))).collect();
    let answering = mk_asked("answering");
    for server in silent.iter().chain([&answering]) {
        ns.create(server).await;
    }
    for server in silent.iter().chain([&answering]) {
        until_probed(&ns, name(server), "True").await;
    }
    for server in &silent {
        signal(&pods(&ns, name(server)).await[0], "-STOP");
    }
    let stopped = Timestamp::now();
    // A minute begins, and all are asked: the one that answers is told at once, while the others are waited for.
    let asked = wait::within(Duration::from_secs(90), "the one that answers was asked", async || {
        let found = ns.get("MCPServer", "answering").await;
        if last_probe(&found) > Some(stopped) { Ok(found) } else { Err(format!("{:#}", found["status"])) }
    })
    .await;
    assert_eq!(condition(&asked, "ProbeSucceeded").map(|(status, _)| status), Some("True"), "{asked:#}");
    for server in &silent {
        let found = ns.get("MCPServer", name(server)).await;
        assert_eq!(condition(&found, "ProbeSucceeded").map(|(status, _)| status), Some("True"), "{found:#}");
    }
    // Passes are not waited for either.
    ns.create(&mk_running("made-meanwhile")).await;
    until_pods(&ns, "made-meanwhile", 1).await;
    for server in &silent {
        until_probed(&ns, name(server), "False").await;
    }
    let found = ns.get("MCPServer", "answering").await;
    assert_eq!(condition(&found, "ProbeSucceeded").map(|(status, _)| status), Some("True"), "{found:#}");
}
