//! What makes pods anew, and what does not; and that nobody is fought over what is not the operator's.

use mcp_operator::children::ChildKind;
use serde_json::{Value, json};

use crate::installed::Installed;
use crate::running::{mk_running, pods, uids, until_answers, until_pods};
use crate::support::manifest::Manifest;
use crate::support::namespace::Namespace;
use crate::support::object::name;
use crate::support::wait;

/// Waits until the only pod of a server is another one than this, and ready.
async fn until_another(ns: &Namespace, server: &str, before: &[String]) -> Value {
    wait::within(crate::running::PODS, format_args!("{server} has rolled"), async || {
        let now = uids(ns, server).await;
        if now.len() == 1 && now != before { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    until_pods(ns, server, 1).await;
    pods(ns, server).await.remove(0)
}

/// A pass that writes a child, and is not about the pods.
async fn pass(ns: &Namespace, server: &str) {
    let budget = json!({ "spec": { "podDisruptionBudget": { "maxUnavailable": 1 } } });
    ns.patch("MCPServer", server, &budget).await.accepted();
    ns.until("PodDisruptionBudget", server, "it is made", |_| true).await;
    until_pods(ns, server, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_roll_their_own_server_and_secrets_and_config_maps_of_the_user_roll_none() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("settings").await;
    let secret = |value: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token" }, "stringData": { "TOKEN": value } });
    let shared = |value: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "shared" }, "data": { "REGION": value } });
    ns.create(&secret("first")).await;
    ns.create(&shared("north")).await;
    let server =
        |name: &str| {
            mk_running(name)
            .with("/spec/config/LOG_LEVEL", "info")
            .with("/spec/envFrom", json!([{ "configMapRef": { "name": "shared" } }]))
            .with("/spec/env", json!([
                { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "token", "key": "TOKEN" } } }
            ]))
        };
    for name in ["weather", "other"] {
        ns.create(&server(name)).await;
    }
    for name in ["weather", "other"] {
        until_pods(&ns, name, 1).await;
    }
    let (weather, other) = (uids(&ns, "weather").await, uids(&ns, "other").await);
    let deployed = ns.get("Deployment", "weather").await;

    ns.apply(&secret("second")).await;
    ns.apply(&shared("south")).await;
    pass(&ns, "weather").await;
    assert_eq!(uids(&ns, "weather").await, weather);
    assert_eq!(
        ns.get("Deployment", "weather").await["metadata"]["generation"],
        deployed["metadata"]["generation"]
    );

    ns.patch("MCPServer", "weather", &json!({ "spec": { "config": { "LOG_LEVEL": "debug" } } }))
        .await
        .accepted();
    let pod = until_another(&ns, "weather", &weather).await;
    let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    assert!(env.contains(&json!({ "name": "LOG_LEVEL", "value": "debug" })), "{env:?}");
    let config = ns.get("ConfigMap", "weather-config").await;
    assert!(config["data"]["config.json"].as_str().unwrap().contains("debug"), "{config}");
    assert_eq!(uids(&ns, "other").await, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_by_kubectl_and_what_others_add_survive_every_pass() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("restart").await;
    ns.create(&mk_running("weather")).await;
    until_pods(&ns, "weather", 1).await;
    let before = uids(&ns, "weather").await;
    ns.kubectl(&["rollout", "restart", "deployment/weather"], "").await.ok();
    ns.kubectl(&["rollout", "status", "deployment/weather", "--timeout=55s"], "").await.ok();
    until_another(&ns, "weather", &before).await;
    for kind in ["Deployment", "Service"] {
        ns.kubectl(&["annotate", kind, "weather", "example.org/note=mine"], "").await.ok();
        ns.kubectl(&["label", kind, "weather", "example.org/team=mine"], "").await.ok();
    }
    let restarted = uids(&ns, "weather").await;
    pass(&ns, "weather").await;
    for kind in ["Deployment", "Service"] {
        let found = ns.get(kind, "weather").await;
        assert_eq!(found["metadata"]["annotations"]["example.org/note"], "mine", "{kind}");
        assert_eq!(found["metadata"]["labels"]["example.org/team"], "mine", "{kind}");
    }
    let found = ns.get("Deployment", "weather").await;
    let template = &found["spec"]["template"]["metadata"]["annotations"];
    assert!(template["kubectl.kubernetes.io/restartedAt"].is_string(), "{template}");
    assert_eq!(uids(&ns, "weather").await, restarted, "and nothing rolls once more");

    // Nor does what the user adds to the spec take away what kubectl added.
    ns.patch("MCPServer", "weather", &json!({ "spec": { "podAnnotations": { "a": "b" } } })).await.accepted();
    let pod = until_another(&ns, "weather", &restarted).await;
    let annotations = &pod["metadata"]["annotations"];
    assert_eq!(annotations["a"], "b");
    assert!(annotations["kubectl.kubernetes.io/restartedAt"].is_string(), "{annotations}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_changes_settle_on_the_last() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("rapid").await;
    ns.create(&mk_running("weather")).await;
    for number in 1..=20_u16 {
        let spec = json!({
            "port": 9000 + number,
            "replicas": number % 3,
            "config": { "NUMBER": number },
            "ingress": if number % 2 == 0 { json!({ "host": format!("h{number}.example.com") }) } else { json!(null) },
        });
        ns.patch("MCPServer", "weather", &json!({ "spec": spec })).await.accepted();
    }
    until_pods(&ns, "weather", 2).await;
    for pod in pods(&ns, "weather").await {
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        assert!(env.contains(&json!({ "name": "NUMBER", "value": "20" })), "{}: {env:?}", name(&pod));
    }
    assert_eq!(ns.get("Ingress", "weather").await["spec"]["rules"][0]["host"], "h20.example.com");
    let address = ns.address("weather").await;
    assert_eq!(address.port(), 9020);
    until_answers(address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_breaks_by_hand_serves_again() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("drift").await;
    ns.create(&mk_running("weather")).await;
    until_pods(&ns, "weather", 1).await;
    let address = ns.address("weather").await;
    until_answers(address).await;

    let selector = json!({ "spec": { "selector": { "app.kubernetes.io/instance": "nobody" } } });
    ns.patch("Service", "weather", &selector).await.accepted();
    until_answers(address).await;
    ns.kubectl(&["scale", "deployment/weather", "--replicas=3"], "").await.ok();
    until_pods(&ns, "weather", 1).await;
    let before = uids(&ns, "weather").await;
    ns.kubectl(&["set", "image", "deployment/weather", "mcp-server=none:1"], "").await.ok();
    ns.until("Deployment", "weather", "it has its image", |found| {
        found.pointer("/spec/template/spec/containers/0/image") == Some(&json!("mcp-k8s-server:latest"))
    })
    .await;
    until_pods(&ns, "weather", 1).await;
    assert_eq!(uids(&ns, "weather").await, before);
    for kind in ["Deployment", "Service"] {
        ns.delete(kind, "weather").await.accepted();
    }
    wait::until("all is made again", async || match ns.find("Deployment", "weather").await {
        Some(found) if found["metadata"]["deletionTimestamp"].is_null() => Ok(()),
        found => Err(format!("{found:?}")),
    })
    .await;
    until_another(&ns, "weather", &before).await;
    until_answers(ns.address("weather").await).await;
}

/// Each of a Deployment's generations is one that somebody asked for: what Kubernetes' own controllers write, the operator does
/// not answer.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_fights_the_controllers_of_kubernetes() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("peace").await;
    ns.create(&mk_running("weather").with("/spec/ingress", json!({ "host": "peace.example.com" }))).await;
    until_pods(&ns, "weather", 1).await;
    let before = [ns.get("Service", "weather").await, ns.get("Ingress", "weather").await];
    let followed = ns.follow(ChildKind::Deployment, "weather").await;
    ns.patch("MCPServer", "weather", &json!({ "spec": { "replicas": 2 } })).await.accepted();
    until_pods(&ns, "weather", 2).await;
    ns.kubectl(&["rollout", "restart", "deployment/weather"], "").await.ok();
    ns.kubectl(&["rollout", "status", "deployment/weather", "--timeout=55s"], "").await.ok();
    until_pods(&ns, "weather", 2).await;
    ns.kubectl(&["delete", "pods", "--all", "--wait=false"], "").await.ok();
    until_pods(&ns, "weather", 2).await;
    let last = ns.get("Deployment", "weather").await;
    for version in followed.versions_until(&last).await {
        let by_operator = version["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["manager"] == "mcp-operator");
        assert!(by_operator.count() == 1, "{version:#}");
    }
    assert_eq!(last["metadata"]["generation"], 3, "made, scaled, restarted");
    let budget = ns.get("PodDisruptionBudget", "weather").await;
    assert_eq!(budget["metadata"]["generation"], 1);
    for child in before {
        let kind = child["kind"].as_str().unwrap();
        let now = ns.get(kind, "weather").await;
        assert_eq!(now["metadata"]["resourceVersion"], child["metadata"]["resourceVersion"], "{kind}");
    }
}
