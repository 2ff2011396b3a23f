//! `mcp-gateway serve`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use mcp_crds::validate::duration::parse_go_duration;
use mcp_process::shutdown::Timing;
use mcp_redis::{Prefix, Settings};

use crate::gateway::Bounds;
use crate::process::{Listening, Process};
use crate::redis::{OnFailure, Redis};
use crate::source::cluster::Source;
use crate::source::manifests::Manifests;
use crate::telemetry::{LogFormat, Telemetry};
use crate::upstream::{Directory, Service};

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Serve what objects offer.
///
/// With --manifests they come from files: the same objects as in a cluster, under the same rules, and live as well. A Service
/// is then looked for on this machine, at the port that the object names.
///
/// Traces are sent, by OTLP over HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT says to; OpenTelemetry's other variables work as
/// they do everywhere.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder of manifests, or one file: MCPServers, MCPTools, MCPPrompts, MCPResources, and Secrets for their headers.
    /// Without an MCPServer everything is offered
    #[arg(long, env = "MCP_GATEWAY_MANIFESTS", value_name = "PATH", required_unless_present = "catalog")]
    manifests: Option<PathBuf>,
    /// Name of the MCPServer to serve, or its namespace and name as NAMESPACE/NAME, where the manifests hold several
    #[arg(long, env = "MCP_GATEWAY_SERVER", value_name = "NAME", requires = "manifests")]
    server: Option<String>,
    /// In a cluster: name of the MCPServer whose catalog is served, which the operator keeps in ConfigMaps
    #[arg(long, env = "MCP_GATEWAY_CATALOG", value_name = "NAME", conflicts_with = "manifests")]
    catalog: Option<String>,
    /// Namespace of the MCPServer [default: the pod's own]
    #[arg(long, env = "MCP_GATEWAY_NAMESPACE", value_name = "NAME", requires = "catalog")]
    namespace: Option<String>,
    /// UID of the MCPServer, which all that is kept in Redis for it carries: one of the same name that is made later finds none
    /// of it [default: none, as there is without a cluster]
    #[arg(long, env = "MCP_GATEWAY_SERVER_UID", value_name = "UID")]
    server_uid: Option<String>,
    /// Folder where the same catalog is mounted, for a start while the API server is away
    #[arg(long, env = "MCP_GATEWAY_CATALOG_DIR", value_name = "PATH", requires = "catalog")]
    catalog_dir: Option<PathBuf>,
    /// DNS domain of the cluster, for the names of Services
    #[arg(long, env = "MCP_GATEWAY_CLUSTER_DOMAIN", value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,
    /// Where a Service is, as NAME=HOST or NAME=HOST:PORT; may be given more than once [default: 127.0.0.1, at the port that
    /// the object names]
    #[arg(long = "service", env = "MCP_GATEWAY_SERVICE", value_name = "NAME=ADDRESS", value_delimiter = ',')]
    services: Vec<Service>,
    /// Address to serve on [default: 127.0.0.1 with --manifests, every address in a cluster]
    #[arg(long, env = "MCP_GATEWAY_ADDRESS", value_name = "IP")]
    address: Option<IpAddr>,
    /// Port to serve on; 0 for any that is free [default: the manifests' MCPServer's, 8080 in a cluster]
    #[arg(long, env = "MCP_GATEWAY_PORT", value_name = "PORT")]
    port: Option<u16>,
    /// Port of the server for metrics, on the same address; 0 for any that is free
    #[arg(long, env = "MCP_GATEWAY_ADMIN_PORT", value_name = "PORT", default_value_t = 9090)]
    admin_port: u16,
    /// How long the process goes on as before when it is asked to end, until nobody sends any more
    #[arg(long, env = "MCP_GATEWAY_DRAIN_DELAY", value_name = "DURATION", default_value = "0s", value_parser = parse_go_duration)]
    drain_delay: Duration,
    /// How long what has begun may take to end after that
    #[arg(long, env = "MCP_GATEWAY_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "25s", value_parser = parse_go_duration)]
    drain_timeout: Duration,
    #[command(flatten, next_help_heading = "Bounds")]
    bounds: BoundArgs,
    #[command(flatten, next_help_heading = "Redis")]
    redis: RedisArgs,
    #[command(flatten, next_help_heading = "Logs")]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct RedisArgs {
    /// Redis that keeps sessions, cached results and rate limits for all replicas, as HOST or HOST:PORT [default: each
    /// replica keeps its own]
    #[arg(long, env = "MCP_GATEWAY_REDIS", value_name = "ADDRESS")]
    redis: Option<String>,
    /// Which of its databases
    #[arg(long, env = "MCP_GATEWAY_REDIS_DATABASE", value_name = "NUMBER", default_value_t = 0)]
    redis_database: u16,
    /// File with the password that it asks for. It is read for each connection, so a new one needs no restart
    #[arg(long, env = "MCP_GATEWAY_REDIS_PASSWORD_FILE", value_name = "FILE")]
    redis_password_file: Option<PathBuf>,
    /// Speak to it over TLS; its certificate is checked against this machine's authorities, or those in SSL_CERT_FILE
    #[arg(long, env = "MCP_GATEWAY_REDIS_TLS")]
    redis_tls: bool,
    /// What becomes of what cannot be done without it, while it does not answer
    #[arg(long, env = "MCP_GATEWAY_REDIS_FAILURE", value_name = "MODE", value_enum, default_value_t)]
    redis_failure: OnFailure,
}

impl RedisArgs {
    /// The part of Redis that belongs to a server.
    fn redis(self, prefix: Prefix) -> anyhow::Result<Option<Redis>> {
        let Some(address) = self.redis else { return Ok(None) };
        let settings = Settings { address, database: self.redis_database, tls: self.redis_tls };
        let redis = Redis::new(settings, self.redis_password_file, prefix, self.redis_failure);
        redis.context("--redis").map(Some)
    }
}

#[derive(Debug, Args)]
struct BoundArgs {
    /// How large the body of a request may be, in bytes
    #[arg(long, env = "MCP_GATEWAY_MAX_BODY_BYTES", value_name = "BYTES", default_value_t = Bounds::default().body_bytes)]
    max_body_bytes: usize,
    /// How many bytes of bodies that are still coming are held, of all clients together
    #[arg(long, env = "MCP_GATEWAY_MAX_BODIES_BYTES", value_name = "BYTES", default_value_t = Bounds::default().bodies_bytes)]
    max_bodies_bytes: usize,
    /// How many legacy sessions there may be; with Redis, on all replicas together
    #[arg(long, env = "MCP_GATEWAY_MAX_SESSIONS", value_name = "NUMBER", default_value_t = Bounds::default().sessions)]
    max_sessions: usize,
    /// How long a legacy session lives after its last use
    #[arg(long, env = "MCP_GATEWAY_SESSION_LIFETIME", value_name = "DURATION", default_value = "30m", value_parser = parse_go_duration)]
    session_lifetime: Duration,
    /// How many streams that tell of changes may be open
    #[arg(long, env = "MCP_GATEWAY_MAX_STREAMS", value_name = "NUMBER", default_value_t = Bounds::default().streams)]
    max_streams: u64,
    /// How many connections there may be
    #[arg(long, env = "MCP_GATEWAY_MAX_CONNECTIONS", value_name = "NUMBER", default_value_t = Bounds::default().connections)]
    max_connections: usize,
    /// How long the head of a request may take to come, and a connection may be idle
    #[arg(long, env = "MCP_GATEWAY_HEAD_TIME", value_name = "DURATION", default_value = "60s", value_parser = parse_go_duration)]
    head_time: Duration,
    /// How long the body of a request may take to come
    #[arg(long, env = "MCP_GATEWAY_BODY_TIME", value_name = "DURATION", default_value = "30s", value_parser = parse_go_duration)]
    body_time: Duration,
    /// How long a client may leave unread what was sent to it
    #[arg(long, env = "MCP_GATEWAY_WRITE_TIME", value_name = "DURATION", default_value = "30s", value_parser = parse_go_duration)]
    write_time: Duration,
    /// How many bytes of results are kept for tools with a cacheTTL
    #[arg(long, env = "MCP_GATEWAY_CACHE_BYTES", value_name = "BYTES", default_value_t = Bounds::default().cache_bytes)]
    cache_bytes: usize,
}

#[derive(Debug, Args)]
struct LogArgs {
    /// What is logged, as tracing's directives: info, debug, mcp_gateway=debug
    #[arg(long, env = "MCP_GATEWAY_LOG_LEVEL", value_name = "FILTER", default_value = "info")]
    log_level: String,
    /// How it is written
    #[arg(long, env = "MCP_GATEWAY_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

impl BoundArgs {
    fn bounds(&self) -> Bounds {
        Bounds {
            body_bytes: self.max_body_bytes,
            bodies_bytes: self.max_bodies_bytes,
            sessions: self.max_sessions,
            session_lifetime: self.session_lifetime,
            streams: self.max_streams,
            connections: self.max_connections,
            head_time: self.head_time,
            body_time: self.body_time,
            write_time: self.write_time,
            cache_bytes: self.cache_bytes,
            ..Bounds::default()
        }
    }
}

/// Serves until the process is asked to end.
///
/// # Errors
/// Where nothing can be served, or the end was not in good order.
pub fn serve(args: ServeArgs) -> anyhow::Result<()> {
    // Redis' client and that of traces ask for the process's own; it was installed already where this is called again.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let telemetry = Telemetry::init(&args.log.log_level, args.log.log_format, runtime.handle())?;
    let ended = runtime.block_on(run(args, telemetry.traces()));
    telemetry.flush();
    ended
}

async fn run(args: ServeArgs, traces: bool) -> anyhow::Result<()> {
    let timing = Timing { delay: args.drain_delay, deadline: args.drain_delay + args.drain_timeout };
    let listening = |address: IpAddr, port: u16| Listening {
        address: args.address.unwrap_or(address),
        port: args.port.unwrap_or(port),
        admin_port: args.admin_port,
    };
    let bounds = args.bounds.bounds();
    let prefix = |namespace: &str, server: &str| Prefix::new(namespace, server, args.server_uid.as_deref());
    match (args.manifests, args.catalog) {
        (Some(path), _) => {
            let mut manifests = Manifests::new(path, args.server);
            let loaded = manifests.load()?;
            let listening = listening(IpAddr::V4(Ipv4Addr::LOCALHOST), loaded.port);
            let served = &loaded.snapshot.server;
            let redis = args.redis.redis(prefix(&served.namespace, &served.name))?;
            let process = Process::new(listening, redis, bounds, timing, traces).await?;
            process.run_manifests(manifests, loaded, Directory::local(args.services)).await
        }
        (None, Some(server)) => {
            let namespace = args.namespace.map_or_else(own_namespace, Ok)?;
            let source =
                Source { server: server.clone(), namespace: namespace.clone(), mounted: args.catalog_dir };
            let redis = args.redis.redis(prefix(&namespace, &server))?;
            let listening = listening(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080);
            let process = Process::new(listening, redis, bounds, timing, traces).await?;
            process.run_cluster(source, Directory::Cluster { namespace, domain: args.cluster_domain }).await
        }
        (None, None) => bail!("either --manifests or --catalog is needed"),
    }
}

fn own_namespace() -> anyhow::Result<String> {
    let text = std::fs::read_to_string(NAMESPACE_FILE)
        .with_context(|| format!("--namespace is needed: {NAMESPACE_FILE} cannot be read"))?;
    Ok(text.trim().to_owned())
}
