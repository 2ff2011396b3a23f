//! `MCPServer`: a running MCP server.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, EnvVar, LocalObjectReference, SecurityContext, Toleration,
    TopologySpreadConstraint, VolumeMount,
};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ConfigValue, Quantity};

/// A running MCP server: the user's own image, or the operator's gateway, which serves the MCPTools, MCPPrompts and
/// MCPResources that toolSelector picks up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "mcp.example.com",
    version = "v1alpha1",
    kind = "MCPServer",
    plural = "mcpservers",
    shortname = "mcps",
    category = "ai",
    category = "mcp",
    namespaced,
    status = "MCPServerStatus",
    derive = "PartialEq",
    doc = "A running MCP server: the user's own image, or the operator's gateway, which serves the MCPTools, MCPPrompts and MCPResources that toolSelector picks up.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Transport", type_ = "string", json_path = ".spec.transport"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Tools", type_ = "integer", json_path = ".status.tools", priority = 1),
    printcolumn(name = "Prompts", type_ = "integer", json_path = ".status.prompts", priority = 1),
    printcolumn(name = "Resources", type_ = "integer", json_path = ".status.resources", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.transport != 'stdio' || self.replicas <= 1",
        "message": "stdio transport does not support multiple replicas",
        "fieldPath": ".replicas"
    },
    {
        "rule": "self.transport != 'stdio' || !has(self.autoscaling) || self.autoscaling.maxReplicas <= 1",
        "message": "stdio transport does not support multiple replicas",
        "fieldPath": ".autoscaling.maxReplicas"
    },
    {
        "rule": "!has(self.autoscaling) || self.autoscaling.minReplicas <= self.autoscaling.maxReplicas",
        "message": "must not be above maxReplicas",
        "fieldPath": ".autoscaling.minReplicas"
    },
    {
        "rule": "self.transport != 'stdio' || has(self.image)",
        "message": "stdio transport needs an image, whose process the operator starts",
        "reason": "FieldValueRequired",
        "fieldPath": ".image"
    },
    {
        "rule": "!has(self.podDisruptionBudget) || !(has(self.podDisruptionBudget.minAvailable) && has(self.podDisruptionBudget.maxUnavailable))",
        "message": "give either minAvailable or maxUnavailable, and not both",
        "reason": "FieldValueForbidden",
        "fieldPath": ".podDisruptionBudget"
    }
]))]
pub struct MCPServerSpec {
    /// Container image of the MCP server. Without one the operator's own gateway runs, and serves what toolSelector
    /// picks up. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Entrypoint of the container, instead of the image's own; for stdio the process to start. Default: the image's
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Arguments of the entrypoint. Default: the image's
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// How the server speaks MCP: stdio (which no client reaches in this version), http (the older HTTP with SSE, or an image that speaks both) or
    /// streamable-http. Default: streamable-http
    #[serde(default)]
    pub transport: Transport,
    /// Port that the server listens on and the Service exposes. Default: 8080
    #[serde(default = "defaults::port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Path of the MCP endpoint, beginning with a slash. Default: /mcp
    #[serde(default = "defaults::path")]
    pub path: String,
    /// How many pods; at most 1 for stdio. Default: 1
    #[serde(default = "defaults::replicas")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// When to probe the server as an MCP client would, beside the kubelet's probes: a cron expression of five
    /// fields, or one of @hourly @daily @midnight @weekly @monthly @yearly @annually; in UTC. Default: never
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Which MCPTools, MCPPrompts and MCPResources of the namespace this server offers; {} selects all. Default:
    /// none of them
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_selector: Option<LabelSelector>,
    /// Settings, strings or integers, written as JSON to /etc/mcp/config.json; a key that is a valid name of an
    /// environment variable is also set as one. The gateway knows requestTimeout (a Go duration, 30s) and
    /// maxConcurrentRequests (100). Default: none
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, ConfigValue>,
    /// Environment variables of the container; they win over config. Default: none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Sources of environment variables; everything else wins over them. Default: none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFromSource>,
    /// What the container asks for and may use. Default: requests by transport (stdio 50m and 64Mi, http 100m and
    /// 128Mi, streamable-http 200m and 256Mi), each only where none is given; no limits
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Security context of the container; replaces the default whole. Default: user 1000, not root, no privilege
    /// escalation, no capabilities, a read-only root filesystem with an emptyDir at /tmp
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,
    /// Name of the pods' ServiceAccount. Default: the namespace's default
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Redis for the gateway's sessions, cache and rate limits. Default: they live in the pod
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
    /// An Ingress for the server. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// A HorizontalPodAutoscaler for the server; it then decides how many pods there are. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// A PodDisruptionBudget for the server. Default: maxUnavailable 1 where there is more than one replica
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<PodDisruptionBudget>,
    /// A NetworkPolicy for the pods. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
    /// How the kubelet finds out whether the server lives and is ready. Default: HTTP on /health and /ready
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// When the image is pulled: Always, IfNotPresent or Never. Default: IfNotPresent
    #[serde(default = "defaults::image_pull_policy")]
    #[schemars(extend("enum" = ["Always", "IfNotPresent", "Never"]))]
    pub image_pull_policy: String,
    /// Secrets with which the image is pulled. Default: none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Labels of the nodes that the pods may run on. Default: any
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate. Default: none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Where the pods would rather run, or must. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How the pods spread. Default: over nodes where there is more than one replica
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Volumes of the pod, as in a Pod; checked when the Deployment is applied. Default: none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "volumes")]
    pub volumes: Vec<Value>,
    /// Where the container sees the volumes. Default: nowhere
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
    /// More labels for the pods. Default: none
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    /// More annotations for the pods. Default: none
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
}

/// How a server speaks MCP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Transport {
    /// A process that speaks over its standard input and output. Not in this version: no client reaches it without a
    /// bridge.
    Stdio,
    /// HTTP with SSE, the older transport, or an image that speaks both.
    Http,
    /// Streamable HTTP.
    #[default]
    StreamableHttp,
}

impl Transport {
    /// As a manifest says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::StreamableHttp => "streamable-http",
        }
    }

    /// The transport of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Stdio, Self::Http, Self::StreamableHttp]
            .into_iter()
            .find(|transport| transport.as_str() == name)
    }
}

/// What the container asks for and may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// What is reserved for the container, by resource, such as cpu and memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the container may use at most, by resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}

/// A key of a Secret of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret.
    pub key: String,
}

/// Where sessions, cache and rate limits live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// DNS name of the Redis Service, such as redis or redis.infra.svc.
    pub service_name: String,
    /// Its port. Default: 6379
    #[serde(default = "defaults::redis_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Number of the database. Default: 0
    #[serde(default)]
    #[schemars(range(min = 0, max = 65535))]
    pub database: i32,
    /// The password. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,
    /// Whether Redis is spoken to over TLS. Default: false
    #[serde(default)]
    pub tls: bool,
}

/// An Ingress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Host name, in lower case; may begin with "*.".
    pub host: String,
    /// Secret with the host's certificate. Default: none, the Ingress is plain HTTP
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret_name: Option<String>,
    /// Path under which the server is reached, beginning with a slash. Default: /
    #[serde(default = "super::service::root_path")]
    pub path_prefix: String,
    /// Class of the Ingress. Default: the cluster's default
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// Annotations of the Ingress. Default: none
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A HorizontalPodAutoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// Fewest pods. Default: 1
    #[serde(default = "defaults::replicas")]
    #[schemars(range(min = 1))]
    pub min_replicas: i32,
    /// Most pods.
    #[schemars(range(min = 1))]
    pub max_replicas: i32,
    /// Average CPU use, in percent of the request, that the autoscaler aims at. Default: 80
    #[serde(default = "defaults::target_cpu", rename = "targetCPUUtilizationPercentage")]
    #[schemars(range(min = 1))]
    pub target_cpu_utilization_percentage: i32,
}

/// A PodDisruptionBudget; at most one of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodDisruptionBudget {
    /// How many pods, a number or a percentage, must stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<IntOrString>,
    /// How many pods, a number or a percentage, may be away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
}

/// A NetworkPolicy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether there is one. Default: false
    #[serde(default)]
    pub enabled: bool,
    /// Who may reach the server's port. Default: everyone
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress_from: Vec<NetworkPolicyPeer>,
    /// What the pods may reach, beside cluster DNS. Default: everything
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress_to: Vec<NetworkPolicyPeer>,
}

/// How the kubelet finds out whether the server lives and is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// HTTP, TCP, MCP (a real MCP request from inside the pod) or None. Default: HTTP
    #[serde(default, rename = "type")]
    pub type_: ProbeType,
    /// Path of the liveness probe. Default: /health
    #[serde(default = "defaults::liveness_path")]
    pub liveness_path: String,
    /// Path of the readiness probe. Default: /ready
    #[serde(default = "defaults::readiness_path")]
    pub readiness_path: String,
    /// Seconds before the first probe. Default: 0
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds between probes. Default: 10
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub period_seconds: Option<i32>,
    /// Failures in a row that count. Default: 3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub failure_threshold: Option<i32>,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            type_: ProbeType::default(),
            liveness_path: defaults::liveness_path(),
            readiness_path: defaults::readiness_path(),
            initial_delay_seconds: None,
            period_seconds: None,
            failure_threshold: None,
        }
    }
}

/// What the kubelet does to probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ProbeType {
    /// An HTTP GET.
    #[default]
    #[serde(rename = "HTTP")]
    Http,
    /// A TCP connection.
    #[serde(rename = "TCP")]
    Tcp,
    /// An MCP request.
    #[serde(rename = "MCP")]
    Mcp,
    /// Nothing.
    None,
}

/// Where a server stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Phase {
    /// Not ready yet, or scaled to zero.
    #[default]
    Pending,
    /// Serving.
    Ready,
    /// Something must be changed before it can serve.
    Failed,
    /// Being deleted.
    Terminating,
}

/// What the operator reports about a server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MCPServerStatus {
    /// Pending, Ready, Failed or Terminating.
    #[serde(default)]
    pub phase: Phase,
    /// Ready, DeploymentReady, ServiceReady and ConfigurationValid, and where they apply IngressReady, RedisReady and
    /// ProbeSucceeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many pods there are.
    #[serde(default)]
    pub replicas: i32,
    /// How many of them are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Label selector of the pods, in string form, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The Service's address, but for stdio: http://NAME.NAMESPACE.svc.cluster.local:PORT
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What an MCP client connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How many tools are served.
    #[serde(default)]
    pub tools: i32,
    /// How many prompts are served.
    #[serde(default)]
    pub prompts: i32,
    /// How many resources are served.
    #[serde(default)]
    pub resources: i32,
    /// Hash of the catalog that the pods are meant to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_revision: Option<String>,
    /// When the last scheduled probe was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<Time>,
    /// The metadata.generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the phase last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
}

/// Typed in full, `volumes` alone would bring the CRD over what client-side apply can annotate.
fn volumes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true }
    })
}

mod defaults {
    pub(super) const fn port() -> i32 {
        8080
    }
    pub(super) fn path() -> String {
        "/mcp".to_owned()
    }
    pub(super) const fn replicas() -> i32 {
        1
    }
    pub(super) fn image_pull_policy() -> String {
        "IfNotPresent".to_owned()
    }
    pub(super) const fn redis_port() -> i32 {
        6379
    }
    pub(super) const fn target_cpu() -> i32 {
        80
    }
    pub(super) fn liveness_path() -> String {
        "/health".to_owned()
    }
    pub(super) fn readiness_path() -> String {
        "/ready".to_owned()
    }
}
