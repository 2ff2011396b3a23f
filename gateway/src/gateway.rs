//! What every request is answered from.

use std::sync::Arc;
use std::time::Duration;

use mcp_process::shutdown::Drain;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::catalog::live::Live;
use crate::credentials::Credentials;
use crate::mcp::Results;
use crate::mcp::session::Sessions;
use crate::metrics::Metrics;
use crate::policy::gate::Gate;
use crate::policy::rate_limit::RateLimits;
use crate::redis::Redis;
use crate::upstream::Upstream;

/// What clients may use up. Each has a metric.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How large a body may be, in bytes.
    pub body_bytes: usize,
    /// How long it may take to come.
    pub body_time: Duration,
    /// How many bytes of bodies that are still coming are held.
    pub bodies_bytes: usize,
    /// How many legacy sessions there may be.
    pub sessions: usize,
    /// How long a session lives after its last use.
    pub session_lifetime: Duration,
    /// How many streams that tell of changes may be open.
    pub streams: u64,
    /// How many connections there may be.
    pub connections: usize,
    /// How long the head of a request may take to come, and a connection may be idle.
    pub head_time: Duration,
    /// How large the head of a request may be, in bytes.
    pub head_bytes: usize,
    /// How long a client may leave what was sent to it unread.
    pub write_time: Duration,
    /// How many bytes of results are kept for being used again.
    pub cache_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            body_time: Duration::from_secs(30),
            bodies_bytes: 128 << 20,
            sessions: 10_000,
            session_lifetime: Duration::from_secs(30 * 60),
            streams: 10_000,
            connections: 20_000,
            head_time: Duration::from_secs(60),
            head_bytes: 64 << 10,
            write_time: Duration::from_secs(30),
            cache_bytes: 32 << 20,
        }
    }
}

/// What every request is answered from.
#[derive(Debug)]
pub struct Gateway {
    /// What is served.
    pub live: Live,
    /// Who does the work.
    pub upstream: Upstream,
    /// Values of headers that stand in Secrets.
    pub credentials: Credentials,
    /// Sessions of the legacy generation.
    pub sessions: Sessions,
    /// How often tools were called.
    pub rate_limits: RateLimits,
    /// Results that may be used again.
    pub(crate) results: Results,
    /// What the replicas share, where they share anything.
    pub redis: Option<Arc<Redis>>,
    /// What connections take one of each.
    pub connections: Arc<Semaphore>,
    /// What bodies that are still coming take one of a byte.
    pub bodies: Semaphore,
    /// Requests that are being served.
    pub requests: Gate,
    /// Streams that are open.
    pub streams: Gate,
    /// What is measured.
    pub metrics: Metrics,
    /// What clients may use up.
    pub bounds: Bounds,
    /// Whether traces are sent.
    pub traces: bool,
    /// Whether the process ends.
    pub drain: Drain,
    /// Owns the calls that go on when their client goes away.
    pub tasks: TaskTracker,
}

impl Gateway {
    /// A gateway that serves nothing yet.
    #[must_use]
    pub fn new(
        live: Live,
        credentials: Credentials,
        upstream: Upstream,
        redis: Option<Arc<Redis>>,
        bounds: Bounds,
        drain: Drain,
    ) -> Self {
        Self {
            live,
            upstream,
            credentials,
            sessions: Sessions::new(bounds.sessions, bounds.session_lifetime, redis.clone()),
            rate_limits: RateLimits::new(redis.clone()),
            results: Results::new(bounds.cache_bytes, redis.clone()),
            redis,
            connections: Arc::new(Semaphore::new(bounds.connections)),
            bodies: Semaphore::new(bounds.bodies_bytes.min(Semaphore::MAX_PERMITS)),
            requests: Gate::default(),
            streams: Gate::default(),
            metrics: Metrics::new(),
            bounds,
            traces: false,
            drain,
            tasks: TaskTracker::new(),
        }
    }
}
