//! What every other test here takes for granted: pods run, are found, are measured, and say what they say.

use serde_json::{Value, json};

use crate::installed::Installed;
use crate::support::endpoints::get;
use crate::support::namespace::Namespace;
use crate::support::wait;

/// A pod of one of our images.
fn mk_pod(name: &str, image: &str, arguments: &[&str]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "main",
                "image": format!("{image}:latest"),
                "imagePullPolicy": "Never",
                "args": arguments,
                "securityContext": {
                    "runAsNonRoot": true,
                    "readOnlyRootFilesystem": true,
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_to_its_end_and_its_log_can_be_read() {
    let installed = Installed::shared().await;
    let namespace = installed.namespace("log").await;
    namespace.create(&mk_pod("version", "mcp-operator", &["version"])).await;
    namespace.until("Pod", "version", "it has ended well", |pod| pod["status"]["phase"] == "Succeeded").await;
    let log = namespace.kubectl(&["logs", "version"], "").await.ok();
    assert!(log.contains(env!("CARGO_PKG_VERSION")), "{log}");
}

/// A pod whose program finds the API server by its name, and serves requests through a Service.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_finds_names_and_is_found_by_its_service() {
    let cluster = Installed::shared().await;
    let namespace = cluster.namespace("names").await;
    let kubeconfig = cluster.kubectl(&["config", "view", "--raw", "--output", "json"], "").await.ok();
    let mut kubeconfig: Value = serde_json::from_str(&kubeconfig).expect("a kubeconfig");
    kubeconfig["clusters"][0]["cluster"]["server"] = json!("https://kubernetes.default.svc");
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "kubeconfig" },
        "stringData": { "kubeconfig": kubeconfig.to_string() },
    });
    namespace.create(&secret).await;
    let mut pod = mk_pod("client", "mcp-k8s-server", &[]);
    let spec = &mut pod["spec"];
    spec["volumes"] = json!([{ "name": "kubeconfig", "secret": { "secretName": "kubeconfig" } }]);
    let container = &mut spec["containers"][0];
    container["env"] = json!([
        { "name": "KUBECONFIG", "value": "/secret/kubeconfig" },
        { "name": "MCP_TRANSPORT", "value": "streamable-http" },
        { "name": "MCP_PORT", "value": "8080" },
    ]);
    container["volumeMounts"] = json!([{ "name": "kubeconfig", "mountPath": "/secret" }]);
    // It is not before the API server has answered it.
    container["readinessProbe"] =
        json!({ "httpGet": { "path": "/ready", "port": 8080 }, "periodSeconds": 1 });
    namespace.create(&pod).await;
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "client" },
        "spec": { "selector": { "app": "client" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    namespace.create(&service).await;

    namespace.until("Pod", "client", "it is ready", is_ready).await;
    let address = namespace.address("client").await;
    wait::until("it answers through its service", async || match get(address, "/ready").await {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let said = namespace.kubectl(&["exec", "client", "--", "/mcp-k8s-server", "--version"], "").await.ok();
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_sees_what_pods_use() {
    let installed = Installed::shared().await;
    let namespace = Namespace::existing(&installed, "kube-system").await;
    // Its target is out of reach, so it changes nothing.
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "coredns" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "coredns" },
            "maxReplicas": 2,
            "metrics": [{
                "type": "Resource",
                "resource": { "name": "cpu", "target": { "type": "AverageValue", "averageValue": "100" } },
            }],
        },
    });
    namespace.create(&autoscaler).await;
    let measured = |found: &Value| found.pointer("/status/currentMetrics/0/resource/current").is_some();
    namespace.until("HorizontalPodAutoscaler", "coredns", "it has metrics", measured).await;
    namespace.delete("HorizontalPodAutoscaler", "coredns").await;
}
