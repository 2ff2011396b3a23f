//! One pass over one object: `dereference → validate → build → apply → status`.
//!
//! A pass needs no memory of the last one: it reads what the watches hold ([`dereference`]), decides with values alone
//! (`validate`, `build`, `status`), and talks to the API server only to change what is not as it should be (`apply`). Where
//! nothing has to change it makes no request at all.

mod apply;
pub mod build;
mod condition;
mod dereference;
mod drift;
mod error;
mod finalize;
mod identity;
mod keys;
mod offer;
mod probed;
mod redis;
mod server;
mod status;
mod tell;
mod validate;
mod written;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use mcp_crds::catalog::{Catalog, ObjectKey};
use mcp_crds::kind::Kind;
use parking_lot::RwLock;
use tokio::time::timeout;

pub use condition::Reason;
pub use error::{Error, Retry};
pub(crate) use validate::{CLUSTER_DOMAIN, errors};
pub use written::Written;

use crate::children::Children;
use crate::pods::Pods;
use crate::probe::Probes;
use crate::recorder::Recorder;
use crate::redis::Redis;
use crate::redis::removal::Removals;

/// The field manager of every write. It never changes: server-side apply would take a new name for a stranger.
pub const MANAGER: &str = "mcp-operator";

/// How long a pass may take. A connection on which nothing comes back would otherwise hold one of the few workers, and the
/// object with it, for as long as a watch may be silent. Each request that went through counts: the next pass finds it done.
const LONGEST_PASS: Duration = Duration::from_secs(30);

/// What every pass needs.
pub struct Context {
    /// Asked to write, and to say whose an object is whose name is taken; nothing else is read through it.
    pub client: Client,
    /// Every object of the four kinds, with its document.
    pub catalog: Arc<RwLock<Catalog>>,
    /// What servers consist of, as watched.
    pub children: Arc<Children>,
    /// Told which servers are to be probed, and asked what they answered.
    pub probes: Arc<Probes>,
    /// Why their pods do not come up, as watched.
    pub pods: Arc<Pods>,
    /// Told which servers use Redis, and asked whether it answers them.
    pub redis: Arc<Redis>,
    /// Told what servers that are being deleted have kept there, and asked whether it is removed.
    pub removals: Arc<Removals>,
    /// What runs where a server has no image of its own.
    pub gateway_image: Arc<str>,
    /// Where is told what happened, for people.
    pub recorder: Recorder,
    /// Whether this replica may write. Asked before every write.
    pub may_write: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Statuses that the watches do not show yet.
    pub written: Written,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// When an object whose pass succeeded is due again, beside when something about it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not before.
    AwaitChange,
    /// After this time.
    After(Duration),
}

/// One pass over an object.
///
/// # Errors
/// Where a request failed, or may not be made; [`Error::retry`] says when to try again. What is wrong with the object itself
/// is no error but a condition in its status.
pub async fn reconcile(key: &ObjectKey, context: &Context) -> Result<Outcome, Error> {
    let pass = async {
        match key.id.kind {
            Kind::Server => server::reconcile(key, context).await,
            Kind::Tool | Kind::Prompt | Kind::Resource => offer::reconcile(key, context).await,
        }
    };
    match timeout(LONGEST_PASS, pass).await {
        Err(_) => Err(Error::TimedOut(LONGEST_PASS)),
        // The object or its namespace went while the pass was under way: nothing is left to do.
        Ok(Err(Error::Gone)) => Ok(Outcome::AwaitChange),
        Ok(pass) => pass,
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
