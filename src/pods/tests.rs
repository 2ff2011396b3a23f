use serde_json::{Value, json};

use super::*;

fn weather() -> ObjectKey {
    ObjectKey::new(Kind::Server, "team", "weather")
}

/// A pod of `weather`, made from a template, at a time; `state` is its container's.
fn mk_pod(name: &str, template: &str, second: i64, state: Value) -> Value {
    json!({
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": format!("uid-of-{name}"),
            "creationTimestamp": jiff::Timestamp::from_second(second).unwrap().to_string(),
            "labels": {"app.kubernetes.io/instance": "weather", "pod-template-hash": template},
        },
        "status": {"phase": "Pending", "containerStatuses": [{
            "name": "mcp-server", "ready": false, "restartCount": 0, "image": "x", "imageID": "", "state": state,
        }]},
    })
}

fn sight(pod: &Value) -> Sight {
    let metadata: ObjectMeta = serde_json::from_value(pod["metadata"].clone()).unwrap();
    let status: PodStatus = serde_json::from_value(pod["status"].clone()).unwrap();
    Sight::read(&metadata, Some(&status)).unwrap()
}

fn not_pulled(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

fn running() -> Value {
    json!({"running": {}})
}

fn ready(mut pod: Value) -> Value {
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    pod
}

fn image(said: &str) -> Option<Trouble> {
    Some(Trouble::Image(said.into()))
}

fn event(pod: &str, message: &str) -> Event {
    event_of("Unhealthy", 3, pod, message)
}

fn event_of(reason: &str, count: i32, pod: &str, message: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": {},
        "involvedObject": {"kind": "Pod", "namespace": "team", "name": pod, "uid": format!("uid-of-{pod}")},
        "reason": reason,
        "count": count,
        "message": message,
    }))
    .unwrap()
}

#[test]
fn a_server_is_called_when_its_trouble_becomes_another_and_only_then() {
    let pods = Pods::default();
    let pod = |state: Value| sight(&mk_pod("weather-1-a", "1", 10, state));
    assert_eq!(pods.apply(pod(json!({"waiting": {"reason": "ContainerCreating"}}))), None);
    assert_eq!(pods.apply(pod(not_pulled("ErrImagePull", "a: not found"))), Some(weather()));
    assert_eq!(pods.trouble(&weather()), image("a: not found"));
    let back_off = "Back-off pulling image \"a\": ErrImagePull: a: not found";
    assert_eq!(pods.apply(pod(not_pulled("ImagePullBackOff", back_off))), None);
    assert_eq!(pods.apply(pod(not_pulled("ErrImagePull", "a: not found"))), None);
    // As older kubelets say it.
    assert_eq!(pods.apply(pod(not_pulled("ImagePullBackOff", "Back-off pulling image \"a\""))), None);
    assert_eq!(pods.trouble(&weather()), image("a: not found"));
    assert_eq!(pods.apply(sight(&ready(mk_pod("weather-1-a", "1", 10, running())))), Some(weather()));
    assert_eq!(pods.trouble(&weather()), None);
}

#[test]
fn another_pod_with_the_same_trouble_changes_nothing() {
    let pods = Pods::default();
    let crash = json!({"terminated": {"exitCode": 1, "message": "no token"}});
    pods.apply(sight(&mk_pod("weather-1-a", "1", 10, crash.clone())));
    assert_eq!(pods.apply(sight(&mk_pod("weather-1-b", "1", 10, crash))), None);
}

#[test]
fn of_several_troubles_the_earliest_in_a_pods_life_that_a_person_can_mend_is_told() {
    let pods = Pods::default();
    let unscheduled = json!({"metadata": mk_pod("weather-1-a", "1", 10, json!({}))["metadata"], "status": {
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}],
    }});
    let crash = json!({"terminated": {"exitCode": 1, "message": "no token"}});
    pods.apply(sight(&unscheduled));
    assert_eq!(pods.trouble(&weather()), Some(Trouble::Unschedulable("0/1".into())));
    pods.apply(sight(&mk_pod("weather-1-b", "1", 10, crash)));
    assert!(matches!(pods.trouble(&weather()), Some(Trouble::Ended { .. })));
    pods.apply(sight(&mk_pod("weather-1-c", "1", 10, not_pulled("ErrImagePull", "x"))));
    assert_eq!(pods.trouble(&weather()), image("x"));
}

#[test]
fn pods_of_an_older_template_say_nothing() {
    let pods = Pods::default();
    pods.apply(sight(&mk_pod("weather-1-a", "1", 10, not_pulled("ErrImagePull", "x"))));
    let fixed = mk_pod("weather-2-a", "2", 20, json!({"waiting": {"reason": "ContainerCreating"}}));
    assert_eq!(pods.apply(sight(&fixed)), Some(weather()));
    assert_eq!(pods.trouble(&weather()), None);
}

#[test]
fn pods_that_go_or_have_ended_say_nothing() {
    let broken = mk_pod("weather-1-a", "1", 10, not_pulled("ErrImagePull", "x"));
    for (pointer, value) in
        [("/metadata/deletionTimestamp", json!("2027-01-15T08:00:00Z")), ("/status/phase", json!("Failed"))]
    {
        let pods = Pods::default();
        pods.apply(sight(&broken));
        let mut over = broken.clone();
        over["metadata"]["deletionTimestamp"] = Value::Null;
        *over.pointer_mut(pointer).unwrap() = value;
        assert_eq!(pods.apply(sight(&over)), Some(weather()), "{pointer}");
        assert!(pods.by_server.read().is_empty());
    }
}

#[test]
fn a_probe_that_fails_is_told_until_the_pod_is_ready() {
    let pods = Pods::default();
    let pod = mk_pod("weather-1-a", "1", 10, running());
    pods.apply(sight(&pod));
    let not_found = event("weather-1-a", "Readiness probe failed: HTTP probe failed with statuscode: 404");
    assert_eq!(pods.complain(&not_found), Some(weather()));
    assert_eq!(pods.complain(&not_found), None, "it is the same again");
    let failure = ProbeFailure { probe: Probe::Readiness, failure: Failure::Status(404) };
    assert_eq!(pods.trouble(&weather()), Some(Trouble::Probe(failure)));
    pods.apply(sight(&ready(pod.clone())));
    assert_eq!(pods.trouble(&weather()), None);
    // What was said before it was ready is no news.
    pods.apply(sight(&pod));
    assert_eq!(pods.trouble(&weather()), None);
}

#[test]
fn a_process_that_a_liveness_probe_killed_did_not_crash() {
    let pods = Pods::default();
    let ended = |code: i32| mk_pod("weather-1-a", "1", 10, json!({"terminated": {"exitCode": code}}));
    pods.apply(sight(&ended(137)));
    assert!(matches!(pods.trouble(&weather()), Some(Trouble::Ended { code: 137, .. })));
    pods.complain(&event("weather-1-a", "Liveness probe failed: HTTP probe failed with statuscode: 404"));
    let failure = ProbeFailure { probe: Probe::Liveness, failure: Failure::Status(404) };
    // Not all processes end well when they are told to.
    for code in [0, 137, 143] {
        pods.apply(sight(&ended(code)));
        assert_eq!(pods.trouble(&weather()), Some(Trouble::Probe(failure.clone())), "{code}");
    }
    // A crash of its own is one.
    pods.apply(sight(&ended(1)));
    assert!(matches!(pods.trouble(&weather()), Some(Trouble::Ended { code: 1, .. })));
}

/// A server that is only slow to start fails its probes for another reason each time, and ends well when it is killed.
#[test]
fn the_kubelet_says_itself_that_it_was_the_probe() {
    let pods = Pods::default();
    let ended = mk_pod("weather-1-a", "1", 10, json!({"terminated": {"exitCode": 0}}));
    pods.apply(sight(&ended));
    let slow = "Liveness probe failed: Get \"http://10.0.0.5:8080/health\": context deadline exceeded";
    pods.complain(&event_of("Unhealthy", 1, "weather-1-a", slow));
    assert!(
        matches!(pods.trouble(&weather()), Some(Trouble::Ended { code: 0, .. })),
        "it may have ended by itself"
    );
    let killing = "Container mcp-server failed liveness probe, will be restarted";
    pods.complain(&event_of("Killing", 1, "weather-1-a", killing));
    let failure = ProbeFailure { probe: Probe::Liveness, failure: Failure::TimedOut };
    assert_eq!(pods.trouble(&weather()), Some(Trouble::Probe(failure.clone())));
    pods.apply(sight(&ended));
    assert_eq!(pods.trouble(&weather()), Some(Trouble::Probe(failure)));
}

#[test]
fn what_is_said_of_other_pods_is_not_kept() {
    let pods = Pods::default();
    assert_eq!(
        pods.complain(&event(
            "weather-1-a",
            "Readiness probe failed: HTTP probe failed with statuscode: 404"
        )),
        None
    );
    assert!(pods.by_server.read().is_empty());
}

#[test]
fn a_pod_whose_name_is_cut_is_found() {
    let pods = Pods::default();
    let name = format!("{}-abcde", "w".repeat(60));
    pods.apply(sight(&mk_pod(&name, "1", 10, running())));
    assert_eq!(
        pods.complain(&event(&name, "Readiness probe failed: HTTP probe failed with statuscode: 404")),
        Some(weather())
    );
}

#[test]
fn a_list_takes_away_what_it_does_not_hold() {
    let pods = Pods::default();
    let broken = mk_pod("weather-1-a", "1", 10, not_pulled("ErrImagePull", "x"));
    pods.apply(sight(&broken));
    assert!(pods.reset(vec![sight(&broken)]).is_empty(), "nothing is new in it");
    assert_eq!(pods.reset(Vec::new()), HashSet::from([weather()]));
    assert!(pods.by_server.read().is_empty());
}
