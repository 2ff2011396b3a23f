//! Draining the queue: many passes side by side, each owned by the runner.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, Span, error};

use super::{Key, Outcome, WorkQueue};
use crate::panic_message;

/// What the runner does with a key.
pub trait Reconcile<K>: Send + Sync + 'static {
    /// One pass over what the key names. Errors are its own to log and to count; the queue only wants to know when the
    /// key is due again.
    fn reconcile(&self, key: K) -> impl Future<Output = Outcome> + Send;

    /// The span that the pass over `key` runs in.
    fn span(&self, key: &K) -> Span;

    /// The pass over `key` panicked after `took`. It is logged by the runner and backed off like an error.
    fn panicked(&self, key: &K, took: Duration);
}

/// Runs a pass for every key that is due, up to `concurrency` at a time, until `stopping`; then the passes that run
/// are finished and no other is begun.
///
/// Dropping the future aborts what runs.
pub async fn run<K: Key>(
    queue: WorkQueue<K>,
    concurrency: NonZeroUsize,
    reconcile: Arc<impl Reconcile<K>>,
    stopping: impl Future<Output = ()>,
) {
    let mut passes = Passes { queue, reconcile, tasks: JoinSet::new(), running: HashMap::new() };
    let mut stopping = std::pin::pin!(stopping);
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            Some(ended) = passes.tasks.join_next_with_id() => passes.end(ended),
            key = passes.queue.next(), if passes.tasks.len() < concurrency.get() => passes.begin(key),
        }
    }
    while let Some(ended) = passes.tasks.join_next_with_id().await {
        passes.end(ended);
    }
}

struct Passes<K, R> {
    queue: WorkQueue<K>,
    reconcile: Arc<R>,
    tasks: JoinSet<Outcome>,
    running: HashMap<Id, (K, Instant)>,
}

impl<K: Key, R: Reconcile<K>> Passes<K, R> {
    fn begin(&mut self, key: K) {
        let span = self.reconcile.span(&key);
        let pass = {
            let (reconcile, key) = (Arc::clone(&self.reconcile), key.clone());
            async move { reconcile.reconcile(key).await }
        };
        let task = self.tasks.spawn(pass.instrument(span));
        self.running.insert(task.id(), (key, Instant::now()));
    }

    fn end(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((key, begun)) = self.running.remove(&id) else { return };
        let outcome = outcome.unwrap_or_else(|panicked| {
            let message = panicked.try_into_panic().map_or_else(|error| error.to_string(), panic_message);
            error!(?key, panic = message, "a pass panicked");
            self.reconcile.panicked(&key, begun.elapsed());
            Outcome::Backoff
        });
        self.queue.done(&key, outcome);
    }
}

#[cfg(test)]
mod tests;
