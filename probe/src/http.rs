//! HTTP to one host, with a bound on what it may answer.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Failure, message, shown};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How many bytes one answer may have. A list of everything that a gateway may serve comes to 16 MiB, which is what sixteen
/// ConfigMaps hold; a server whose list is longer than a probe reads would be restarted for ever.
pub const MAX_ANSWER_BYTES: usize = 17 * 1024 * 1024;
/// How many bytes of an answer that is no answer are looked at.
const COMPLAINT: usize = 4096;

/// A host, and the path that was named on it.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    agent: HeaderValue,
}

impl Http {
    /// # Errors
    /// Where the URL is none.
    pub(super) fn new(url: &str, name: &str) -> Result<Self, Failure> {
        let uri: Uri = url.parse().map_err(|_| Failure::Unreachable("it is no URL".to_owned()))?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        // Its connections end with it.
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let agent = HeaderValue::from_str(&format!("{name}/{}", env!("CARGO_PKG_VERSION")));
        let agent = agent.unwrap_or_else(|_| HeaderValue::from_static("mcp-probe"));
        Ok(Self { client, uri, agent })
    }

    /// Another path on the same host.
    ///
    /// # Errors
    /// Where the reference leads elsewhere.
    pub(super) fn at(&self, reference: &str) -> Result<Self, String> {
        let other = || format!("it leads to {}", shown::text(reference));
        let uri: Uri = reference.parse().map_err(|_| other())?;
        let is_same = uri.authority().is_none() || uri.authority() == self.uri.authority();
        // Two slashes would begin a host's name.
        let is_path = |path: &str| path.starts_with('/') && !path.starts_with("//");
        let path = uri.path_and_query().filter(|path| is_same && is_path(path.as_str()));
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(path.ok_or_else(other)?.clone());
        let uri = Uri::from_parts(parts).map_err(|_| other())?;
        Ok(Self { client: self.client.clone(), uri, agent: self.agent.clone() })
    }

    /// Sends a request, and gives the answer's head with its body still to come.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    pub(super) async fn send(
        &self,
        method: Method,
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Result<Reply, Failure> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(USER_AGENT, self.agent.clone());
        request.headers_mut().extend(headers.iter().cloned());
        let response = self.client.request(request).await.map_err(|error| unreachable(&error))?;
        let (head, body) = response.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body, taken: 0 })
    }
}

/// The headers of a message.
pub(super) fn message_headers() -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCEPT, HeaderValue::from_static("application/json, text/event-stream")),
    ]
}

/// An answer of which the head is there.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    taken: usize,
}

impl Reply {
    pub(super) fn is_events(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/event-stream")
    }

    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// Where the connection breaks, or there are too many.
    pub(super) async fn next(&mut self, method: &'static str) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| unreachable(&error))?;
            let Ok(bytes) = frame.into_data() else { continue };
            self.taken = self.taken.saturating_add(bytes.len());
            if self.taken > MAX_ANSWER_BYTES {
                let reason = format!("it is longer than {} MiB", MAX_ANSWER_BYTES / 1024 / 1024);
                return Err(Failure::NotMcp { method, reason });
            }
            return Ok(Some(bytes));
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Reply::next`].
    pub(super) async fn text(&mut self, method: &'static str) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        while let Some(bytes) = self.next(method).await? {
            text.extend_from_slice(&bytes);
        }
        Ok(text)
    }

    /// What an answer to the request of this number says, whose status is another than was wanted.
    pub(super) async fn into_complaint(mut self, method: &'static str, id: u64) -> Failure {
        let status = self.status.as_u16();
        if self.status.is_redirection() {
            let to = self.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let text = format!("it leads to {}, which is not followed", shown::text(to));
            return Failure::Status { method, status, text };
        }
        let mut text = Vec::new();
        while text.len() < COMPLAINT {
            match self.next(method).await {
                Ok(Some(bytes)) => text.extend_from_slice(&bytes),
                Ok(None) | Err(_) => break,
            }
        }
        if let Err(error @ Failure::Error { .. }) = message::answer(method, id, &text) {
            return error;
        }
        text.truncate(COMPLAINT);
        Failure::Status { method, status, text: shown::text(&String::from_utf8_lossy(&text)) }
    }
}

/// The innermost error says what happened; those around it, in which part of a client.
fn unreachable(error: &dyn Error) -> Failure {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Failure::Unreachable(shown::text(&innermost.to_string()))
}
