//! The process: what every part of the operator needs, and what keeps the parts together.
//!
//! A [`Runtime`] is put together in one place: each part takes what it needs (the client, a readiness gate, the
//! registry of metrics, leadership, the drain) and leaves its tasks with the supervisor. Then [`Runtime::run`] runs
//! them until the process ends.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::{Client, Config};
use mcp_process::shutdown::{Drain, Signal, Timing};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::info;

use crate::admin::{self, Admin, Bounds};
use crate::lease::{self, Candidate, Leadership};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::supervise::{Failure, Supervisor, TaskError};
use crate::telemetry::LogLevel;

/// How long a connection to the API server may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the API server may stay silent. Beyond the 290 s after which it ends a watch by itself, so that only a connection
/// that is dead is given up. Whoever holds something while it waits has a shorter bound of its own: passes, Events, the Lease.
const READ_TIMEOUT: Duration = Duration::from_secs(310);
/// How long it may take to send a request.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the process as such needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where health and metrics are served.
    pub admin: SocketAddr,
    /// The Lease by which replicas agree on who writes.
    pub lease: lease::Settings,
    /// How the process ends.
    pub timing: Timing,
}

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Neither a kubeconfig nor a service account says where the API server is. Not a source of this error: its text
    /// already holds those of its own.
    #[error("no API server is configured: {0}")]
    Unconfigured(kube::config::InferConfigError),
    /// What is configured cannot be used.
    #[error("no client for the API server could be made")]
    Client(#[source] Box<kube::Error>),
    /// The port is taken, or not ours to take.
    #[error("could not listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Makes aws-lc the one implementation of cryptography in this process, before anything asks for one.
pub fn install_crypto_provider() {
    // An error only says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A client for the API server that the environment names: a kubeconfig's, or the one of the pod's service account.
///
/// It is not spoken to yet: one that is away does not keep the process from starting.
///
/// # Errors
/// [`StartError::Unconfigured`] and [`StartError::Client`].
pub async fn client() -> Result<Client, StartError> {
    let mut config = Config::infer().await.map_err(StartError::Unconfigured)?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    config.write_timeout = Some(WRITE_TIMEOUT);
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(concat!("mcp-operator/", env!("CARGO_PKG_VERSION")))));
    info!(url = %config.cluster_url, "API server");
    Client::try_from(config).map_err(|error| StartError::Client(Box::new(error)))
}

/// The parts that every other part is built on.
pub struct Runtime {
    /// How many objects and seconds; parts register their own families.
    pub metrics: Metrics,
    /// What `/readyz` waits for; parts add their gates before [`Runtime::run`].
    pub readiness: Readiness,
    drain: Drain,
    client: Client,
    supervisor: Supervisor,
    leadership: Leadership,
    candidate: Candidate,
    writers: Writers,
    admin: TcpListener,
    log_level: LogLevel,
    timing: Timing,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("supervisor", &self.supervisor).finish_non_exhaustive()
    }
}

/// Nothing is ever sent: that all senders are gone is the message.
type Never = std::convert::Infallible;

/// By which the lease task learns that the last writer has stopped.
#[derive(Debug)]
struct Writers {
    working: mpsc::Sender<Never>,
    stopped: mpsc::Receiver<Never>,
}

impl Runtime {
    /// Takes the admin port and makes a client. Nothing runs yet.
    ///
    /// # Errors
    /// [`StartError`], always something that a person has to mend.
    pub async fn start(settings: Settings, log_level: LogLevel) -> Result<Self, StartError> {
        let client = client().await?;
        Self::with_client(settings, log_level, client).await
    }

    /// As [`Runtime::start`], with a client that is there already.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub async fn with_client(
        settings: Settings,
        log_level: LogLevel,
        client: Client,
    ) -> Result<Self, StartError> {
        let admin = listen(settings.admin).await?;
        let drain = Drain::new();
        let (candidate, leadership) = lease::candidate(client.clone(), settings.lease);
        let mut metrics = Metrics::new();
        metrics.watch_leadership(leadership.clone());
        let (working, stopped) = mpsc::channel(1);
        Ok(Self {
            metrics,
            readiness: Readiness::new(),
            supervisor: Supervisor::new(drain.clone()),
            drain,
            client,
            leadership,
            candidate,
            writers: Writers { working, stopped },
            admin,
            log_level,
            timing: settings.timing,
        })
    }

    /// The client that all parts share.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What tells servers to end.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// What a writer asks before each write.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Where the admin port is.
    ///
    /// # Errors
    /// Where the socket does not say.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Adds a server: it ends by itself when the [`Drain`] is closing, and is waited for.
    pub fn spawn_server<E: Into<TaskError>>(
        &mut self,
        name: &'static str,
        server: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.supervisor.spawn(name, server);
    }

    /// Adds what servers need to the last, such as a watch: it never ends by itself.
    pub fn spawn_watch<E: Into<TaskError>>(
        &mut self,
        name: &'static str,
        watch: impl Future<Output = Result<Never, E>> + Send + 'static,
    ) {
        self.supervisor.spawn_outliving(name, async move { watch.await.map(|never| match never {}) });
    }

    /// Adds a writer. It is begun once this replica leads, so never on one that doesn't, and ends by itself when the
    /// [`Drain`] has begun; the Lease is kept until then.
    pub fn spawn_writer<E, W>(
        &mut self,
        name: &'static str,
        writer: impl FnOnce(Leadership) -> W + Send + 'static,
    ) where
        E: Into<TaskError>,
        W: Future<Output = Result<(), E>> + Send,
    {
        let mut leadership = self.leadership.clone();
        let drain = self.drain.clone();
        let working = self.writers.working.clone();
        self.supervisor.spawn(name, async move {
            let _working = working;
            let leads = tokio::select! {
                biased;
                () = drain.begun() => false,
                leads = leadership.acquired() => leads.is_ok(),
            };
            if leads {
                return writer(leadership).await.map_err(Into::into);
            }
            // Where it never leads, the lease task has ended, which ends the process and has an error to show.
            drain.begun().await;
            Ok(())
        });
    }

    /// Runs all parts until a signal, or until one of them ends.
    ///
    /// # Errors
    /// What ended the process, if nobody asked it to end, or kept it from ending in good order.
    pub async fn run(mut self, signals: impl Stream<Item = Signal>) -> Result<(), Failure> {
        let admin = Admin {
            scrape: Arc::new(self.metrics.into_scrape()),
            readiness: self.readiness,
            drain: self.drain.clone(),
            log_level: Some(self.log_level),
        };
        let router = admin::router(admin);
        // Health and metrics are there to the last, and nobody minds a scrape that is cut off.
        let serve = admin::serve(self.admin, router, Bounds::default(), std::future::pending());
        self.supervisor.spawn_outliving("admin", serve);

        let Writers { working, mut stopped } = self.writers;
        drop(working);
        let drain = self.drain.clone();
        let stopping = async move { drain.begun().await };
        let drain = self.drain;
        let writers_stopped = async move {
            drain.begun().await;
            // Ends when the last sender is gone.
            let _ = stopped.recv().await;
        };
        self.supervisor.spawn("lease", self.candidate.run(stopping, writers_stopped));
        self.supervisor.run(signals, self.timing).await
    }
}

/// Takes a port, for a server that is started later.
///
/// # Errors
/// [`StartError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

#[cfg(test)]
mod tests;
