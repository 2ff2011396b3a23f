//! MCP over streamable HTTP, with the two questions a kubelet asks.
//!
//! No session is kept: `initialize` is answered for clients that begin with it, and each later request stands for itself.
//! So a client may be served by another pod at any time, and nothing is there to grow.

mod limit;
mod listen;
mod origin;
mod readiness;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

pub use limit::Limit;
pub use listen::serve;
pub use origin::Trusted;
pub use readiness::Readiness;

/// How long a request's body may be, in bytes.
pub const MOST_BODY_BYTES: usize = 1024 * 1024;
/// How many requests are under way at a time; the next are answered 503.
pub const REQUESTS: usize = 64;
/// How long a request may take, from its head to the head of its answer. Longer than any prompt, which asks Kubernetes
/// twice in turn.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that is served: MCP at `path`, `/health` and `/ready`.
pub fn router(
    server: &Server,
    path: &str,
    trusted: &Trusted,
    readiness: Readiness,
    ending: &CancellationToken,
) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MOST_BODY_BYTES)
        .with_cancellation_token(ending.child_token())
        .with_allowed_hosts(trusted.hosts.iter().cloned())
        .with_allowed_origins(trusted.origins.iter().cloned())
        .enforce_origin_validation();
    let server = server.clone();
    let mcp = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let limit = Limit::new(REQUESTS, REQUEST_TIMEOUT);
    Router::new()
        .route_service(path, mcp)
        .route_layer(middleware::from_fn_with_state(limit, limit::limit))
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready).with_state(readiness))
        .fallback_service(not_here(path))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.why_not() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn not_here(path: &str) -> axum::routing::MethodRouter {
    let text = format!("nothing is here: MCP is at {path}\n");
    axum::routing::any(async move || (StatusCode::NOT_FOUND, text))
}

#[cfg(test)]
mod tests;
