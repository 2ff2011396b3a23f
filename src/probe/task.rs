//! The task that asks servers when their time has come.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use mcp_crds::catalog::ObjectKey;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument as _, debug, error, info_span};

use super::probes::{Due, Probes};
use super::{Failure, Found, Mcp, Target};
use crate::panic_message;

/// How long asking a server may take in all.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many servers are asked at a time.
const ASKED: usize = 32;
/// How many of those that took long the last time, beside the others: they wait for each other alone.
const SLOW: usize = 16;
/// How often a server is tried again that cannot be reached, and after which time: where pods have just become ready, nodes
/// take a moment to send connections there.
const TRIES_AGAIN: (u32, Duration) = (3, Duration::from_secs(1));

/// Who asks.
pub trait Ask: Send + Sync + 'static {
    /// Asks a server. It need not bound its time; dropping the future must end all that it does.
    fn ask(&self, target: &Target) -> impl Future<Output = Result<Found, Failure>> + Send;
}

impl Ask for Mcp {
    async fn ask(&self, target: &Target) -> Result<Found, Failure> {
        Self::ask(self, target).await
    }
}

/// Asks servers when their time has come, until `ending`. `answered` is called with each that has answered, or has not, after
/// [`Probes::last`] knows it.
///
/// Dropping the future ends what is under way.
pub async fn run(
    probes: Arc<Probes>,
    ask: Arc<impl Ask>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    answered: impl Fn(ObjectKey),
    ending: impl Future<Output = ()>,
) {
    let mut ending = pin!(ending);
    let lanes = Lanes::default();
    let mut asking: JoinSet<(Due, Result<Found, Failure>)> = JoinSet::new();
    loop {
        let now = clock();
        for due in probes.take_due(now) {
            let (ask, lane) = (Arc::clone(&ask), lanes.of(&due));
            let span = info_span!("probe", namespace = %due.key.namespace, name = %due.key.id.name);
            asking.spawn(
                async move {
                    // Never closed.
                    let _place = lane.acquire().await;
                    let asked = AssertUnwindSafe(patiently(&*ask, &due.target)).catch_unwind().await;
                    let answer = asked.unwrap_or_else(|panic| {
                        error!(panic = panic_message(panic), "a probe panicked");
                        Err(Failure::Unreachable("what it answered could not be read".to_owned()))
                    });
                    (due, answer)
                }
                .instrument(span),
            );
        }
        tokio::select! {
            biased;
            () = &mut ending => return,
            // It is never aborted, and its panics are caught.
            Some(Ok((due, answer))) = asking.join_next() => {
                debug!(server = ?due.key, ?answer, "probed");
                if probes.answered(&due, clock(), answer) {
                    answered(due.key);
                }
            }
            () = probes.changed() => {}
            () = sleep(probes.sleep(now)) => {}
        }
    }
}

/// Asks a server, again where it cannot be reached, and gives up in the end.
async fn patiently(ask: &impl Ask, target: &Target) -> Result<Found, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let (mut again, pause) = TRIES_AGAIN;
    let mut unreachable = None;
    loop {
        match timeout_at(deadline, ask.ask(target)).await {
            Ok(Err(failure @ Failure::Unreachable(_))) if again > 0 => {
                again -= 1;
                unreachable = Some(failure);
                sleep(pause).await;
            }
            Ok(answer) => return answer,
            Err(_) => return Err(unreachable.unwrap_or(Failure::Silent { within: PATIENCE })),
        }
    }
}

/// Places for those that answer, and for those that take long.
#[derive(Debug)]
struct Lanes {
    usual: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { usual: Arc::new(Semaphore::new(ASKED)), slow: Arc::new(Semaphore::new(SLOW)) }
    }
}

impl Lanes {
    fn of(&self, due: &Due) -> Arc<Semaphore> {
        Arc::clone(if due.is_slow { &self.slow } else { &self.usual })
    }
}

#[cfg(test)]
mod tests;
