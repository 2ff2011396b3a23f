//! The plain HTTP server for whoever runs the operator: metrics, health, and the level of the logs.

mod serve;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use mcp_process::shutdown::Drain;

use crate::metrics::{self, Scrape};
use crate::readiness::Readiness;
use crate::telemetry::{InvalidLogFilter, LogFilter, LogLevel};

pub use serve::{Bounds, serve};

/// What the server answers from.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What `/metrics` shows.
    pub scrape: Arc<Scrape>,
    /// What `/readyz` waits for.
    pub readiness: Readiness,
    /// Fails `/readyz` once it has begun.
    pub drain: Drain,
    /// What `/loglevel` changes; without one there is no such path.
    pub log_level: Option<LogLevel>,
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The paths of the server.
///
/// | path | method | answers |
/// |---|---|---|
/// | `/metrics` | GET | every family, in OpenMetrics' text form |
/// | `/livez` | GET | 200 while the process serves at all |
/// | `/readyz` | GET | 200, or 503 and a line for each thing that is missing |
/// | `/loglevel` | GET, PUT | the filter of the logs; only from the pod itself or through `kubectl port-forward` |
pub fn router(admin: Admin) -> Router {
    let mut router = Router::new()
        .route("/metrics", get(scrape))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready));
    if let Some(level) = admin.log_level.clone() {
        let log_level = Router::new()
            .route("/loglevel", get(log_level).put(set_log_level))
            .route_layer(DefaultBodyLimit::max(LogFilter::MAX_BYTES))
            .route_layer(middleware::from_fn(from_loopback))
            .with_state(level);
        router = router.merge(log_level.with_state(()));
    }
    router.with_state(admin)
}

async fn scrape(State(admin): State<Admin>) -> Response {
    match admin.scrape.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    if admin.drain.is_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into());
    }
    let missing = admin.readiness.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ok\n".into());
    }
    let lines: String = missing.iter().map(|missing| format!("{missing}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready, waiting for:\n{lines}"))
}

async fn log_level(State(level): State<LogLevel>) -> String {
    format!("{}\n", level.get())
}

async fn set_log_level(State(level): State<LogLevel>, body: Result<Bytes, BytesRejection>) -> Response {
    let invalid = |error: InvalidLogFilter| (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response();
    let body = match body {
        Ok(body) => body,
        Err(_) => return (StatusCode::PAYLOAD_TOO_LARGE, "the filter is too long\n").into_response(),
    };
    let filter: LogFilter = match String::from_utf8_lossy(&body).trim().parse() {
        Ok(filter) => filter,
        Err(error) => return invalid(error),
    };
    match level.set(filter) {
        Ok(()) => {
            let filter = level.get();
            tracing::info!(%filter, "the level of the logs was changed");
            format!("{filter}\n").into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Lets through only what comes from this host: metrics and health are for the whole cluster to read, this is not.
async fn from_loopback(
    peer: Option<Extension<Peer>>,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Response {
    match peer {
        Some(Extension(Peer(address))) if canonical(address.ip()).is_loopback() => next.run(request).await,
        _ => (StatusCode::FORBIDDEN, "only from the pod itself, as through kubectl port-forward\n")
            .into_response(),
    }
}

/// A listener for both families sees IPv4 addresses in IPv6 form.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests;
