//! The serving process: the webhooks, or a handler that does nothing, behind the same TLS.

use std::future::pending;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use mcp_operator::telemetry::{self, LogFilter, LogFormat};
use mcp_webhook::{Admission, Limits, Metrics};
use parking_lot::RwLock;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::objects;

/// What the bare handler answers, whatever it is asked.
const FIXED: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"9a1c7a38-0f5c-4f4e-9d2f-3a1f3a6f2f11","allowed":true}}"#;

/// Which of the two is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handler {
    /// The webhooks.
    Ours,
    /// Parses the review as JSON and answers a fixed one.
    Bare,
}

impl Handler {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Bare => "bare",
        }
    }
}

/// Serves until the standard input closes. Prints the port, and then the certificate to trust.
pub(crate) fn run(handler: Handler, servers: usize) -> anyhow::Result<()> {
    mcp_operator::runtime::install_crypto_provider();
    if handler == Handler::Ours {
        log()?;
    }
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let resolver = mcp_certs::CertResolver::new();
    let certificate = key.cert.pem();
    resolver.load(
        certificate.as_bytes(),
        key.signing_key.serialize_pem().as_bytes(),
        jiff::Timestamp::now(),
    )?;
    let tls = mcp_certs::server_config(resolver)?;
    // As many threads as the process may use cores: the operator's own runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        print!("{certificate}");
        println!();
        tokio::spawn(async move {
            match handler {
                Handler::Ours => {
                    drop(mcp_webhook::serve(listener, tls, ours(servers), Limits::default(), pending()).await)
                }
                Handler::Bare => drop(serve_bare(listener, tls).await),
            }
        });
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
            .await?
            .context("standard input")
    })?;
    runtime.shutdown_background();
    Ok(())
}

/// Logs as in a pod: a span a review costs something, also where it has nothing to say.
pub(crate) fn log() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    // Nothing is traced, so nothing is left to send when the runtime is gone.
    telemetry::init(LogFormat::Json, LogFilter::default(), runtime.handle())?;
    Ok(())
}

fn ours(servers: usize) -> Router {
    let catalog = Arc::new(RwLock::new(objects::catalog(servers)));
    mcp_webhook::router(Admission::new(catalog, Metrics::default(), Arc::new(Instant::now)))
}

/// The least that serves the same clients: an accept loop, TLS, HTTP/1.1 and one handler.
async fn serve_bare(listener: TcpListener, tls: Arc<ServerConfig>) -> anyhow::Result<()> {
    let answer = |body: Bytes| async move {
        std::hint::black_box(serde_json::from_slice::<Value>(&body).ok());
        ([(http::header::CONTENT_TYPE, "application/json")], FIXED)
    };
    let router = Router::new().route("/mutate", post(answer)).route("/validate", post(answer));
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, router) = (acceptor.clone(), router.clone());
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let builder = auto::Builder::new(TokioExecutor::new()).http1_only();
            let service = TowerToHyperService::new(router);
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
