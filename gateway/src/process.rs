//! The process: its servers, its source, and their common end. Every task is owned here; the first to end that was not
//! asked to ends the process.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use kube::Client;
use mcp_process::shutdown::{Drain, Timing, signals};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tower::ServiceExt as _;
use tracing::{error, info, warn};

use crate::catalog::live::Live;
use crate::credentials::Credentials;
use crate::gateway::{Bounds, Gateway};
use crate::redis::Redis;
use crate::source::cluster::Source;
use crate::source::manifests::{self, Loaded, Manifests};
use crate::source::secrets;
use crate::upstream::{Directory, Upstream};
use crate::{admin, router, server};

/// How often sessions and idle connections are looked through for those whose time is over.
const SWEEP: Duration = Duration::from_secs(5);

/// How long the start waits for Redis.
const REDIS: Duration = Duration::from_secs(1);

/// How many connections the server for metrics takes.
const ADMIN_CONNECTIONS: usize = 64;

/// Where the process serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listening {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) admin_port: u16,
}

/// The process.
pub(crate) struct Process {
    gateway: Arc<Gateway>,
    listener: TcpListener,
    admin: TcpListener,
    timing: Timing,
}

/// What a task ended with, where that was not what it is for.
type Ended = anyhow::Result<()>;

impl Process {
    /// Listens, and serves nothing yet.
    pub(crate) async fn new(
        listening: Listening,
        redis: Option<Redis>,
        bounds: Bounds,
        timing: Timing,
        traces: bool,
    ) -> anyhow::Result<Self> {
        let bind = async |port| {
            let address = SocketAddr::new(listening.address, port);
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
        };
        let upstream = Upstream::new();
        let (live, redis) = (Live::new(), redis.map(Arc::new));
        let gateway = Gateway::new(live, Credentials::default(), upstream, redis, bounds, Drain::default());
        let gateway = Gateway { traces, ..gateway };
        Ok(Self {
            gateway: Arc::new(gateway),
            listener: bind(listening.port).await?,
            admin: bind(listening.admin_port).await?,
            timing,
        })
    }

    /// Serves what files hold, until a signal.
    pub(crate) async fn run_manifests(
        self,
        manifests: Manifests,
        loaded: Loaded,
        directory: Directory,
    ) -> anyhow::Result<()> {
        manifests::serve(&self.gateway, loaded, &directory).await;
        let Some(catalog) = self.gateway.live.get() else { bail!("the objects cannot be served") };
        let (url, admin) = (self.listener.local_addr()?, self.admin.local_addr()?);
        info!(
            url = format!("http://{url}{}", catalog.server.path),
            admin = format!("http://{admin}"),
            "serving"
        );
        let gateway = Arc::clone(&self.gateway);
        let source = async move { never(manifests.follow(gateway, directory).await) };
        self.run(source).await
    }

    /// Serves what the operator writes, until a signal.
    pub(crate) async fn run_cluster(self, source: Source, directory: Directory) -> anyhow::Result<()> {
        let client = Client::try_default().await.context("cannot find the API server")?;
        source.begin(&self.gateway, &directory).await;
        let (url, admin) = (self.listener.local_addr()?, self.admin.local_addr()?);
        info!(address = %url, admin = %admin, server = source.server, namespace = source.namespace, "serving");
        let (namespace, secrets_of) = (source.namespace.clone(), Arc::clone(&self.gateway));
        let (gateway, secrets) =
            (Arc::clone(&self.gateway), secrets::follow(client.clone(), namespace, secrets_of));
        let follow = async move {
            tokio::select! {
                ended = source.follow(client, gateway, directory) => never(ended),
                ended = secrets => never(ended),
            }
        };
        self.run(follow).await
    }

    async fn run(self, source: impl Future<Output = Ended> + Send + 'static) -> anyhow::Result<()> {
        let Self { gateway, listener, admin, timing } = self;
        let mut signals = signals()?;
        let drain = gateway.drain.clone();
        // What is needed to the last.
        let mut others = JoinSet::new();
        if let Some(redis) = gateway.redis.clone() {
            let follow = Arc::clone(&redis).follow(Arc::clone(&gateway));
            others.spawn(async move { never(follow.await) });
            // Sessions of before are known from the first request on; without Redis it is started all the same.
            if timeout(REDIS, redis.up()).await.is_err() {
                warn!("redis does not answer yet");
            }
        }
        let mut servers = JoinSet::new();
        let slots = Arc::clone(&gateway.connections);
        let (served, bounds, closing) = (Arc::clone(&gateway), gateway.bounds, drain.clone());
        let answer = move |local, request| router::answer(Arc::clone(&served), local, request);
        servers.spawn(async move { server::serve(listener, answer, bounds, slots, closing.closing()).await });
        let router = admin::router(Arc::clone(&gateway));
        let of_admin = move |_, request| {
            let answered = router.clone().oneshot(request);
            async move { answered.await.unwrap_or_else(|never| match never {}) }
        };
        let (bounds, slots) = (gateway.bounds, Arc::new(Semaphore::new(ADMIN_CONNECTIONS)));
        others.spawn(async move {
            match server::serve(admin, of_admin, bounds, slots, std::future::pending()).await {
                Ok(()) => bail!("the server of metrics ended"),
                Err(never) => match never {},
            }
        });
        others.spawn(sweep(Arc::clone(&gateway)));
        others.spawn(source);

        let ended = tokio::select! {
            Some(_) = signals.next() => Ok(()),
            ended = servers.join_next() => Err(anyhow::anyhow!("the server ended: {ended:?}")),
            ended = others.join_next() => match ended {
                Some(Ok(ended)) => ended,
                other => Err(anyhow::anyhow!("a task ended: {other:?}")),
            },
        };
        if let Err(error) = &ended {
            error!(error = format!("{error:#}"), "ending");
        } else {
            info!("ending");
        }
        drain.begin();
        let finish = async {
            tokio::time::sleep(timing.delay).await;
            drain.close();
            while servers.join_next().await.is_some() {}
            gateway.tasks.close();
            gateway.tasks.wait().await;
        };
        tokio::select! {
            finished = timeout(timing.deadline, finish) => {
                if finished.is_err() {
                    error!("what had begun did not end in time, and is dropped");
                }
            }
            Some(signal) = signals.next() => error!(%signal, "ended at once by a second signal"),
        }
        others.shutdown().await;
        ended
    }
}

fn never(never: Infallible) -> Ended {
    match never {}
}

/// Ends sessions whose time is over, and closes idle connections, for ever.
async fn sweep(gateway: Arc<Gateway>) -> Ended {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = ticks.tick().await;
        gateway.sessions.sweep(now);
        for backend in gateway.live.get().iter().flat_map(|catalog| catalog.backends()) {
            backend.sweep(now);
        }
    }
}
