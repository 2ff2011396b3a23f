//! Why a server's pods do not come up.

use mcp_crds::v1alpha1::{MCPServerSpec, ProbeType, Probes};

use super::detail::{beginning, ending, fields_for, image_detail, on_one_line, without_pod};
use crate::reconcile::build::INSTALL;

/// Why pods do not come up, from what Kubernetes says about them.
///
/// Nothing in it changes while the same thing goes wrong again and again: a pod that is started for the tenth time, or an image
/// that is pulled for the tenth time, is the same trouble as at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A quota of the namespace does not allow the pods.
    Quota(Box<str>),
    /// The namespace's Pod Security Standard does not allow them.
    PodSecurity(Box<str>),
    /// They cannot be created for another reason.
    NotCreated(Box<str>),
    /// The image's name is none.
    ImageName,
    /// The image cannot be pulled. What is said of it is whole: its end says why.
    Image(Box<str>),
    /// What the container is configured from is not there, or contradicts itself.
    Configuration(Box<str>),
    /// A volume cannot be mounted.
    Volume(Box<str>),
    /// A container that somebody else has added does not come up.
    Foreign {
        /// Its name.
        container: Box<str>,
        /// What is said of it.
        said: Box<str>,
    },
    /// The process cannot be started.
    Start(Box<str>),
    /// The process used more memory than it may.
    Memory,
    /// The process ended.
    Ended {
        /// Its exit code.
        code: i32,
        /// The last line that it wrote.
        last_line: Option<Box<str>>,
    },
    /// A probe fails.
    Probe(ProbeFailure),
    /// No node takes the pods. What is said of it is whole: it has a part a reason.
    Unschedulable(Box<str>),
}

/// A probe that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFailure {
    /// Which.
    pub probe: Probe,
    /// How.
    pub failure: Failure,
}

/// The probes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Where it fails the container is started again.
    Liveness,
    /// Where it fails the Service leaves the pod out.
    Readiness,
}

/// How a probe fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It is answered with this HTTP status.
    Status(u16),
    /// Nothing listens on the port.
    Refused,
    /// No answer comes in time.
    TimedOut,
    /// Something else.
    Other(Box<str>),
}

impl Failure {
    /// Whether a server that is still starting may well answer so.
    pub(super) const fn is_of_starting(&self) -> bool {
        match self {
            Self::Status(code) => *code >= 500,
            Self::Refused | Self::TimedOut | Self::Other(_) => true,
        }
    }
}

impl Trouble {
    /// What the controller of ReplicaSets says when it cannot create pods. It names a pod that is another at each attempt.
    #[must_use]
    pub fn creating(message: &str) -> Self {
        let said = without_pod(message);
        if said.contains("exceeded quota") || said.contains("failed quota") {
            Self::Quota(said.into())
        } else if said.contains("violates PodSecurity") {
            Self::PodSecurity(said.into())
        } else {
            Self::NotCreated(said.into())
        }
    }

    /// Of several troubles of one server's pods the one of the lowest rank is told: first what only a change of the server
    /// mends, in the order of a pod's life, then what may mend itself.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Quota(_) | Self::PodSecurity(_) | Self::NotCreated(_) => 0,
            Self::ImageName => 1,
            Self::Image(_) => 2,
            Self::Configuration(_) => 3,
            Self::Volume(_) => 4,
            Self::Foreign { .. } => 5,
            Self::Start(_) => 6,
            Self::Memory => 7,
            Self::Ended { .. } => 8,
            Self::Probe(_) => 9,
            Self::Unschedulable(_) => 10,
        }
    }

    /// Whether it may mend itself: another node may come, and a server that is not ready may only be slow.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unschedulable(_) => true,
            Self::Probe(ProbeFailure { probe: Probe::Readiness, failure }) => failure.is_of_starting(),
            _ => false,
        }
    }

    /// What is said of a container that the server's spec does not speak of.
    pub(super) fn said(&self) -> String {
        match self {
            Self::Ended { code, last_line: Some(line) } => format!("it ended with exit code {code}: {line}"),
            Self::Ended { code, last_line: None } => format!("it ended with exit code {code}"),
            Self::Memory => "it used more memory than its limit".to_owned(),
            Self::ImageName => "its image's name is none".to_owned(),
            Self::Quota(said)
            | Self::PodSecurity(said)
            | Self::NotCreated(said)
            | Self::Configuration(said)
            | Self::Volume(said)
            | Self::Start(said)
            | Self::Foreign { said, .. } => said.to_string(),
            Self::Image(said) => ending(said).into_owned(),
            Self::Unschedulable(said) => beginning(said).into_owned(),
            Self::Probe(_) => "a probe fails".to_owned(),
        }
    }

    /// One sentence, with the field to change.
    #[must_use]
    pub fn sentence(&self, spec: &MCPServerSpec) -> String {
        let image = spec.image.as_deref().unwrap_or_default();
        match self {
            Self::Quota(said) => format!(
                "pods cannot be created: {said}; change spec.resources or spec.replicas, or the namespace's ResourceQuota"
            ),
            Self::PodSecurity(said) => {
                let field = if said.contains("olume") { "spec.volumes" } else { "spec.securityContext" };
                format!("pods cannot be created: {said}; change {field}")
            }
            Self::NotCreated(said) if said.contains("service account") => {
                format!("pods cannot be created: {said}; create it, or change spec.serviceAccount")
            }
            Self::NotCreated(said) => format!("pods cannot be created: {said}"),
            Self::ImageName | Self::Image(_) if spec.image.is_none() => {
                let detail = match self {
                    Self::Image(said) => image_detail(said).0,
                    _ => "it is no image name".into(),
                };
                format!(
                    "the gateway's image cannot be pulled: {detail}; change the operator's --gateway-image, or spec.imagePullSecrets"
                )
            }
            Self::ImageName => format!("\"{image}\" is no image name; change spec.image"),
            Self::Image(said) => {
                let (detail, field) = image_detail(said);
                format!("image \"{image}\" cannot be pulled: {detail}; change {field}")
            }
            Self::Configuration(said) if said.contains("runAsNonRoot") || said.contains("runAsUser") => {
                format!("the container cannot be configured: {said}; change spec.securityContext.runAsUser")
            }
            Self::Configuration(said) => format!(
                "the container cannot be configured: {said}; create it, or change spec.env or spec.envFrom"
            ),
            Self::Volume(said) => format!("{said}; create it, or change spec.volumes"),
            Self::Foreign { container, said } if **container == *INSTALL => format!(
                "the gateway's binary, by which spec.probes.type MCP asks, cannot be copied into the pods: {said}; change the \
                 operator's --gateway-image, or spec.probes.type"
            ),
            Self::Foreign { container, said } => format!(
                "container \"{container}\", which the operator has not made, does not come up: {said}; see what adds it to pods"
            ),
            Self::Start(said) => {
                let field = if spec.command.is_empty() { "spec.image or spec.command" } else { "spec.command" };
                format!("the process cannot be started: {said}; change {field}")
            }
            Self::Memory => {
                let limit = spec.resources.as_ref().and_then(|resources| resources.limits.get("memory"));
                let limit = limit.map_or_else(String::new, |limit| format!(" of {}", limit.0));
                format!(
                    "the process was killed because it used more memory than its limit{limit}; raise spec.resources.limits.memory"
                )
            }
            Self::Ended { code: 0, .. } => "the process ended by itself with exit code 0, where a server goes on; change spec.command or spec.args".to_owned(),
            Self::Ended { code, last_line } => {
                let end = match last_line {
                    Some(line) => format!("its last line was \"{line}\""),
                    None => "it wrote nothing".to_owned(),
                };
                if spec.image.is_none() {
                    return format!(
                        "the gateway ended with exit code {code}, {end}; change spec.env or spec.config"
                    );
                }
                format!(
                    "the process ended with exit code {code}, {end}; change spec.command, spec.args, spec.env or spec.config"
                )
            }
            Self::Probe(failure) => failure.sentence(spec),
            Self::Unschedulable(said) => {
                format!("no node takes the pods: {}; change {}", beginning(said), fields_for(said))
            }
        }
    }
}

impl ProbeFailure {
    fn sentence(&self, spec: &MCPServerSpec) -> String {
        let default = Probes::default();
        let probes = spec.probes.as_ref().unwrap_or(&default);
        let (name, path, mut field) = match self.probe {
            Probe::Liveness => ("liveness", &probes.liveness_path, "spec.probes.livenessPath"),
            Probe::Readiness => ("readiness", &probes.readiness_path, "spec.probes.readinessPath"),
        };
        let port = spec.port;
        let what = match probes.type_ {
            ProbeType::Http => format!("the {name} probe GET :{port}{path}"),
            ProbeType::Mcp => {
                field = "spec.path or spec.transport";
                format!("the {name} probe by MCP")
            }
            ProbeType::Tcp | ProbeType::None => format!("the {name} probe of port {port}"),
        };
        match &self.failure {
            Failure::Status(code @ 500..) => {
                format!("{what} is answered with {code}; the server's log says why, or change {field}")
            }
            Failure::Status(code) => format!("{what} is answered with {code}; change {field}"),
            Failure::Refused => format!("{what} is refused, as nothing listens there; change spec.port"),
            Failure::TimedOut => {
                format!("{what} is not answered in time; change {field}, or spec.probes.type")
            }
            Failure::Other(said) => format!("{what} fails: {}; change {field}", on_one_line(said)),
        }
    }
}

#[cfg(test)]
mod tests;
