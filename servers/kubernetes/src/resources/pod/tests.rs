//! Summaries of pods.

use serde_json::{Value, json};

use super::*;

fn summary(pod: Value) -> PodSummary {
    PodSummary::of(&serde_json::from_value(pod).unwrap())
}

fn mk_pod(status: Value) -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": { "initContainers": [{ "name": "setup" }], "containers": [{ "name": "main", "image": "nginx" }] },
        "status": status,
    })
}

#[test]
fn a_running_pod_shows_its_phase() {
    let pod = summary(json!({
        "metadata": {
            "name": "web-1",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "ownerReferences": [
                { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": true },
            ],
        },
        "spec": { "nodeName": "one", "containers": [{ "name": "main", "image": "nginx" }, { "name": "side" }] },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "containerStatuses": [
                {
                    "name": "main", "ready": true, "restartCount": 2, "image": "", "imageID": "",
                    "state": { "running": { "startedAt": "2026-01-02T03:04:06Z" } },
                    "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
                },
                {
                    "name": "side", "ready": false, "restartCount": 1, "image": "", "imageID": "",
                    "state": { "running": {} },
                },
            ],
        },
    }));
    assert_eq!(
        serde_json::to_value(pod).unwrap(),
        json!({
            "name": "web-1",
            "status": "Running",
            "ready": "1/2",
            "restarts": 3,
            "node": "one",
            "ip": "10.0.0.1",
            "owner": "ReplicaSet/web",
            "created": "2026-01-02T03:04:05Z",
            "containers": [
                {
                    "name": "main", "image": "nginx", "ready": true, "restarts": 2,
                    "state": "running since 2026-01-02T03:04:06Z",
                    "last": "terminated with exit code 137: OOMKilled",
                },
                { "name": "side", "image": null, "ready": false, "restarts": 1, "state": "running" },
            ],
        })
    );
}

#[test]
fn a_pod_that_does_not_run_shows_why() {
    let main = |state: Value| {
        let status = json!({ "name": "main", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": state });
        summary(mk_pod(json!({ "phase": "Pending", "containerStatuses": [status] }))).status
    };
    assert_eq!(main(json!({ "waiting": { "reason": "CrashLoopBackOff" } })), "CrashLoopBackOff");
    assert_eq!(main(json!({ "terminated": { "exitCode": 1, "reason": "Error" } })), "Error");
    assert_eq!(main(json!({ "terminated": { "exitCode": 3 } })), "ExitCode:3");
    assert_eq!(main(json!({ "terminated": { "exitCode": 0, "reason": "Completed" } })), "Pending");

    let init = |state: Value| {
        let status = json!({ "name": "setup", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": state });
        summary(mk_pod(json!({ "phase": "Pending", "initContainerStatuses": [status] }))).status
    };
    assert_eq!(init(json!({ "waiting": { "reason": "ImagePullBackOff" } })), "Init:ImagePullBackOff");
    assert_eq!(init(json!({ "terminated": { "exitCode": 0, "reason": "Completed" } })), "Pending");

    assert_eq!(summary(mk_pod(json!({ "phase": "Failed", "reason": "Evicted" }))).status, "Evicted");
    assert_eq!(
        summary(json!({ "metadata": { "deletionTimestamp": "2026-01-02T03:04:05Z" } })).status,
        "Terminating"
    );
}

#[test]
fn a_pod_without_a_status_is_pending() {
    let pod = summary(mk_pod(Value::Null));
    assert_eq!((pod.status.as_str(), pod.ready.as_str()), ("Pending", "0/1"));
    assert_eq!(pod.containers[0].state, "none yet");
    assert!(pod.containers[0].init && !pod.containers[1].init);
}

#[test]
fn a_waiting_container_says_what_it_waits_for() {
    let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "not found" } });
    let status = json!({ "name": "main", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": waiting });
    let pod = summary(mk_pod(json!({ "containerStatuses": [status] })));
    assert_eq!(pod.containers[1].state, "waiting: ErrImagePull: not found");
}
