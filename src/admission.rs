//! The webhook's server, its certificate, and the configurations that point to it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use mcp_certs::{CertResolver, Config, Policy, RotationState, Rotator, Served};
use mcp_crds::catalog::Catalog;
use mcp_webhook::{Admission, Limits, Metrics};
use parking_lot::RwLock;
use rustls::pki_types::ServerName;
use tokio::sync::watch;

use crate::cli::run::{CertificateMode, RunArgs};
use crate::metrics::Certificate;
use crate::readiness::Gate;
use crate::runtime::{self, Runtime};
use crate::webhook_configuration::{Address, Own};

/// How long to wait before the API server is asked again to take the configurations.
const RETRY: Duration = Duration::from_secs(2);

/// Adds what admission needs to the runtime. Returns the webhook configurations that are to be removed at the end.
pub(crate) async fn attach(
    runtime: &mut Runtime,
    args: &RunArgs,
    catalog: Arc<RwLock<Catalog>>,
) -> anyhow::Result<Option<Own>> {
    let resolver = CertResolver::new();
    let tls = mcp_certs::server_config(Arc::clone(&resolver)).context("TLS could not be set up")?;
    let config = certificate(args)?;

    let (follower, served) = mcp_certs::follow(runtime.client(), &config.namespace, &config.secret, resolver);
    runtime.spawn_watch("certificate", follower.run());
    let gate = runtime.readiness.gate("certificate");
    runtime.spawn_watch("certificate-gate", open_when(gate, served.clone(), loaded));
    measure(runtime, served);

    let mut rotating = None;
    if args.certificate.cert_mode == CertificateMode::SelfSigned {
        let writer = runtime.leadership().leading();
        let (rotator, rotation) = Rotator::new(runtime.client(), config, writer)?;
        let gate = runtime.readiness.gate("webhook-configurations");
        let watching = open_when(gate, rotation.clone(), trusted);
        rotating = Some(rotation);
        // Both stop before the lease does, which is how they know who leads.
        let (ends, stops) = (runtime.drain(), runtime.drain());
        runtime.spawn_server("certificate-rotation", async move {
            tokio::select! {
                biased;
                () = ends.begun() => Ok(()),
                ended = rotator.run() => ended.map(|never| match never {}),
            }
        });
        runtime.spawn_server("webhook-configurations-gate", async move {
            tokio::select! {
                biased;
                () = stops.begun() => Ok(()),
                ended = watching => ended.map(|never| match never {}),
            }
        });
    }

    let own = own_configurations(runtime, args, rotating);
    let metrics = Metrics::default();
    metrics.register(runtime.metrics.registry());
    let router = mcp_webhook::router(Admission::new(catalog, metrics, Arc::new(Instant::now)));
    let address = SocketAddr::new(args.webhook.webhook_address, args.webhook.webhook_port);
    let listener = runtime::listen(address).await?;
    let drain = runtime.drain();
    let serve =
        mcp_webhook::serve(listener, tls, router, Limits::default(), async move { drain.closing().await });
    runtime.spawn_server("webhook", serve);
    Ok(own)
}

fn certificate(args: &RunArgs) -> anyhow::Result<Config> {
    let namespace = args.namespace();
    let mut names = match &args.webhook.webhook_url {
        Some(url) => vec![host_of(url)?],
        None => mcp_certs::service_names(&args.webhook.webhook_service, &namespace).with_context(|| {
            format!("{} in {namespace} is no name of a Service", args.webhook.webhook_service)
        })?,
    };
    for name in &args.certificate.cert_names {
        names.push(
            ServerName::try_from(name.clone())
                .with_context(|| format!("{name} is no DNS name and no IP address"))?,
        );
    }
    let mut policy = Policy::new(names);
    policy.ca_lifetime = args.certificate.ca_lifetime;
    policy.leaf_lifetime = args.certificate.leaf_lifetime;
    policy.propagation = args.certificate.ca_propagation_wait;
    Ok(Config {
        namespace,
        secret: args.certificate.cert_secret.clone(),
        validating: Some(args.webhook.validating_configuration.clone()),
        mutating: Some(args.webhook.mutating_configuration.clone()),
        policy,
    })
}

fn host_of(url: &str) -> anyhow::Result<ServerName<'static>> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::from(address)),
        Err(_) => ServerName::try_from(host).context("the URL's host is no DNS name"),
    }
}

/// Outside a cluster nobody has installed the operator: it makes its namespace and the webhook configurations itself.
fn own_configurations(
    runtime: &mut Runtime,
    args: &RunArgs,
    rotating: Option<watch::Receiver<RotationState>>,
) -> Option<Own> {
    let url = args.webhook.webhook_url.clone()?;
    let names = (&args.webhook.mutating_configuration, &args.webhook.validating_configuration);
    let own = Own::new(runtime.client(), names.0, names.1, &Address::Url(url));
    let gate = runtime.readiness.gate("registration");
    let registering = register(runtime.client(), args.namespace(), own.clone(), gate, rotating);
    runtime.spawn_watch("registration", registering);
    Some(own)
}

/// Makes the configurations, and makes them again where the certificate's rotation finds one missing.
async fn register(
    client: Client,
    namespace: String,
    own: Own,
    gate: Gate,
    mut rotating: Option<watch::Receiver<RotationState>>,
) -> Result<Infallible, Infallible> {
    loop {
        while let Err(error) = try_register(&client, &namespace, &own).await {
            tracing::warn!(error = said(&error), "could not register the webhooks, trying again");
            gate.close(said(&error));
            tokio::time::sleep(RETRY).await;
        }
        gate.open();
        let lost = async {
            let missing = |state: &RotationState| !state.missing.is_empty();
            match &mut rotating {
                Some(rotation) => {
                    rotation.mark_unchanged();
                    while rotation.changed().await.is_ok() && !missing(&rotation.borrow()) {}
                    missing(&rotation.borrow())
                }
                None => false,
            }
        };
        if !lost.await {
            // Nobody looks any more: the process ends.
            std::future::pending::<()>().await;
        }
    }
}

/// What the API server says, and not all of its `Status`.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

async fn try_register(client: &Client, namespace: &str, own: &Own) -> Result<(), kube::Error> {
    let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    match Api::all(client.clone()).create(&PostParams::default(), &namespace).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        other => drop(other?),
    }
    own.register().await
}

/// Keeps a gate as a state says, for as long as the process runs.
async fn open_when<T: Clone>(
    gate: Gate,
    mut state: watch::Receiver<T>,
    closed_because: impl Fn(&T) -> Option<String>,
) -> Result<Infallible, watch::error::RecvError> {
    loop {
        match closed_because(&state.borrow_and_update()) {
            None => gate.open(),
            Some(reason) => gate.close(reason),
        }
        state.changed().await?;
    }
}

fn loaded(served: &Served) -> Option<String> {
    let why = || served.problem.clone().unwrap_or_else(|| "the Secret is not there yet".to_owned());
    (!served.is_loaded()).then(why)
}

fn trusted(rotation: &RotationState) -> Option<String> {
    if rotation.trusted {
        return None;
    }
    Some(match (&rotation.missing, &rotation.problem) {
        (missing, _) if !missing.is_empty() => format!("{} missing", missing.join(", ")),
        (_, Some(problem)) => problem.clone(),
        (_, None) => "they do not trust the certificate yet".to_owned(),
    })
}

fn measure(runtime: &mut Runtime, served: watch::Receiver<Served>) {
    let not_after = move |certificate| {
        let served = served.borrow();
        let time = match certificate {
            Certificate::Leaf => served.not_after,
            Certificate::Ca => served.ca_bundle.newest().map(mcp_certs::Certificate::not_after),
        };
        time.map(|time| time.as_second())
    };
    runtime.metrics.watch_certificates(not_after, || jiff::Timestamp::now().as_second());
}
