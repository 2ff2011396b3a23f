//! What the gateway is measured beside: the least that does the same hop, reads the same request, or keeps the same record.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// Serves on 127.0.0.1 until it is ended.
pub(crate) fn run(kind: &str, port: u16, more: &[&str]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = match (kind, more) {
            ("backend", []) => Router::new().fallback(backend),
            ("proxy", [backend]) => Router::new().route("/mcp", post(proxy)).with_state(Hop::to(backend)),
            ("bytes", [file]) => {
                let bytes = Bytes::from(std::fs::read(file)?);
                Router::new().route("/mcp", post(same)).with_state(bytes)
            }
            ("churn", [backend, redis]) => {
                let client = redis::Client::open(format!("redis://{redis}/?protocol=resp3"))?;
                let redis = client.get_multiplexed_async_connection().await?;
                Router::new().route("/mcp", post(churn).delete(churn)).with_state((Hop::to(backend), redis))
            }
            ("rmcp", [backend]) => crate::calls::rmcp::router(Hop::to(backend)),
            _ => bail!("no such server: {kind}"),
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.context("listen")?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

/// Reads a request, and answers with a little JSON.
async fn backend(body: Body) -> Response {
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    (JSON, format!(r#"{{"length":{length},"text":"{}"}}"#, "x".repeat(200))).into_response()
}

/// A hop to the backend.
#[derive(Clone)]
pub(crate) struct Hop {
    client: Client<HttpConnector, Body>,
    uri: Arc<str>,
}

impl Hop {
    fn to(backend: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, uri: format!("http://{backend}/").into() }
    }

    pub(crate) async fn go(&self, body: Bytes) -> anyhow::Result<Bytes> {
        let request =
            Request::post(&*self.uri).header("content-type", "application/json").body(body.into())?;
        let answer = self.client.request(request).await?;
        Ok(answer.into_body().collect().await?.to_bytes())
    }
}

fn failed(error: impl std::fmt::Display) -> Response {
    (StatusCode::BAD_GATEWAY, format!("{error}")).into_response()
}

/// The same hop, without any MCP.
async fn proxy(State(hop): State<Hop>, body: Body) -> Response {
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST.into_response() };
    match hop.go(body.to_bytes()).await {
        Ok(answer) => (JSON, answer).into_response(),
        Err(error) => failed(error),
    }
}

/// Reads the same request, and returns the same bytes.
async fn same(State(bytes): State<Bytes>, body: Body) -> Response {
    let _ = body.collect().await;
    (JSON, bytes).into_response()
}

/// One of the three requests of a session's life, as its path's query says: a round trip to Redis each, and the hop of a call.
async fn churn(
    State((hop, mut redis)): State<(Hop, MultiplexedConnection)>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let session = parts.headers.get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST.into_response() };
    let body = body.to_bytes();
    match (parts.method, session) {
        (http::Method::DELETE, Some(session)) => {
            match redis::cmd("DEL").arg(session).query_async::<i64>(&mut redis).await {
                Ok(_) => StatusCode::NO_CONTENT.into_response(),
                Err(error) => failed(error),
            }
        }
        (_, None) => {
            let session = format!("{:032x}", rand::random::<u128>());
            let mut set = redis::cmd("SET");
            set.arg(&session).arg("record").arg("PX").arg(60_000);
            match set.query_async::<String>(&mut redis).await {
                Ok(_) => (JSON, [("mcp-session-id", session)], "{}").into_response(),
                Err(error) => failed(error),
            }
        }
        (_, Some(session)) => {
            let mut get = redis::cmd("GETEX");
            get.arg(session).arg("PX").arg(60_000);
            match get.query_async::<Option<String>>(&mut redis).await {
                Ok(Some(_)) => match hop.go(body).await {
                    Ok(answer) => (JSON, answer).into_response(),
                    Err(error) => failed(error),
                },
                Ok(None) => StatusCode::NOT_FOUND.into_response(),
                Err(error) => failed(error),
            }
        }
    }
}
