//! The protocol's versions and names.

use http::HeaderName;
use serde::{Deserialize, Serialize};

/// A version of the protocol that is spoken here; a later one compares greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// 2025-03-26: the first with streamable HTTP, and the only one with batches.
    #[serde(rename = "2025-03-26")]
    V2025_03_26,
    /// 2025-06-18
    #[serde(rename = "2025-06-18")]
    V2025_06_18,
    /// 2025-11-25: the last with sessions.
    #[serde(rename = "2025-11-25")]
    V2025_11_25,
    /// 2026-07-28: without sessions.
    #[serde(rename = "2026-07-28")]
    V2026_07_28,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] = [Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// What a client gets that asks for a version which is not spoken here.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// What a request without a version is taken for.
    pub const ASSUMED: Self = Self::V2025_03_26;

    /// The version as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The version that is written so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// Which generation it belongs to.
    #[must_use]
    pub const fn generation(self) -> Generation {
        match self {
            Self::V2026_07_28 => Generation::Modern,
            Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Generation::Legacy,
        }
    }
}

/// A generation of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// With `initialize` and sessions.
    Legacy,
    /// Each request stands for itself.
    Modern,
}

impl Generation {
    /// Whether each request stands for itself.
    #[must_use]
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::Modern)
    }
}

/// Header that names the version.
pub const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Header that names a legacy session.
pub const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");
/// Header that repeats a modern request's method.
pub const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
/// Header that repeats what a modern request is about.
pub const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");

/// `_meta` member that names the version.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` member with what the client can do.
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` member with the level from which a client wants log messages.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` member that says who the server is.
pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// `_meta` member that says to which subscription a notification belongs.
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What the server can do, for legacy clients.
pub const LEGACY_CAPABILITIES: &str = r#"{"completions":{},"logging":{},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true}}"#;

/// What the server can do, for modern clients.
pub const MODERN_CAPABILITIES: &str = r#"{"completions":{},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true}}"#;

/// Severity of a log message, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// debug
    Debug,
    /// info
    Info,
    /// notice
    Notice,
    /// warning
    Warning,
    /// error
    Error,
    /// critical
    Critical,
    /// alert
    Alert,
    /// emergency
    Emergency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_by_name() {
        for version in Version::ALL {
            assert_eq!(Version::from_name(version.as_str()), Some(version));
            assert_eq!(serde_json::to_value(version).unwrap(), version.as_str());
        }
        assert_eq!(Version::from_name("2024-11-05"), None);
        assert!(Version::V2025_11_25 < Version::V2026_07_28);
    }
}
