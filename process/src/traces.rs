//! Traces, sent by OTLP over HTTP where the environment names an endpoint.

use std::env;
use std::time::Duration;

use async_trait::async_trait;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, SpanExporter,
    WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::{Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::tls;

/// How long one batch may take to be sent, unless the environment says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of the process waits for the last batch. A collector that is away must not hold it up.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The program that traces, as a collector knows it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name, unless `OTEL_SERVICE_NAME` gives another.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The targets of what is traced: no library's inner life. Apart from the level of the logs, which may be low where
    /// traces are kept.
    pub targets: &'static [&'static str],
}

/// Traces that are on their way to a collector, in batches, with a bound on how many wait.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    service: Service,
}

/// The environment asks for something that cannot be done.
#[derive(Debug, thiserror::Error)]
#[error("no exporter could be made of what the OTEL_EXPORTER_OTLP variables say")]
pub struct TracesError(#[from] ExporterBuildError);

impl Traces {
    /// Traces to the endpoint in `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or none where
    /// neither is set. Requests are made on `runtime`; the protocol is `http/protobuf`, whatever else is asked for.
    ///
    /// # Errors
    /// Where the variables name no URL.
    pub fn from_environment(service: Service, runtime: &Handle) -> Result<Option<Self>, TracesError> {
        let given = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        if !given(OTEL_EXPORTER_OTLP_ENDPOINT) && !given(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) {
            return Ok(None);
        }
        let exporter =
            SpanExporter::builder().with_http().with_http_client(OnRuntime::new(runtime)).build()?;
        Ok(Some(Self::new(service, exporter)))
    }

    /// Traces to this URL, whatever the environment says.
    ///
    /// # Errors
    /// Where it is none.
    pub fn to(url: &str, service: Service, runtime: &Handle) -> Result<Self, TracesError> {
        let builder = SpanExporter::builder().with_http().with_http_client(OnRuntime::new(runtime));
        Ok(Self::new(service, builder.with_endpoint(url).build()?))
    }

    fn new(service: Service, exporter: SpanExporter) -> Self {
        let mut resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", service.version));
        if env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(service.name);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Self { provider, service }
    }

    /// What turns spans into traces.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let targets = self.service.targets.iter().map(|target| (*target, LevelFilter::INFO));
        let tracer = self.provider.tracer(self.service.name);
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(Targets::new().with_targets(targets))
    }

    /// Sends what is left, and ends. Blocks for at most 2 s, and must not be called on a thread of the runtime that
    /// sends.
    pub fn flush(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            warn!(error = &error as &dyn std::error::Error, "the last traces could not be sent");
        }
    }
}

/// Sends on a runtime what a thread outside of it asks to be sent: batches are made on a thread of their own.
#[derive(Clone, Debug)]
struct OnRuntime {
    client: HyperClient<HttpsConnector<HttpConnector>>,
    runtime: Handle,
}

impl OnRuntime {
    fn new(runtime: &Handle) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config())
            .https_or_http()
            .enable_http1()
            .build();
        Self { client: HyperClient::new(connector, TIMEOUT, None), runtime: runtime.clone() }
    }
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use parking_lot::Mutex;
    use tokio::net::TcpListener;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const SERVICE: Service = Service { name: "mcp-test", version: "1.2.3", targets: &["mcp_process"] };

    fn install_crypto_provider() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }

    /// A collector that keeps what it is sent.
    async fn mk_collector() -> (String, Arc<Mutex<Vec<Bytes>>>) {
        let received = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&received);
        let receive = move |body: Bytes| {
            keep.lock().push(body);
            async { StatusCode::OK }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, received)
    }

    fn holds(bodies: &[Bytes], text: &str) -> bool {
        bodies.iter().any(|body| body.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn spans_of_the_service_reach_the_collector_and_those_of_libraries_do_not() {
        install_crypto_provider();
        let (url, received) = mk_collector().await;
        let traces = Traces::to(&url, SERVICE, &Handle::current()).unwrap();
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("reconcile", namespace = "team-a").in_scope(|| {
                tracing::info_span!(target: "hyper", "of-a-library").in_scope(|| {});
                tracing::debug_span!("in-detail").in_scope(|| {});
            });
        });
        tokio::task::spawn_blocking(move || traces.flush()).await.unwrap();
        let received = received.lock();
        for expected in ["reconcile", "team-a", SERVICE.name, SERVICE.version] {
            assert!(holds(&received, expected), "{expected}");
        }
        assert!(!holds(&received, "of-a-library") && !holds(&received, "in-detail"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_collector_that_is_away_does_not_hold_up_the_end() {
        install_crypto_provider();
        // Accepts, as the kernel does it, and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", silent.local_addr().unwrap());
        let traces = Traces::to(&url, SERVICE, &Handle::current()).unwrap();
        let subscriber = tracing_subscriber::registry().with(traces.layer());
        tracing::subscriber::with_default(subscriber, || drop(tracing::info_span!("reconcile")));
        let begun = std::time::Instant::now();
        tokio::task::spawn_blocking(move || traces.flush()).await.unwrap();
        assert!(begun.elapsed() < FLUSH_TIMEOUT * 2, "{:?}", begun.elapsed());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn an_endpoint_that_is_no_url_is_refused() {
        install_crypto_provider();
        assert!(Traces::to("not a url", SERVICE, &Handle::current()).is_err());
    }
}
