//! The task that removes keys.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use mcp_crds::catalog::ObjectKey;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Instrument as _, error, info, info_span, warn};

use super::{Failure, Progress, Removal, Removals};
use crate::panic_message;

/// How many servers' keys are removed at a time.
const AT_A_TIME: usize = 16;
/// After which time it is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// Who removes.
pub trait Remove: Send + Sync + 'static {
    /// Removes the keys of a server, and says how many there were. It need not bound its time; dropping the future must end all
    /// that it does.
    fn remove(&self, removal: &Removal) -> impl Future<Output = Result<u64, Failure>> + Send;
}

/// Removes what is to be removed, until `ending`. `changed` is called with each server of which there is news, after
/// [`Removals::progress`] tells it.
///
/// Dropping the future ends what is under way.
pub async fn run(
    removals: Arc<Removals>,
    remove: Arc<impl Remove>,
    changed: impl Fn(ObjectKey) + Send + Sync + 'static,
    ending: impl Future<Output = ()>,
) {
    let mut ending = pin!(ending);
    let (changed, places) = (Arc::new(changed), Arc::new(Semaphore::new(AT_A_TIME)));
    let mut under_way = JoinSet::new();
    loop {
        for (removal, patience) in removals.take_waiting() {
            let span =
                info_span!("remove keys", namespace = %removal.key.namespace, name = %removal.key.id.name);
            let (remove, places) = (Arc::clone(&remove), Arc::clone(&places));
            let tell = {
                let (removals, changed) = (Arc::clone(&removals), Arc::clone(&changed));
                move |removal: &Removal, progress| {
                    if removals.told(removal, progress) {
                        changed(removal.key.clone());
                    }
                }
            };
            let persisting = async move { persist(&*remove, &places, &removal, patience, tell).await };
            under_way.spawn(persisting.instrument(span));
        }
        tokio::select! {
            biased;
            () = &mut ending => return,
            () = removals.added() => {}
            // It is never aborted, and its panics are caught.
            Some(_) = under_way.join_next() => {}
        }
    }
}

/// Tries until it succeeds or the time is over.
async fn persist(
    remove: &impl Remove,
    places: &Semaphore,
    removal: &Removal,
    patience: Duration,
    tell: impl Fn(&Removal, Progress),
) {
    let deadline = Instant::now() + patience;
    let mut failure: Option<Arc<str>> = None;
    while let Ok(tried) = timeout_at(deadline, once(remove, places, removal)).await {
        match tried {
            Ok(count) => {
                info!(count, "keys removed");
                return tell(removal, Progress::Done);
            }
            Err(why) => {
                let why: Arc<str> = why.into();
                tell(removal, Progress::Running(Some(Arc::clone(&why))));
                failure = Some(why);
            }
        }
        if deadline.saturating_duration_since(Instant::now()) <= PAUSE {
            break;
        }
        sleep(PAUSE).await;
    }
    let failure = failure.unwrap_or_else(|| format!("it took longer than {patience:?}").into());
    warn!(%failure, "keys not removed");
    tell(removal, Progress::GivenUp(failure));
}

async fn once(remove: &impl Remove, places: &Semaphore, removal: &Removal) -> Result<u64, String> {
    // Never closed.
    let _place = places.acquire().await;
    match AssertUnwindSafe(remove.remove(removal)).catch_unwind().await {
        Ok(tried) => tried.map_err(|failure| failure.to_string()),
        Err(panic) => {
            error!(panic = panic_message(panic), "a removal panicked");
            Err("it cannot be understood".to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
