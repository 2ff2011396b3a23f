//! `mcp.example.com/v1alpha1`: the four kinds, as types.
//!
//! The types serve two masters: the CRD's schema and `kubectl explain` are generated from them, and the
//! controller reads a *validated* object through them. Rules do not read them (see [`crate::node`]).

mod mcpprompt;
mod mcpresource;
mod mcpserver;
mod mcptool;
mod scalar;
mod service;

pub use mcpprompt::{MCPPrompt, MCPPromptSpec, PromptVariable};
pub use mcpresource::{InlineContent, MCPResource, MCPResourceSpec, Operation, OperationService};
pub use mcpserver::{
    Autoscaling, Ingress, MCPServer, MCPServerSpec, MCPServerStatus, NetworkPolicy, Phase,
    PodDisruptionBudget, ProbeType, Probes, Redis, Resources, SecretKeyRef, Transport,
};
pub use mcptool::{Header, HeaderSource, MCPTool, MCPToolSpec, RateLimit, ToolAnnotations};
pub use scalar::{ConfigValue, Quantity};
pub use service::{Method, Payload, Scheme, ServiceRef};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator reports about a tool, prompt or resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferStatus {
    /// `Accepted`: whether every server that selects this object offers it, and if not, why. `ServiceResolved`:
    /// whether the Services that it names exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Names of the servers that offer this object, sorted; at most 100, the rest is counted in the message
    /// of `Accepted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// How many servers offer this object.
    #[serde(default)]
    pub server_count: i32,
    /// Names of a prompt's variables, in their order; kubectl's table cannot show a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<String>,
    /// URI under which MCP clients read a resource; of several the first, and how many more there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
