//! Which requests a pass makes.

mod cluster;
mod gateway;
mod keys;
mod orphans;
mod probing;

use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_crds::kind::Kind;
use serde_json::{Value, json};

use self::cluster::{Call, Cluster, failure, lines, stored};
use super::fixture::{NOW, at, mk_object, mk_server, mk_tool};
use super::*;
use crate::children::ChildKind;

const FIRST: [&str; 3] = ["PATCH configmaps/main-config", "PATCH services/main", "PATCH deployments/main"];
const STATUS: &str = "PATCH mcpservers/main/status";

fn spec() -> Value {
    json!({"image": "server:1", "config": {"level": "info"}, "resources": {"requests": {"memory": "0.25Gi"}}})
}

#[tokio::test]
async fn a_new_server_takes_three_applies_and_two_statuses_at_most() {
    let mut cluster = Cluster::with(&mk_server(spec()));
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), FIRST);
    // The first status waits until there is something to say.
    assert_eq!(outcome.unwrap(), Outcome::After(Duration::from_secs(2)));
    cluster.watch(&calls);
    assert!(cluster.pass().await.1.is_empty());

    cluster.start_pods();
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), [STATUS]);
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert_eq!(calls[0].body["status"]["phase"], "Ready");
    let created = "created ConfigMap \"main-config\", Service \"main\", Deployment \"main\"";
    assert_eq!(cluster.told(), [("Created", created.to_owned())]);
    cluster.watch(&calls);
    assert!(cluster.pass().await.1.is_empty());
}

#[tokio::test]
async fn each_apply_is_forced_and_says_that_there_is_no_such_object_yet() {
    let cluster = Cluster::with(&mk_server(spec()));
    let (_, calls) = cluster.pass().await;
    for call in calls {
        assert_eq!(call.body["metadata"]["resourceVersion"], "1", "{}", call.line());
        assert!(
            call.query.contains("fieldManager=mcp-operator") && call.query.contains("force=true"),
            "{call:?}"
        );
    }
}

#[tokio::test]
async fn a_deployment_that_reports_nothing_delays_the_first_status_by_two_seconds_at_most() {
    let mut cluster = Cluster::with(&mk_server(spec()));
    let (_, calls) = cluster.pass().await;
    cluster.watch(&calls);
    cluster.now.store(NOW + 1, Ordering::Relaxed);
    assert_eq!(cluster.pass().await.0.unwrap(), Outcome::After(Duration::from_secs(1)));
    cluster.now.store(NOW + 2, Ordering::Relaxed);
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert_eq!(lines(&calls), [STATUS]);
    assert_eq!(calls[0].body["status"]["phase"], "Pending");
}

#[tokio::test]
async fn drift_of_one_child_is_one_apply_to_the_object_that_was_seen() {
    let mut cluster = Cluster::with(&mk_server(spec()));
    cluster.settle().await;
    cluster.change(ChildKind::Service, "main", |service| service["spec"]["ports"][0]["port"] = 81.into());
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), ["PATCH services/main"]);
    assert_eq!(calls[0].body["metadata"]["uid"], "uid-of-service");
    assert_eq!(calls[0].body["metadata"].get("resourceVersion"), None);
    cluster.watch(&calls);
    assert!(cluster.pass().await.1.is_empty());
}

#[tokio::test]
async fn a_status_is_written_once_though_the_watch_is_late() {
    let mut cluster = Cluster::with(&mk_server(json!({"image": "server:1", "toolSelector": {}})));
    cluster.settle().await;
    cluster.store(Kind::Tool, &mk_tool("search"));
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), ["PATCH configmaps/main-config", STATUS]);
    // It shows the child before the status.
    cluster.watch(&calls[..1]);
    assert!(cluster.pass().await.1.is_empty());
    // Somebody else's change has taken the status back.
    let document = cluster.document(Kind::Server, "main");
    cluster.store(Kind::Server, &document);
    assert_eq!(lines(&cluster.pass().await.1), [STATUS]);

    cluster.store(Kind::Tool, &mk_tool("fetch"));
    let (_, calls) = cluster.pass_over(Kind::Tool, "fetch").await;
    assert_eq!(lines(&calls), ["PATCH mcptools/fetch/status"]);
    assert!(cluster.pass_over(Kind::Tool, "fetch").await.1.is_empty());
}

#[tokio::test]
async fn a_field_that_leaves_the_spec_is_applied_away() {
    let mut cluster =
        Cluster::with(&mk_server(json!({"image": "server:1", "nodeSelector": {"disk": "fast"}})));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1"});
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), ["PATCH deployments/main"]);
    assert_eq!(calls[0].body.pointer("/spec/template/spec/nodeSelector"), None);
}

#[tokio::test]
async fn a_tool_is_one_write_of_the_config_map_and_one_of_the_status() {
    let mut cluster = Cluster::with(&mk_server(json!({"image": "server:1", "toolSelector": {}})));
    cluster.settle().await;
    cluster.store(Kind::Tool, &mk_tool("search"));
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), ["PATCH configmaps/main-config", STATUS]);
    assert_eq!(calls[1].body["status"]["tools"], 1);
    cluster.watch(&calls);
    assert!(cluster.pass().await.1.is_empty());
}

#[tokio::test]
async fn what_somebody_else_controls_is_not_written_and_is_named() {
    let mut cluster = Cluster::with(&mk_server(spec()));
    let mut taken = mk_object(Kind::Server, "main", json!({}));
    taken["apiVersion"] = "v1".into();
    taken["kind"] = "Service".into();
    taken["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "x", "controller": true}
    ]);
    cluster.show(taken);
    cluster.now.store(NOW + 10, Ordering::Relaxed);
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), ["PATCH configmaps/main-config", "PATCH deployments/main", STATUS]);
    assert_eq!(outcome.unwrap(), Outcome::After(Duration::from_secs(30)));
    let condition = &calls[2].body["status"]["conditions"][2];
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("ServiceReady"), &json!("NameTaken")));
    assert_eq!(
        condition["message"],
        "Service \"main\" is not this server's: it belongs to StatefulSet \"db\""
    );
}

#[tokio::test]
async fn a_name_that_is_taken_out_of_sight_is_looked_up_and_left_alone() {
    let cluster = Cluster::with(&mk_server(spec()));
    cluster.now.store(NOW + 10, Ordering::Relaxed);
    cluster.answer("/configmaps/main-config", 409, failure(409, "Conflict", "the object has been modified"));
    let foreign = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "main-config", "managedFields": [{"manager": "kubectl-create"}]},
    });
    cluster.answer("/configmaps/main-config", 200, foreign);
    let (_, calls) = cluster.pass().await;
    // Pods that would mount somebody else's settings are not started either.
    assert_eq!(
        lines(&calls),
        ["PATCH configmaps/main-config", "GET configmaps/main-config", "PATCH services/main", STATUS]
    );
    let status = &calls[3].body["status"];
    assert_eq!(
        (&status["phase"], &status["conditions"][0]["reason"]),
        (&json!("Failed"), &json!("NameTaken"))
    );
    assert!(
        status["conditions"][3]["message"].as_str().unwrap().ends_with("it was made by \"kubectl-create\"")
    );
}

#[tokio::test]
async fn a_child_that_the_watch_has_not_shown_yet_is_known_again() {
    let server = mk_server(json!({"image": "server:1"}));
    let service = stored(&Cluster::with(&server).pass().await.1[0]);
    let cluster = Cluster::with(&server);
    cluster.answer("/services/main", 409, failure(409, "Conflict", "the object has been modified"));
    cluster.answer("/services/main", 200, service);
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), ["PATCH services/main", "GET services/main", "PATCH deployments/main"]);
}

#[tokio::test]
async fn orphans_of_a_server_of_this_name_are_its_own_again() {
    let mut cluster = Cluster::with(&mk_server(json!({"image": "server:1"})));
    cluster.settle().await;
    cluster.change(ChildKind::Service, "main", |service| drop(service["metadata"]["ownerReferences"].take()));
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), ["PATCH services/main"]);
    assert_eq!(calls[0].body["metadata"]["ownerReferences"][0]["uid"], "uid-of-main");
}

#[tokio::test]
async fn a_refused_deployment_is_a_condition_and_is_tried_again_slowly() {
    for (code, reason, message) in [
        (422, "Invalid", "spec.template.spec.volumes[0].name: Required value"),
        (
            500,
            "InternalError",
            "failed to create typed patch object (team/main; apps/v1, Kind=Deployment): .spec",
        ),
    ] {
        let cluster = Cluster::with(&mk_server(json!({"image": "server:1"})));
        cluster.answer("/deployments/main", code, failure(code, reason, message));
        let (outcome, calls) = cluster.pass().await;
        assert_eq!(outcome.unwrap(), Outcome::After(Duration::from_secs(300)));
        assert_eq!(lines(&calls), ["PATCH services/main", "PATCH deployments/main", STATUS]);
        let condition = &calls[2].body["status"]["conditions"][1];
        assert_eq!((&condition["reason"], &condition["message"]), (&json!("Refused"), &json!(message)));
        assert_eq!(calls[2].body["status"]["phase"], "Failed");
    }
}

#[tokio::test]
async fn a_quota_is_a_condition_and_backs_off() {
    let cluster = Cluster::with(&mk_server(json!({"image": "server:1"})));
    cluster.answer("/deployments/main", 403, failure(403, "Forbidden", "exceeded quota"));
    let (outcome, calls) = cluster.pass().await;
    let error = outcome.unwrap_err();
    assert_eq!((error.retry(), error.category()), (Retry::Backoff, "refused"));
    assert_eq!(calls.last().unwrap().body["status"]["conditions"][1]["reason"], "Forbidden");
}

#[tokio::test]
async fn what_may_pass_backs_off_and_writes_no_status() {
    let cluster = Cluster::with(&mk_server(json!({"image": "server:1"})));
    cluster.answer("/services/main", 503, failure(503, "ServiceUnavailable", "later"));
    let (outcome, calls) = cluster.pass().await;
    let error = outcome.unwrap_err();
    assert_eq!((error.retry(), error.category()), (Retry::Backoff, "request"));
    assert_eq!(lines(&calls), ["PATCH services/main"]);
}

#[tokio::test]
async fn what_a_pass_did_is_told_also_where_it_fails_later() {
    let mut cluster = Cluster::with(&mk_server(spec()));
    cluster.answer("/deployments/main", 503, failure(503, "ServiceUnavailable", "later"));
    assert!(cluster.pass().await.0.is_err());
    assert_eq!(
        cluster.told(),
        [("Created", "created ConfigMap \"main-config\", Service \"main\"".to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_whose_requests_are_lost_is_given_up_and_backs_off() {
    let mut cluster = Cluster::with(&mk_server(spec()));
    cluster.never_answer("/deployments/main");
    let started = tokio::time::Instant::now();
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(started.elapsed(), LONGEST_PASS);
    let error = outcome.unwrap_err();
    assert_eq!((error.retry(), error.category()), (Retry::Backoff, "timed-out"));
    assert_eq!(lines(&calls), FIRST);
    assert_eq!(cluster.told().len(), 1, "what was made is told");
}

#[tokio::test]
async fn a_namespace_that_goes_ends_the_pass() {
    let mut ending = failure(403, "Forbidden", "unable to create new content");
    ending["details"] =
        json!({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]});
    for (code, answer) in [(403, ending), (404, failure(404, "NotFound", "namespaces \"team\" not found"))] {
        let cluster = Cluster::with(&mk_server(json!({"image": "server:1"})));
        cluster.answer("/services/main", code, answer);
        let (outcome, calls) = cluster.pass().await;
        assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
        assert_eq!(calls.len(), 1);
    }
}

#[tokio::test]
async fn a_replica_that_does_not_lead_writes_nothing() {
    let cluster = Cluster::with(&mk_server(spec()));
    cluster.store(Kind::Tool, &mk_tool("search"));
    cluster.leads.store(false, Ordering::Relaxed);
    for (kind, name) in [(Kind::Server, "main"), (Kind::Tool, "search")] {
        let (outcome, calls) = cluster.pass_over(kind, name).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.retry(), error.category()), (Retry::AwaitChange, "not-leading"));
        assert!(calls.is_empty());
    }
}

#[tokio::test]
async fn an_invalid_server_keeps_its_children_and_is_told() {
    let mut cluster = Cluster::with(&mk_server(spec()));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"]["port"] = 0.into();
    cluster.store(Kind::Server, &document);
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert_eq!(lines(&calls), [STATUS]);
    assert_eq!(calls[0].body["status"]["conditions"][3]["reason"], "Invalid");
}

#[tokio::test]
async fn an_object_that_takes_no_server_side_apply_is_told_by_a_patch() {
    let mut document = mk_server(spec());
    document["spec"]["port"] = "eighty".into();
    let cluster = Cluster::with(&document);
    let message = "failed to create typed live object (team/main; mcp.example.com/v1alpha1, Kind=MCPServer): .spec.port: expected numeric (int or float), got string";
    cluster.answer("mcpservers/main/status", 500, failure(500, "", message));
    cluster.answer("mcpservers/main/status", 200, document);
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert_eq!(lines(&calls), [STATUS, STATUS]);
    assert_eq!(calls[1].body, json!({"status": calls[0].body["status"]}));
    assert_eq!(calls[1].body["status"]["conditions"][3]["reason"], "Invalid");
}

#[tokio::test]
async fn before_an_autoscaler_takes_over_the_present_replicas_are_kept_once() {
    let mut cluster = Cluster::with(&mk_server(json!({"image": "server:1", "replicas": 3})));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"]["autoscaling"] = json!({"maxReplicas": 9});
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    assert_eq!(
        lines(&calls),
        ["PATCH deployments/main", "PATCH deployments/main", "PATCH horizontalpodautoscalers/main"]
    );
    assert!(calls[0].query.contains("fieldManager=mcp-operator-replicas"));
    assert_eq!(calls[0].body["spec"], json!({"replicas": 3}));
    assert_eq!(calls[1].body["spec"].get("replicas"), None);
    cluster.watch(&calls[2..]);
    let mut scaled = stored(&calls[1]);
    scaled["spec"]["replicas"] = 7.into();
    cluster.show(scaled);
    cluster.start_pods();
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), [STATUS]);
    assert_eq!(calls[0].body["status"]["replicas"], 7);
}

#[tokio::test]
async fn an_autoscaler_takes_over_from_none_at_its_least() {
    let mut cluster = Cluster::with(&mk_server(json!({"image": "server:1", "replicas": 0})));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"]["autoscaling"] = json!({"minReplicas": 2, "maxReplicas": 9});
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    assert_eq!(calls[0].body["spec"], json!({"replicas": 2}));
}

#[tokio::test]
async fn an_autoscaler_goes_before_the_replicas_are_taken_back() {
    let mut cluster = Cluster::with(&mk_server(
        json!({"image": "server:1", "replicas": 2, "autoscaling": {"maxReplicas": 9}}),
    ));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1", "replicas": 2});
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls)[..2], ["DELETE horizontalpodautoscalers/main", "PATCH deployments/main"]);
    assert_eq!(calls[1].body["spec"]["replicas"], 2);
}

#[tokio::test]
async fn a_taken_ingress_is_named_and_the_rest_is_made() {
    let server = mk_server(json!({"image": "server:1", "ingress": {"host": "mcp.example.com"}}));
    let cluster = Cluster::with(&server);
    cluster.now.store(NOW + 10, Ordering::Relaxed);
    cluster.answer("/ingresses/main", 409, failure(409, "Conflict", "the object has been modified"));
    cluster.answer(
        "/ingresses/main",
        200,
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
               "metadata": {"name": "main", "namespace": "team", "labels": {"app.kubernetes.io/managed-by": "Helm"}}}),
    );
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(
        lines(&calls),
        [
            "PATCH services/main",
            "PATCH deployments/main",
            "PATCH ingresses/main",
            "GET ingresses/main",
            STATUS,
        ]
    );
    assert_eq!(outcome.unwrap(), Outcome::After(Duration::from_secs(30)));
    let status = &calls[4].body["status"];
    let taken = "Ingress \"main\" is not this server's: it was made by \"Helm\"";
    for condition in [0, 3] {
        assert_eq!(
            (&status["conditions"][condition]["reason"], &status["conditions"][condition]["message"]),
            (&json!("NameTaken"), &json!(taken))
        );
    }
}

#[tokio::test]
async fn what_another_has_made_of_an_apply_is_not_fought() {
    // A policy engine's webhook puts every image behind a mirror.
    let mut cluster = Cluster::with(&mk_server(json!({"image": "server:1"})));
    let (_, calls) = cluster.pass().await;
    let mirrored = |deployment: &mut Value| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror/server:1".into();
    };
    let mut deployment = stored(&calls[1]);
    mirrored(&mut deployment);
    deployment["spec"]["replicas"] = 5.into();
    cluster.show(deployment.clone());
    deployment["spec"]["replicas"] = 1.into();
    deployment["metadata"]["resourceVersion"] = "2000".into();
    cluster.answer("/deployments/main", 200, deployment);
    assert_eq!(lines(&cluster.pass().await.1), ["PATCH deployments/main"]);
    assert!(cluster.pass().await.1.is_empty());
}

#[tokio::test]
async fn a_deleted_server_is_terminating_and_released() {
    let mut document = mk_server(json!({"image": "server:1"}));
    document["metadata"]["deletionTimestamp"] = at(NOW).to_string().into();
    document["metadata"]["finalizers"] = json!(["mcp.example.com/finalizer", "example.com/other"]);
    let cluster = Cluster::with(&document);
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert_eq!(lines(&calls), [STATUS, "PATCH mcpservers/main"]);
    assert_eq!(calls[0].body["status"]["phase"], "Terminating");
    // The version is the one that the status has left.
    let version = &stored(&calls[0])["metadata"]["resourceVersion"];
    assert_ne!(version, &document["metadata"]["resourceVersion"]);
    assert_eq!(
        calls[1].body["metadata"],
        json!({"uid": "uid-of-main", "resourceVersion": version, "finalizers": ["example.com/other"]})
    );
}

#[tokio::test]
async fn a_finalizer_that_the_webhook_has_not_added_comes_before_anything_is_made() {
    let redis = json!({"image": "server:1", "redis": {"serviceName": "redis"}});
    let mut document = mk_server(redis);
    document["metadata"]["finalizers"] = json!(["example.com/other"]);
    let cluster = Cluster::with(&document);
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls)[..2], ["PATCH mcpservers/main", "PATCH services/main"]);
    assert_eq!(
        calls[0].body["metadata"],
        json!({
            "uid": "uid-of-main",
            "resourceVersion": "100",
            "finalizers": ["example.com/other", "mcp.example.com/finalizer"],
        })
    );
}

#[tokio::test]
async fn a_server_that_no_longer_uses_redis_loses_its_finalizer() {
    let mut document = mk_server(json!({"image": "server:1"}));
    document["metadata"]["finalizers"] = json!(["mcp.example.com/finalizer"]);
    let cluster = Cluster::with(&document);
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls)[0], "PATCH mcpservers/main");
    assert_eq!(calls[0].body["metadata"]["finalizers"], json!([]));
}

#[tokio::test]
async fn a_server_that_is_gone_is_nothing_to_do() {
    let (outcome, calls) = Cluster::new().pass().await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert!(calls.is_empty());
}

#[tokio::test]
async fn a_tool_is_one_status_until_something_changes() {
    let mut cluster = Cluster::with(&mk_server(json!({"image": "server:1", "toolSelector": {}})));
    cluster.store(Kind::Tool, &mk_tool("search"));
    let (outcome, calls) = cluster.pass_over(Kind::Tool, "search").await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert_eq!(lines(&calls), ["PATCH mcptools/search/status"]);
    assert_eq!(calls[0].body["status"]["servers"], json!(["main"]));
    cluster.watch(&calls);
    cluster.now.store(NOW + 60, Ordering::Relaxed);
    assert!(cluster.pass_over(Kind::Tool, "search").await.1.is_empty());
    cluster.context.catalog.write().apply_service("team", "backend");
    assert_eq!(cluster.pass_over(Kind::Tool, "search").await.1.len(), 1);
}
