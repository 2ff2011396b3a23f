//! `MCPResource`: inline content, or HTTP operations, as MCP resources.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OfferStatus;
use super::service::Method;

/// Inline content or HTTP operations, offered as MCP resources by every MCPServer of the namespace whose
/// toolSelector matches this object's labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "mcp.example.com",
    version = "v1alpha1",
    kind = "MCPResource",
    plural = "mcpresources",
    shortname = "mcpr",
    category = "ai",
    category = "mcp",
    namespaced,
    status = "OfferStatus",
    derive = "PartialEq",
    doc = "Inline content or HTTP operations, offered as MCP resources by every MCPServer of the namespace whose toolSelector matches this object's labels.",
    printcolumn(name = "Resource", type_ = "string", json_path = ".spec.name"),
    printcolumn(name = "URI", type_ = "string", json_path = ".status.uri"),
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
    "rule": "has(self.content) != has(self.operations) && (!has(self.operations) || size(self.operations) > 0)",
    "message": "give either content or operations, and not both",
    "reason": "FieldValueForbidden"
}]))]
pub struct MCPResourceSpec {
    /// The resource's name, as MCP clients see it: 1 to 128 of A-Z a-z 0-9 _ - . and unique on each server.
    /// Default: metadata.name
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub name: Option<String>,
    /// A title for people. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the resource holds. Default: none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Media type, such as text/yaml. Default: the content's own, else text/plain for text and
    /// application/octet-stream for a blob
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Content that stands in this object. Exactly one of content and operations is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<InlineContent>,
    /// HTTP operations, proxied at their ingressPath on each server. Exactly one of content and operations is
    /// given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// Content that stands in the object itself; exactly one of text and blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InlineContent {
    /// The resource's URI, with a scheme; unique on each server.
    pub uri: String,
    /// Media type of the content. Default: the resource's
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The content as text, at most 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262144))]
    pub text: Option<String>,
    /// The content in padded standard base64, at most 256 KiB as it stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262144))]
    pub blob: Option<String>,
}

/// An HTTP operation. One with GET is an MCP resource as well: without placeholders in resources/list, with them
/// in resources/templates/list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The HTTP method: GET, POST, PUT, PATCH or DELETE. Default: GET
    #[serde(default = "get")]
    pub method: Method,
    /// Where the operation is reached on the server, beginning with a slash; may hold {variable} placeholders.
    pub ingress_path: String,
    /// The Service that answers, in the same namespace.
    pub service: OperationService,
    /// URI or URI template under which MCP clients read it. Default: resource://NAME followed by ingressPath
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// The Kubernetes Service behind an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationService {
    /// Name of the Service.
    pub name: String,
    /// Port of the Service, by number.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Path of the request, beginning with a slash. May hold the {variable} placeholders of ingressPath. Default: /
    #[serde(default = "super::service::root_path")]
    pub path: String,
}

const fn get() -> Method {
    Method::Get
}
