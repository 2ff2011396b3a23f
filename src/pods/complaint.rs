//! What only Events tell of a pod: that a probe fails, and that a volume cannot be mounted.

use k8s_openapi::api::core::v1::Event;

use super::detail::on_one_line;
use super::trouble::{Failure, Probe, ProbeFailure};

/// The reasons of Events that are watched.
pub(crate) const REASONS: [&str; 3] = [UNHEALTHY, KILLING, FAILED_MOUNT];
const UNHEALTHY: &str = "Unhealthy";
const KILLING: &str = "Killing";
const FAILED_MOUNT: &str = "FailedMount";

/// From how many times on a failure is told that a pod which is just starting may have as well.
const OFTEN: i32 = 3;

/// What an Event says about a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Complaint {
    /// A probe failed, so often that it is told, or not yet.
    Probe(ProbeFailure, bool),
    /// The container is killed, as its liveness probe failed as often as it may.
    Killed,
    /// A sentence without its end: which volume, and why.
    Volume(Box<str>),
}

impl Complaint {
    /// `None` for what is not worth telling, or not yet.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let said = event.message.as_deref()?;
        let series = event.series.as_ref().and_then(|series| series.count);
        let is_often = series.or(event.count).unwrap_or(1) >= OFTEN;
        match event.reason.as_deref()? {
            UNHEALTHY => {
                let failure = ProbeFailure::read(said)?;
                let is_told = is_often || !failure.failure.is_of_starting();
                Some(Self::Probe(failure, is_told))
            }
            KILLING if said.contains("failed liveness probe") => Some(Self::Killed),
            // What a node has not heard of yet it finds at the next attempt.
            FAILED_MOUNT if is_often => Some(Self::Volume(volume(said).into())),
            _ => None,
        }
    }
}

impl ProbeFailure {
    /// Reads what the kubelet says: `Readiness probe failed: HTTP probe failed with statuscode: 404`.
    fn read(said: &str) -> Option<Self> {
        let (probe, how) =
            said.split_once(" probe failed: ").or_else(|| said.split_once(" probe errored: "))?;
        let probe = match probe {
            "Liveness" => Probe::Liveness,
            "Readiness" => Probe::Readiness,
            _ => return None,
        };
        let status = how.split_once("statuscode: ").and_then(|(_, code)| code.trim().parse().ok());
        let failure = match status {
            Some(code) => Failure::Status(code),
            None if how.to_lowercase().contains("connection refused") => Failure::Refused,
            None if ["deadline exceeded", "i/o timeout", "timed out", "Client.Timeout", "did not answer"]
                .iter()
                .any(|it| how.contains(it)) =>
            {
                Failure::TimedOut
            }
            None => Failure::Other(on_one_line(how).into()),
        };
        Some(Self { probe, failure })
    }
}

/// From `MountVolume.SetUp failed for volume "creds" : secret "nope" not found`.
fn volume(said: &str) -> String {
    let rest = said.split_once(" failed for volume ").and_then(|(_, rest)| rest.split_once(" : "));
    match rest {
        Some((name, why)) => format!("volume {name} cannot be mounted: {}", on_one_line(why)),
        None => format!("a volume cannot be mounted: {}", on_one_line(said)),
    }
}

#[cfg(test)]
mod tests;
