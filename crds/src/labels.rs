//! The labels that the operator sets on what it creates.

/// What runs: always `mcp-server`.
pub const NAME: &str = "app.kubernetes.io/name";
/// The MCPServer's name.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Which part of the MCPServer an object is.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Who keeps the object: always `mcp-operator`.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The MCPServer's transport.
pub const TRANSPORT: &str = "example.com/transport";

/// Every label of a pod that is the operator's alone: selectors and orphan deletion rest on them.
pub const RESERVED: [&str; 5] = [NAME, INSTANCE, COMPONENT, MANAGED_BY, TRANSPORT];

/// By this label, set to `true`, the owner of a Secret consents to its values being sent to Services as headers.
pub const TOOL_CREDENTIAL: &str = "mcp.example.com/tool-credential";
