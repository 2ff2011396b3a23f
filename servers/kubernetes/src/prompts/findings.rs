//! What stands out in a pod: the likely causes, each with the field or command to look at next.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus, Probe,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What stands out, the most telling first. Nothing where the pod looks healthy.
pub(super) fn of(pod: &Pod) -> Vec<String> {
    let default = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&default);
    let mut found = Vec::new();
    found.extend(deletion(pod));
    found.extend(scheduling(pod, status));
    if let Some(reason) = &status.reason {
        found.push(format!("The pod is {reason}: {}", status.message.as_deref().unwrap_or("no message")));
    }
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    let main = spec.map(|spec| &spec.containers).into_iter().flatten();
    let init_statuses = status.init_container_statuses.iter().flatten();
    let statuses: Vec<_> = init_statuses.chain(status.container_statuses.iter().flatten()).collect();
    for container in init.chain(main) {
        if let Some(status) = statuses.iter().find(|status| status.name == container.name) {
            found.extend(container_findings(container, status));
        }
    }
    found
}

fn deletion(pod: &Pod) -> Option<String> {
    let since = pod.metadata.deletion_timestamp.as_ref()?;
    let held_by = pod.metadata.finalizers.clone().unwrap_or_default();
    Some(if held_by.is_empty() {
        format!(
            "The pod is being deleted, due at {}. Where it stays, its node may be gone or a process ignores SIGTERM.",
            since.0
        )
    } else {
        format!(
            "The pod is being deleted, due at {}, and held by its finalizers: {}.",
            since.0,
            held_by.join(", ")
        )
    })
}

fn scheduling(pod: &Pod, status: &PodStatus) -> Option<String> {
    let is_placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let mut conditions = status.conditions.iter().flatten();
    match conditions.find(|condition| condition.type_ == "PodScheduled") {
        Some(condition) if condition.status == "False" => Some(format!(
            "No node takes the pod: {}. Compare requests, nodeSelector, affinity and tolerations with the nodes \
             (k8s://cluster/nodes).",
            condition.message.as_deref().unwrap_or("the scheduler does not say why").trim_end_matches('.')
        )),
        None if !is_placed && status.phase.as_deref() == Some("Pending") => Some(
            "The pod has no node, and no scheduler has said anything about it: it has just been made, or none is there for \
             its spec.schedulerName."
                .to_owned(),
        ),
        _ => None,
    }
}

fn container_findings(container: &Container, status: &ContainerStatus) -> Vec<String> {
    let name = &container.name;
    let image = container.image.as_deref().unwrap_or("none");
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let mut found = Vec::new();
    if let Some(waiting) = &state.waiting {
        let message = waiting.message.as_deref().unwrap_or("no message");
        match waiting.reason.as_deref().unwrap_or_default() {
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => found.push(format!(
                "Container {name} cannot get its image {image}: {message}. Look at the name and the tag, at \
                 imagePullSecrets, and at imagePullPolicy."
            )),
            "CreateContainerConfigError" => found.push(format!(
                "Container {name} refers to something that is not there: {message}. Look at its env, envFrom and volumes: \
                 a ConfigMap, a Secret, or a key in one."
            )),
            "CreateContainerError" | "RunContainerError" => {
                found.push(format!("Container {name} cannot be started: {message}."));
            }
            // What it ended with says more, below.
            "CrashLoopBackOff" | "PodInitializing" | "ContainerCreating" | "" => {}
            other => found.push(format!("Container {name} waits, {other}: {message}.")),
        }
    }
    if let Some(ended) = state.terminated.as_ref().or(last) {
        found.extend(end(container, ended, status.restart_count));
    }
    if is_running(&state) && !status.ready {
        found.push(not_ready(container));
    }
    found
}

fn is_running(state: &ContainerState) -> bool {
    state.running.is_some()
}

/// What an exit code means, which is the shell's and the kernel's convention.
fn end(container: &Container, ended: &ContainerStateTerminated, restarts: i32) -> Option<String> {
    let name = &container.name;
    let limit = || {
        let limits = container.resources.as_ref()?.limits.as_ref()?;
        limits.get("memory").map(|limit| limit.0.as_str())
    };
    let text = match (ended.exit_code, ended.reason.as_deref()) {
        (_, Some("OOMKilled")) => format!(
            "Container {name} used more memory than its limit ({}) and was killed. Raise resources.limits.memory, or find \
             what grows.",
            limit().unwrap_or("none: the node ran out")
        ),
        (0, _) if restarts == 0 => return None,
        (0, _) => format!(
            "Container {name} ends with success and is started again, {restarts} times so far. A process that is to run \
             once belongs in a Job, or wants restartPolicy: OnFailure."
        ),
        (126, _) => format!(
            "Container {name}: its command is there but cannot be executed. Look at command and the image."
        ),
        (127, _) => format!(
            "Container {name}: its command was not found in the image. Look at command and the image."
        ),
        (137, _) => format!(
            "Container {name} was killed (SIGKILL). Not for its memory limit: look for a liveness probe that fails in the \
             events, or a grace period that ran out."
        ),
        (139, _) => format!(
            "Container {name} crashed on a memory error (SIGSEGV). Look for the image's architecture, and its log."
        ),
        (143, _) => format!(
            "Container {name} was asked to end (SIGTERM). Look in the events for who asked: a probe, or a drain."
        ),
        (code, _) => format!(
            "Container {name} failed with exit code {code}. The last lines of its log should say why."
        ),
    };
    Some(text)
}

fn not_ready(container: &Container) -> String {
    let name = &container.name;
    match container.readiness_probe.as_ref() {
        Some(probe) => format!(
            "Container {name} runs and is not ready: its readiness probe ({}) does not succeed. The events say what it \
             answers.",
            target(probe)
        ),
        None if container.startup_probe.is_some() => {
            format!("Container {name} runs, and its startup probe has not succeeded yet.")
        }
        None => format!(
            "Container {name} runs, and is not ready though it has no readiness probe: it has just started."
        ),
    }
}

/// Where a probe looks.
pub(super) fn target(probe: &Probe) -> String {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(port) => port.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    if let Some(http) = &probe.http_get {
        format!("HTTP GET {} on port {}", http.path.as_deref().unwrap_or("/"), port(&http.port))
    } else if let Some(tcp) = &probe.tcp_socket {
        format!("TCP on port {}", port(&tcp.port))
    } else if let Some(grpc) = &probe.grpc {
        format!("gRPC on port {}", grpc.port)
    } else {
        let command = probe.exec.as_ref().and_then(|exec| exec.command.clone()).unwrap_or_default();
        format!("command {}", command.join(" "))
    }
}

#[cfg(test)]
mod tests;
