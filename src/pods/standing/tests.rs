use serde_json::{Value, json};

use super::*;

fn standing(containers: Value) -> Standing {
    of_status(json!({"phase": "Pending", "containerStatuses": containers}))
}

fn of_status(status: Value) -> Standing {
    Standing::of(&serde_json::from_value(status).expect("a status"))
}

fn container(state: Value, last: Value) -> Value {
    json!({
        "name": CONTAINER, "ready": false, "restartCount": 1, "image": "x", "imageID": "",
        "state": state, "lastState": last,
    })
}

fn waiting(reason: &str, message: &str) -> Standing {
    standing(json!([container(json!({"waiting": {"reason": reason, "message": message}}), json!({}))]))
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
}

fn crash(code: i32, line: Option<&str>) -> Trouble {
    Trouble::Ended { code, last_line: line.map(Into::into) }
}

#[test]
fn a_waiting_container_says_why() {
    let image = |said: &str| Standing::Trouble(Trouble::Image(said.into()));
    for (reason, message, expected) in [
        ("ContainerCreating", "", Standing::Creating),
        ("InvalidImageName", "couldn't parse image name", Standing::Trouble(Trouble::ImageName)),
        (
            "ErrImagePull",
            "rpc error: code = NotFound desc = failed to pull and unpack image \"a/b:1\": a/b:1: not found",
            image("failed to pull and unpack image \"a/b:1\": a/b:1: not found"),
        ),
        (
            "ImagePullBackOff",
            "Back-off pulling image \"a/b:1\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"a/b:1\": a/b:1: not found",
            image("failed to pull and unpack image \"a/b:1\": a/b:1: not found"),
        ),
        (
            "ErrImageNeverPull",
            "Container image \"a/b:1\" is not present with pull policy of Never",
            image("Container image \"a/b:1\" is not present with pull policy of Never"),
        ),
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image will run as root (pod: \"weather-7d9f-x_team(1-2)\", container: mcp-server)",
            Standing::Trouble(Trouble::Configuration(
                "container has runAsNonRoot and image will run as root".into(),
            )),
        ),
        (
            "RunContainerError",
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown",
            Standing::Trouble(Trouble::Start("exec: \"nope\": executable file not found in $PATH".into())),
        ),
    ] {
        assert_eq!(waiting(reason, message), expected, "{reason}");
    }
}

/// A crash loop is three states in turn, and one trouble.
#[test]
fn a_crash_is_the_same_trouble_while_it_waits_runs_and_ends_again() {
    let end = ended(3, "Error", "starting\nno API_TOKEN\n\n");
    let expected = Standing::Trouble(crash(3, Some("no API_TOKEN")));
    for state in [
        end.clone(),
        json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}),
        json!({"running": {}}),
    ] {
        assert_eq!(standing(json!([container(state.clone(), end.clone())])), expected, "{state}");
    }
}

#[test]
fn ends_are_told_apart() {
    let of =
        |end: Value| standing(json!([container(json!({"waiting": {"reason": "CrashLoopBackOff"}}), end)]));
    assert_eq!(of(ended(137, "OOMKilled", "")), Standing::Trouble(Trouble::Memory));
    assert_eq!(of(ended(137, "Error", "")), Standing::Killed(crash(137, None)));
    assert_eq!(of(ended(143, "Error", "bye")), Standing::Killed(crash(143, Some("bye"))));
    assert_eq!(of(ended(0, "Completed", "")), Standing::Killed(crash(0, None)));
    let start = "failed to start: exec: \"/nope\": stat /nope: no such file or directory: unknown";
    assert_eq!(
        of(ended(128, "StartError", start)),
        Standing::Trouble(Trouble::Start("exec: \"/nope\": stat /nope: no such file or directory".into()))
    );
}

#[test]
fn a_pod_that_no_node_takes_says_so_without_what_was_tried() {
    let said = "0/1 nodes are available: 1 Insufficient cpu";
    for tried in [
        "",
        " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    ] {
        let waits = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": format!("{said}.{tried}"),
        });
        assert_eq!(
            of_status(json!({"conditions": [waits]})),
            Standing::Trouble(Trouble::Unschedulable(said.into()))
        );
    }
}

#[test]
fn a_pod_that_is_ready_or_only_just_there_says_nothing() {
    assert_eq!(of_status(json!({})), Standing::Quiet);
    let ready = json!({"type": "Ready", "status": "True"});
    let crashed_once = container(json!({"running": {}}), ended(1, "Error", "x"));
    assert_eq!(
        of_status(json!({"conditions": [ready], "containerStatuses": [crashed_once]})),
        Standing::Quiet
    );
    assert_eq!(standing(json!([container(json!({"running": {}}), json!({}))])), Standing::Running);
}

#[test]
fn a_container_that_others_have_added_is_named() {
    let mut mesh =
        container(json!({"waiting": {"reason": "CrashLoopBackOff"}}), ended(1, "Error", "no config"));
    mesh["name"] = "mesh".into();
    let server = container(json!({"running": {}}), json!({}));
    let said = "it ended with exit code 1: no config";
    assert_eq!(
        standing(json!([server, mesh])),
        Standing::Trouble(Trouble::Foreign { container: "mesh".into(), said: said.into() })
    );
}
