//! Which servers are to be asked, and what they answered last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mcp_crds::catalog::ObjectKey;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::debug;

use super::alarm::Alarm;
use super::{Failure, Found, Probed, Server, Target};

/// How long the task sleeps at most, so that a clock that was set is noticed.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The servers that are to be asked: one entry each, kept by passes, read by the task and by passes.
#[derive(Debug, Default)]
pub struct Probes {
    entries: Mutex<HashMap<ObjectKey, Entry>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    server: Server,
    alarm: Alarm,
    is_asked_now: bool,
    /// Since when it was ready when it was last asked.
    asked_since_ready: Option<Timestamp>,
    last: Option<Probed>,
}

/// A server whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) key: ObjectKey,
    pub(super) uid: Box<str>,
    pub(super) generation: i64,
    pub(super) target: Target,
    /// Whether the last time it could not be reached, or did not answer: asking it takes long.
    pub(super) is_slow: bool,
}

impl Probes {
    /// There is such a server, and this is how it is now.
    pub fn observe(&self, server: Server, now: Timestamp) {
        let mut entries = self.entries.lock();
        let entry = match entries.get_mut(&server.key) {
            Some(entry) if entry.server.uid == server.uid => {
                if entry.alarm.schedule() != server.schedule {
                    entry.alarm = Alarm::new(server.schedule, now);
                } else if entry.server == server {
                    return;
                }
                entry.server = server;
                entry
            }
            _ => {
                let alarm = Alarm::new(server.schedule, now);
                let key = server.key.clone();
                let entry = Entry { server, alarm, is_asked_now: false, asked_since_ready: None, last: None };
                entries.entry(key).insert_entry(entry).into_mut()
            }
        };
        debug!(server = ?entry.server.key, next = ?entry.alarm.next(), "to be probed");
        drop(entries);
        self.changed.notify_one();
    }

    /// There is no such server any more, or it has no schedule.
    pub fn forget(&self, key: &ObjectKey) {
        self.entries.lock().remove(key);
    }

    /// What this object last answered, where it was asked since this replica leads.
    #[must_use]
    pub fn last(&self, key: &ObjectKey, uid: &str) -> Option<Probed> {
        let entries = self.entries.lock();
        entries.get(key).filter(|entry| *entry.server.uid == *uid)?.last.clone()
    }

    /// Waits until a server is new or has changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The servers whose time has come. They count as being asked from here.
    pub(super) fn take_due(&self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        for entry in self.entries.lock().values_mut() {
            // Looked at in any case: a time that comes while the server is being asked has passed.
            let rings = entry.alarm.look(now);
            if entry.is_asked_now || !(rings || entry.has_become_ready()) {
                continue;
            }
            entry.is_asked_now = true;
            entry.asked_since_ready = entry.server.ready_since;
            due.push(Due {
                key: entry.server.key.clone(),
                uid: entry.server.uid.clone(),
                generation: entry.server.generation,
                target: entry.server.target.clone(),
                is_slow: entry.is_slow(),
            });
        }
        due
    }

    /// How long nothing is due.
    pub(super) fn sleep(&self, now: Timestamp) -> Duration {
        let entries = self.entries.lock();
        let next = entries.values().filter_map(|entry| entry.alarm.next()).min();
        let until = next.map_or(SignedDuration::MAX, |next| next.duration_since(now));
        Duration::try_from(until).unwrap_or_default().min(LONGEST_SLEEP)
    }

    /// A server that was due has answered, or has not. Whether that is still of interest.
    pub(super) fn answered(&self, due: &Due, at: Timestamp, answer: Result<Found, Failure>) -> bool {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&due.key).filter(|entry| entry.server.uid == due.uid) else {
            return false;
        };
        entry.is_asked_now = false;
        let url = Arc::clone(&due.target.url);
        entry.last = Some(Probed { at, generation: due.generation, url, answer });
        true
    }
}

impl Entry {
    /// Whether it was not asked since it became ready. Both times have whole seconds in a status. They may be from two clocks: one
    /// that is behind would have it asked again and again, if it were not remembered what it was asked for.
    fn has_become_ready(&self) -> bool {
        let asked = self.last.as_ref().map(|last| last.at).max(self.server.asked_at);
        let since = self.server.ready_since.filter(|since| self.asked_since_ready != Some(*since));
        since.is_some_and(|since| asked.is_none_or(|asked| asked < since))
    }

    fn is_slow(&self) -> bool {
        let answer = self.last.as_ref().map(|last| &last.answer);
        matches!(answer, Some(Err(Failure::Silent { .. } | Failure::Unreachable(_))))
    }
}
