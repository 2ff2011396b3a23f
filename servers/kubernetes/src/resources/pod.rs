//! What is said of a pod.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus};
use serde::Serialize;

/// A pod, short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSummary {
    /// Its name.
    pub name: String,
    /// As kubectl shows it: the phase, or why it is not running.
    pub status: String,
    /// Containers that are ready, of how many.
    pub ready: String,
    /// Restarts of all containers.
    pub restarts: i32,
    /// Where it runs.
    pub node: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// What made it, as `Kind/name`.
    pub owner: Option<String>,
    /// When.
    pub created: Option<Timestamp>,
    /// Init containers, then the others.
    pub containers: Vec<ContainerSummary>,
}

/// A container, short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSummary {
    /// Its name.
    pub name: String,
    /// Whether it runs before the others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
    /// Its image, as the pod names it.
    pub image: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: i32,
    /// `running`, `waiting` or `terminated`, with the reason, the exit code and the message.
    pub state: String,
    /// How it ended before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

impl PodSummary {
    /// The summary of a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        let default = PodStatus::default();
        let status = pod.status.as_ref().unwrap_or(&default);
        let spec = pod.spec.as_ref();
        let of = |name: &str, statuses: &Option<Vec<ContainerStatus>>| {
            statuses.iter().flatten().find(|status| status.name == name).cloned()
        };
        let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
        let init = init.map(|it| (it, true, of(&it.name, &status.init_container_statuses)));
        let main = spec.map(|spec| &spec.containers).into_iter().flatten();
        let main = main.map(|it| (it, false, of(&it.name, &status.container_statuses)));
        let containers: Vec<_> = init
            .chain(main)
            .map(|(container, init, status)| ContainerSummary {
                name: container.name.clone(),
                init,
                image: container.image.clone(),
                ready: status.as_ref().is_some_and(|status| status.ready),
                restarts: status.as_ref().map_or(0, |status| status.restart_count),
                state: status.as_ref().and_then(|it| it.state.as_ref()).map_or("none yet".to_owned(), state),
                last: status.as_ref().and_then(|it| it.last_state.as_ref()).and_then(ended),
            })
            .collect();
        let main = || containers.iter().filter(|container| !container.init);
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            status: shown(pod, status),
            ready: format!("{}/{}", main().filter(|it| it.ready).count(), main().count()),
            restarts: containers.iter().map(|container| container.restarts).sum(),
            node: spec.and_then(|spec| spec.node_name.clone()),
            ip: status.pod_ip.clone(),
            owner: owner.map(|owner| format!("{}/{}", owner.kind, owner.name)),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            containers,
        }
    }
}

/// What kubectl shows in its column STATUS.
fn shown(pod: &Pod, status: &PodStatus) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let reason_of = |status: &ContainerStatus| {
        let state = status.state.as_ref()?;
        let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
        waiting.or_else(|| {
            let ended = state.terminated.as_ref()?;
            let by_code = || format!("ExitCode:{}", ended.exit_code);
            Some(ended.reason.clone().filter(|reason| !reason.is_empty()).unwrap_or_else(by_code))
        })
    };
    let has_ended_well = |status: &ContainerStatus| {
        let ended = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        ended.is_some_and(|ended| ended.exit_code == 0)
    };
    let init = status.init_container_statuses.iter().flatten();
    if let Some(reason) = init.filter(|status| !has_ended_well(status)).find_map(reason_of) {
        return format!("Init:{reason}");
    }
    let main = status.container_statuses.iter().flatten();
    main.filter_map(reason_of)
        .find(|reason| reason != "Completed")
        .or_else(|| status.reason.clone())
        .or_else(|| status.phase.clone())
        .unwrap_or_else(|| "Pending".to_owned())
}

fn state(state: &ContainerState) -> String {
    if let Some(running) = &state.running {
        return match &running.started_at {
            Some(since) => format!("running since {}", since.0),
            None => "running".to_owned(),
        };
    }
    if let Some(waiting) = &state.waiting {
        let said = [&waiting.reason, &waiting.message].into_iter().flatten();
        let said: Vec<&str> = said.map(String::as_str).filter(|text| !text.is_empty()).collect();
        return if said.is_empty() { "waiting".to_owned() } else { format!("waiting: {}", said.join(": ")) };
    }
    ended(state).unwrap_or_else(|| "waiting".to_owned())
}

fn ended(state: &ContainerState) -> Option<String> {
    let ended = state.terminated.as_ref()?;
    let mut text = format!("terminated with exit code {}", ended.exit_code);
    if let Some(signal) = ended.signal.filter(|signal| *signal != 0) {
        text.push_str(&format!(", signal {signal}"));
    }
    if let Some(at) = &ended.finished_at {
        text.push_str(&format!(" at {}", at.0));
    }
    for said in [&ended.reason, &ended.message].into_iter().flatten().filter(|text| !text.trim().is_empty()) {
        text.push_str(": ");
        text.push_str(said.trim());
    }
    Some(text)
}

#[cfg(test)]
mod tests;
