//! All children, by name and by server.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use mcp_crds::catalog::ObjectKey;
use parking_lot::RwLock;

use super::{ChildKey, ChildKind, Observed, Sight};

/// What servers consist of, as the watches and the operator's own writes show it. One writer a kind, many readers.
///
/// The text of a child is dropped as soon as a pass has found that it agrees with what was applied; from then on a
/// fingerprint of it is enough to see that something changed.
#[derive(Debug, Default)]
pub struct Children {
    inner: RwLock<Inner>,
    texts: RandomState,
}

#[derive(Debug, Default)]
struct Inner {
    objects: HashMap<ChildKey, Entry>,
    by_server: HashMap<ObjectKey, BTreeSet<ChildKey>>,
    /// What is being written now, and whether the watch has shown since that it was deleted.
    writing: HashMap<ChildKey, bool>,
}

#[derive(Debug)]
struct Entry {
    observed: Arc<Observed>,
    digest: u64,
    /// Nothing once a pass has found that it agrees.
    body: Option<Arc<str>>,
}

/// A child that is there.
#[derive(Debug, Clone)]
pub struct Found {
    /// What is known of it.
    pub observed: Arc<Observed>,
    /// All that an intent may speak of, as compact JSON; nothing where it agrees with what was last applied.
    pub body: Option<Arc<str>>,
}

impl From<&Entry> for Found {
    fn from(entry: &Entry) -> Self {
        Self { observed: Arc::clone(&entry.observed), body: entry.body.clone() }
    }
}

impl From<Sight> for Found {
    fn from(sight: Sight) -> Self {
        Self { observed: Arc::new(sight.observed), body: Some(sight.body.into()) }
    }
}

impl Children {
    /// The child of this name.
    #[must_use]
    pub fn find(&self, key: &ChildKey) -> Option<Found> {
        self.inner.read().objects.get(key).map(Into::into)
    }

    /// All children that belong to a server, or say so.
    #[must_use]
    pub fn of(&self, server: &ObjectKey) -> Vec<(ChildKey, Arc<Observed>)> {
        let inner = self.inner.read();
        let keys = inner.by_server.get(server).into_iter().flatten();
        let entries =
            keys.filter_map(|key| Some((key.clone(), Arc::clone(&inner.objects.get(key)?.observed))));
        entries.collect()
    }

    /// Remembers that the child agrees with what was last applied to it, if it is still the one that was looked at.
    pub fn agrees(&self, key: &ChildKey, seen: &Arc<Observed>) {
        if let Some(entry) = self.inner.write().objects.get_mut(key)
            && Arc::ptr_eq(&entry.observed, seen)
        {
            entry.body = None;
        }
    }

    /// Takes what a watch shows. Gives the server that has to look at it, where it is news.
    pub fn apply(&self, sight: Sight) -> Option<ObjectKey> {
        let digest = self.texts.hash_one(&sight.body);
        self.inner.write().apply(sight, digest)
    }

    /// Takes the deletion of a child that a watch shows. Gives the server that has to look at it.
    pub fn delete(&self, sight: &Sight) -> Option<ObjectKey> {
        let mut inner = self.inner.write();
        if let Some(deleted) = inner.writing.get_mut(&sight.key) {
            *deleted = true;
        }
        // It may have been made anew, and our own write have shown that before the watch did.
        let current = inner.objects.get(&sight.key)?;
        if current.observed.version > sight.observed.version {
            return None;
        }
        inner.remove(&sight.key)
    }

    /// Takes a complete list of a kind. Gives the servers that have to look at what is new in it.
    pub fn reset(&self, kind: ChildKind, list: Vec<Sight>) -> HashSet<ObjectKey> {
        let listed: HashSet<ChildKey> = list.iter().map(|sight| sight.key.clone()).collect();
        let mut concerned: HashSet<ObjectKey> =
            list.into_iter().filter_map(|sight| self.apply(sight)).collect();
        let mut inner = self.inner.write();
        let gone = inner.objects.keys().filter(|key| key.kind == kind && !listed.contains(key));
        let gone: Vec<ChildKey> = gone.cloned().collect();
        concerned.extend(gone.iter().filter_map(|key| inner.remove(key)));
        concerned
    }

    /// Says that a child is about to be written, so that what comes of it can be told from what came before.
    #[must_use]
    pub fn writing(&self, key: ChildKey) -> Writing<'_> {
        self.inner.write().writing.insert(key.clone(), false);
        Writing { children: self, key }
    }
}

/// A write that is under way.
#[derive(Debug)]
pub struct Writing<'a> {
    children: &'a Children,
    key: ChildKey,
}

impl Writing<'_> {
    /// Takes what the API server has made of an apply: that is what was wanted, whatever others have added to it. The next
    /// pass need not wait for the watch to show it, nor be called when it does.
    #[must_use]
    pub fn done(self, sight: Sight) -> Arc<Observed> {
        let digest = self.children.texts.hash_one(&sight.body);
        let mut inner = self.children.inner.write();
        let observed = Arc::new(sight.observed);
        let deleted = inner.writing.get(&self.key).copied().unwrap_or_default();
        let current = inner.objects.get(&self.key).map_or(0, |entry| entry.observed.version);
        if !deleted && current <= observed.version {
            inner.insert(sight.key, Entry { observed: Arc::clone(&observed), digest, body: None });
        }
        observed
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.children.inner.write().writing.remove(&self.key);
    }
}

impl Inner {
    fn apply(&mut self, sight: Sight, digest: u64) -> Option<ObjectKey> {
        let Sight { key, observed, body } = sight;
        let server = observed.server(&key.namespace);
        let mut body = Some(body.into());
        if let Some(current) = self.objects.get(&key) {
            // Our own write has shown it, or something later, already.
            if observed.version <= current.observed.version && observed.version != 0 {
                return None;
            }
            let same_text = current.digest == digest && current.observed.uid == observed.uid;
            if same_text {
                body.clone_from(&current.body);
            }
            let same = Observed { version: observed.version, ..(*current.observed).clone() } == observed;
            if same_text && same {
                self.insert(key, Entry { observed: Arc::new(observed), digest, body });
                return None;
            }
        }
        self.insert(key, Entry { observed: Arc::new(observed), digest, body });
        server
    }

    fn insert(&mut self, key: ChildKey, entry: Entry) {
        let server = entry.observed.server(&key.namespace);
        let before = self.objects.insert(key.clone(), entry);
        let before = before.and_then(|before| before.observed.server(&key.namespace));
        if before != server
            && let Some(before) = before
        {
            self.forget(&before, &key);
        }
        if let Some(server) = server {
            self.by_server.entry(server).or_default().insert(key);
        }
    }

    /// Gives the server that it belonged to.
    fn remove(&mut self, key: &ChildKey) -> Option<ObjectKey> {
        let server = self.objects.remove(key)?.observed.server(&key.namespace)?;
        self.forget(&server, key);
        Some(server)
    }

    fn forget(&mut self, server: &ObjectKey, key: &ChildKey) {
        if let Some(keys) = self.by_server.get_mut(server) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_server.remove(server);
            }
        }
    }
}

#[cfg(test)]
mod tests;
