//! `mcp-operator run`: the operator itself.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use mcp_crds::validate::duration::parse_go_duration;
use mcp_crds::validate::name;
use mcp_process::shutdown::{self, Timing};
use tokio::runtime::Builder;

use crate::lease;
use crate::operator;
use crate::runtime::{self, Runtime};
use crate::telemetry::{self, LogFilter, LogFormat, LogLevel};

/// Where a pod finds the name of its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Where the operator lives unless something else is said.
const DEFAULT_NAMESPACE: &str = "mcp-operator-system";
/// How long endpoints may take to learn that a pod is going.
const DRAIN_DELAY_IN_CLUSTER: Duration = Duration::from_secs(5);

/// Run the operator.
///
/// In a pod it finds the API server by its service account; elsewhere by KUBECONFIG, and then needs --webhook-url.
///
/// Traces are sent, by OTLP over HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT says to; OpenTelemetry's other variables work as
/// they do everywhere.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    #[command(flatten, next_help_heading = "Identity")]
    identity: IdentityArgs,
    /// The admission webhook.
    #[command(flatten, next_help_heading = "Webhook")]
    pub webhook: WebhookArgs,
    /// The webhook's certificate.
    #[command(flatten, next_help_heading = "Certificate")]
    pub certificate: CertificateArgs,
    /// What the controller makes.
    #[command(flatten, next_help_heading = "Reconcile")]
    pub reconcile: ReconcileArgs,
    #[command(flatten, next_help_heading = "Leader election")]
    lease: LeaseArgs,
    #[command(flatten, next_help_heading = "Health, metrics and shutdown")]
    process: ProcessArgs,
    #[command(flatten, next_help_heading = "Logs")]
    log: LogArgs,
}

#[derive(Clone, Debug, Args)]
struct IdentityArgs {
    /// Namespace of the operator's Lease and Secret [default: the pod's own, or mcp-operator-system]
    #[arg(long, env = "MCP_OPERATOR_NAMESPACE", value_parser = namespace, value_name = "NAME")]
    namespace: Option<String>,
    /// Name of this replica, unique among them [default: the pod's or the machine's name]
    #[arg(long, env = "MCP_OPERATOR_POD_NAME", value_name = "NAME")]
    pod_name: Option<String>,
}

/// Flags of the admission webhook.
#[derive(Clone, Debug, Args)]
pub struct WebhookArgs {
    /// Address to serve admission on
    #[arg(long, env = "MCP_OPERATOR_WEBHOOK_ADDRESS", default_value = "::", value_name = "IP")]
    pub webhook_address: IpAddr,
    /// Port to serve admission on, by HTTPS
    #[arg(long, env = "MCP_OPERATOR_WEBHOOK_PORT", default_value_t = 9443, value_name = "PORT")]
    pub webhook_port: u16,
    /// Outside a cluster: where the API server reaches this process, as https://HOST:PORT. The operator then makes webhook
    /// configurations of its own, and removes them when it ends
    #[arg(long, env = "MCP_OPERATOR_WEBHOOK_URL", value_name = "URL", value_parser = webhook_url)]
    pub webhook_url: Option<String>,
    /// Name of the Service in front of the webhook
    #[arg(
        long,
        env = "MCP_OPERATOR_WEBHOOK_SERVICE",
        default_value = "mcp-operator-webhook",
        value_parser = object_name,
        value_name = "NAME"
    )]
    pub webhook_service: String,
    /// Name of the MutatingWebhookConfiguration
    #[arg(
        long,
        env = "MCP_OPERATOR_MUTATING_CONFIGURATION",
        default_value = "mcp-operator",
        value_parser = object_name,
        value_name = "NAME"
    )]
    pub mutating_configuration: String,
    /// Name of the ValidatingWebhookConfiguration
    #[arg(
        long,
        env = "MCP_OPERATOR_VALIDATING_CONFIGURATION",
        default_value = "mcp-operator",
        value_parser = object_name,
        value_name = "NAME"
    )]
    pub validating_configuration: String,
}

/// Who issues the webhook's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CertificateMode {
    /// The operator, which also rotates it and publishes its CA
    #[default]
    SelfSigned,
    /// cert-manager, which fills the Secret and publishes the CA
    CertManager,
}

/// Flags of the webhook's certificate.
#[derive(Clone, Debug, Args)]
pub struct CertificateArgs {
    /// Who issues the webhook's certificate
    #[arg(long, env = "MCP_OPERATOR_CERT_MODE", value_enum, default_value_t, value_name = "MODE")]
    pub cert_mode: CertificateMode,
    /// Name of the Secret that holds the certificate
    #[arg(
        long,
        env = "MCP_OPERATOR_CERT_SECRET",
        default_value = "mcp-operator-webhook-cert",
        value_parser = object_name,
        value_name = "NAME"
    )]
    pub cert_secret: String,
    /// One more DNS name or IP address by which the webhook is reached, when self-signed; may be given more than once
    #[arg(long = "cert-name", env = "MCP_OPERATOR_CERT_NAME", value_name = "NAME", value_delimiter = ',')]
    pub cert_names: Vec<String>,
    /// How long a CA is valid, when self-signed; it is replaced after two thirds of that
    #[arg(long, env = "MCP_OPERATOR_CA_LIFETIME", default_value = "8760h", value_parser = parse_go_duration, value_name = "DURATION")]
    pub ca_lifetime: Duration,
    /// How long a serving certificate is valid, when self-signed; it is replaced after two thirds of that
    #[arg(long, env = "MCP_OPERATOR_LEAF_LIFETIME", default_value = "2160h", value_parser = parse_go_duration, value_name = "DURATION")]
    pub leaf_lifetime: Duration,
    /// How long after a new CA is published every API server is taken to know it
    #[arg(long, env = "MCP_OPERATOR_CA_PROPAGATION_WAIT", default_value = "60s", value_parser = parse_go_duration, value_name = "DURATION")]
    pub ca_propagation_wait: Duration,
}

/// Flags of what the controller makes.
#[derive(Clone, Debug, Args)]
pub struct ReconcileArgs {
    /// How many objects are worked on side by side
    #[arg(long, env = "MCP_OPERATOR_CONCURRENCY", default_value = "16", value_name = "NUMBER")]
    pub concurrency: NonZeroUsize,
    /// Image of the gateway, for MCPServers without an image of their own
    #[arg(long, env = "MCP_OPERATOR_GATEWAY_IMAGE", default_value = concat!("mcp-gateway:", env!("CARGO_PKG_VERSION")), value_name = "IMAGE")]
    pub gateway_image: String,
}

#[derive(Clone, Debug, Args)]
struct LeaseArgs {
    /// Name of the Lease by which replicas agree on who writes
    #[arg(long, env = "MCP_OPERATOR_LEASE_NAME", default_value = "mcp-operator", value_parser = object_name, value_name = "NAME")]
    lease_name: String,
    /// How long other replicas wait after the last renewal they saw, in whole seconds
    #[arg(long, env = "MCP_OPERATOR_LEASE_DURATION", default_value = "15s", value_parser = parse_go_duration, value_name = "DURATION")]
    lease_duration: Duration,
    /// How long the holder goes on writing without a renewal that succeeds; shorter than the lease duration
    #[arg(long, env = "MCP_OPERATOR_RENEW_DEADLINE", default_value = "10s", value_parser = parse_go_duration, value_name = "DURATION")]
    renew_deadline: Duration,
    /// Time between renewals
    #[arg(long, env = "MCP_OPERATOR_RETRY_PERIOD", default_value = "2s", value_parser = parse_go_duration, value_name = "DURATION")]
    retry_period: Duration,
}

#[derive(Clone, Debug, Args)]
struct ProcessArgs {
    /// Address to serve health and metrics on
    #[arg(long, env = "MCP_OPERATOR_ADMIN_ADDRESS", default_value = "::", value_name = "IP")]
    admin_address: IpAddr,
    /// Port to serve health and metrics on
    #[arg(long, env = "MCP_OPERATOR_ADMIN_PORT", default_value_t = 8080, value_name = "PORT")]
    admin_port: u16,
    /// How long to go on serving after the signal to end, so that no request is sent to a closed port [default: 5s in a
    /// cluster, 0 with --webhook-url]
    #[arg(long, env = "MCP_OPERATOR_DRAIN_DELAY", value_parser = parse_go_duration, value_name = "DURATION")]
    drain_delay: Option<Duration>,
    /// How long ending may take before what is left is aborted; below terminationGracePeriodSeconds
    #[arg(long, env = "MCP_OPERATOR_SHUTDOWN_DEADLINE", default_value = "25s", value_parser = parse_go_duration, value_name = "DURATION")]
    shutdown_deadline: Duration,
}

#[derive(Clone, Debug, Args)]
struct LogArgs {
    /// How log lines look; auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "MCP_OPERATOR_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug or trace, then MODULE=LEVEL for others, after commas. Changed at
    /// run time by a PUT to /loglevel on the admin port, from within the pod
    #[arg(long, env = "MCP_OPERATOR_LOG_LEVEL", default_value_t, value_name = "LEVEL")]
    log_level: LogFilter,
}

impl RunArgs {
    /// The namespace that holds the operator's own objects.
    #[must_use]
    pub fn namespace(&self) -> String {
        let given = self.identity.namespace.clone();
        let of_the_pod = || fs::read_to_string(NAMESPACE_FILE).ok().map(|name| name.trim().to_owned());
        given
            .or_else(of_the_pod)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())
    }

    /// Whether the API server reaches this process without a Service.
    #[must_use]
    pub fn is_outside_a_cluster(&self) -> bool {
        self.webhook.webhook_url.is_some()
    }

    /// What the process as such needs.
    ///
    /// # Errors
    /// Where flags do not fit together.
    pub fn settings(&self) -> anyhow::Result<runtime::Settings> {
        let Self { process, lease, .. } = self;
        let default_delay = if self.is_outside_a_cluster() { Duration::ZERO } else { DRAIN_DELAY_IN_CLUSTER };
        let timing = Timing {
            delay: process.drain_delay.unwrap_or(default_delay),
            deadline: process.shutdown_deadline,
        };
        ensure!(
            timing.delay < timing.deadline,
            "--drain-delay ({:?}) must be shorter than --shutdown-deadline ({:?})",
            timing.delay,
            timing.deadline
        );
        let name =
            self.identity.pod_name.clone().or_else(hostname).unwrap_or_else(|| "mcp-operator".to_owned());
        let lease = lease::Settings {
            namespace: self.namespace(),
            name: lease.lease_name.clone(),
            identity: lease::identity(&name),
            lease_duration: lease.lease_duration,
            renew_deadline: lease.renew_deadline,
            retry_period: lease.retry_period,
        };
        lease.validate().context("the flags of leader election do not fit together")?;
        Ok(runtime::Settings {
            admin: SocketAddr::new(process.admin_address, process.admin_port),
            lease,
            timing,
        })
    }
}

fn hostname() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A place that an API server can be told of: it wants HTTPS, and a path is ours to add.
fn webhook_url(text: &str) -> Result<String, String> {
    let url: http::Uri = text.parse().map_err(|_| "must be https://HOST:PORT")?;
    let plain = matches!(url.path(), "" | "/") && url.query().is_none();
    match (url.scheme_str(), url.host()) {
        (Some("https"), Some(host)) if !host.is_empty() && plain => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("must be https://HOST:PORT, without a path".into()),
    }
}

fn object_name(text: &str) -> Result<String, String> {
    if name::is_dns_subdomain(text) {
        Ok(text.to_owned())
    } else {
        Err("must be lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
            .into())
    }
}

/// An empty one is as good as none: it may come from a variable that is set to nothing.
fn namespace(text: &str) -> Result<String, String> {
    if text.is_empty() || name::is_dns_label(text) {
        Ok(text.to_owned())
    } else {
        Err("must be at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit".into())
    }
}

/// Runs the command until a signal, or until something fails.
///
/// # Errors
/// Where the process could not start, or had to end by itself.
pub fn run(args: RunArgs) -> anyhow::Result<()> {
    runtime::install_crypto_provider();
    let tokio = Builder::new_multi_thread().enable_all().build().context("could not start the runtime")?;
    let telemetry = telemetry::init(args.log.log_format, args.log.log_level.clone(), tokio.handle())?;
    let ended = tokio.block_on(operate(&args, telemetry.log_level()));
    telemetry.flush();
    // What is left was told to end, and had its time.
    tokio.shutdown_background();
    ended
}

async fn operate(args: &RunArgs, level: LogLevel) -> anyhow::Result<()> {
    // First, so that a signal during the start is not lost.
    let signals = shutdown::signals().context("could not install the signal handlers")?;
    let mut runtime = Runtime::start(args.settings()?, level).await?;
    let own = operator::attach(&mut runtime, args).await?;
    let ended = runtime.run(signals).await;
    operator::detach(own).await;
    Ok(ended?)
}

#[cfg(test)]
mod tests;
