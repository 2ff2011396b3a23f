//! The operator's parts, put together: watches feed the catalog, the catalog feeds the queue, and whoever leads drains it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mcp_crds::catalog::{Catalog, ObjectKey};
use mcp_crds::kind::Kind;
use parking_lot::RwLock;
use tokio::time::timeout;
use tracing::{Span, error, info_span, warn};

use crate::admission;
use crate::children::{self, ChildKind, Children};
use crate::cli::run::RunArgs;
use crate::index::Index;
use crate::lists::Lists;
use crate::metrics::{Outcome as Ended, Reconciles};
use crate::pods::{self, Pods};
use crate::probe::{self, Mcp, Probes};
use crate::queue::{self, Outcome, WorkQueue};
use crate::reconcile::{self, Context, Error, Retry, Written};
use crate::recorder::{self, Recorder};
use crate::redis::removal::{self, Removals, Remover, Services};
use crate::redis::{self, Capabilities, Redis};
use crate::runtime::Runtime;
use crate::webhook_configuration::Own;

/// How long removing our own webhook configurations may take at the end.
const REMOVAL: Duration = Duration::from_secs(5);

/// What a watch of a kind is called where readiness names it.
const fn gate_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => "watch-mcpservers",
        Kind::Tool => "watch-mcptools",
        Kind::Prompt => "watch-mcpprompts",
        Kind::Resource => "watch-mcpresources",
    }
}

/// Adds every part of the operator to the runtime.
pub(crate) async fn attach(runtime: &mut Runtime, args: &RunArgs) -> anyhow::Result<Option<Own>> {
    let queue: WorkQueue<ObjectKey> = WorkQueue::closed();
    runtime.metrics.watch_queue(queue.clone());
    let lists = Lists::new();
    let catalog = watch_catalog(runtime, &queue, &lists);
    let children = watch_children(runtime, &queue, &lists);
    let pods = watch_pods(runtime, &queue, &lists);
    let own = admission::attach(runtime, args, Arc::clone(&catalog)).await?;
    reconcile_when_leading(runtime, args, queue, lists, catalog, children, pods);
    Ok(own)
}

/// Begins to look after every object. What changes while this runs is among the keys, or is added by a watch.
fn take_over(queue: &WorkQueue<ObjectKey>, catalog: &RwLock<Catalog>) {
    queue.open();
    let catalog = catalog.read();
    Kind::ALL.into_iter().flat_map(|kind| catalog.keys(kind)).cloned().for_each(|key| queue.add(key));
}

/// Removes the webhook configurations that the operator made for itself: without it they would refuse every object.
pub(crate) async fn detach(own: Option<Own>) {
    let Some(own) = own else { return };
    match timeout(REMOVAL, own.remove()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error!(%error, "could not remove the webhook configurations"),
        Err(_) => error!("could not remove the webhook configurations in time"),
    }
}

fn watch_catalog(runtime: &mut Runtime, queue: &WorkQueue<ObjectKey>, lists: &Lists) -> Arc<RwLock<Catalog>> {
    let affected = queue.clone();
    let index = Index::new(move |keys| keys.into_iter().for_each(|key| affected.add(key)));
    for kind in Kind::ALL {
        let (name, client) = (gate_of(kind), runtime.client());
        let listed = lists.add(&runtime.readiness, name);
        let watch = index.clone().watch_kind(client, kind, listed);
        runtime.spawn_watch(name, async { Ok::<_, std::convert::Infallible>(watch.await) });
    }
    let services =
        index.clone().watch_services(runtime.client(), lists.add(&runtime.readiness, "watch-services"));
    runtime.spawn_watch("watch-services", async { Ok::<_, std::convert::Infallible>(services.await) });
    let listed = lists.add(&runtime.readiness, "watch-tool-credentials");
    let credentials = index.clone().watch_credentials(runtime.client(), listed);
    runtime.spawn_watch("watch-tool-credentials", async {
        Ok::<_, std::convert::Infallible>(credentials.await)
    });
    let catalog = index.catalog();
    let (counted, settled) = (Arc::clone(&catalog), Arc::clone(&catalog));
    runtime.metrics.watch_catalog(move |kind| counted.read().count(kind));
    runtime.metrics.watch_conflicts(move |kind| settled.read().left_out(kind));
    catalog
}

fn watch_children(runtime: &mut Runtime, queue: &WorkQueue<ObjectKey>, lists: &Lists) -> Arc<Children> {
    let children: Arc<Children> = Arc::default();
    for kind in ChildKind::ALL {
        let listed = lists.add(&runtime.readiness, kind.gate());
        let queue = queue.clone();
        let watch = children::watch(runtime.client(), kind, Arc::clone(&children), listed, move |server| {
            queue.add(server);
        });
        runtime.spawn_watch(kind.gate(), async { Ok::<_, std::convert::Infallible>(watch.await) });
    }
    children
}

fn watch_pods(runtime: &mut Runtime, queue: &WorkQueue<ObjectKey>, lists: &Lists) -> Arc<Pods> {
    let pods: Arc<Pods> = Arc::default();
    let listed = lists.add(&runtime.readiness, "watch-pods");
    let queue = queue.clone();
    let watch = pods::watch(runtime.client(), Arc::clone(&pods), listed, move |server| queue.add(server));
    runtime.spawn_watch("watch-pods", async { Ok::<_, std::convert::Infallible>(watch.await) });
    pods
}

fn reconcile_when_leading(
    runtime: &mut Runtime,
    args: &RunArgs,
    queue: WorkQueue<ObjectKey>,
    lists: Lists,
    catalog: Arc<RwLock<Catalog>>,
    children: Arc<Children>,
    pods: Arc<Pods>,
) {
    let probes = probe_when_leading(runtime, &queue);
    let redis = ask_for_redis_when_leading(runtime, &queue, &pods);
    let services = if args.is_outside_a_cluster() { Services::Here } else { Services::InCluster };
    let removals = remove_keys_when_leading(runtime, &queue, services);
    let args = &args.reconcile;
    let (concurrency, gateway_image) = (args.concurrency, Arc::from(args.gateway_image.as_str()));
    let (client, drain, passes) = (runtime.client(), runtime.drain(), runtime.metrics.reconciles());
    let recorder = record_events(runtime);
    runtime.spawn_writer("reconcile", move |leadership| async move {
        let may_write: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(move || leadership.is_held());
        let context = Context {
            client: client.clone(),
            catalog,
            children,
            probes,
            pods: Arc::clone(&pods),
            redis,
            removals,
            gateway_image,
            recorder,
            may_write,
            clock: Arc::new(Timestamp::now),
            written: Written::default(),
        };
        tokio::select! {
            () = lists.complete() => {}
            () = drain.begun() => return Ok::<_, std::convert::Infallible>(()),
        }
        take_over(&queue, &context.catalog);
        // What Events say of pods only whoever writes wants to know.
        let complaints = {
            let queue = queue.clone();
            pods::watch_events(client, pods, move |server| queue.add(server))
        };
        let reconciler = Arc::new(Reconciler { context, passes });
        let work = queue::run(queue, concurrency, reconciler, drain.begun());
        tokio::select! {
            () = work => Ok(()),
            never = complaints => match never {},
        }
    });
}

/// Writes what passes tell. This is no writer of the Lease's: an Event says what was done while this replica led, and whoever
/// leads next need not wait for it to be said.
fn record_events(runtime: &mut Runtime) -> Recorder {
    let (recorder, occurrences) = recorder::recorder();
    let events = recorder::Writer {
        client: runtime.client(),
        instance: runtime.leadership().identity().to_owned(),
        clock: Arc::new(Timestamp::now),
    };
    let drain = runtime.drain();
    // It ends when the passes have, as they hold the recorder.
    runtime.spawn_server("events", async move {
        events.run(occurrences, drain.begun()).await;
        Ok::<_, std::convert::Infallible>(())
    });
    recorder
}

/// Asks servers by their schedules, and calls for a pass over each that has answered.
fn probe_when_leading(runtime: &mut Runtime, queue: &WorkQueue<ObjectKey>) -> Arc<Probes> {
    let probes: Arc<Probes> = Arc::default();
    let (told, queue, drain) = (Arc::clone(&probes), queue.clone(), runtime.drain());
    runtime.spawn_writer("probe", move |_| async move {
        let answered = |server| queue.add(server);
        probe::run(
            told,
            Arc::new(Mcp { name: "mcp-operator" }),
            Arc::new(Timestamp::now),
            answered,
            drain.begun(),
        )
        .await;
        Ok::<_, std::convert::Infallible>(())
    });
    probes
}

/// Asks gateways whether their Redis answers, and calls for a pass over each for which that has changed.
fn ask_for_redis_when_leading(
    runtime: &mut Runtime,
    queue: &WorkQueue<ObjectKey>,
    pods: &Arc<Pods>,
) -> Arc<Redis> {
    let redis: Arc<Redis> = Arc::default();
    let (told, queue, pods, drain) = (Arc::clone(&redis), queue.clone(), Arc::clone(pods), runtime.drain());
    runtime.spawn_writer("redis", move |_| async move {
        let addresses = |server: &ObjectKey| pods.addresses(server);
        let changed = |server| queue.add(server);
        redis::run(told, addresses, Capabilities::default(), changed, drain.begun()).await;
        Ok::<_, std::convert::Infallible>(())
    });
    redis
}

/// Removes what servers that are deleted have kept in Redis, and calls for a pass over each of which there is news.
fn remove_keys_when_leading(
    runtime: &mut Runtime,
    queue: &WorkQueue<ObjectKey>,
    services: Services,
) -> Arc<Removals> {
    let removals: Arc<Removals> = Arc::default();
    let (asked, queue, drain) = (Arc::clone(&removals), queue.clone(), runtime.drain());
    let remover = Arc::new(Remover { client: runtime.client(), services });
    runtime.spawn_writer("redis-keys", move |_| async move {
        removal::run(asked, remover, move |server| queue.add(server), drain.begun()).await;
        Ok::<_, std::convert::Infallible>(())
    });
    removals
}

/// Passes over objects, counted and logged.
struct Reconciler {
    context: Context,
    passes: Reconciles,
}

impl queue::Reconcile<ObjectKey> for Reconciler {
    async fn reconcile(&self, key: ObjectKey) -> Outcome {
        let started = Instant::now();
        let (ended, outcome) = match reconcile::reconcile(&key, &self.context).await {
            Ok(reconcile::Outcome::AwaitChange) => (Ended::Success, Outcome::AwaitChange),
            Ok(reconcile::Outcome::After(delay)) => (Ended::Waiting, Outcome::After(delay)),
            Err(error) => self.failed(&error),
        };
        self.passes.observe(key.id.kind, ended, started.elapsed());
        outcome
    }

    fn span(&self, key: &ObjectKey) -> Span {
        info_span!("reconcile", kind = %key.id.kind, namespace = %key.namespace, name = %key.id.name)
    }

    fn panicked(&self, key: &ObjectKey, took: Duration) {
        self.passes.observe(key.id.kind, Ended::Panic, took);
    }
}

impl Reconciler {
    fn failed(&self, error: &Error) -> (Ended, Outcome) {
        let ended = if matches!(error, Error::NotLeading) { Ended::NotLeading } else { Ended::Error };
        let source = std::error::Error::source(error).map(tracing::field::display);
        warn!(%error, source, category = error.category(), "pass failed");
        let outcome = match error.retry() {
            Retry::AwaitChange => Outcome::AwaitChange,
            Retry::Backoff => Outcome::Backoff,
        };
        (ended, outcome)
    }
}
