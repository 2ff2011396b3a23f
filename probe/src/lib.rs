//! Asking a server what an MCP client asks first: who it is, and which tools it has.
//!
//! The newest revision of the protocol is tried first: `server/discover`, where every request stands for itself. A server
//! that answers anything else is older, whatever it answers, and is asked to `initialize`. Where it may speak the older
//! HTTP with SSE, that is tried last.
//!
//! A server is not trusted: what it sends is bounded and shown in short, no redirect is followed, and nothing is asked of
//! another host than the one that was named.

#![warn(missing_docs)]

mod channel;
mod events;
mod http;
mod message;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use self::channel::{Channel, Older, Streamable};
use self::http::Http;
pub use self::http::MAX_ANSWER_BYTES;

/// The newest revision, which has no `initialize`.
const MODERN: &str = "2026-07-28";
/// The newest revision with `initialize`.
const LEGACY: &str = "2025-11-25";
/// How long a server may leave `server/discover` unanswered before it is taken for an older one.
const DISCOVER: Duration = Duration::from_secs(8);
/// How many pages of tools are read.
const PAGES: usize = 50;

/// Who a server says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name, where it says one.
    pub name: Option<String>,
    /// Its version, where it says one.
    pub version: Option<String>,
    /// The revision of MCP that was spoken.
    pub protocol: String,
    /// How many tools it lists.
    pub tools: usize,
}

/// Why a server could not be asked. The texts go on where its URL was named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection came about, or it broke.
    #[error("could not be reached: {0}")]
    Unreachable(String),
    /// No answer came.
    #[error("did not answer within {} s", within.as_secs())]
    Silent {
        /// How long it had.
        within: Duration,
    },
    /// The answer has a status that is no answer to MCP.
    #[error("answered {method} with status {status}{}", said(.text))]
    Status {
        /// What was asked.
        method: &'static str,
        /// The status.
        status: u16,
        /// The beginning of the body, or where a redirect leads.
        text: String,
    },
    /// The answer is one of MCP's errors.
    #[error("answered {method} with error {code}{}", said(.text))]
    Error {
        /// What was asked.
        method: &'static str,
        /// The code.
        code: i64,
        /// What the server says of it.
        text: String,
    },
    /// The answer is none.
    #[error("answered {method} with something that is not MCP: {reason}")]
    NotMcp {
        /// What was asked.
        method: &'static str,
        /// Why it is not.
        reason: String,
    },
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Where a server speaks MCP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The URL of its endpoint.
    pub url: Arc<str>,
    /// Whether it may speak the older HTTP with SSE.
    pub may_be_sse: bool,
}

/// A client that asks over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Mcp {
    /// By which name servers know it.
    pub name: &'static str,
}

impl Mcp {
    /// Asks a server who it is, and which tools it has. That takes as long as the server takes, and has to be bounded by the
    /// caller.
    ///
    /// # Errors
    /// Where it does not answer as an MCP server does.
    pub async fn ask(&self, target: &Target) -> Result<Found, Failure> {
        let http = Http::new(&target.url, self.name)?;
        let mut modern = Streamable::new(&http);
        let discovered = match timeout(DISCOVER, self.discover(&mut modern)).await {
            Ok(discovered) => discovered,
            Err(_) => Err(Failure::Silent { within: DISCOVER }),
        };
        match discovered {
            Ok(discovered) => {
                let tools = match discovered.capabilities.tools {
                    Some(_) => tools(&mut modern, &self.meta()).await?,
                    None => 0,
                };
                let server = discovered.meta.server_info.unwrap_or_default();
                return Ok(found(server, MODERN.to_owned(), tools));
            }
            Err(failure @ Failure::Unreachable(_)) => return Err(failure),
            Err(_) => modern.close().await,
        }
        let mut legacy = Streamable::new(&http);
        let asked = self.initialize(&mut legacy).await;
        legacy.close().await;
        match asked {
            Err(failure) if target.may_be_sse => match Older::open(&http).await {
                Ok(mut older) => self.initialize(&mut older).await,
                // What the newer of the two said is more telling.
                Err(_) => Err(failure),
            },
            asked => asked,
        }
    }
}

impl Mcp {
    fn client(&self) -> Value {
        json!({ "name": self.name, "version": env!("CARGO_PKG_VERSION") })
    }

    /// What every request of the newest revision carries.
    fn meta(&self) -> Value {
        json!({ "_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": self.client(),
    } })
    }

    async fn discover(&self, channel: &mut Streamable<'_>) -> Result<Discovered, Failure> {
        const METHOD: &str = "server/discover";
        channel.agree(MODERN);
        let discovered: Discovered = read(METHOD, &channel.call(METHOD, self.meta()).await?)?;
        if discovered.supported_versions.iter().any(|version| version == MODERN) {
            return Ok(discovered);
        }
        let reason = format!("it supports {}", shown::text(&discovered.supported_versions.join(", ")));
        Err(Failure::NotMcp { method: METHOD, reason })
    }

    async fn initialize(&self, channel: &mut impl Channel) -> Result<Found, Failure> {
        const METHOD: &str = "initialize";
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": self.client() });
        let initialized: Initialized = read(METHOD, &channel.call(METHOD, params).await?)?;
        channel.agree(&initialized.protocol_version);
        channel.notify("notifications/initialized").await?;
        let tools = match initialized.capabilities.tools {
            Some(_) => tools(channel, &json!({})).await?,
            None => 0,
        };
        Ok(found(initialized.server_info, shown::text(&initialized.protocol_version), tools))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
    capabilities: Capabilities,
    #[serde(default, rename = "_meta")]
    meta: ResultMeta,
}

#[derive(Debug, Default, Deserialize)]
struct ResultMeta {
    #[serde(default, rename = "io.modelcontextprotocol/serverInfo")]
    server_info: Option<Implementation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
    capabilities: Capabilities,
    #[serde(default)]
    server_info: Implementation,
}

#[derive(Debug, Deserialize)]
struct Capabilities {
    #[serde(default)]
    tools: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
struct Implementation {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tools {
    tools: Vec<IgnoredAny>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// How many tools there are, over all pages.
async fn tools(channel: &mut impl Channel, params: &Value) -> Result<usize, Failure> {
    const METHOD: &str = "tools/list";
    let (mut count, mut params) = (0, params.clone());
    for _ in 0..PAGES {
        let page: Tools = read(METHOD, &channel.call(METHOD, params.clone()).await?)?;
        count += page.tools.len();
        let (Some(cursor), Some(params)) = (page.next_cursor, params.as_object_mut()) else {
            return Ok(count);
        };
        params.insert("cursor".to_owned(), Value::String(cursor));
    }
    Err(Failure::NotMcp { method: METHOD, reason: format!("its tools fill more than {PAGES} pages") })
}

fn read<'a, T: Deserialize<'a>>(method: &'static str, result: &'a RawValue) -> Result<T, Failure> {
    serde_json::from_str(result.get())
        .map_err(|error| Failure::NotMcp { method, reason: shown::text(&error.to_string()) })
}

fn found(server: Implementation, protocol: String, tools: usize) -> Found {
    let short = |text: Option<String>| text.map(|text| shown::text(&text)).filter(|text| !text.is_empty());
    Found { name: short(server.name), version: short(server.version), protocol, tools }
}

#[cfg(test)]
mod tests;
