//! Logs to standard error, and traces where the environment says to send them.
//!
//! A trace that a client began (`traceparent`, as a header or in `_meta`) is carried on to the backend. Where traces are
//! sent, the gateway's own span stands between the two.

use anyhow::Context as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_process::traces::{Service, Traces};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tokio::runtime::Handle;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// The target of the spans that are sent.
const TRACED: &str = "mcp_gateway::trace";

const SERVICE: Service = Service { name: "mcp-gateway", version: crate::VERSION, targets: &[TRACED] };

/// Headers, and members of `_meta`, that say to which trace a request belongs.
const CARRIED: [HeaderName; 3] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of JSON for each event
    #[default]
    Json,
    /// For people
    Text,
}

/// The process's logs and traces.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<Traces>,
}

impl Telemetry {
    /// Sends the process's logs to standard error, and its traces on `runtime`, by OTLP over HTTP, where
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says to.
    ///
    /// # Errors
    /// Where the filter is none, the variables name no URL, or something else receives the process's logs already.
    pub fn init(filter: &str, format: LogFormat, runtime: &Handle) -> anyhow::Result<Self> {
        let filter: EnvFilter = filter.parse().context("--log-level")?;
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match format {
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
            LogFormat::Text => lines.with_target(false).boxed(),
        };
        let traces = Traces::from_environment(SERVICE, runtime)?;
        let spans = traces.as_ref().map(Traces::layer);
        // Spans are the traces' alone: an event of the log says what it is about itself.
        let lines = lines.with_filter(filter.add_directive(format!("{TRACED}=off").parse()?));
        tracing_subscriber::registry().with(lines).with(spans).try_init()?;
        Ok(Self { traces })
    }

    /// Whether traces are sent.
    #[must_use]
    pub const fn traces(&self) -> bool {
        self.traces.is_some()
    }

    /// Sends what was traced and not sent yet. Blocks for at most 2 s, and must not be called on a thread of the runtime
    /// that sends.
    pub fn flush(self) {
        if let Some(traces) = self.traces {
            traces.flush();
        }
    }
}

/// To which trace a request belongs, as headers: what `_meta` says, or else what came as headers.
#[must_use]
pub fn carried<'m>(headers: &HeaderMap, meta: impl Fn(&str) -> Option<&'m str>) -> HeaderMap {
    let mut carried = HeaderMap::new();
    for name in CARRIED {
        let own = meta(name.as_str()).and_then(|value| HeaderValue::from_str(value).ok());
        if let Some(value) = own.or_else(|| headers.get(&name).cloned()) {
            carried.insert(name, value);
        }
    }
    carried
}

/// The span of one request, which belongs to the trace that `carried` names. It ends when it is dropped.
#[must_use]
pub fn span(method: &'static str, version: &'static str, carried: &HeaderMap) -> Span {
    let span = info_span!(
        target: TRACED, "request",
        otel.name = method, otel.kind = "server", mcp.method.name = method, mcp.protocol.version = version
    );
    // An error is that nothing traces.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(carried)));
    span
}

/// Makes what is sent on belong to a span. Where that is none, `carried` stays as it is.
pub fn propagate(span: &Span, carried: &mut HeaderMap) {
    if !span.is_none() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(carried));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn meta_says_more_about_the_trace_than_headers_do() {
        let headers = HeaderMap::from_iter([
            (CARRIED[0].clone(), HeaderValue::from_static("of-a-proxy")),
            (CARRIED[1].clone(), HeaderValue::from_static("a=1")),
        ]);
        let carried = carried(&headers, |name| (name == "traceparent").then_some(PARENT));
        assert_eq!(
            (&carried["traceparent"], &carried["tracestate"]),
            (&HeaderValue::from_static(PARENT), &HeaderValue::from_static("a=1"))
        );
        assert_eq!(carried.len(), 2);
    }

    #[test]
    fn without_a_span_of_ones_own_the_trace_goes_on_as_it_came() {
        let mut headers = HeaderMap::from_iter([(CARRIED[0].clone(), HeaderValue::from_static(PARENT))]);
        propagate(&Span::none(), &mut headers);
        assert_eq!(headers["traceparent"], PARENT);
    }

    #[test]
    fn a_span_belongs_to_the_trace_of_the_client_and_the_backend_to_the_span() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let mut headers = HeaderMap::from_iter([(CARRIED[0].clone(), HeaderValue::from_static(PARENT))]);
            propagate(&span("tools/call", "2026-07-28", &headers), &mut headers);
            let sent = headers["traceparent"].to_str().unwrap();
            assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && sent != PARENT, "{sent}");
        });
    }
}
