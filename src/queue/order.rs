//! The order of the keys: a state machine without a clock or randomness of its own.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::{Backoff, Key, Outcome};

/// How many keys are where. A key whose pass runs may also be due later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Due, and waiting for a free pass.
    pub ready: usize,
    /// Due at a later time.
    pub delayed: usize,
    /// With a pass that runs.
    pub running: usize,
}

/// Every key that is due, will be due, or whose pass runs.
#[derive(Debug)]
pub(super) struct Order<K> {
    backoff: Backoff,
    entries: HashMap<K, Entry>,
    ready: VecDeque<K>,
    /// By time, and by order of addition where two times are the same.
    delayed: BTreeMap<(Instant, u64), K>,
    running: usize,
    sequence: u64,
}

#[derive(Debug, Default)]
struct Entry {
    place: Place,
    /// Where the key stands in `delayed`, if it does.
    due: Option<(Instant, u64)>,
    failures: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Idle,
    Ready,
    Running {
        /// Added since the pass began, so what the pass saw may be old.
        dirty: bool,
    },
}

impl<K: Key> Order<K> {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            entries: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeMap::new(),
            running: 0,
            sequence: 0,
        }
    }

    /// Due now. A later time that the key had is dropped: the pass to come decides anew.
    pub(super) fn add(&mut self, key: K) {
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(due) = entry.due.take() {
            self.delayed.remove(&due);
        }
        match &mut entry.place {
            place @ Place::Idle => {
                *place = Place::Ready;
                self.ready.push_back(key);
            }
            Place::Ready => {}
            Place::Running { dirty } => *dirty = true,
        }
    }

    /// Due at `at`, unless it is due earlier.
    pub(super) fn add_at(&mut self, key: K, at: Instant) {
        let entry = self.entries.entry(key.clone()).or_default();
        let soon = matches!(entry.place, Place::Ready | Place::Running { dirty: true });
        if soon || entry.due.is_some_and(|(due, _)| due <= at) {
            return;
        }
        if let Some(due) = entry.due.take() {
            self.delayed.remove(&due);
        }
        self.sequence += 1;
        entry.due = Some((at, self.sequence));
        self.delayed.insert((at, self.sequence), key);
    }

    /// Hands out the key that has been due for longest at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<K> {
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            // `add` takes the key out of `delayed`.
            let key = first.get().clone();
            self.add(key);
        }
        let key = self.ready.pop_front()?;
        let entry = self.entries.entry(key.clone()).or_default();
        entry.place = Place::Running { dirty: false };
        self.running += 1;
        Some(key)
    }

    /// When the first of the keys that are not due yet will be.
    pub(super) fn due(&self) -> Option<Instant> {
        self.delayed.first_key_value().map(|((at, _), _)| *at)
    }

    /// Ends the pass of `key`; `unit` places a backoff between its bounds.
    pub(super) fn done(&mut self, key: &K, outcome: Outcome, now: Instant, unit: f64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let Place::Running { dirty } = entry.place else { return };
        entry.place = Place::Idle;
        self.running -= 1;
        let wait = match outcome {
            Outcome::AwaitChange => {
                entry.failures = 0;
                None
            }
            Outcome::After(wait) => {
                entry.failures = 0;
                Some(wait)
            }
            Outcome::Backoff => {
                entry.failures = entry.failures.saturating_add(1);
                Some(self.backoff.wait(entry.failures, unit))
            }
        };
        let idle = entry.due.is_none();
        if dirty {
            self.add(key.clone());
        } else if let Some(wait) = wait {
            self.add_at(key.clone(), now + wait);
        } else if idle {
            self.entries.remove(key);
        }
    }

    pub(super) fn depth(&self) -> Depth {
        Depth { ready: self.ready.len(), delayed: self.delayed.len(), running: self.running }
    }
}

#[cfg(test)]
mod tests;
