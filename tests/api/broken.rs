//! Pods that do not come up: what Kubernetes says about them becomes one sentence in `Ready`, and no more writes than it has
//! news. There are no nodes here, so the tests say what kubelets would; what refuses pods is real.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_server};
use crate::support::namespace::Namespace;
use crate::support::object::{self, condition, message};
use crate::support::operator::{Installation, Shared};
use crate::support::pods;
use crate::support::wait;
use crate::support::writes;

/// Says what a kubelet would say of the server's only pod.
async fn report(ns: &Namespace, server: &str, status: &Value) {
    let deployed = pods::of(ns, server).await;
    let path = format!("/api/v1/namespaces/{}/pods/{}/status", ns.name, object::name(&deployed));
    let patch = json!({ "status": status });
    ns.request(Method::PATCH, &path, "application/merge-patch+json", Some(&patch)).await.accepted();
}

fn container(state: &Value, last: &Value) -> Value {
    json!({
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": "False" }, { "type": "ContainersReady", "status": "False" }],
        "containerStatuses": [{
            "name": "mcp-server", "ready": false, "restartCount": 1, "image": "x", "imageID": "",
            "state": state, "lastState": last,
        }],
    })
}

async fn until_ready_says(ns: &Namespace, server: &str, reason: &str, sentence: &str) {
    let found = ns
        .until("MCPServer", server, reason, |found| condition(found, "Ready") == Some(("False", reason)))
        .await;
    assert_eq!(message(&found, "Ready"), sentence);
    assert_eq!(condition(&found, "DeploymentReady"), Some(("False", reason)));
}

#[tokio::test]
async fn a_quota_that_allows_no_pods_is_named() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("quota").await;
    ns.create(&json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } },
    }))
    .await;
    ns.create(&mk_server("weather")).await;
    let sentence = "pods cannot be created: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0; change spec.resources or spec.replicas, or the namespace's ResourceQuota";
    until_ready_says(&ns, "weather", "QuotaExceeded", sentence).await;
    assert_eq!(ns.get("MCPServer", "weather").await["status"]["phase"], "Failed");
}

#[tokio::test]
async fn a_pod_security_standard_that_refuses_pods_is_named_and_the_default_passes_it() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("security").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    ns.kubectl(&["label", "namespace", &ns.name, label], "").await.ok();
    ns.create(&mk_server("default")).await;
    ns.create(&mk_server("root").with("/spec/securityContext/runAsUser", 0)).await;
    let found = ns
        .until("MCPServer", "root", "is refused", |found| {
            condition(found, "Ready") == Some(("False", "PodSecurityViolated"))
        })
        .await;
    let said = message(&found, "Ready");
    assert!(
        said.starts_with("pods cannot be created: violates PodSecurity \"restricted:latest\": "),
        "{said}"
    );
    assert!(said.ends_with("; change spec.securityContext"), "{said}");
    pods::run(&ns, "default").await;
}

#[tokio::test]
async fn a_pod_that_does_not_come_up_is_one_sentence() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("broken").await;
    ns.create(&mk_server("weather")).await;
    let waiting =
        |reason: &str, message: &str| json!({ "waiting": { "reason": reason, "message": message } });
    let ended = |code: i32, reason: &str, message: &str| json!({ "terminated": { "exitCode": code, "reason": reason, "message": message } });
    let (none, crash_loop) =
        (json!({}), waiting("CrashLoopBackOff", "back-off 10s restarting failed container"));
    let pull = "rpc error: code = NotFound desc = failed to pull and unpack image \"x\": x: not found";
    for (status, reason, sentence) in [
        (
            container(&waiting("ErrImagePull", pull), &none),
            "ImagePullFailed",
            "image \"registry.example.com/weather:1.4.0\" cannot be pulled: the registry has no such image; change spec.image",
        ),
        (
            container(&waiting("CreateContainerConfigError", "secret \"weather\" not found"), &none),
            "ContainerConfigError",
            "the container cannot be configured: secret \"weather\" not found; create it, or change spec.env or spec.envFrom",
        ),
        (
            container(&crash_loop, &ended(3, "Error", "starting\nno API_TOKEN\n")),
            "ProcessEnded",
            "the process ended with exit code 3, its last line was \"no API_TOKEN\"; change spec.command, spec.args, spec.env or spec.config",
        ),
        (
            container(&crash_loop, &ended(137, "OOMKilled", "")),
            "OutOfMemory",
            "the process was killed because it used more memory than its limit; raise spec.resources.limits.memory",
        ),
        (
            json!({ "phase": "Pending", "containerStatuses": null, "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: not helpful for scheduling.",
            }] }),
            "Unschedulable",
            "no node takes the pods: 0/1 nodes are available: 1 Insufficient cpu; change spec.resources.requests",
        ),
    ] {
        report(&ns, "weather", &status).await;
        until_ready_says(&ns, "weather", reason, sentence).await;
    }
}

#[tokio::test]
async fn a_probe_whose_path_is_not_there_is_named_with_its_field() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("probe").await;
    ns.create(&mk_server("weather")).await;
    report(&ns, "weather", &container(&json!({ "running": {} }), &json!({}))).await;
    let pod = pods::of(&ns, "weather").await;
    ns.create(&json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": { "name": "weather.1" },
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "namespace": ns.name,
            "name": object::name(&pod), "uid": pod["metadata"]["uid"],
        },
        "reason": "Unhealthy", "type": "Warning", "count": 1,
        "message": "Readiness probe failed: HTTP probe failed with statuscode: 404",
    }))
    .await;
    let sentence =
        "the readiness probe GET :8080/ready is answered with 404; change spec.probes.readinessPath";
    until_ready_says(&ns, "weather", "ProbeFailed", sentence).await;
}

#[tokio::test]
async fn ready_falls_when_the_only_pod_does_and_comes_back() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("falls").await;
    ns.create(&mk_server("weather")).await;
    pods::run(&ns, "weather").await;
    let crash = json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": "out of ideas" } });
    report(&ns, "weather", &container(&crash, &json!({}))).await;
    let found = ns
        .until("MCPServer", "weather", "has fallen", |found| {
            condition(found, "Ready") == Some(("False", "ProcessEnded"))
        })
        .await;
    assert_eq!((&found["status"]["readyReplicas"], &found["status"]["phase"]), (&json!(0), &json!("Failed")));
    let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
    report(&ns, "weather", &ready).await;
    ns.until("MCPServer", "weather", "is back", |found| {
        condition(found, "Ready") == Some(("True", "Available"))
    })
    .await;
    // Both news were told, each once.
    wait::until("the events are written", async || {
        let events = ns.list("Event").await;
        let about = events.iter().filter(|event| event["involvedObject"]["kind"] == "MCPServer");
        let mut told: Vec<_> = about.map(|event| event["reason"].as_str().unwrap_or_default()).collect();
        told.sort_unstable();
        if told == ["Created", "ProcessEnded"] { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}

#[tokio::test]
async fn while_the_same_thing_goes_wrong_nothing_is_written() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("same").await;
    ns.create(&mk_server("weather")).await;
    let pull = "failed to pull and unpack image \"x\": x: not found";
    let failed = container(&json!({ "waiting": { "reason": "ErrImagePull", "message": pull } }), &json!({}));
    let waits = format!("Back-off pulling image \"x\": ErrImagePull: {pull}");
    let waits =
        container(&json!({ "waiting": { "reason": "ImagePullBackOff", "message": waits } }), &json!({}));
    report(&ns, "weather", &failed).await;
    ns.until("MCPServer", "weather", "says why", |found| {
        condition(found, "Ready") == Some(("False", "ImagePullFailed"))
    })
    .await;
    let client = cluster.client().await;
    let before = writes::settled(&client, Duration::from_secs(4)).await;
    for _ in 0..10 {
        report(&ns, "weather", &waits).await;
        report(&ns, "weather", &failed).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let written = writes::since(&before, &writes::so_far(&client).await);
    assert_eq!(written.keys().collect::<Vec<_>>(), ["PATCH pods/status"], "{written:?}");
    operator.terminate().await;
    cluster.done().await;
}
