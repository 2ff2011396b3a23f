//! What stands out in pods.

use serde_json::{Value, json};

use super::*;

fn found(container: Value, status: Value) -> Vec<String> {
    let mut container = container;
    container["name"] = json!("main");
    let mut status = status;
    for (key, value) in [("name", json!("main")), ("image", json!("")), ("imageID", json!(""))] {
        status[key] = value;
    }
    for (key, value) in [("ready", json!(false)), ("restartCount", json!(0))] {
        if status[key].is_null() {
            status[key] = value;
        }
    }
    let pod = json!({
        "spec": { "containers": [container] },
        "status": { "phase": "Running", "containerStatuses": [status] },
    });
    of(&serde_json::from_value(pod).unwrap())
}

#[track_caller]
fn assert_one(found: &[String], beginning: &str) {
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(beginning), "{found:?}");
}

#[test]
fn nothing_stands_out_in_a_healthy_pod() {
    let running = json!({ "state": { "running": {} }, "ready": true });
    assert_eq!(found(json!({}), running), Vec::<String>::new());
    let done = json!({ "state": { "terminated": { "exitCode": 0, "reason": "Completed" } } });
    assert_eq!(found(json!({}), done), Vec::<String>::new());
}

#[test]
fn an_image_that_cannot_be_pulled() {
    let waiting =
        json!({ "state": { "waiting": { "reason": "ImagePullBackOff", "message": "manifest unknown" } } });
    assert_one(
        &found(json!({ "image": "nginx:nope" }), waiting),
        "Container main cannot get its image nginx:nope: manifest unknown. Look at the name",
    );
}

#[test]
fn a_crash_is_told_by_its_exit_code() {
    let crashed = |code: i32| {
        json!({
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } },
            "lastState": { "terminated": { "exitCode": code, "reason": "Error" } },
            "restartCount": 3,
        })
    };
    for (code, beginning) in [
        (0, "Container main ends with success and is started again, 3 times"),
        (1, "Container main failed with exit code 1."),
        (126, "Container main: its command is there"),
        (127, "Container main: its command was not found"),
        (137, "Container main was killed (SIGKILL). Not for its memory"),
        (139, "Container main crashed"),
        (143, "Container main was asked to end"),
    ] {
        assert_one(&found(json!({}), crashed(code)), beginning);
    }
}

#[test]
fn memory_that_ran_out_names_the_limit_also_when_it_runs_again() {
    let status = json!({
        "state": { "running": {} },
        "ready": true,
        "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        "restartCount": 1,
    });
    let container = json!({ "resources": { "limits": { "memory": "64Mi" } } });
    assert_one(&found(container, status), "Container main used more memory than its limit (64Mi)");
}

#[test]
fn a_probe_that_fails_is_named() {
    let status = json!({ "state": { "running": {} } });
    let container = json!({ "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" } } });
    assert_one(
        &found(container, status.clone()),
        "Container main runs and is not ready: its readiness probe (HTTP GET /ready on port http)",
    );
    assert_one(&found(json!({}), status), "Container main runs, and is not ready though");
}

#[test]
fn a_pod_that_no_node_takes() {
    let pod = json!({ "status": { "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }] } });
    assert_one(
        &of(&serde_json::from_value(pod).unwrap()),
        "No node takes the pod: 0/1 nodes are available: 1 Insufficient cpu. Compare",
    );
}

#[test]
fn a_pod_that_no_scheduler_looks_at() {
    let pod = json!({ "spec": { "containers": [] }, "status": { "phase": "Pending" } });
    assert_one(&of(&serde_json::from_value(pod).unwrap()), "The pod has no node, and no scheduler has said");
    let placed = json!({ "spec": { "nodeName": "one", "containers": [] }, "status": { "phase": "Pending" } });
    assert_eq!(of(&serde_json::from_value(placed).unwrap()), Vec::<String>::new());
}

#[test]
fn a_pod_that_stays_though_deleted() {
    let pod = json!({ "metadata": { "deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["a/b"] } });
    assert_one(
        &of(&serde_json::from_value(pod).unwrap()),
        "The pod is being deleted, due at 2026-01-02T03:04:05Z, and held by its finalizers: a/b.",
    );
}
