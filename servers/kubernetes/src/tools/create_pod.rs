//! `create-pod`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, Pod, PodSecurityContext, PodSpec, ResourceRequirements,
    SeccompProfile, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ObjectMeta;
use rmcp::model::CallToolResult;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CallError, arguments};
use crate::kubernetes::Kubernetes;
use crate::name::{Namespace, PodName};

/// Name of the one container.
const CONTAINER: &str = "main";
/// What the pods that are made here are known by.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "mcp-k8s-server");

/// What a pod is to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreatePod {
    /// Name of the pod.
    pub name: PodName,
    /// Namespace of the pod; the server's own where it is missing.
    #[serde(default)]
    #[schemars(with = "Namespace")]
    pub namespace: Option<Namespace>,
    /// Container image, such as nginx:1.29.
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,
    /// Command to run instead of the image's own entrypoint.
    #[serde(default)]
    pub command: Vec<String>,
    /// Arguments of the command.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables, by name.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels of the pod.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Ports that the container listens on.
    #[serde(default)]
    #[schemars(inner(range(min = 1)))]
    pub ports: Vec<u16>,
    /// What happens when the container ends: Never for a task that runs once.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
    /// What the container is promised, by resource, such as {"cpu": "100m", "memory": "128Mi"}.
    #[serde(default)]
    pub requests: BTreeMap<String, String>,
    /// What the container may use at most, by resource.
    #[serde(default)]
    pub limits: BTreeMap<String, String>,
    /// User to run as, above 0. With it the pod meets the restricted Pod Security Standard; the image must work for that
    /// user.
    #[serde(default)]
    #[schemars(with = "i64", range(min = 1))]
    pub run_as_user: Option<i64>,
}

/// What happens when a container ends: it is started again, or only where it failed, or stays ended.
// Without comments of their own the values become one plain enumeration of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum RestartPolicy {
    #[default]
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::OnFailure => "OnFailure",
            Self::Never => "Never",
        }
    }
}

impl CreatePod {
    /// What the types do not say. The API server judges the rest, and says it better.
    fn check(&self) -> Result<(), CallError> {
        let wrong = |text: &str| Err(CallError::Argument(text.to_owned()));
        if self.image.trim().is_empty() {
            return wrong("image: must not be empty");
        }
        if self.ports.contains(&0) {
            return wrong("ports: must be between 1 and 65535");
        }
        if self.run_as_user.is_some_and(|user| user < 1) {
            return wrong("runAsUser: must be above 0, which is root");
        }
        Ok(())
    }

    /// The pod.
    #[must_use]
    pub fn pod(self) -> Pod {
        let quantities = |given: BTreeMap<String, String>| {
            let quantities: BTreeMap<_, _> =
                given.into_iter().map(|(name, quantity)| (name, Quantity(quantity))).collect();
            Some(quantities).filter(|quantities| !quantities.is_empty())
        };
        let (label, value) = MANAGED_BY;
        let mut labels = BTreeMap::from([(label.to_owned(), value.to_owned())]);
        labels.extend(self.labels);
        let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
        let env = self.env.into_iter().map(|(name, value)| EnvVar {
            name,
            // As it stands: `$(NAME)` would be replaced.
            value: Some(value.replace('$', "$$")),
            value_from: None,
        });
        let ports = self
            .ports
            .into_iter()
            .map(|port| ContainerPort { container_port: i32::from(port), ..ContainerPort::default() });
        let container = Container {
            name: CONTAINER.to_owned(),
            image: Some(self.image),
            command: given(self.command),
            args: given(self.args),
            env: Some(env.collect()),
            ports: Some(ports.collect()),
            resources: Some(ResourceRequirements {
                requests: quantities(self.requests),
                limits: quantities(self.limits),
                ..ResourceRequirements::default()
            }),
            security_context: Some(security_context(self.run_as_user)),
            ..Container::default()
        };
        Pod {
            metadata: ObjectMeta {
                name: Some(self.name.into()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec {
                containers: vec![container],
                restart_policy: Some(self.restart_policy.as_str().to_owned()),
                // A model asked for it: it gets no way into the API.
                automount_service_account_token: Some(false),
                security_context: Some(PodSecurityContext {
                    seccomp_profile: Some(SeccompProfile {
                        type_: "RuntimeDefault".to_owned(),
                        localhost_profile: None,
                    }),
                    ..PodSecurityContext::default()
                }),
                ..PodSpec::default()
            }),
            status: None,
        }
    }
}

fn security_context(user: Option<i64>) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        run_as_user: user,
        run_as_non_root: user.map(|_| true),
        // Images that start as root give up their rights themselves, and need capabilities for that.
        capabilities: user.map(|_| Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

pub(super) async fn call(kubernetes: &Kubernetes, given: Value) -> Result<CallToolResult, CallError> {
    let mut wanted: CreatePod = arguments(given)?;
    wanted.check()?;
    let namespace = kubernetes.namespace_or_own(wanted.namespace.take());
    let made = kubernetes.create_pod(&namespace, &wanted.pod()).await?;
    let (metadata, spec) = (&made.metadata, made.spec.as_ref());
    Ok(CallToolResult::structured(json!({
        "namespace": metadata.namespace,
        "name": metadata.name,
        "uid": metadata.uid,
        "image": spec.and_then(|spec| spec.containers.first()).and_then(|container| container.image.clone()),
        "phase": made.status.as_ref().and_then(|status| status.phase.clone()),
    })))
}
