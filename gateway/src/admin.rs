//! The plain HTTP server for whoever runs the gateway; never reached through the Ingress.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::mcp::protocol::Version;
use crate::metrics;

/// The paths of the server.
///
/// | path | answers |
/// |---|---|
/// | `/metrics` | every family, in OpenMetrics' text form |
/// | `/capabilities` | what is served: the catalog's revision, how much is in it, and whether Redis answers |
/// | `/sessions` | how many sessions there are, and their ages; never an id |
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .route("/capabilities", get(capabilities))
        .route("/sessions", get(sessions))
        .with_state(gateway)
}

async fn scrape(State(gateway): State<Arc<Gateway>>) -> Response {
    match metrics::encode(&gateway).await {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn capabilities(State(gateway): State<Arc<Gateway>>) -> Response {
    let Some(catalog) = gateway.live.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no catalog is loaded\n").into_response();
    };
    let counts = catalog.counts();
    json(&json!({
        "server": {"name": catalog.server.name, "namespace": catalog.server.namespace},
        "version": crate::VERSION,
        "catalogRevision": catalog.revision,
        "protocolVersions": Version::ALL.map(Version::as_str),
        "tools": counts.tools,
        "prompts": counts.prompts,
        "resources": counts.resources,
        "redis": gateway.redis.as_ref().map(|redis| json!({"ready": redis.is_up()})),
    }))
}

async fn sessions(State(gateway): State<Arc<Gateway>>) -> Response {
    let counted = gateway.sessions.count(Instant::now()).await;
    json(&json!({
        "sessions": counted.count,
        "streams": gateway.streams.count(),
        "ageSeconds": quantiles(counted.age),
        "idleSeconds": quantiles(counted.idle),
    }))
}

fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

/// Of whole seconds.
fn quantiles([p50, p99, max]: [Option<Duration>; 3]) -> Value {
    let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
    json!({"p50": seconds(p50), "p99": seconds(p99), "max": seconds(max)})
}
