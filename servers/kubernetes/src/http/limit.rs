//! How much is under way, and for how long.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mcp_process::body::collect;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::MOST_BODY_BYTES;

/// How long a request's body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How many bytes of bodies that are still arriving are held, of all clients together.
const BODIES: usize = 32 * 1024 * 1024;

/// A bound on requests. All clones are one.
#[derive(Clone, Debug)]
pub struct Limit {
    places: Arc<Semaphore>,
    time: Duration,
    /// A permit a byte.
    room: Arc<Semaphore>,
}

impl Limit {
    /// So many requests at a time, each for so long.
    #[must_use]
    pub fn new(requests: usize, time: Duration) -> Self {
        let room = Arc::new(Semaphore::new(BODIES));
        Self { places: Arc::new(Semaphore::new(requests)), time, room }
    }
}

/// Answers 503 where too much is under way, at once, and 504 where a request takes too long. A request is under way when all
/// of it has arrived: who sends slowly takes nobody's place.
pub(super) async fn limit(State(limit): State<Limit>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = match collect(body, MOST_BODY_BYTES, Instant::now() + BODY_TIME, &limit.room).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let Ok(_place) = limit.places.try_acquire() else { return busy() };
    let request = Request::from_parts(parts, Body::from(body));
    match timeout(limit.time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the request took too long\n").into_response(),
    }
}

fn busy() -> Response {
    let text = "too many requests are under way\n";
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response()
}
