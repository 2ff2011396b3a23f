use serde_json::json;

use super::*;

fn complaint(reason: &str, count: i32, message: &str) -> Option<Complaint> {
    let event = json!({
        "metadata": {}, "involvedObject": {"kind": "Pod"}, "reason": reason, "count": count, "message": message,
    });
    Complaint::of(&serde_json::from_value(event).expect("an Event"))
}

fn probe(probe: Probe, failure: Failure, is_told: bool) -> Option<Complaint> {
    Some(Complaint::Probe(ProbeFailure { probe, failure }, is_told))
}

#[test]
fn a_status_that_a_path_gives_is_told_at_once() {
    assert_eq!(
        complaint("Unhealthy", 1, "Readiness probe failed: HTTP probe failed with statuscode: 404"),
        probe(Probe::Readiness, Failure::Status(404), true)
    );
    assert_eq!(
        complaint("Unhealthy", 1, "Liveness probe failed: HTTP probe failed with statuscode: 401"),
        probe(Probe::Liveness, Failure::Status(401), true)
    );
}

#[test]
fn what_a_server_that_starts_does_as_well_is_told_at_the_third_time() {
    let refused = "Readiness probe failed: Get \"http://10.244.0.5:8080/ready\": dial tcp 10.244.0.5:8080: connect: connection refused";
    let late = "Readiness probe failed: Get \"http://10.244.0.5:8080/ready\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    let busy = "Readiness probe failed: HTTP probe failed with statuscode: 503";
    for (message, failure) in [
        (refused, Failure::Refused),
        (late, Failure::TimedOut),
        (busy, Failure::Status(503)),
        ("Readiness probe failed: it is odd", Failure::Other("it is odd".into())),
    ] {
        let told = |is_told| probe(Probe::Readiness, failure.clone(), is_told);
        assert_eq!(complaint("Unhealthy", 2, message), told(false), "{message}");
        assert_eq!(complaint("Unhealthy", 3, message), told(true), "{message}");
    }
}

#[test]
fn a_volume_is_named_with_what_is_missing() {
    let message = "MountVolume.SetUp failed for volume \"creds\" : secret \"nope\" not found";
    assert_eq!(complaint("FailedMount", 1, message), None, "nodes hear of new Secrets a little later");
    let said = "volume \"creds\" cannot be mounted: secret \"nope\" not found";
    assert_eq!(complaint("FailedMount", 3, message), Some(Complaint::Volume(said.into())));
}

#[test]
fn a_kill_for_the_liveness_probe_is_told_from_others() {
    let message = "Container mcp-server failed liveness probe, will be restarted";
    assert_eq!(complaint("Killing", 1, message), Some(Complaint::Killed));
    assert_eq!(complaint("Killing", 1, "Stopping container mcp-server"), None);
}

#[test]
fn other_events_say_nothing() {
    assert_eq!(complaint("BackOff", 9, "Back-off restarting failed container"), None);
    assert_eq!(
        complaint("Unhealthy", 9, "Startup probe failed: HTTP probe failed with statuscode: 404"),
        None
    );
}
