//! What is put before a model.

use serde_json::{Value, json};

use super::*;

fn mk_pod(statuses: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "web", "uid": "1" },
        "spec": { "containers": [{
            "name": "main", "image": "nginx:1", "command": ["serve"], "ports": [{ "containerPort": 80 }],
            "env": [{ "name": "PASSWORD", "value": "hunter2" }],
            "resources": { "limits": { "memory": "64Mi" } },
            "livenessProbe": { "tcpSocket": { "port": 80 } },
        }] },
        "status": { "phase": "Running", "containerStatuses": statuses },
    }))
    .unwrap()
}

fn status(name: &str, ready: bool, state: Value, last: Value) -> Value {
    json!({
        "name": name, "ready": ready, "restartCount": 1, "image": "", "imageID": "", "state": state, "lastState": last,
    })
}

fn crashed() -> Value {
    status(
        "main",
        false,
        json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
        json!({ "terminated": { "exitCode": 1, "reason": "Error" } }),
    )
}

fn facts(pod: Pod) -> Facts {
    Facts { namespace: "shop".parse().unwrap(), pod, events: Ok(Vec::new()), logs: Vec::new() }
}

fn wanted_of(statuses: Value) -> Vec<(String, bool)> {
    let wanted = wanted_logs(&mk_pod(statuses));
    wanted.into_iter().map(|wanted| (wanted.container.to_string(), wanted.previous)).collect()
}

#[test]
fn the_log_of_a_crash_is_the_one_before() {
    assert_eq!(wanted_of(json!([crashed()])), [("main".to_owned(), true)]);
}

#[test]
fn what_never_ran_has_no_log_and_what_is_not_well_comes_first() {
    let well = status("well", true, json!({ "running": {} }), json!({}));
    let unwell = status("unwell", false, json!({ "running": {} }), json!({}));
    let never = status("never", false, json!({ "waiting": { "reason": "ErrImagePull" } }), json!({}));
    assert_eq!(
        wanted_of(json!([well, never, unwell])),
        [("unwell".to_owned(), false), ("well".to_owned(), false)]
    );
}

#[test]
fn the_facts_are_put_together() {
    let mut facts = facts(mk_pod(json!([crashed()])));
    facts.events = Ok(serde_json::from_value(json!([
        { "metadata": {}, "involvedObject": {}, "type": "Warning", "reason": "BackOff", "count": 7,
          "message": "Back-off restarting", "lastTimestamp": "2026-01-02T03:04:07Z" },
        { "metadata": {}, "involvedObject": {}, "type": "Normal", "reason": "Pulled", "message": "Pulled",
          "lastTimestamp": "2026-01-02T03:04:05Z" },
    ]))
    .unwrap());
    let log = Log { text: "boom\n".to_owned(), ..Log::default() };
    facts.logs = vec![(Wanted { container: "main".parse().unwrap(), previous: true }, Ok(log))];
    let text = facts.text();
    for part in [
        "Pod web in namespace shop",
        "- Container main failed with exit code 1.",
        "- main: image nginx:1; command [\"serve\"]; ports 80; limits memory 64Mi; environment PASSWORD; liveness probe TCP \
         on port 80",
        "2026-01-02T03:04:05Z Normal Pulled x1: Pulled\n2026-01-02T03:04:07Z Warning BackOff x7: Back-off restarting\n",
        "## Log of container main, before it last ended\n\n```\nboom\n```\n",
        "## What to do",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn what_was_refused_is_said_and_the_rest_is_there() {
    let mut facts = facts(mk_pod(json!([crashed()])));
    facts.events = Err(Refusal::NotPermitted("nobody may list events in namespace shop".to_owned()));
    let text = facts.text();
    assert!(text.contains("- They could not be read. Kubernetes refused: nobody may list events"), "{text}");
    assert!(text.contains("## What to do"), "{text}");
}

#[test]
fn of_many_events_the_last_are_shown() {
    let event = |second: usize| {
        json!({ "metadata": {}, "involvedObject": {}, "reason": format!("E{second:02}"),
                "lastTimestamp": format!("2026-01-02T03:04:{second:02}Z") })
    };
    let mut facts = facts(mk_pod(json!([])));
    facts.events = Ok((0..30).rev().map(|second| serde_json::from_value(event(second)).unwrap()).collect());
    let text = facts.text();
    assert!(!text.contains("E09") && text.contains("E10") && text.contains("E29"), "{text}");
}
