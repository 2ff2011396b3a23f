//! A client that says exactly what it is told to.

use std::net::SocketAddr;

use axum::body::Body;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// Headers, by name.
pub(crate) type Headers<'a> = [(&'a str, &'a str)];

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The message of the body, or the last one of a stream.
    pub(crate) fn message(&self) -> Value {
        let text = self.body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
        let text = text.unwrap_or(&self.body);
        serde_json::from_str(text).unwrap_or_else(|_| panic!("{self:?} holds no message"))
    }

    /// The result of the message.
    pub(crate) fn result(&self) -> Value {
        let message = self.message();
        assert!(message.get("result").is_some(), "{self:?}");
        message["result"].clone()
    }

    /// The text of a tool's result.
    pub(crate) fn text(&self) -> String {
        let result = self.result();
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
    }
}

/// A client of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    http: Http<HttpConnector, Body>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, http: Http::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends a request, and gives the answer's head.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &Headers<'_>,
        body: impl Into<Body>,
    ) -> Result<http::Response<Incoming>, String> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request");
        self.http.request(request).await.map_err(|error| format!("{error:?}"))
    }

    /// Sends a request.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &Headers<'_>,
        body: impl Into<Body>,
    ) -> Result<Answer, String> {
        let (parts, body) = self.open(method, path, headers, body).await?.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub(crate) async fn get(&self, path: &str, headers: &Headers<'_>) -> Result<Answer, String> {
        self.send(Method::GET, path, headers, Body::empty()).await
    }

    /// Posts a body to the endpoint.
    pub(crate) async fn post(&self, headers: &Headers<'_>, body: impl Into<Body>) -> Answer {
        let mut all =
            vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        all.extend(headers);
        self.send(Method::POST, "/mcp", &all, body).await.expect("an answer")
    }

    /// Asks as a client of 2026-07-28.
    pub(crate) async fn modern(&self, method: &str, params: Value) -> Answer {
        let name =
            params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        self.post(&headers, modern(method, params).to_string()).await
    }

    /// Calls a tool as a client of 2026-07-28.
    pub(crate) async fn call(&self, name: &str, arguments: Value) -> Answer {
        self.modern("tools/call", json!({"name": name, "arguments": arguments})).await
    }

    /// Begins a session of 2025-11-25.
    pub(crate) async fn initialize(&self) -> Answer {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "test", "version": "1"},
        });
        self.post(&[], legacy(1, "initialize", &params).to_string()).await
    }

    /// Begins a session, and gives its id.
    pub(crate) async fn session(&self) -> String {
        let answer = self.initialize().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.headers["mcp-session-id"].to_str().unwrap().to_owned()
    }

    /// Asks in a session.
    pub(crate) async fn legacy(&self, session: &str, method: &str, params: Value) -> Answer {
        let headers = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
        self.post(&headers, legacy(2, method, &params).to_string()).await
    }

    /// Ends a session.
    pub(crate) async fn end(&self, session: &str) -> Answer {
        let headers = [("mcp-session-id", session)];
        self.send(Method::DELETE, "/mcp", &headers, Body::empty()).await.expect("an answer")
    }

    /// Opens the stream of a session.
    pub(crate) async fn stream(&self, session: &str) -> http::Response<Incoming> {
        let headers = [("mcp-session-id", session), ("accept", "text/event-stream")];
        let stream = self.open(Method::GET, "/mcp", &headers, Body::empty()).await.expect("an answer");
        assert_eq!(stream.status(), 200);
        stream
    }
}

/// A request of 2026-07-28.
pub(crate) fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    legacy(1, method, &params)
}

/// A request with this id.
pub(crate) fn legacy(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}
