//! Names of objects that others refer to, by namespace: of Services, and of Secrets whose owners consent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The names of one kind's objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names(HashMap<Arc<str>, HashSet<Box<str>>>);

impl Names {
    pub(super) fn has(&self, namespace: &str, name: &str) -> bool {
        self.0.get(namespace).is_some_and(|names| names.contains(name))
    }

    /// Whether it is new.
    pub(super) fn insert(&mut self, namespace: &str, name: &str) -> bool {
        self.0.entry(Arc::from(namespace)).or_default().insert(name.into())
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> bool {
        let Some(names) = self.0.get_mut(namespace) else { return false };
        let was_there = names.remove(name);
        if names.is_empty() {
            self.0.remove(namespace);
        }
        was_there
    }

    /// Takes a complete list. Gives what came and what went.
    pub(super) fn reset<'a>(
        &mut self,
        list: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> HashSet<(Arc<str>, Box<str>)> {
        let mut gone: HashSet<(Arc<str>, Box<str>)> = HashSet::new();
        for (namespace, names) in &self.0 {
            gone.extend(names.iter().map(|name| (Arc::clone(namespace), name.clone())));
        }
        let mut changed = HashSet::new();
        for (namespace, name) in list {
            let key = (Arc::from(namespace), name.into());
            gone.remove(&key);
            if self.insert(namespace, name) {
                changed.insert(key);
            }
        }
        for (namespace, name) in &gone {
            self.remove(namespace, name);
        }
        changed.extend(gone);
        changed
    }
}
