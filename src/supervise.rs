//! Every task of the process, by name, with one owner.
//!
//! The process is only worth keeping while all of its tasks live: a watch that ended leaves a catalog that grows old, a
//! lease task that panicked a leader that does not know. So the first task that ends when it was not asked to, in
//! whatever way, ends the process with an error that names it. That too goes through a [`Drain`], so requests that were
//! accepted are answered.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::pin::pin;

use futures::{Stream, StreamExt};
use mcp_process::shutdown::{Drain, Signal, Timing};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};

use crate::panic_message;

/// What a task ends with if it fails.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// Why the process ended, where nobody asked it to or it did not end in good order.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A task ended though nothing had asked it to.
    #[error("task {task} ended unexpectedly")]
    Ended {
        /// Its name.
        task: &'static str,
    },
    /// A task failed.
    #[error("task {task} failed")]
    Failed {
        /// Its name.
        task: &'static str,
        /// What it failed with.
        source: TaskError,
    },
    /// A task panicked.
    #[error("task {task} panicked: {message}")]
    Panicked {
        /// Its name.
        task: &'static str,
        /// What the panic said.
        message: String,
    },
    /// Some tasks took too long to end and were aborted.
    #[error("still running at the shutdown deadline: {}", tasks.join(", "))]
    Deadline {
        /// Their names.
        tasks: Vec<&'static str>,
    },
    /// A second signal cut the ending short.
    #[error("ended at once by a second signal, {0}")]
    Interrupted(Signal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Ends by itself when the process drains, and is waited for.
    Drains,
    /// Is needed by the others to the last, and aborted when they have ended.
    Outlives,
}

/// The owner of the process's tasks.
#[derive(Debug)]
pub struct Supervisor {
    drain: Drain,
    tasks: JoinSet<Result<(), TaskError>>,
    names: HashMap<Id, (&'static str, Ending)>,
}

impl Supervisor {
    /// No tasks yet. What is spawned here learns from `drain` when to end.
    #[must_use]
    pub fn new(drain: Drain) -> Self {
        Self { drain, tasks: JoinSet::new(), names: HashMap::new() }
    }

    /// Starts a task that ends by itself once the process drains: a server, a writer.
    pub fn spawn<E: Into<TaskError>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(name, Ending::Drains, task);
    }

    /// Starts a task that the others depend on while they end, and that need not end in good order itself: a watch, the
    /// server of metrics.
    pub fn spawn_outliving<E: Into<TaskError>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.start(name, Ending::Outlives, task);
    }

    fn start<E: Into<TaskError>>(
        &mut self,
        name: &'static str,
        ending: Ending,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(async move { task.await.map_err(Into::into) });
        self.names.insert(task.id(), (name, ending));
    }

    /// Runs until a signal or the end of a task, then drains as `timing` says.
    ///
    /// Dropping the future aborts all tasks.
    ///
    /// # Errors
    /// The first [`Failure`], also where it is one of the ending itself.
    pub async fn run(mut self, signals: impl Stream<Item = Signal>, timing: Timing) -> Result<(), Failure> {
        let mut signals = pin!(signals.fuse());
        let mut failure = tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            Some(signal) = signals.next() => {
                info!(%signal, "ending");
                None
            }
            () = self.drain.begun() => None,
        };
        if let Some(failure) = &failure {
            error!(error = failure as &dyn Error, "ending");
        }

        self.drain.begin();
        let begun = Instant::now();
        let mut delay = pin!(sleep_until(begun + timing.delay));
        let mut deadline = pin!(sleep_until(begun + timing.deadline));
        let mut closing = false;
        while self.draining().next().is_some() {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => {
                    let later = self.ended(ended);
                    if let Some(later) = later {
                        error!(error = &later as &dyn Error, "while ending");
                        failure.get_or_insert(later);
                    }
                }
                Some(signal) = signals.next() => {
                    return Err(failure.unwrap_or(Failure::Interrupted(signal)));
                }
                () = &mut deadline => {
                    let mut tasks: Vec<_> = self.draining().collect();
                    tasks.sort_unstable();
                    let late = Failure::Deadline { tasks };
                    error!(error = &late as &dyn Error, "aborting");
                    failure.get_or_insert(late);
                    break;
                }
                () = &mut delay, if !closing => {
                    closing = true;
                    self.drain.close();
                }
            }
        }
        self.tasks.shutdown().await;
        failure.map_or(Ok(()), Err)
    }

    /// The names of the tasks that are waited for.
    fn draining(&self) -> impl Iterator<Item = &'static str> {
        self.names.values().filter(|(_, ending)| *ending == Ending::Drains).map(|(name, _)| *name)
    }

    /// What the end of a task means.
    fn ended(&mut self, ended: Result<(Id, Result<(), TaskError>), JoinError>) -> Option<Failure> {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let (task, ending) = self.names.remove(&id)?;
        match result {
            Ok(Ok(())) if self.drain.is_begun() && ending == Ending::Drains => {
                info!(task, "ended");
                None
            }
            Ok(Ok(())) => Some(Failure::Ended { task }),
            Ok(Err(source)) => Some(Failure::Failed { task, source }),
            Err(error) => {
                let message = error.try_into_panic().map_or_else(|error| error.to_string(), panic_message);
                Some(Failure::Panicked { task, message })
            }
        }
    }
}

#[cfg(test)]
mod tests;
