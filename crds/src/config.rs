//! A server's settings, as its pods find them: a file in a ConfigMap.

use serde::Serialize;

/// Name of the file, and key of the ConfigMap.
pub const CONFIG_JSON: &str = "config.json";

/// What the API server lets the keys and values of a ConfigMap come to, in bytes.
pub const MAX_CONFIG_MAP: usize = 1024 * 1024;

/// The text of the file.
///
/// # Errors
/// Where the settings have keys that are no strings, which no settings have.
pub fn json(config: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(config)
}

/// Whether a ConfigMap holds the file.
#[must_use]
pub const fn fits(json: &str) -> bool {
    CONFIG_JSON.len() + json.len() <= MAX_CONFIG_MAP
}
