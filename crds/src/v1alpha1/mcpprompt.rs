//! `MCPPrompt`: a template with variables as an MCP prompt.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OfferStatus;
use super::service::ServiceRef;

/// A template with variables, offered as an MCP prompt by every MCPServer of the namespace whose toolSelector
/// matches this object's labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "mcp.example.com",
    version = "v1alpha1",
    kind = "MCPPrompt",
    plural = "mcpprompts",
    shortname = "mcpp",
    category = "ai",
    category = "mcp",
    namespaced,
    status = "OfferStatus",
    derive = "PartialEq",
    doc = "A template with variables, offered as an MCP prompt by every MCPServer of the namespace whose toolSelector matches this object's labels.",
    printcolumn(name = "Prompt", type_ = "string", json_path = ".spec.name"),
    printcolumn(name = "Variables", type_ = "string", json_path = ".status.variables"),
    printcolumn(name = "Servers", type_ = "integer", json_path = ".status.serverCount"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.template) != has(self.service)",
    "message": "give either template or service, and not both",
    "reason": "FieldValueForbidden"
}]))]
pub struct MCPPromptSpec {
    /// The prompt's name, as MCP clients see it: 1 to 128 of A-Z a-z 0-9 _ - . and unique on each server.
    /// Default: metadata.name
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub name: Option<String>,
    /// A title for people. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the prompt is for. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A Service that answers prompts/get with the result itself, instead of a template. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Text of one user message, 1 byte to 64 KiB. {{name}} or <<name>> is replaced by that variable's value; a
    /// backslash before either bracket pair writes it as it is. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub template: Option<String>,
    /// The template's variables; every placeholder is declared here. Default: none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<PromptVariable>,
}

/// A variable of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromptVariable {
    /// Its name: a letter or underscore, then letters, digits, underscores and hyphens.
    pub name: String,
    /// What it is for. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether a call without it is an error. Default: false
    #[serde(default)]
    pub required: bool,
    /// Its value where a call gives none. Default: the empty string
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}
