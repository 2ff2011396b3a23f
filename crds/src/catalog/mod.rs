//! Every object of the cluster, by namespace, kept up by watches: what lets a webhook decide across objects without
//! asking the API server, and lets the controller find out what a change concerns.
//!
//! One writer feeds it; readers share it behind one lock.

mod check;
mod conflict;
mod entry;
mod index;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use conflict::{Conflict, Offers, settle, standing};
pub use entry::{Claim, Claimed, Entry, Id, ObjectKey, Rank};
pub use index::Index;

use self::names::Names;
use crate::kind::Kind;

/// How long an admitted object stands in the catalog before the watch shows it.
pub const RESERVATION: Duration = Duration::from_secs(5);

/// How many reservations there may be; past that an admitted object is not reserved, and the controller settles a
/// conflict if there is one.
const MAX_RESERVATIONS: usize = 10_000;

/// Objects whose reconciliation a change calls for.
pub type Affected = BTreeSet<ObjectKey>;

/// Every object of the cluster.
#[derive(Debug, Default)]
pub struct Catalog {
    observed: HashMap<Arc<str>, Index>,
    services: Names,
    /// Secrets whose owners consent to their being sent as headers.
    credentials: Names,
    reserved: Reservations,
}

#[derive(Debug, Default)]
struct Reservations {
    by_namespace: HashMap<Arc<str>, Index>,
    /// Until when each stands.
    until: HashMap<ObjectKey, Instant>,
    /// In the order in which they expire. One that was seen by the watch, or renewed, is no longer in `until` at that time.
    expiry: VecDeque<(Instant, ObjectKey)>,
}

impl PartialEq for Catalog {
    /// Equal in what was observed.
    fn eq(&self, other: &Self) -> bool {
        self.observed == other.observed
            && self.services == other.services
            && self.credentials == other.credentials
    }
}

impl Catalog {
    /// The objects of a namespace, if there are any.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Option<&Index> {
        self.observed.get(namespace)
    }

    /// An object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        self.observed.get(&key.namespace)?.get(&key.id)
    }

    /// A server.
    #[must_use]
    pub fn server(&self, namespace: &str, name: &str) -> Option<&Entry> {
        self.get(&ObjectKey::new(Kind::Server, namespace, name))
    }

    /// Every object.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.observed.values().flat_map(Index::entries)
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.observed.values().map(|index| index.of_kind(kind).count()).sum()
    }

    /// The keys of all objects of a kind.
    pub fn keys(&self, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        self.observed.values().flat_map(move |index| index.of_kind(kind)).map(|entry| &entry.key)
    }

    /// How many objects of a kind some server leaves out because an older one claims the same.
    #[must_use]
    pub fn left_out(&self, kind: Kind) -> usize {
        let left_out = |index: &Index, entry: &Entry| {
            index.selecting(&entry.labels).into_iter().any(|name| {
                let server = index.get(&Id { kind: Kind::Server, name });
                let selector = server.and_then(|server| server.selector.as_ref());
                selector.is_some_and(|selector| standing(index, selector, entry).is_err())
            })
        };
        let contenders = self.observed.values().flat_map(|index| {
            let ids: BTreeSet<&Id> = index.contenders().filter(|id| id.kind == kind).collect();
            ids.into_iter().filter_map(move |id| Some((index, index.get(id)?)))
        });
        contenders.filter(|(index, entry)| left_out(index, entry)).count()
    }

    /// Whether a Service of this name exists.
    #[must_use]
    pub fn has_service(&self, namespace: &str, name: &str) -> bool {
        self.services.has(namespace, name)
    }

    /// Whether there is a Secret of this name whose owner consents to its being sent as a header.
    #[must_use]
    pub fn has_credential(&self, namespace: &str, name: &str) -> bool {
        self.credentials.has(namespace, name)
    }

    /// An object was created or changed.
    pub fn apply(&mut self, entry: Entry) -> Affected {
        let key = entry.key.clone();
        self.reserved.observed(&entry);
        let index = self.observed.entry(Arc::clone(&key.namespace)).or_default();
        let mut affected = index.get(&key.id).map(|before| concerned(index, before)).unwrap_or_default();
        let before = index.insert(entry);
        if let Some(now) = index.get(&key.id) {
            // A status written by the operator itself comes back here; it concerns nobody else.
            if before.is_some_and(|before| before.concerns_as(now)) {
                return Affected::from([key]);
            }
            affected.extend(concerned(index, now));
        }
        affected
    }

    /// An object was deleted.
    pub fn delete(&mut self, key: &ObjectKey) -> Affected {
        let Some(index) = self.observed.get_mut(&key.namespace) else { return Affected::new() };
        let affected = index.get(&key.id).map(|before| concerned(index, before)).unwrap_or_default();
        index.remove(&key.id);
        if index.is_empty() {
            self.observed.remove(&key.namespace);
        }
        affected
    }

    /// A watch has listed all objects of a kind: what is not among them is gone.
    pub fn reset(&mut self, kind: Kind, entries: impl IntoIterator<Item = Entry>) -> Affected {
        let mut gone: HashSet<ObjectKey> = self
            .observed
            .values()
            .flat_map(|index| index.of_kind(kind))
            .map(|entry| entry.key.clone())
            .collect();
        let mut affected = Affected::new();
        for entry in entries {
            gone.remove(&entry.key);
            affected.extend(self.apply(entry));
        }
        for key in gone {
            affected.extend(self.delete(&key));
            affected.insert(key);
        }
        affected
    }

    /// A Service was created.
    pub fn apply_service(&mut self, namespace: &str, name: &str) -> Affected {
        if self.services.insert(namespace, name) { self.callers(namespace, name) } else { Affected::new() }
    }

    /// A Service was deleted.
    pub fn delete_service(&mut self, namespace: &str, name: &str) -> Affected {
        if self.services.remove(namespace, name) { self.callers(namespace, name) } else { Affected::new() }
    }

    /// A watch has listed all Services.
    pub fn reset_services<'a>(&mut self, services: impl IntoIterator<Item = (&'a str, &'a str)>) -> Affected {
        let changed = self.services.reset(services);
        changed.iter().flat_map(|(namespace, name)| self.callers(namespace, name)).collect()
    }

    /// A Secret is there whose owner consents to its being sent as a header.
    pub fn apply_credential(&mut self, namespace: &str, name: &str) -> Affected {
        if self.credentials.insert(namespace, name) { self.senders(namespace, name) } else { Affected::new() }
    }

    /// It was deleted, or its owner consents no more.
    pub fn delete_credential(&mut self, namespace: &str, name: &str) -> Affected {
        if self.credentials.remove(namespace, name) { self.senders(namespace, name) } else { Affected::new() }
    }

    /// A watch has listed all such Secrets.
    pub fn reset_credentials<'a>(
        &mut self,
        secrets: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Affected {
        let changed = self.credentials.reset(secrets);
        changed.iter().flat_map(|(namespace, name)| self.senders(namespace, name)).collect()
    }

    fn callers(&self, namespace: &str, service: &str) -> Affected {
        let index = self.observed.get(namespace);
        let callers = index.into_iter().flat_map(|index| index.callers(service));
        callers.map(|id| ObjectKey { namespace: Arc::from(namespace), id: id.clone() }).collect()
    }

    /// Those whose headers name a Secret, and the servers that offer them, whose pods read it.
    fn senders(&self, namespace: &str, secret: &str) -> Affected {
        let Some(index) = self.observed.get(namespace) else { return Affected::new() };
        let senders = index.senders(secret).filter_map(|id| index.get(id));
        senders.flat_map(|entry| concerned(index, entry)).collect()
    }

    /// Records that an object was admitted, until the watch shows it or [`RESERVATION`] has passed. Not for a dry run.
    pub fn reserve(&mut self, candidate: Entry, now: Instant) {
        self.reserved.expire(now);
        if self.reserved.until.len() < MAX_RESERVATIONS
            && self.reserved.expiry.len() < 10 * MAX_RESERVATIONS
            && !candidate.key.id.name.is_empty()
        {
            let key = candidate.key.clone();
            self.reserved.by_namespace.entry(Arc::clone(&key.namespace)).or_default().insert(candidate);
            self.reserved.until.insert(key.clone(), now + RESERVATION);
            self.reserved.expiry.push_back((now + RESERVATION, key));
        }
    }
}

impl Reservations {
    fn expire(&mut self, now: Instant) {
        while self.expiry.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, key)) = self.expiry.pop_front()
                && self.until.get(&key).is_some_and(|until| *until <= now)
            {
                self.remove(&key);
            }
        }
    }

    fn observed(&mut self, entry: &Entry) {
        let reserved = self.by_namespace.get(&entry.key.namespace).and_then(|index| index.get(&entry.key.id));
        if reserved.is_some_and(|reserved| reserved.claims_as(entry)) {
            self.remove(&entry.key);
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        self.until.remove(key);
        if let Some(index) = self.by_namespace.get_mut(&key.namespace) {
            index.remove(&key.id);
            if index.is_empty() {
                self.by_namespace.remove(&key.namespace);
            }
        }
    }
}

/// Whom an object concerns: itself; of what is selected, the servers that select it, and on each of them those with which it
/// contends, also through others; of a server, all that it selects.
fn concerned(index: &Index, entry: &Entry) -> Affected {
    let key = |id: Id| ObjectKey { namespace: Arc::clone(&entry.key.namespace), id };
    let mut affected = Affected::from([entry.key.clone()]);
    if entry.key.id.kind == Kind::Server {
        let selected = entry.selector.iter().flat_map(|selector| index.selected(selector));
        affected.extend(selected.map(|member| member.key.clone()));
        return affected;
    }
    for name in index.selecting(&entry.labels) {
        let server = Id { kind: Kind::Server, name };
        if let Some(selector) = index.get(&server).and_then(|server| server.selector.as_ref()) {
            let rivals = conflict::contenders(index, selector, entry).into_values();
            affected.extend(rivals.map(|rival| rival.key.clone()));
        }
        affected.insert(key(server));
    }
    affected
}
