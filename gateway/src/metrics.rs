//! What the gateway measures, in Prometheus' form. Labels come from closed sets alone: neither a tool's name nor anything
//! that a client sends is one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mcp_process::body::BodyError;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::gateway::Gateway;
use crate::mcp::protocol::Generation;
use crate::upstream::Failure;

/// What `/metrics` answers with its text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    generation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabel {
    bound: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoadLabel {
    outcome: &'static str,
}

/// The counts that requests keep up.
#[derive(Debug)]
pub struct Metrics {
    answered: Family<Answered, Counter>,
    durations: Family<MethodLabel, Histogram, fn() -> Histogram>,
    refused: Family<BoundLabel, Counter>,
    rate_limited: Counter,
    backend_failures: Family<CauseLabel, Counter>,
    loads: Family<LoadLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing has been counted.
    #[must_use]
    pub fn new() -> Self {
        Self {
            answered: Family::default(),
            durations: Family::new_with_constructor(durations as fn() -> Histogram),
            refused: Family::default(),
            rate_limited: Counter::default(),
            backend_failures: Family::default(),
            loads: Family::default(),
        }
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        method: &'static str,
        generation: Generation,
        status: StatusCode,
        took: Duration,
    ) {
        let generation = if generation.is_modern() { "modern" } else { "legacy" };
        self.answered.get_or_create(&Answered { method, generation, status: status.as_u16() }).inc();
        self.durations.get_or_create(&MethodLabel { method }).observe(took.as_secs_f64());
    }

    /// A bound was met.
    pub(crate) fn refused(&self, bound: &'static str) {
        self.refused.get_or_create(&BoundLabel { bound }).inc();
    }

    /// A body was not read.
    pub(crate) fn refused_body(&self, error: BodyError) {
        self.refused(match error {
            BodyError::NoRoom => "bodies",
            BodyError::TooLarge(_) | BodyError::TooSlow | BodyError::Broken => "body",
        });
    }

    /// A tool's rate limit was met.
    pub(crate) fn rate_limited(&self) {
        self.rate_limited.inc();
    }

    /// A backend did not do its work.
    pub(crate) fn backend_failed(&self, failure: &Failure) {
        self.backend_failures.get_or_create(&CauseLabel { cause: failure.category() }).inc();
    }

    /// A catalog was loaded, or refused.
    pub(crate) fn loaded(&self, taken: bool) {
        let outcome = if taken { "success" } else { "refused" };
        self.loads.get_or_create(&LoadLabel { outcome }).inc();
    }
}

/// From what a cache answers to what a slow backend takes.
fn durations() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

/// The text of one scrape. What some part knows already is asked for now.
///
/// # Errors
/// Where a value cannot be written, which no value of these families is known to be.
pub async fn encode(gateway: &Arc<Gateway>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("mcp_gateway");
    let metrics = &gateway.metrics;
    registry.register("requests", "Requests by method, generation and status", metrics.answered.clone());
    registry.register_with_unit(
        "request_duration",
        "How long it took until the head of the response, by method",
        Unit::Seconds,
        metrics.durations.clone(),
    );
    registry.register("refused", "Requests that met a bound, by the bound", metrics.refused.clone());
    registry.register("rate_limited", "Calls that met their tool's rate limit", metrics.rate_limited.clone());
    registry.register(
        "backend_failures",
        "Calls of a backend that failed, by the cause",
        metrics.backend_failures.clone(),
    );
    registry.register("catalog_loads", "Catalogs that came, by what became of them", metrics.loads.clone());
    if let Some(redis) = &gateway.redis {
        let failures = Counter::<u64>::default();
        failures.inc_by(redis.failures());
        registry.register("redis_failures", "Questions that Redis did not answer", failures);
    }
    let now = tokio::time::Instant::now();
    let sessions = gateway.sessions.count(now).await.count;
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    let catalog = gateway.live.get();
    let counts = catalog.as_ref().map(|catalog| catalog.counts()).unwrap_or_default();
    let in_flight: usize =
        catalog.iter().flat_map(|catalog| catalog.backends()).map(|backend| backend.in_flight()).sum();
    let open = catalog.iter().flat_map(|catalog| catalog.backends()).filter(|it| it.is_open(now)).count();
    gauge("requests_in_flight", "Requests that are being served", gateway.requests.count());
    let connections = gateway.bounds.connections.saturating_sub(gateway.connections.available_permits());
    gauge("connections", "Connections of clients", connections as u64);
    gauge("streams_open", "Streams that tell of changes", gateway.streams.count());
    gauge("sessions", "Legacy sessions; with Redis, on all replicas together", sessions as u64);
    gauge("backend_calls_in_flight", "Calls of backends", in_flight as u64);
    gauge("backends_open", "Backends that are left alone for a while", open as u64);
    gauge("cache_bytes", "What cached results take, about", gateway.results.bytes() as u64);
    if let Some(redis) = &gateway.redis {
        gauge("redis_up", "Whether Redis answers", u64::from(redis.is_up()));
    }
    gauge("tools", "Tools that are served", counts.tools as u64);
    gauge("prompts", "Prompts that are served", counts.prompts as u64);
    gauge("resources", "Resources and templates that are served", counts.resources as u64);
    registry.register("build", "What was built", Info::new(vec![("version", crate::VERSION)]));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}
