//! What a server consists of: made, mended, switched off, and left alone where it is somebody else's.

use mcp_operator::children::ChildKind;
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_server};
use crate::support::namespace::Namespace;
use crate::support::object::{condition, message};
use crate::support::operator::{Installation, Shared};
use crate::support::pods;

/// Kind and name of every child of `weather` where everything is switched on.
const ALL: [(&str, &str); 7] = [
    ("ConfigMap", "weather-config"),
    ("NetworkPolicy", "weather"),
    ("Service", "weather"),
    ("Deployment", "weather"),
    ("PodDisruptionBudget", "weather"),
    ("HorizontalPodAutoscaler", "weather"),
    ("Ingress", "weather"),
];

fn with_everything() -> Value {
    mk_server("weather")
        .with("/spec/config/LOG_LEVEL", "debug")
        .with("/spec/ingress", json!({ "host": "weather.example.com", "pathPrefix": "/team" }))
        .with("/spec/autoscaling", json!({ "minReplicas": 2, "maxReplicas": 5 }))
        .with("/spec/networkPolicy", json!({ "enabled": true, "ingressFrom": [{ "podSelector": {} }] }))
}

async fn until_everything_is_made(ns: &Namespace) {
    for (kind, name) in ALL {
        ns.until(kind, name, "is made", |_| true).await;
    }
}

fn replicas(deployment: &Value) -> &Value {
    &deployment["spec"]["replicas"]
}

#[tokio::test]
async fn every_child_is_made_and_goes_when_it_is_switched_off() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("children").await;
    let server = ns.create(&with_everything()).await;
    until_everything_is_made(&ns).await;
    for (kind, name) in ALL {
        let found = ns.get(kind, name).await;
        assert_eq!(found["metadata"]["ownerReferences"][0]["uid"], server["metadata"]["uid"], "{kind}");
    }
    let found = ns
        .until("MCPServer", "weather", "says that the Ingress has no address", |found| {
            condition(found, "IngressReady") == Some(("False", "AddressPending"))
        })
        .await;
    assert_eq!(found["status"]["url"], "http://weather.example.com/team/mcp");

    let off =
        json!({ "spec": { "config": null, "ingress": null, "autoscaling": null, "networkPolicy": null } });
    ns.patch("MCPServer", "weather", &off).await.accepted();
    for (kind, name) in ALL {
        if !["Service", "Deployment"].contains(&kind) {
            ns.until_gone(kind, name).await;
        }
    }
    ns.until("Deployment", "weather", "has the server's own replicas", |found| replicas(found) == 1).await;
    let found = ns
        .until("MCPServer", "weather", "has no condition for what is off", |found| {
            condition(found, "IngressReady").is_none()
        })
        .await;
    let url = format!("http://weather.{}.svc.cluster.local:8080/mcp", ns.name);
    assert_eq!(found["status"]["url"], url);
}

#[tokio::test]
async fn what_somebody_changes_or_deletes_by_hand_is_mended() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("mended").await;
    ns.create(&with_everything()).await;
    until_everything_is_made(&ns).await;
    for (kind, name) in ALL {
        let made = ns.get(kind, name).await;
        ns.delete(kind, name).await.accepted();
        ns.until(kind, name, "is made again", |found| {
            found["metadata"]["uid"] != made["metadata"]["uid"]
                && found["metadata"]["deletionTimestamp"].is_null()
        })
        .await;
    }
    let changes = [
        ("ConfigMap", "weather-config", "/data/config.json", json!("{}")),
        ("NetworkPolicy", "weather", "/spec/ingress", json!([{ "from": [] }])),
        ("NetworkPolicy", "weather", "/spec/ingress/0/from/0", json!({ "namespaceSelector": {} })),
        ("Service", "weather", "/spec/selector/app.kubernetes.io~1instance", json!("other")),
        ("Deployment", "weather", "/spec/template/spec/serviceAccountName", json!("other")),
        (
            "Deployment",
            "weather",
            "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation",
            json!(null),
        ),
        ("PodDisruptionBudget", "weather", "/spec/maxUnavailable", json!(3)),
        ("HorizontalPodAutoscaler", "weather", "/spec/maxReplicas", json!(50)),
        ("Ingress", "weather", "/spec/rules/0/host", json!("evil.example.com")),
    ];
    for (kind, name, pointer, value) in changes {
        let made = ns.get(kind, name).await;
        let wanted = made.pointer(pointer).cloned();
        if wanted.is_none() {
            // What the operator does not speak of is its author's.
            continue;
        }
        let operations = json!([{ "op": "replace", "path": pointer, "value": value }]).to_string();
        ns.kubectl(&["patch", kind, name, "--type", "json", "--patch", &operations], "").await.ok();
        ns.until(kind, name, "is as it was", |found| found.pointer(pointer).cloned() == wanted).await;
    }
}

#[tokio::test]
async fn labels_that_somebody_removes_come_back() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("labels").await;
    ns.create(&mk_server("weather")).await;
    // Without it the operator's watch does not show the Service any more.
    let managed_by = "app.kubernetes.io/managed-by";
    for kind in ["Service", "Deployment"] {
        ns.until(kind, "weather", "is made", |_| true).await;
        ns.patch(kind, "weather", &json!({ "metadata": { "labels": { managed_by: null } } }))
            .await
            .accepted();
        ns.until(kind, "weather", "has its label", |found| {
            found["metadata"]["labels"][managed_by] == "mcp-operator"
        })
        .await;
    }
}

#[tokio::test]
async fn names_that_others_have_are_reported_and_taken_when_they_are_free() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("taken").await;
    let backend = json!({ "service": { "name": "other", "port": { "number": 80 } } });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": "weather" },
        "spec": { "defaultBackend": backend },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "weather", "labels": { "app.kubernetes.io/managed-by": "Helm" } },
        "spec": { "ports": [{ "port": 1234 }] },
    });
    let made = [ns.create(&service).await, ns.create(&ingress).await];
    ns.create(&mk_server("weather").with("/spec/ingress/host", "weather.example.com")).await;
    let found = ns
        .until("MCPServer", "weather", "says that the names are taken", |found| {
            condition(found, "ServiceReady") == Some(("False", "NameTaken"))
                && condition(found, "IngressReady") == Some(("False", "NameTaken"))
        })
        .await;
    assert_eq!(
        message(&found, "ServiceReady"),
        "Service \"weather\" is not this server's: it was made by \"Helm\""
    );
    assert_eq!(condition(&found, "Ready"), Some(("False", "NameTaken")));
    ns.until("Deployment", "weather", "is made", |_| true).await;
    for (kind, before) in ["Service", "Ingress"].into_iter().zip(&made) {
        assert_eq!(
            ns.get(kind, "weather").await["metadata"]["resourceVersion"],
            before["metadata"]["resourceVersion"]
        );
    }

    ns.delete("Ingress", "weather").await.accepted();
    ns.delete("Service", "weather").await.accepted();
    for (kind, type_, expected) in [
        ("Service", "ServiceReady", ("True", "Created")),
        ("Ingress", "IngressReady", ("False", "AddressPending")),
    ] {
        ns.until("MCPServer", "weather", "has its own", |found| condition(found, type_) == Some(expected))
            .await;
        assert_eq!(ns.get(kind, "weather").await["metadata"]["ownerReferences"][0]["name"], "weather");
    }
}

#[tokio::test]
async fn autoscaling_that_is_switched_on_for_five_stays_at_five() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("scaling").await;
    ns.create(&mk_server("weather").with("/spec/replicas", 5)).await;
    let five = |found: &Value| found["status"]["replicas"] == 5;
    ns.until("Deployment", "weather", "has five", five).await;
    // Every version of the Deployment from here on.
    let watched = ns.follow(ChildKind::Deployment, "weather").await;
    let on = json!({ "spec": { "autoscaling": { "minReplicas": 1, "maxReplicas": 8 } } });
    ns.patch("MCPServer", "weather", &on).await.accepted();
    ns.until("HorizontalPodAutoscaler", "weather", "is made", |_| true).await;
    ns.until("Deployment", "weather", "is left to the autoscaler", |found| {
        found["metadata"]["annotations"]["mcp.example.com/replicas-from"] == "autoscaler"
    })
    .await;
    // Another hand scales it, as the autoscaler would.
    ns.kubectl(&["scale", "deployment", "weather", "--replicas=6"], "").await.ok();
    ns.patch("MCPServer", "weather", &json!({ "spec": { "podAnnotations": { "note": "x" } } }))
        .await
        .accepted();
    ns.until("Deployment", "weather", "has the annotation", |found| {
        found["spec"]["template"]["metadata"]["annotations"]["note"] == "x"
    })
    .await;
    // Switched off again, with the number that it has.
    let off = json!({ "spec": { "autoscaling": null, "replicas": 6 } });
    ns.patch("MCPServer", "weather", &off).await.accepted();
    ns.until_gone("HorizontalPodAutoscaler", "weather").await;
    let last = ns
        .until("Deployment", "weather", "is the server's own again", |found| {
            found["metadata"]["annotations"]["mcp.example.com/replicas-from"].is_null()
        })
        .await;
    assert_eq!(replicas(&last), 6);
    let seen: Vec<_> = watched.versions_until(&last).await.iter().map(|it| replicas(it).clone()).collect();
    assert!(seen.len() > 3 && seen.iter().all(|replicas| *replicas == 5 || *replicas == 6), "{seen:?}");
}

#[tokio::test]
async fn what_others_add_to_a_deployment_survives() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("restart").await;
    ns.create(&mk_server("weather")).await;
    ns.until("Deployment", "weather", "is made", |_| true).await;
    ns.kubectl(&["rollout", "restart", "deployment/weather"], "").await.ok();
    ns.kubectl(&["annotate", "deployment/weather", "example.com/owner=ops"], "").await.ok();
    let restarted = "kubectl.kubernetes.io/restartedAt";
    let before = ns.get("Deployment", "weather").await;
    let at = before["spec"]["template"]["metadata"]["annotations"][restarted].clone();
    assert!(at.is_string());
    // A pass that applies the Deployment.
    ns.patch("MCPServer", "weather", &json!({ "spec": { "replicas": 2 } })).await.accepted();
    let after = ns.until("Deployment", "weather", "has two replicas", |found| *replicas(found) == 2).await;
    assert_eq!(after["spec"]["template"]["metadata"]["annotations"][restarted], at);
    assert_eq!(after["metadata"]["annotations"]["example.com/owner"], "ops");
    assert_eq!(after["spec"]["template"], before["spec"]["template"], "and the pods are not rolled");
}

#[tokio::test]
async fn pods_roll_with_config_and_with_no_tool() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("rolls").await;
    let server =
        mk_server("weather").with("/spec/toolSelector", json!({})).with("/spec/config/LEVEL", "info");
    ns.create(&server).await;
    pods::run(&ns, "weather").await;
    let before = ns.get("Deployment", "weather").await;
    ns.create(&crate::support::manifest::mk_tool("search")).await;
    ns.until("MCPServer", "weather", "serves the tool", |found| found["status"]["tools"] == 1).await;
    let with_tool = ns.get("Deployment", "weather").await;
    assert_eq!(with_tool["metadata"]["generation"], before["metadata"]["generation"]);
    ns.patch("MCPServer", "weather", &json!({ "spec": { "config": { "LEVEL": "debug" } } })).await.accepted();
    ns.until("Deployment", "weather", "rolls", |found| {
        found["spec"]["template"] != before["spec"]["template"]
    })
    .await;
}

#[tokio::test]
async fn rapid_changes_settle_on_the_last() {
    const CHANGES: u32 = 60;
    let cluster = Shared::get().await;
    let ns = cluster.namespace("rapid").await;
    ns.create(&mk_server("weather")).await;
    for number in 1..=CHANGES {
        let change = json!({ "spec": {
            "port": 9000 + number,
            "image": format!("registry.example.com/weather:{number}"),
            "ingress": if number % 2 == 0 { json!({ "host": format!("h{number}.example.com") }) } else { Value::Null },
        } });
        ns.patch("MCPServer", "weather", &change).await.accepted();
    }
    ns.until("Deployment", "weather", "runs the last image", |found| {
        found["spec"]["template"]["spec"]["containers"][0]["image"]
            == format!("registry.example.com/weather:{CHANGES}")
    })
    .await;
    ns.until("Service", "weather", "has the last port", |found| {
        found["spec"]["ports"][0]["port"] == 9000 + CHANGES
    })
    .await;
    ns.until("Ingress", "weather", "has the last host", |found| {
        found["spec"]["rules"][0]["host"] == format!("h{CHANGES}.example.com")
            && found["metadata"]["deletionTimestamp"].is_null()
    })
    .await;
    let stored = ns.get("MCPServer", "weather").await;
    ns.until("MCPServer", "weather", "speaks of the last", |found| {
        found["status"]["observedGeneration"] == stored["metadata"]["generation"]
    })
    .await;
}

#[tokio::test]
async fn a_finalizer_is_added_where_nobody_asked_the_webhook_and_goes_with_redis() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("finalizer").await;
    ns.create(&mk_server("weather").with("/spec/redis/serviceName", "redis")).await;
    let operator = Installation::outside(&cluster).await.start_ready().await;
    let finalizer = json!(["mcp.example.com/finalizer"]);
    ns.until("MCPServer", "weather", "has the finalizer", |found| {
        found["metadata"]["finalizers"] == finalizer
    })
    .await;
    ns.patch("MCPServer", "weather", &json!({ "spec": { "redis": null } })).await.accepted();
    ns.until("MCPServer", "weather", "has lost it", |found| found["metadata"]["finalizers"].is_null()).await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_namespace_of_fifty_servers_is_deleted() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("fifty").await;
    for number in 0..50 {
        let server = mk_server(&format!("server-{number}"));
        let redis = number % 5 == 0;
        let server = if redis { server.with("/spec/redis/serviceName", "redis") } else { server };
        ns.create(&server).await;
    }
    ns.until("Deployment", "server-49", "is made", |_| true).await;
    ns.kubectl(&["delete", "namespace", &ns.name, "--timeout=50s"], "").await.ok();
}
