//! Two ways to exchange messages over HTTP: an answer to each request, or one stream of answers beside them.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::events::{Event, Events};
use super::http::{Http, Reply, message_headers};
use super::{Failure, MODERN, message, shown};

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// How long the end of a session may take, which nobody waits for the result of.
const CLOSE: Duration = Duration::from_secs(1);

/// Where requests are answered.
pub(super) trait Channel {
    /// Sends a request, and gives its result.
    fn call(
        &mut self,
        method: &'static str,
        params: Value,
    ) -> impl Future<Output = Result<Box<RawValue>, Failure>> + Send;

    /// Sends a notification.
    fn notify(&mut self, method: &'static str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// From here this revision of the protocol is spoken.
    fn agree(&mut self, version: &str);
}

/// Streamable HTTP.
#[derive(Debug)]
pub(super) struct Streamable<'a> {
    http: &'a Http,
    version: Option<HeaderValue>,
    session: Option<HeaderValue>,
    id: u64,
}

impl<'a> Streamable<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http, version: None, session: None, id: 0 }
    }

    /// Tells the server that its session is over, so that it does not keep it.
    pub(super) async fn close(self) {
        if self.session.is_some() {
            // A server that does not want to know says so; that it is gone is as good.
            let _ = timeout(CLOSE, self.http.send(Method::DELETE, &self.headers(&[]), Vec::new())).await;
        }
    }

    fn headers(&self, more: &[(HeaderName, HeaderValue)]) -> Vec<(HeaderName, HeaderValue)> {
        let version = self.version.clone().map(|version| (VERSION, version));
        let session = self.session.clone().map(|session| (SESSION, session));
        more.iter().cloned().chain(version).chain(session).collect()
    }

    async fn post(&self, method: &'static str, message: Vec<u8>) -> Result<Reply, Failure> {
        let mut headers = message_headers();
        if self.version.as_ref().is_some_and(|version| version == MODERN) {
            headers.push((METHOD, HeaderValue::from_static(method)));
        }
        self.http.send(Method::POST, &self.headers(&headers), message).await
    }
}

impl Channel for Streamable<'_> {
    async fn call(&mut self, method: &'static str, params: Value) -> Result<Box<RawValue>, Failure> {
        self.id += 1;
        let mut reply = self.post(method, message::request(self.id, method, &params)).await?;
        // Also where it refuses: some servers make a session of whatever comes first.
        if let Some(session) = reply.headers.get(SESSION) {
            self.session.get_or_insert_with(|| session.clone());
        }
        if reply.status != StatusCode::OK {
            return Err(reply.into_complaint(method, self.id).await);
        }
        if reply.is_events() {
            return Stream::new(reply).answer(method, self.id).await;
        }
        let text = reply.text(method).await?;
        message::answer(method, self.id, &text)?
            .ok_or_else(|| Failure::NotMcp { method, reason: "it is no answer to the request".to_owned() })
    }

    async fn notify(&mut self, method: &'static str) -> Result<(), Failure> {
        let reply = self.post(method, message::notification(method)).await?;
        if reply.status.is_success() { Ok(()) } else { Err(reply.into_complaint(method, self.id).await) }
    }

    fn agree(&mut self, version: &str) {
        self.version = HeaderValue::from_str(version).ok();
    }
}

/// HTTP with SSE, the older way: answers come on a stream that is opened first.
#[derive(Debug)]
pub(super) struct Older {
    endpoint: Http,
    stream: Stream,
    id: u64,
}

impl Older {
    /// Opens the stream, on which the server says where it takes messages.
    pub(super) async fn open(http: &Http) -> Result<Self, Failure> {
        const OPENING: &str = "the opening of a stream";
        let not_mcp = |reason: String| Failure::NotMcp { method: OPENING, reason };
        let accept = (ACCEPT, HeaderValue::from_static("text/event-stream"));
        let reply = http.send(Method::GET, &[accept], Vec::new()).await?;
        if reply.status != StatusCode::OK {
            return Err(reply.into_complaint(OPENING, 0).await);
        }
        if !reply.is_events() {
            return Err(not_mcp("it is no stream of events".to_owned()));
        }
        let mut stream = Stream::new(reply);
        let first = stream.next(OPENING).await?;
        if first.kind != "endpoint" {
            return Err(not_mcp(format!("it begins with the event {:?}", shown::text(&first.kind))));
        }
        Ok(Self { endpoint: http.at(&first.data).map_err(not_mcp)?, stream, id: 0 })
    }

    async fn post(&self, method: &'static str, message: Vec<u8>) -> Result<(), Failure> {
        let reply = self.endpoint.send(Method::POST, &message_headers(), message).await?;
        if reply.status.is_success() { Ok(()) } else { Err(reply.into_complaint(method, self.id).await) }
    }
}

impl Channel for Older {
    async fn call(&mut self, method: &'static str, params: Value) -> Result<Box<RawValue>, Failure> {
        self.id += 1;
        self.post(method, message::request(self.id, method, &params)).await?;
        self.stream.answer(method, self.id).await
    }

    async fn notify(&mut self, method: &'static str) -> Result<(), Failure> {
        self.post(method, message::notification(method)).await
    }

    /// Nothing says it on this way.
    fn agree(&mut self, _: &str) {}
}

/// Messages in a stream of events.
#[derive(Debug)]
struct Stream {
    reply: Reply,
    events: Events,
    come: VecDeque<Event>,
}

impl Stream {
    fn new(reply: Reply) -> Self {
        Self { reply, events: Events::default(), come: VecDeque::new() }
    }

    async fn next(&mut self, method: &'static str) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.come.pop_front() {
                return Ok(event);
            }
            let Some(bytes) = self.reply.next(method).await? else {
                return Err(Failure::NotMcp { method, reason: "the stream ended without it".to_owned() });
            };
            self.come.extend(self.events.push(&bytes));
        }
    }

    /// Reads on until the answer to this request. Other messages are the server's, and are not answered.
    async fn answer(&mut self, method: &'static str, id: u64) -> Result<Box<RawValue>, Failure> {
        loop {
            let event = self.next(method).await?;
            // A first event with nothing in it only gives the stream an id.
            let is_message = matches!(event.kind.as_str(), "" | "message") && !event.data.is_empty();
            if is_message && let Some(result) = message::answer(method, id, event.data.as_bytes())? {
                return Ok(result);
            }
        }
    }
}
