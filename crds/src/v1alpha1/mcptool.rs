//! `MCPTool`: an HTTP service as an MCP tool.

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mcpserver::SecretKeyRef;
use super::service::{Method, ServiceRef};
use super::{OfferStatus, Quantity};

/// An HTTP service, offered as an MCP tool by every MCPServer of the namespace whose toolSelector matches this
/// object's labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "mcp.example.com",
    version = "v1alpha1",
    kind = "MCPTool",
    plural = "mcptools",
    shortname = "mcpt",
    category = "ai",
    category = "mcp",
    namespaced,
    status = "OfferStatus",
    derive = "PartialEq",
    doc = "An HTTP service, offered as an MCP tool by every MCPServer of the namespace whose toolSelector matches this object's labels.",
    printcolumn(name = "Tool", type_ = "string", json_path = ".spec.name"),
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.service.name"),
    printcolumn(name = "Method", type_ = "string", json_path = ".spec.method"),
    printcolumn(name = "Servers", type_ = "integer", json_path = ".status.serverCount"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MCPToolSpec {
    /// The tool's name, as MCP clients see it: 1 to 128 of A-Z a-z 0-9 _ - . and unique on each server. Default:
    /// metadata.name
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub name: Option<String>,
    /// A title for people. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the tool does and when to use it; models choose tools by it. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The Service that does the work.
    pub service: ServiceRef,
    /// The HTTP method of the request: GET, POST, PUT, PATCH or DELETE. Default: POST
    #[serde(default)]
    pub method: Method,
    /// JSON Schema of the tool's arguments, kept as it was written. Its root describes an object; {} accepts
    /// any. Dialects: 2020-12 (default), 2019-09, draft-07, draft-06, draft-04, chosen by $schema. Default: {}
    #[serde(default = "empty_object")]
    #[schemars(schema_with = "free_object")]
    pub input_schema: Value,
    /// JSON Schema of a result's structured content, kept as it was written. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub output_schema: Option<Value>,
    /// Hints about the tool's behaviour, as MCP defines them. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<ToolAnnotations>,
    /// Headers sent to the Service with each call. Default: none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// How long a call may take, as a Go duration such as 30s or 1m30s. Default: the server's requestTimeout
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// How often a call is tried again, after a connection error or a status of 502, 503 or 504, and only with
    /// methods that may be repeated. 0 to 5. Default: 0
    #[serde(default)]
    #[schemars(range(min = 0, max = 5))]
    pub retries: i32,
    /// How often the tool may be called, over all replicas where the server has Redis. Default: no limit
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How long a successful result may be used again for equal arguments, as a Go duration. Default: not at all
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "cacheTTL")]
    pub cache_ttl: Option<String>,
    /// How large a response may be, in bytes, as a quantity. Default: 1Mi
    #[serde(default = "one_mebibyte")]
    pub max_response_bytes: Quantity,
}

/// Hints about a tool's behaviour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// A title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The tool changes nothing. MCP's default: false
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// The tool may destroy something. MCP's default: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// A second call with the same arguments changes nothing more. MCP's default: false
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// The tool reaches out to an open world, as a web search does. MCP's default: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// A header; exactly one of value and valueFrom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Name of the header.
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<HeaderSource>,
}

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderSource {
    /// A key of a Secret of the same namespace. The Secret must carry the label
    /// mcp.example.com/tool-credential: "true", by which its owner consents.
    pub secret_key_ref: SecretKeyRef,
}

/// A token bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Calls a second in the long run; above zero.
    pub requests_per_second: f64,
    /// Calls that may come at once. Default: one second's worth, at least 1
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<i32>,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

fn one_mebibyte() -> Quantity {
    Quantity("1Mi".to_owned())
}

fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
