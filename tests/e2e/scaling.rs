//! How many pods a server has: as its spec says, as `kubectl scale` says, as an autoscaler finds.

use std::net::SocketAddr;

use mcp_operator::children::ChildKind;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::installed::Installed;
use crate::running::{PODS, mk_running, uids, until_pods, until_reason};
use crate::support::endpoints::get;
use crate::support::manifest::Manifest;
use crate::support::namespace::Namespace;
use crate::support::wait;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_scaled_by_apply_and_by_kubectl() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("scale").await;
    ns.apply(&mk_running("weather")).await;
    until_pods(&ns, "weather", 1).await;
    let first = uids(&ns, "weather").await;
    ns.apply(&mk_running("weather").with("/spec/replicas", 3)).await;
    until_pods(&ns, "weather", 3).await;
    assert!(uids(&ns, "weather").await.contains(&first[0]), "another number of pods rolls none");
    ns.kubectl(&["scale", "mcps/weather", "--replicas=2"], "").await.ok();
    until_pods(&ns, "weather", 2).await;
    ns.kubectl(&["scale", "mcps/weather", "--replicas=0"], "").await.ok();
    until_reason(&ns, "weather", "False", "ScaledToZero").await;
    until_pods(&ns, "weather", 0).await;
    // Once more, the quickest way: what is not owned by an apply stays as it was scaled.
    ns.kubectl(&["scale", "mcps/weather", "--replicas=1"], "").await.ok();
    until_pods(&ns, "weather", 1).await;
}

/// Sends requests as fast as they are answered, until it is dropped.
fn load(address: SocketAddr) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for _ in 0..4 {
        load.spawn(async move {
            loop {
                // Some come to pods that are just going.
                let _ = get(address, "/ready").await;
            }
        });
    }
    load
}

async fn versions_until_replicas(ns: &Namespace, count: u64, change: impl AsyncFnOnce()) -> Vec<Value> {
    let followed = ns.follow(ChildKind::Deployment, "weather").await;
    change().await;
    let last = wait::within(PODS * 2, format_args!("there are {count} ready pods"), async || {
        let found = ns.get("Deployment", "weather").await;
        if found["status"]["readyReplicas"] == count {
            Ok(found)
        } else {
            Err(format!("{:#}", found["status"]))
        }
    })
    .await;
    followed.versions_until(&last).await
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_the_autoscaler_adds_pods_and_the_operator_leaves_them() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("load").await;
    let autoscaling = json!({ "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50 });
    ns.create(&mk_running("weather").with("/spec/autoscaling", autoscaling)).await;
    until_pods(&ns, "weather", 1).await;
    let address = ns.address("weather").await;
    let mut requests = JoinSet::new();
    let versions = versions_until_replicas(&ns, 3, async || requests = load(address)).await;
    requests.shutdown().await;
    let wanted: Vec<_> = versions.iter().filter_map(|version| version["spec"]["replicas"].as_u64()).collect();
    assert!(wanted.is_sorted(), "somebody took pods back: {wanted:?}");
    let server = until_pods(&ns, "weather", 3).await;
    assert_eq!(server["spec"]["replicas"], 1, "the spec is its author's");
}

#[tokio::test(flavor = "multi_thread")]
async fn autoscaling_that_is_switched_on_for_five_pods_leaves_five() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("five").await;
    ns.create(&mk_running("weather").with("/spec/replicas", 5)).await;
    until_pods(&ns, "weather", 5).await;
    let before = uids(&ns, "weather").await;
    let followed = ns.follow(ChildKind::Deployment, "weather").await;
    let autoscaling = json!({ "spec": { "autoscaling": { "minReplicas": 2, "maxReplicas": 10 } } });
    ns.patch("MCPServer", "weather", &autoscaling).await.accepted();
    let what = "it has measured the pods";
    wait::within(PODS, what, async || {
        let found = ns.find("HorizontalPodAutoscaler", "weather").await.ok_or("it is not there")?;
        let measured = found.pointer("/status/currentMetrics/0/resource/current").is_some();
        if measured && found["status"]["desiredReplicas"] == 5 {
            Ok(())
        } else {
            Err(format!("{:#}", found["status"]))
        }
    })
    .await;
    // From there on the operator is silent about replicas, also where it writes again.
    ns.patch("MCPServer", "weather", &json!({ "spec": { "podLabels": { "team": "a" } } })).await.accepted();
    let last = ns
        .until("Deployment", "weather", "it has the label", |found| {
            found.pointer("/spec/template/metadata/labels/team").is_some()
        })
        .await;
    for version in followed.versions_until(&last).await {
        assert_eq!(version["spec"]["replicas"], 5);
    }
    until_pods(&ns, "weather", 5).await;
    assert_eq!(before.len(), 5);
}
