//! What the methods have in common that a backend may answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use tracing::Span;

use super::RpcError;
use super::events::Messages;
use super::message::{Id, Params};
use super::protocol::{Generation, LogLevel, VERSION_HEADER, Version};
use super::session::Session;
use crate::catalog::Catalog;
use crate::gateway::Gateway;
use crate::json::Object;
use crate::upstream::{Deadline, Exchange, Failure, Outgoing, Request, Target, map};

/// The name by which the gateway calls itself towards backends.
const USER_AGENT: &str = concat!("mcp-gateway/", env!("CARGO_PKG_VERSION"));

/// How many headers a request to a backend mostly has: those below, and what HTTP asks for.
const HEADERS: usize = 6;

/// One request, with all that its answer is made from.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) gateway: Arc<Gateway>,
    /// The catalog of the moment at which the request came.
    pub(super) catalog: Arc<Catalog>,
    pub(super) version: Version,
    pub(super) id: Id,
    pub(super) params: Params,
    pub(super) headers: Arc<HeaderMap>,
    /// Only in the legacy generation.
    pub(super) session: Option<Arc<Session>>,
    /// Whether the client takes a stream of events.
    pub(super) accepts_events: bool,
    /// The level from which the client wants log messages, if it wants any.
    pub(super) log_level: Option<LogLevel>,
    /// Headers that say to a backend to which trace its work belongs.
    pub(super) trace: HeaderMap,
    /// Ends with the answer.
    pub(super) _span: Span,
}

/// The answer to a request.
pub(super) enum Reply {
    /// The text of `result`.
    Result(Bytes),
    /// The text of the whole response.
    Response(Bytes),
    /// An error.
    Error(RpcError),
    /// Messages, of which the last is the response.
    Messages(Messages),
}

impl Reply {
    pub(super) fn of(result: impl Into<Bytes>) -> Self {
        Self::Result(result.into())
    }
}

impl From<RpcError> for Reply {
    fn from(error: RpcError) -> Self {
        Self::Error(error)
    }
}

impl Context {
    pub(super) const fn generation(&self) -> Generation {
        self.version.generation()
    }

    pub(super) fn server_info(&self) -> &str {
        &self.catalog.server_info
    }

    /// The response with the result that `fill` writes, of about so many bytes.
    pub(super) fn respond(&self, bytes: usize, fill: impl FnOnce(&mut Object)) -> String {
        let id = self.id.as_json();
        // What every response has, and what a generation adds to a result.
        let others = 256 + self.server_info().len() + id.len();
        Object::with_capacity(bytes + others)
            .string("jsonrpc", "2.0")
            .raw("id", id)
            .object("result", fill)
            .finish()
    }

    /// When a call must be over that begins now, and may have a time of its own.
    pub(super) fn deadline(&self, own: Option<Duration>) -> Deadline {
        let usual = || Duration::from_millis(self.catalog.server.request_timeout_ms);
        Deadline::after(own.unwrap_or_else(usual))
    }

    /// The headers of a request to a backend.
    pub(super) fn outgoing_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(VERSION_HEADER, HeaderValue::from_static(self.version.as_str()));
        if !self.trace.is_empty() {
            headers.extend(self.trace.clone());
        }
        headers
    }

    /// Sends a call to a Service that answers for a prompt.
    pub(super) async fn ask(&self, target: &Target) -> Result<Exchange, Failure> {
        let arguments = self.params.arguments();
        let outgoing = map(target, &Method::POST, &BTreeMap::new(), &arguments, || self.params.text());
        let Outgoing { path, body } = outgoing.map_err(|error| Failure::Request(error.to_string()))?;
        let mut request = Request {
            target,
            method: Method::POST,
            path,
            headers: self.outgoing_headers(),
            body,
            deadline: self.deadline(None),
            retries: 0,
        };
        self.gateway.upstream.send(&mut request).await
    }
}
