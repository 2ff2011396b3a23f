//! What a gateway serves, compiled from objects: the form in which the controller hands a server's tools, prompts and
//! resources to its pods.
//!
//! It stands apart from the API: durations are counted, quantities are bytes, defaults are filled in, and what was in
//! conflict is gone. Schemas are kept as text, so that what is stored is what is served. On its way it is an index and
//! up to [`MAX_SHARDS`] shards ([`encode`](Snapshot::encode)), each small enough for a ConfigMap; the gateway puts them
//! together again and takes them all or not at all ([`Index::load`]).

mod compile;
mod load;
mod shard;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use compile::CompileError;
pub use load::LoadError;
pub use shard::{
    Encoded, INDEX_KEY, Index, MAX_SHARD_BYTES, MAX_SHARDS, ShardRef, TooLarge, name, shard_key, shard_name,
};

use crate::v1alpha1::{Header, InlineContent, Method, PromptVariable, ServiceRef, ToolAnnotations};

/// The version of this form. A gateway refuses a higher one than its own; a controller writes its own.
pub const VERSION: u32 = 1;

/// Everything that one server serves.
///
/// Invariant of a compiled one: tools, prompts and resources are each sorted by name, which is unique among its kind.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What concerns the server as a whole.
    pub server: Server,
    /// Its tools.
    pub tools: Vec<Tool>,
    /// Its prompts.
    pub prompts: Vec<Prompt>,
    /// Its resources.
    pub resources: Vec<Resource>,
}

/// What a gateway needs to know of its MCPServer. What a process is told when it starts, such as its port, is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// Where the MCP endpoint is.
    pub path: String,
    /// What an Ingress puts before every path; `/` for nothing.
    pub path_prefix: String,
    /// Names by which clients may address the server, without a port; `*.` at the beginning stands for one label.
    pub hosts: Vec<String>,
    /// Origins that may call the server beside those of its hosts, such as `https://app.example.com`.
    pub allowed_origins: Vec<String>,
    /// How long a request may take where a tool does not say, in milliseconds.
    pub request_timeout_ms: u64,
    /// How many requests may be served at a time, by each pod.
    pub max_concurrent_requests: u64,
}

/// A tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its name for clients.
    pub name: String,
    /// A title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the arguments.
    pub input_schema: Box<RawValue>,
    /// JSON Schema of the structured content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Box<RawValue>>,
    /// Hints about its behaviour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<ToolAnnotations>,
    /// Who does the work.
    pub service: ServiceRef,
    /// With which request.
    pub method: Method,
    /// What is sent along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// How long a call may take, in milliseconds. Default: the server's
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How often a call is tried again.
    #[serde(default)]
    pub retries: u8,
    /// How often it may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How long a result may be used again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_ttl_ms: Option<u64>,
    /// How large a response may be, in bytes.
    pub max_response_bytes: u64,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Tokens that come in each second; above zero.
    pub per_second: f64,
    /// Tokens that it holds; at least 1.
    pub burst: u32,
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// Its name for clients.
    pub name: String,
    /// A title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its messages come from.
    pub source: PromptSource,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<PromptVariable>,
}

/// Where a prompt's messages come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PromptSource {
    /// One user message, made from this template.
    Template(String),
    /// A Service that answers with the result.
    Service(ServiceRef),
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Its name for clients.
    pub name: String,
    /// A title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its media type, where one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Where its contents come from.
    pub source: ResourceSource,
}

/// Where a resource's contents come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceSource {
    /// The object itself.
    Content(InlineContent),
    /// HTTP operations of Services.
    Operations(Vec<Operation>),
}

/// An HTTP operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The method, of the request that comes in and of the one that goes out.
    pub method: Method,
    /// Where it is reached on the server.
    pub ingress_path: String,
    /// Name of the Service that answers.
    pub service: String,
    /// The Service's port.
    pub port: u16,
    /// Path of the request to it.
    pub path: String,
    /// Under which URI, or URI template, clients of MCP read it; only with `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}
