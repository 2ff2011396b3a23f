//! The objects of one namespace, and the ways to find them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::entry::{Claim, Entry, Id, Rank};
use crate::kind::Kind;
use crate::selector::{Labels, Selector};

type Label = (Box<str>, Box<str>);

/// The objects of one namespace.
///
/// Invariant: every other field is derived from `objects`, so two indexes with the same objects are equal, in
/// whatever order the objects came.
#[derive(Debug, Default, PartialEq)]
pub struct Index {
    objects: BTreeMap<Id, Entry>,
    /// Who claims what, oldest first. Mostly it is one, for whom a tree would be large.
    claimants: HashMap<Claim, Vec<(Rank, Id)>>,
    /// What servers may select, by each of its labels.
    by_label: HashMap<Label, BTreeSet<Id>>,
    /// Servers, by the pairs of which every object that they select has one.
    anchored: HashMap<Label, BTreeSet<Arc<str>>>,
    /// Servers whose selector names no such pair.
    unanchored: BTreeSet<Arc<str>>,
    /// Who calls which Service.
    callers: HashMap<Box<str>, BTreeSet<Id>>,
    /// Who sends what is in which Secret.
    senders: HashMap<Box<str>, BTreeSet<Id>>,
}

impl Index {
    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// An object, by kind and name.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Entry> {
        self.objects.get(id)
    }

    /// All objects of a kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.objects.values().filter(move |entry| entry.key.id.kind == kind)
    }

    /// Every object.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.objects.values()
    }

    /// Adds an object, or replaces it. Returns the one that was there.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let before = self.remove(&entry.key.id);
        let id = entry.key.id.clone();
        if let Some(selector) = &entry.selector {
            match selector.anchors() {
                Some(anchors) => {
                    for (key, value) in anchors {
                        self.anchored
                            .entry((key.into(), value.into()))
                            .or_default()
                            .insert(Arc::clone(&id.name));
                    }
                }
                None => {
                    self.unanchored.insert(Arc::clone(&id.name));
                }
            }
        }
        if id.kind != Kind::Server {
            for (key, value) in entry.labels.iter() {
                let label = (key.into(), value.into());
                self.by_label.entry(label).or_default().insert(id.clone());
            }
        }
        for claimed in &entry.claims {
            let own = (entry.rank(), id.clone());
            let claimants =
                self.claimants.entry(claimed.claim.clone()).or_insert_with(|| Vec::with_capacity(1));
            if let Err(place) = claimants.binary_search(&own) {
                claimants.insert(place, own);
            }
        }
        for service in &entry.services {
            self.callers.entry(service.clone()).or_default().insert(id.clone());
        }
        for secret in &entry.secrets {
            self.senders.entry(secret.clone()).or_default().insert(id.clone());
        }
        self.objects.insert(id, entry);
        before
    }

    /// Removes an object.
    pub(super) fn remove(&mut self, id: &Id) -> Option<Entry> {
        let entry = self.objects.remove(id)?;
        if let Some(selector) = &entry.selector {
            for (key, value) in selector.anchors().into_iter().flatten() {
                prune(
                    &mut self.anchored,
                    (key.into(), value.into()),
                    |servers| servers.remove(&id.name),
                    BTreeSet::is_empty,
                );
            }
            self.unanchored.remove(&id.name);
        }
        if id.kind != Kind::Server {
            for (key, value) in entry.labels.iter() {
                let label = (key.into(), value.into());
                prune(&mut self.by_label, label, |ids| ids.remove(id), BTreeSet::is_empty);
            }
        }
        for claimed in &entry.claims {
            prune(
                &mut self.claimants,
                claimed.claim.clone(),
                |claimants| {
                    let place = claimants.binary_search(&(entry.rank(), id.clone()));
                    place.is_ok_and(|place| claimants.remove(place).1 == *id)
                },
                Vec::is_empty,
            );
        }
        for service in &entry.services {
            prune(&mut self.callers, service.clone(), |ids| ids.remove(id), BTreeSet::is_empty);
        }
        for secret in &entry.secrets {
            prune(&mut self.senders, secret.clone(), |ids| ids.remove(id), BTreeSet::is_empty);
        }
        Some(entry)
    }

    /// Names of the servers that select an object with these labels, sorted.
    #[must_use]
    pub fn selecting(&self, labels: &Labels) -> Vec<Arc<str>> {
        let anchored =
            labels.iter().filter_map(|(key, value)| self.anchored.get(&(key.into(), value.into())));
        let candidates: BTreeSet<&Arc<str>> = anchored.flatten().chain(&self.unanchored).collect();
        candidates.into_iter().filter(|name| self.selects(name, labels)).cloned().collect()
    }

    fn selects(&self, server: &Arc<str>, labels: &Labels) -> bool {
        let id = Id { kind: Kind::Server, name: Arc::clone(server) };
        let selector = self.objects.get(&id).and_then(|server| server.selector.as_ref());
        selector.is_some_and(|selector| selector.matches(labels))
    }

    /// What a selector picks up, by kind and name.
    pub fn selected<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a Entry> {
        let candidates: Vec<&Entry> = match selector.anchors() {
            Some(anchors) => {
                let ids: BTreeSet<&Id> = anchors
                    .filter_map(|(key, value)| self.by_label.get(&(key.into(), value.into())))
                    .flatten()
                    .collect();
                ids.into_iter().filter_map(|id| self.objects.get(id)).collect()
            }
            None => self.objects.values().filter(|entry| entry.key.id.kind != Kind::Server).collect(),
        };
        candidates.into_iter().filter(|entry| selector.matches(&entry.labels))
    }

    /// Who makes a claim, oldest first.
    pub fn claimants(&self, claim: &Claim) -> impl Iterator<Item = &Entry> {
        let claimants = self.claimants.get(claim).into_iter().flatten();
        claimants.filter_map(|(_, id)| self.objects.get(id))
    }

    /// Who makes a claim that somebody else makes too.
    pub(super) fn contenders(&self) -> impl Iterator<Item = &Id> {
        self.claimants.values().filter(|claimants| claimants.len() > 1).flatten().map(|(_, id)| id)
    }

    /// Who calls a Service.
    pub fn callers(&self, service: &str) -> impl Iterator<Item = &Id> {
        self.callers.get(service).into_iter().flatten()
    }

    /// Whose headers name a Secret.
    pub fn senders(&self, secret: &str) -> impl Iterator<Item = &Id> {
        self.senders.get(secret).into_iter().flatten()
    }
}

/// Takes something out of an entry of a map, and the entry itself where nothing is left of it.
fn prune<K: std::hash::Hash + Eq, V>(
    map: &mut HashMap<K, V>,
    key: K,
    take: impl FnOnce(&mut V) -> bool,
    is_empty: impl FnOnce(&V) -> bool,
) {
    if let std::collections::hash_map::Entry::Occupied(mut entry) = map.entry(key) {
        take(entry.get_mut());
        if is_empty(entry.get()) {
            entry.remove();
        }
    }
}
