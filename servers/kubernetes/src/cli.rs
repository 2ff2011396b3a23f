//! The command line, and the process it starts.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Parser, ValueEnum};
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::{Client, Config};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing::{error, info};

use crate::http::{self as http_server, Readiness, Trusted};
use crate::kubernetes::Kubernetes;
use crate::name::Namespace;
use crate::server::Server;
use crate::telemetry::{self, LogFormat};

/// How long a connection to the API server may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests that have begun may take to finish.
const FINISH: Duration = Duration::from_secs(20);
/// How long endpoints may take to learn that a pod is going.
const DRAIN_DELAY_IN_POD: u64 = 3;

/// How MCP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Over standard input and output
    Stdio,
    /// The same as streamable-http
    Http,
    /// Over HTTP
    StreamableHttp,
}

/// An MCP server for Kubernetes.
///
/// It finds the API server by its pod's service account, elsewhere by KUBECONFIG, and can do what that account may do.
#[derive(Clone, Debug, Parser)]
#[command(name = "mcp-k8s-server", version)]
pub struct Options {
    /// How MCP is spoken
    #[arg(long, env = "MCP_TRANSPORT", value_enum, default_value = "stdio")]
    pub transport: Transport,
    /// Port to serve HTTP on
    #[arg(long, env = "MCP_PORT", default_value_t = 8080, value_name = "PORT")]
    pub port: u16,
    /// Address to serve HTTP on [default: every address in a pod, 127.0.0.1 elsewhere]
    #[arg(long, env = "MCP_ADDRESS", value_name = "IP")]
    pub address: Option<IpAddr>,
    /// Path of the MCP endpoint
    #[arg(long, env = "MCP_PATH", default_value = "/mcp", value_name = "PATH", value_parser = path)]
    pub path: String,
    /// Name by which clients know the server
    #[arg(long, env = "MCP_SERVER_NAME", default_value = "mcp-k8s-server", value_name = "NAME")]
    pub name: String,
    /// Namespace where a call names none [default: the pod's own, or the kubeconfig's]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<Namespace>,
    /// JSON file with more settings, which need not exist; allowedOrigins is read from it
    #[arg(long, env = "MCP_CONFIG_FILE", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Names by which the server may be called, with commas between [default: any; on loopback, those of loopback]
    #[arg(long, env = "MCP_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// Web pages that may call the server, as SCHEME://HOST[:PORT], with commas between [default: none]
    #[arg(long, env = "MCP_ALLOWED_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,
    /// What is logged: off, error, warn, info, debug or trace
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: LevelFilter,
    /// How log lines look, on standard error; auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// How many seconds to go on serving after the signal to end, so that no request is sent to a closed port [default: 3 in
    /// a pod, 0 elsewhere]
    #[arg(long, env = "MCP_DRAIN_DELAY", value_name = "SECONDS")]
    pub drain_delay: Option<u64>,
}

/// What is read from the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    /// With commas between.
    #[serde(default)]
    allowed_origins: String,
}

fn path(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    match text {
        "/health" | "/ready" => Err("is taken by the kubelet's probes".to_owned()),
        _ if text.starts_with('/') && text.chars().all(plain) => Ok(text.to_owned()),
        _ => Err("must begin with / and hold letters, digits, -, ., _, ~ and / only".to_owned()),
    }
}

/// Runs the process, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(error) = telemetry::init(options.log_format, options.log_level) {
        eprintln!("mcp-k8s-server: {error}");
        return ExitCode::FAILURE;
    }
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "could not start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let ended = tokio.block_on(run(options));
    // A read of standard input that nobody waits for any more cannot be interrupted.
    tokio.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    // First, so that a signal during the start is not lost.
    let mut signals = Signals::new().context("could not install the signal handlers")?;
    let kubernetes = kubernetes(options.namespace.clone()).await?;
    let server = Server::new(options.name.clone(), kubernetes.clone())?;
    match options.transport {
        Transport::Stdio => {
            let ending = CancellationToken::new();
            let serve = crate::stdio::serve(server, ending.clone());
            tokio::select! {
                ended = serve => Ok(ended?),
                () = signals.next() => {
                    ending.cancel();
                    Ok(())
                }
            }
        }
        Transport::Http | Transport::StreamableHttp => {
            serve_http(&options, server, kubernetes, signals).await
        }
    }
}

async fn serve_http(
    options: &Options,
    server: Server,
    kubernetes: Kubernetes,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let listener = listen(options).await?;
    let address = listener.local_addr().context("could not tell the address")?;
    let origins = match options.allowed_origins.is_empty() {
        false => options.allowed_origins.clone(),
        true => allowed_origins(options.config_file.as_deref())?,
    };
    let trusted = Trusted::new(address.ip(), options.allowed_hosts.clone(), origins);
    let (readiness, ending, closing) =
        (Readiness::default(), CancellationToken::new(), CancellationToken::new());
    let router = http_server::router(&server, &options.path, &trusted, readiness.clone(), &ending);
    info!(%address, path = options.path, "serving");
    let mut serving = std::pin::pin!(http_server::serve(listener, router, closing.cancelled()));
    let begin = async {
        readiness.await_kubernetes(&kubernetes).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = &mut serving => bail!("serving ended unexpectedly"),
        () = begin => {}
        () = signals.next() => {}
    }

    info!("ending");
    readiness.end();
    let delay = options.drain_delay.unwrap_or(if is_in_pod() { DRAIN_DELAY_IN_POD } else { 0 });
    let drain = async {
        sleep(Duration::from_secs(delay)).await;
        closing.cancel();
        std::future::pending::<()>().await;
    };
    let bound = Duration::from_secs(delay) + FINISH;
    tokio::select! {
        served = timeout(bound, &mut serving) => {
            served.map_err(|_| anyhow!("requests were still under way {bound:?} after the signal"))
        }
        () = drain => Ok(()),
        () = signals.next() => bail!("ended at once by a second signal"),
    }
}

/// Every address, where there is IPv6 by both of its families.
async fn listen(options: &Options) -> anyhow::Result<TcpListener> {
    let default = if is_in_pod() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::LOCALHOST.into() };
    let address = SocketAddr::new(options.address.unwrap_or(default), options.port);
    let bound = match TcpListener::bind(address).await {
        Err(error) if options.address.is_none() && lacks_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, options.port)).await
        }
        bound => bound,
    };
    bound.with_context(|| format!("could not listen on {address}"))
}

fn lacks_ipv6(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(AF_NOT_SUPPORTED)
}

/// `EAFNOSUPPORT` on Linux, which has no kind of its own.
const AF_NOT_SUPPORTED: i32 = 97;

fn is_in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

fn allowed_origins(file: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("could not read {}", file.display())),
    };
    let read: ConfigFile = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not as it should be", file.display()))?;
    let origins = read.allowed_origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    Ok(origins.map(str::to_owned).collect())
}

/// A client for the API server that the environment names. It is not spoken to yet.
async fn kubernetes(namespace: Option<Namespace>) -> anyhow::Result<Kubernetes> {
    let mut config = Config::infer().await.context("no API server is configured")?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let agent = concat!("mcp-k8s-server/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));
    info!(url = %config.cluster_url, "API server");
    let namespace = match namespace {
        Some(namespace) => namespace,
        None => config.default_namespace.parse().context("the kubeconfig's namespace")?,
    };
    let client = Client::try_from(config).context("no client for the API server could be made")?;
    Ok(Kubernetes::new(client, namespace))
}

/// The signals that ask the process to end. They no longer end it by themselves.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
