//! Where one pod stands, from its own status.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, PodStatus};

use super::detail::{last_line, of_pull, of_scheduling, of_start, without_container};
use super::trouble::Trouble;
use crate::reconcile::build::CONTAINER;

/// What the kubelet says of processes that it, or the kernel, has ended; the first of those that end well when they are told to.
const KILLED: [i32; 3] = [0, 137, 143];

/// Where a pod stands. Of several containers the one whose trouble has the lowest rank speaks for the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is to be said of it: it is ready, or only just there.
    Quiet,
    /// Its containers are being made.
    Creating,
    /// They run, and it is not ready.
    Running,
    /// A process was killed: by a liveness probe, or by somebody else.
    Killed(Trouble),
    /// It says itself what is wrong with it.
    Trouble(Trouble),
}

impl Standing {
    pub(super) fn of(status: &PodStatus) -> Self {
        let condition = |type_: &str| status.conditions.iter().flatten().find(|found| found.type_ == type_);
        if condition("Ready").is_some_and(|ready| ready.status == "True") {
            return Self::Quiet;
        }
        let scheduled = condition("PodScheduled").filter(|scheduled| scheduled.status == "False");
        if let Some(waits) = scheduled.filter(|waits| waits.reason.as_deref() == Some("Unschedulable")) {
            let said = of_scheduling(waits.message.as_deref().unwrap_or_default());
            return Self::Trouble(Trouble::Unschedulable(said.into()));
        }
        let init = status.init_container_statuses.iter().flatten();
        let all = init.chain(status.container_statuses.iter().flatten());
        all.map(Self::of_container).max_by_key(Self::weight).unwrap_or(Self::Quiet)
    }

    /// What speaks louder among a pod's containers.
    const fn weight(&self) -> u8 {
        match self {
            Self::Quiet => 0,
            Self::Creating => 1,
            Self::Running => 2,
            Self::Killed(_) => 3,
            Self::Trouble(trouble) => u8::MAX - trouble.rank(),
        }
    }

    fn of_container(container: &ContainerStatus) -> Self {
        // A sidecar that an injector has added, or an init container that is done.
        if container.ready {
            return Self::Quiet;
        }
        let standing = Self::of_own_container(container);
        if container.name == CONTAINER {
            return standing;
        }
        let (Self::Trouble(trouble) | Self::Killed(trouble)) = standing else { return standing };
        let foreign =
            Trouble::Foreign { container: container.name.as_str().into(), said: trouble.said().into() };
        Self::Trouble(foreign)
    }

    fn of_own_container(container: &ContainerStatus) -> Self {
        let state = container.state.as_ref();
        if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
            let said = waiting.message.as_deref().unwrap_or_default();
            let trouble = match waiting.reason.as_deref().unwrap_or_default() {
                "InvalidImageName" => Some(Trouble::ImageName),
                "ErrImagePull"
                | "ImagePullBackOff"
                | "ErrImageNeverPull"
                | "RegistryUnavailable"
                | "ImageInspectError"
                | "SignatureValidationFailed" => Some(Trouble::Image(of_pull(said).into())),
                "CreateContainerConfigError" => Some(Trouble::Configuration(without_container(said).into())),
                "CreateContainerError" | "RunContainerError" => Some(Trouble::Start(of_start(said).into())),
                _ => None,
            };
            if let Some(trouble) = trouble {
                return Self::Trouble(trouble);
            }
        }
        // What it ended with last speaks for it until it is ready, so that nothing changes while it is started again.
        let ended = |state: Option<&ContainerState>| state.and_then(|state| state.terminated.clone());
        if let Some(ended) = ended(state).or_else(|| ended(container.last_state.as_ref())) {
            return Self::of_end(&ended);
        }
        if state.is_some_and(|state| state.running.is_some()) { Self::Running } else { Self::Creating }
    }

    fn of_end(ended: &ContainerStateTerminated) -> Self {
        let said = ended.message.as_deref().unwrap_or_default();
        match ended.reason.as_deref() {
            Some("OOMKilled") => return Self::Trouble(Trouble::Memory),
            Some("StartError" | "ContainerCannotRun") => {
                return Self::Trouble(Trouble::Start(of_start(said).into()));
            }
            _ => {}
        }
        let last_line = last_line(said).map(Into::into);
        let trouble = Trouble::Ended { code: ended.exit_code, last_line };
        if KILLED.contains(&ended.exit_code) { Self::Killed(trouble) } else { Self::Trouble(trouble) }
    }
}

#[cfg(test)]
mod tests;
