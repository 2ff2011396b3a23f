//! Servers whose pods do not come up: each says in one sentence why, and which field to change.

use serde_json::{Value, json};

use crate::installed::Installed;
use crate::running::{PODS, mk_running, until_pods, until_reason};
use crate::support::manifest::Manifest;
use crate::support::namespace::Namespace;
use crate::support::object::{condition, message};
use crate::support::wait;

async fn until_says(ns: &Namespace, server: &str, reason: &str, sentence: &str) {
    wait::within(PODS, format_args!("{server} says: {sentence}"), async || {
        let found = ns.get("MCPServer", server).await;
        let says = |type_: &str| {
            condition(&found, type_) == Some(("False", reason)) && message(&found, type_) == sentence
        };
        if says("Ready") && says("DeploymentReady") { Ok(()) } else { Err(format!("{:#}", found["status"])) }
    })
    .await;
}

/// One server for each way, the reason, and the sentence.
fn broken() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (
            mk_running("no-registry").with("/spec/image", "127.0.0.1:1/none:1"),
            "ImagePullFailed",
            "image \"127.0.0.1:1/none:1\" cannot be pulled: connection refused; change spec.image, or mend the way to the registry",
        ),
        (
            mk_running("not-loaded").with("/spec/image", "none:1").with("/spec/imagePullPolicy", "Never"),
            "ImagePullFailed",
            "image \"none:1\" cannot be pulled: it is not on the node; change spec.imagePullPolicy, or load the image",
        ),
        (
            mk_running("not-ready").with("/spec/probes/readinessPath", "/none"),
            "ProbeFailed",
            "the readiness probe GET :8080/none is answered with 404; change spec.probes.readinessPath",
        ),
        (
            // Killed so soon that it mostly waits to be started again; otherwise it is mostly ready.
            mk_running("not-alive")
                .with("/spec/probes/livenessPath", "/none")
                .with("/spec/probes/failureThreshold", 3),
            "ProbeFailed",
            "the liveness probe GET :8080/none is answered with 404; change spec.probes.livenessPath",
        ),
        (
            mk_running("no-port").with("/spec/args", json!(["--port=8081"])),
            "ProbeFailed",
            "the liveness probe GET :8080/health is refused, as nothing listens there; change spec.port",
        ),
        (
            mk_running("crashes").with("/spec/args", json!(["--nonsense"])),
            "ProcessEnded",
            "the process ended with exit code 2, its last line was \"For more information, try '--help'.\"; change spec.command, spec.args, spec.env or spec.config",
        ),
        (
            mk_running("ends").with("/spec/args", json!(["--version"])),
            "ProcessEnded",
            "the process ended by itself with exit code 0, where a server goes on; change spec.command or spec.args",
        ),
        (
            mk_running("no-program").with("/spec/command", json!(["/none"])),
            "ContainerStartFailed",
            "the process cannot be started: exec: \"/none\": stat /none: no such file or directory; change spec.command",
        ),
        (
            mk_running("no-secret").with(
                "/spec/env",
                json!([
                    { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "none", "key": "token" } } }
                ]),
            ),
            "ContainerConfigError",
            "the container cannot be configured: secret \"none\" not found; create it, or change spec.env or spec.envFrom",
        ),
        (
            mk_running("no-node").with("/spec/nodeSelector/disk", "golden"),
            "Unschedulable",
            "no node takes the pods: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector; change spec.nodeSelector or spec.affinity",
        ),
        (
            mk_running("too-large").with("/spec/resources/requests/cpu", "1000"),
            "Unschedulable",
            "no node takes the pods: 0/1 nodes are available: 1 Insufficient cpu; change spec.resources.requests",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_come_up_says_why_in_one_sentence_until_it_does() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("broken").await;
    let broken = broken();
    for (server, _, _) in &broken {
        ns.create(server).await;
    }
    for (server, reason, sentence) in &broken {
        until_says(&ns, server["metadata"]["name"].as_str().unwrap(), reason, sentence).await;
    }
    // Once the field is changed, the pod comes up, and it is said no longer.
    ns.patch("MCPServer", "crashes", &json!({ "spec": { "args": null } })).await.accepted();
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "none" }, "stringData": { "token": "t" } });
    ns.create(&secret).await;
    for server in ["crashes", "no-secret"] {
        let found = until_pods(&ns, server, 1).await;
        assert_eq!(found["status"]["phase"], "Ready");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_namespace_does_not_allow_is_named() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("quota").await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": { "name": "one" }, "spec": { "hard": { "pods": "1" } },
    });
    ns.create(&quota).await;
    ns.create(&mk_running("first")).await;
    until_pods(&ns, "first", 1).await;
    ns.create(&mk_running("second")).await;
    until_says(&ns, "second", "QuotaExceeded", "pods cannot be created: exceeded quota: one, requested: pods=1, used: pods=1, limited: pods=1; change spec.resources or spec.replicas, or the namespace's ResourceQuota").await;

    let ns = installed.namespace("security").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    ns.kubectl(&["label", "namespace", &ns.name, label], "").await.ok();
    ns.create(&mk_running("default")).await;
    until_pods(&ns, "default", 1).await;
    ns.create(&mk_running("root").with("/spec/securityContext/runAsUser", 0)).await;
    let found = until_reason(&ns, "root", "False", "PodSecurityViolated").await;
    let said = message(&found, "Ready");
    assert!(
        said.starts_with("pods cannot be created: violates PodSecurity \"restricted:latest\": "),
        "{said}"
    );
    assert!(said.ends_with("; change spec.securityContext"), "{said}");
}

/// While older pods serve, a rollout that fails takes nothing away.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_fails_is_told_and_the_older_pods_go_on() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("rollout").await;
    ns.create(&mk_running("weather")).await;
    until_pods(&ns, "weather", 1).await;
    let image = json!({ "spec": { "image": "none:1", "imagePullPolicy": "Never" } });
    ns.patch("MCPServer", "weather", &image).await.accepted();
    let sentence = "image \"none:1\" cannot be pulled: it is not on the node; change spec.imagePullPolicy, or load the image";
    wait::within(PODS, "it says why", async || {
        let found = ns.get("MCPServer", "weather").await;
        let (ready, said) = (condition(&found, "Ready"), message(&found, "Ready"));
        assert_eq!(ready.map(|(status, _)| status), Some("True"), "{:#}", found["status"]);
        if said.ends_with(sentence) { Ok(()) } else { Err(said.to_owned()) }
    })
    .await;
    let image = json!({ "spec": { "image": "mcp-k8s-server:latest" } });
    ns.patch("MCPServer", "weather", &image).await.accepted();
    until_pods(&ns, "weather", 1).await;
}
