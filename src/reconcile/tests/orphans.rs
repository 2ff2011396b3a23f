//! What becomes of children that are no longer wanted.

use super::*;

#[tokio::test]
async fn what_is_switched_off_is_deleted_and_only_that_very_object() {
    let mut cluster = Cluster::with(&mk_server(json!({
        "image": "server:1", "config": {"a": 1}, "ingress": {"host": "mcp.example.com"}, "replicas": 2,
        "networkPolicy": {"enabled": true},
    })));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1"});
    cluster.store(Kind::Server, &document);
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    // Pods that still mount the ConfigMap are told to go first.
    assert_eq!(
        lines(&calls),
        [
            "PATCH deployments/main",
            "DELETE configmaps/main-config",
            "DELETE networkpolicies/main",
            "DELETE poddisruptionbudgets/main",
            "DELETE ingresses/main",
            STATUS,
        ]
    );
    assert_eq!(calls[4].body["preconditions"], json!({"uid": "uid-of-ingress"}));
    cluster.watch(&calls);
    cluster.settle().await;
    assert_eq!(cluster.context.children.of(&ObjectKey::new(Kind::Server, "team", "main")).len(), 2);
}

#[tokio::test]
async fn what_pods_do_not_need_goes_also_where_they_cannot_be_changed() {
    let mut cluster = Cluster::with(&mk_server(json!({
        "image": "server:1", "config": {"a": 1}, "ingress": {"host": "mcp.example.com"},
    })));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1"});
    cluster.store(Kind::Server, &document);
    cluster.answer("/deployments/main", 422, failure(422, "Invalid", "spec: Invalid value"));
    let (_, calls) = cluster.pass().await;
    // The pods that run go on mounting the ConfigMap.
    assert_eq!(lines(&calls), ["PATCH deployments/main", "DELETE ingresses/main", STATUS]);
}

#[tokio::test]
async fn what_may_not_be_deleted_is_told_and_ends_no_pass() {
    let mut cluster = Cluster::with(&mk_server(json!({
        "image": "server:1", "ingress": {"host": "mcp.example.com"}, "networkPolicy": {"enabled": true},
    })));
    cluster.settle().await;
    cluster.told();
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1"});
    cluster.store(Kind::Server, &document);
    cluster.answer("/networkpolicies/main", 403, failure(403, "Forbidden", "a policy forbids it"));
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(outcome.unwrap_err().retry(), Retry::Backoff);
    assert_eq!(lines(&calls), ["DELETE networkpolicies/main", "DELETE ingresses/main", STATUS]);
    let ready = &calls[2].body["status"]["conditions"][0];
    let said = "NetworkPolicy \"main\" is no longer wanted and could not be deleted: a policy forbids it";
    assert_eq!((&ready["reason"], &ready["message"]), (&json!("Forbidden"), &json!(said)));
    let told = cluster.told();
    assert_eq!(told[0], ("Deleted", "deleted Ingress \"main\", no longer asked for".to_owned()));
    assert_eq!(told[1].0, "Forbidden");
}

#[tokio::test]
async fn an_autoscaler_that_may_not_be_deleted_is_not_fought_with() {
    let mut cluster = Cluster::with(&mk_server(
        json!({"image": "server:1", "config": {"a": 1}, "replicas": 2, "autoscaling": {"maxReplicas": 9}}),
    ));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1", "replicas": 2});
    cluster.store(Kind::Server, &document);
    cluster.answer("/horizontalpodautoscalers/main", 403, failure(403, "Forbidden", "a policy forbids it"));
    let (_, calls) = cluster.pass().await;
    let lines = lines(&calls);
    // And pods that were told nothing keep what they mount.
    assert_eq!(lines, ["DELETE horizontalpodautoscalers/main", STATUS]);
}

#[tokio::test]
async fn what_others_own_is_not_deleted() {
    let mut cluster =
        Cluster::with(&mk_server(json!({"image": "server:1", "ingress": {"host": "a.example.com"}})));
    cluster.settle().await;
    cluster.change(ChildKind::Ingress, "main", |ingress| {
        ingress["metadata"]["ownerReferences"][0]["uid"] = "another".into();
    });
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1"});
    cluster.store(Kind::Server, &document);
    assert_eq!(lines(&cluster.pass().await.1), [STATUS]);
}
