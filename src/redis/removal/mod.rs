//! Removing what the gateways of a server that is being deleted keep in Redis.
//!
//! The pass over such a server says so ([`Removals::progress`]) and waits; a task of the leader's removes the keys ([`run`]), tries
//! again where that fails, gives it up when its time is over, and calls for a pass whenever there is news. So a Redis that is
//! away holds up neither a pass nor another server, and its own server for a bounded time.
//!
//! Nothing of this is kept: whoever leads next begins anew, and to remove what is removed does no harm.

mod remover;
mod task;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_crds::catalog::ObjectKey;
use mcp_crds::v1alpha1::{Redis, SecretKeyRef};
use mcp_crds::validate::name::is_dns_name;
use parking_lot::Mutex;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::sync::Notify;

pub use remover::{Failure, Remover, Services};
pub use task::{Remove, run};

/// Whose keys are to be removed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Which object it is.
    pub key: ObjectKey,
    /// Of objects that have one name after each other, which.
    pub uid: Box<str>,
    /// The Redis that they are in.
    pub target: Target,
}

/// The Redis that a server names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, as pods of the server's namespace know it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Which of its databases.
    pub database: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// Where its password is, in the server's namespace.
    pub password: Option<SecretKeyRef>,
}

impl Target {
    /// Reads `spec.redis`. Nothing where it names no Redis that a gateway could use, as it may in an object that came past the
    /// webhooks.
    #[must_use]
    pub fn read(redis: &Value) -> Option<Self> {
        let Redis { service_name, port, database, password_secret_ref, tls } =
            Redis::deserialize(redis).ok()?;
        Some(Self {
            host: Some(service_name).filter(|name| is_dns_name(name))?,
            port: u16::try_from(port).ok().filter(|port| *port > 0)?,
            database: database.try_into().ok()?,
            tls,
            password: password_secret_ref,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How far the removal has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on; and why it has failed so far, where it has.
    Running(Option<Arc<str>>),
    /// Nothing is left.
    Done,
    /// It is not tried any more, and why it failed.
    GivenUp(Arc<str>),
}

/// What is to be removed, by server: one entry each for those that are being deleted, kept by passes.
#[derive(Debug, Default)]
pub struct Removals {
    entries: Mutex<HashMap<ObjectKey, Entry>>,
    added: Notify,
}

#[derive(Debug)]
struct Entry {
    uid: Box<str>,
    progress: Progress,
    /// What the task has not begun yet, and how long it may go on with it.
    waiting: Option<(Removal, Duration)>,
}

impl Removals {
    /// How far the removal of these keys has come. It begins when it is asked for first, and is given up after `patience`.
    pub fn progress(&self, removal: Removal, patience: Duration) -> Progress {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(&removal.key).filter(|entry| entry.uid == removal.uid) {
            return entry.progress.clone();
        }
        let progress = Progress::Running(None);
        let (key, uid) = (removal.key.clone(), removal.uid.clone());
        let entry = Entry { uid, progress: progress.clone(), waiting: Some((removal, patience)) };
        entries.insert(key, entry);
        drop(entries);
        self.added.notify_one();
        progress
    }

    /// There is no such server any more, or nothing of it to remove. What has been begun goes on, and calls for no pass.
    pub fn forget(&self, key: &ObjectKey) {
        self.entries.lock().remove(key);
    }

    /// Waits until there is something to begin with.
    async fn added(&self) {
        self.added.notified().await;
    }

    /// What is to be begun. It counts as begun from here.
    fn take_waiting(&self) -> Vec<(Removal, Duration)> {
        self.entries.lock().values_mut().filter_map(|entry| entry.waiting.take()).collect()
    }

    /// It has come this far. Whether that is news, and of interest to anyone.
    fn told(&self, removal: &Removal, progress: Progress) -> bool {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&removal.key).filter(|entry| entry.uid == removal.uid) else {
            return false;
        };
        std::mem::replace(&mut entry.progress, progress) != entry.progress
    }
}
