//! The volumes that the operator adds to the pods of a server, by name.

/// The server's settings and what it selects, for an image.
pub const CONFIG: &str = "mcp-config";
/// Room for temporary files, where the root file system is read-only.
pub const TMP: &str = "mcp-tmp";
/// What a gateway serves.
pub const CATALOG: &str = "mcp-catalog";
/// The password of a gateway's Redis.
pub const REDIS: &str = "mcp-redis";
/// The gateway's binary, for probes that speak MCP.
pub const GATEWAY: &str = "mcp-gateway";

/// All of them: a user's own volume has another name.
pub const RESERVED: [&str; 5] = [CONFIG, TMP, CATALOG, REDIS, GATEWAY];
