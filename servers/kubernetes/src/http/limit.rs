//! How much is under way, and for how long.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A bound on requests. All clones are one.
#[derive(Clone, Debug)]
pub struct Limit {
    places: Arc<Semaphore>,
    time: Duration,
}

impl Limit {
    /// So many requests at a time, each for so long.
    #[must_use]
    pub fn new(requests: usize, time: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(requests)), time }
    }
}

/// Answers 503 where too much is under way, at once, and 504 where a request takes too long.
pub(super) async fn limit(State(limit): State<Limit>, request: Request, next: Next) -> Response {
    let Ok(_place) = limit.places.try_acquire() else {
        let text = "too many requests are under way\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response();
    };
    match timeout(limit.time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the request took too long\n").into_response(),
    }
}
