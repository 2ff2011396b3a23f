//! Events: what happened to an object, for people.
//!
//! Passes hand over what happened and go on; one task writes, so that telling takes little from doing. What happens again
//! within minutes is counted in the Event that is there. Nothing depends on an Event: one that cannot be written is
//! logged and forgotten.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::reconcile::MANAGER;

/// How many Events may wait to be written. Past it they are dropped: whoever is behind by so many tells no news.
const WAITING: usize = 1024;

/// How many Events are remembered, to be counted where they happen again.
const REMEMBERED: usize = 1024;

/// How long after it last happened something counts as happening again, and not anew.
const SERIES: SignedDuration = SignedDuration::from_mins(6);

/// How long a write may take. One that hangs must not keep the others waiting for as long as a connection may be silent.
const WRITE: Duration = Duration::from_secs(5);

/// How long writing may go on when the process ends.
const FLUSH: Duration = Duration::from_secs(5);

/// What the API server takes as a note, in bytes.
const MAX_NOTE: usize = 1024;

/// What it takes as the name of who reports.
const MAX_INSTANCE: usize = 128;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Occurrence {
    /// `apiVersion` of the object that it is about.
    pub api_version: &'static str,
    /// Kind of the object.
    pub kind: &'static str,
    /// Namespace of the object, and of the Event.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
    /// Its `uid`.
    pub uid: Box<str>,
    /// Whether somebody should do something about it.
    pub warning: bool,
    /// Why, in one word of a fixed set.
    pub reason: &'static str,
    /// What the operator was doing, in one word of a fixed set.
    pub action: &'static str,
    /// What happened, in one sentence.
    pub note: String,
}

/// Where passes tell what happened.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Occurrence>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// What passes told, in turn.
pub type Occurrences = mpsc::Receiver<Occurrence>;

/// A recorder, and what is told to it.
#[must_use]
pub fn recorder() -> (Recorder, Occurrences) {
    let (sender, occurrences) = mpsc::channel(WAITING);
    (Recorder { sender }, occurrences)
}

impl Recorder {
    /// Tells what happened. Does not wait.
    pub fn record(&self, occurrence: Occurrence) {
        if let Err(dropped) = self.sender.try_send(occurrence) {
            debug!(%dropped, "event dropped");
        }
    }
}

/// Writes Events, until every recorder is gone.
pub struct Writer {
    /// Asked to write.
    pub client: Client,
    /// Who reports: the name of this replica.
    pub instance: String,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// An Event that has been written.
#[derive(Debug, Clone)]
struct Written {
    name: String,
    count: i32,
    last: Timestamp,
}

impl Writer {
    /// Writes what is told, and once `stopping`, not for much longer.
    pub async fn run(self, occurrences: Occurrences, stopping: impl Future<Output = ()>) {
        let late = async {
            stopping.await;
            sleep(FLUSH).await;
        };
        tokio::select! {
            () = self.write_all(occurrences) => {}
            () = late => warn!("the process ends, and some events are not written"),
        }
    }

    async fn write_all(&self, mut occurrences: Occurrences) {
        let (mut remembered, hasher) = (HashMap::new(), RandomState::new());
        while let Some(occurrence) = occurrences.recv().await {
            let now = (self.clock)();
            forget(&mut remembered, now);
            let key = hasher.hash_one(&occurrence);
            match timeout(WRITE, self.write(&occurrence, remembered.remove(&key), now)).await {
                Ok(Ok(written)) => {
                    remembered.insert(key, written);
                }
                Ok(Err(error)) => self.failed(&occurrence, &error),
                Err(_) => {
                    let Occurrence { kind, namespace, name, reason, .. } = &occurrence;
                    warn!(kind, %namespace, %name, reason, "event not written in time");
                }
            }
        }
    }

    async fn write(
        &self,
        occurrence: &Occurrence,
        before: Option<Written>,
        now: Timestamp,
    ) -> kube::Result<Written> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &occurrence.namespace);
        if let Some(before) = before {
            let count = before.count.saturating_add(1);
            let series = json!({ "series": { "count": count, "lastObservedTime": MicroTime(now) } });
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            match api.patch(&before.name, &params, &Patch::Merge(&series)).await {
                Ok(_) => return Ok(Written { count, last: now, ..before }),
                // It has outlived its time in the meantime.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let event = self.event(occurrence, now);
        let name = event.metadata.name.clone().unwrap_or_default();
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        api.create(&params, &event).await?;
        Ok(Written { name, count: 1, last: now })
    }

    fn event(&self, occurrence: &Occurrence, now: Timestamp) -> Event {
        let Occurrence { api_version, kind, namespace, name, uid, warning, reason, action, note } =
            occurrence;
        Event {
            metadata: ObjectMeta {
                // As client-go names them. Two of one object in one nanosecond do not happen.
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(namespace.to_string()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(MANAGER.to_owned()),
            reporting_instance: Some(cut(&self.instance, MAX_INSTANCE).to_owned()),
            action: Some((*action).to_owned()),
            reason: Some((*reason).to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some((*api_version).to_owned()),
                kind: Some((*kind).to_owned()),
                namespace: Some(namespace.to_string()),
                name: Some(name.to_string()),
                uid: Some(uid.to_string()),
                ..ObjectReference::default()
            }),
            note: Some(cut(note, MAX_NOTE).to_owned()),
            type_: Some(if *warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }

    fn failed(&self, occurrence: &Occurrence, error: &kube::Error) {
        let Occurrence { kind, namespace, name, reason, .. } = occurrence;
        // In a namespace that is being deleted there is nobody to tell.
        let is_gone =
            matches!(error, kube::Error::Api(status) if status.is_not_found() || status.is_forbidden());
        if is_gone {
            debug!(kind, %namespace, %name, reason, %error, "event not written");
        } else {
            warn!(kind, %namespace, %name, reason, %error, "event not written");
        }
    }
}

/// Makes room: what has not happened for a while does not happen again but anew.
fn forget(remembered: &mut HashMap<u64, Written>, now: Timestamp) {
    remembered.retain(|_, written| now.duration_since(written.last) < SERIES);
    while remembered.len() >= REMEMBERED {
        let oldest = remembered.iter().min_by_key(|(_, written)| written.last).map(|(key, _)| *key);
        oldest.and_then(|oldest| remembered.remove(&oldest));
    }
}

fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
