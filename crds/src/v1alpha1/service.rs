//! How tools and prompts name the Service that does their work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// HTTP methods that a tool or an operation may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum Method {
    /// GET
    Get,
    /// POST
    #[default]
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// How a Service is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Scheme {
    /// In clear text.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

/// What is sent as the body of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Payload {
    /// The call's arguments.
    #[default]
    Arguments,
    /// The whole `params` of the JSON-RPC request, for a backend that speaks MCP's own results.
    Params,
}

/// The Kubernetes Service that does the work, in the same namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Name of the Service.
    pub name: String,
    /// Port of the Service, by number.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Path of the request, beginning with a slash. May hold {argument} placeholders, which are filled
    /// with the call's arguments, percent-encoded. Default: /
    #[serde(default = "root_path")]
    pub path: String,
    /// How the Service is spoken to: http or https. Default: http
    #[serde(default)]
    pub scheme: Scheme,
    /// What is sent as the body: arguments sends the call's arguments, params the whole params of the JSON-RPC
    /// request, for backends that answer with MCP's own results. Default: arguments
    #[serde(default)]
    pub payload: Payload,
}

pub(super) fn root_path() -> String {
    "/".to_owned()
}
