//! How the kubelet asks whether a server lives and is ready; and for servers that are asked by MCP, how the binary that does so
//! comes into their pods.

use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, ExecAction, HTTPGetAction, Probe, TCPSocketAction, Volume,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mcp_crds::v1alpha1::{MCPServerSpec, ProbeType, Probes, Transport};
use mcp_crds::volumes;

use super::deployment::{default_security_context, resources};
use super::service::PORT;

/// The binary in the gateway's own image.
const BINARY: &str = "/mcp-gateway";
/// Where it is copied to in the pods of others.
pub(super) const DIRECTORY: &str = "/opt/mcp-gateway";
/// Name of the container that copies it.
pub(crate) const INSTALL: &str = "mcp-gateway";

/// How long an exchange may take, in seconds, and how long the process that makes it. An older server may leave the first
/// request unanswered, and is asked a second one.
const EXCHANGE: &str = "14s";
const PROCESS: i32 = 15;

/// Liveness and readiness.
pub(super) fn build(spec: &MCPServerSpec) -> (Option<Probe>, Option<Probe>) {
    let default = Probes::default();
    let given = spec.probes.as_ref().unwrap_or(&default);
    let port = || IntOrString::String(PORT.to_owned());
    let probe = || Probe {
        initial_delay_seconds: given.initial_delay_seconds,
        period_seconds: given.period_seconds,
        failure_threshold: given.failure_threshold,
        ..Probe::default()
    };
    let http = |path: &str| Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: port(),
            ..HTTPGetAction::default()
        }),
        ..probe()
    };
    let of_port = || Probe { tcp_socket: Some(TCPSocketAction { port: port(), host: None }), ..probe() };
    let exchange = || Probe {
        exec: Some(ExecAction { command: Some(exchange(spec)) }),
        timeout_seconds: Some(PROCESS),
        ..probe()
    };
    match given.type_ {
        // Nothing listens where a process speaks over its standard input.
        _ if spec.transport == Transport::Stdio => (None, None),
        ProbeType::None => (None, None),
        ProbeType::Http => (Some(http(&given.liveness_path)), Some(http(&given.readiness_path))),
        ProbeType::Tcp => (Some(of_port()), Some(of_port())),
        ProbeType::Mcp => (Some(exchange()), Some(exchange())),
    }
}

fn exchange(spec: &MCPServerSpec) -> Vec<String> {
    let binary = if spec.image.is_none() { BINARY.to_owned() } else { installed() };
    let url = format!("http://127.0.0.1:{}{}", spec.port, spec.path);
    let mut command = vec![binary, "probe".to_owned(), format!("--timeout={EXCHANGE}"), url];
    if spec.transport == Transport::Http {
        command.insert(2, "--sse".to_owned());
    }
    command
}

fn installed() -> String {
    format!("{DIRECTORY}{BINARY}")
}

/// Whether the binary has to be copied into the pods.
pub(super) fn needs_binary(spec: &MCPServerSpec) -> bool {
    let asked = spec.probes.as_ref().is_some_and(|probes| probes.type_ == ProbeType::Mcp);
    asked && spec.image.is_some() && spec.transport != Transport::Stdio
}

/// The container that copies it, before the server's own starts. The pod asks for no more than without it: of init containers
/// and others Kubernetes counts the larger.
pub(super) fn install(spec: &MCPServerSpec, gateway_image: &str) -> Container {
    Container {
        name: INSTALL.to_owned(),
        image: Some(gateway_image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(vec!["install".to_owned(), installed()]),
        resources: spec.resources.as_ref().map(resources),
        security_context: Some(default_security_context()),
        volume_mounts: Some(vec![super::deployment::mount(volumes::GATEWAY, DIRECTORY, None)]),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

pub(super) fn volume() -> Volume {
    Volume {
        name: volumes::GATEWAY.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}
