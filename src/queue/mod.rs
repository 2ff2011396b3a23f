//! The work queue between what the watches see and the passes that act on it.
//!
//! It has the shape of client-go's: a key that is added while it waits is there once, and one that is added while its
//! pass runs is run again after it. So there is never more than one pass for a key, no change is missed, and the
//! queue holds at most one entry for each object that exists, however fast they change.
//!
//! This is not kube's `Controller`, for three reasons. The catalog already holds every object, and a controller brings
//! caches of its own. Its error policy is given no count of attempts, so a backoff for each object has to be kept
//! beside it, and its queue tells nobody how long it is. And it begins work as soon as its caches are filled, where here
//! every replica fills caches and only the leader drains the queue.
//!
//! Until a replica leads its queue is closed: what it takes in nobody would take out, and the leader has it in its own.

mod backoff;
mod order;
mod runner;

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

pub use backoff::Backoff;
pub use order::Depth;
pub use runner::{Reconcile, run};

use order::Order;

/// What a key must be: a name, cheap to copy and to compare.
pub trait Key: Clone + Eq + Hash + std::fmt::Debug + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + std::fmt::Debug + Send + Sync + 'static> Key for K {}

/// When a key whose pass has ended is due again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// When something about it changes. Its failures are forgotten.
    AwaitChange,
    /// After this time, or when something changes. Its failures are forgotten.
    After(Duration),
    /// After a backoff that grows with every failure, or when something changes.
    Backoff,
}

/// A queue of keys, shared by those who add and the runner that drains it.
#[derive(Debug)]
pub struct WorkQueue<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inner<K> {
    order: Mutex<Order<K>>,
    is_open: AtomicBool,
    changed: Notify,
}

impl<K: Key> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::new(Backoff::default())
    }
}

impl<K: Key> WorkQueue<K> {
    /// An empty queue whose failing keys wait as `backoff` says.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        let (order, is_open) = (Mutex::new(Order::new(backoff)), AtomicBool::new(true));
        Self { inner: Arc::new(Inner { order, is_open, changed: Notify::new() }) }
    }

    /// An empty queue that takes no key until [`WorkQueue::open`].
    #[must_use]
    pub fn closed() -> Self {
        let queue = Self::default();
        queue.inner.is_open.store(false, Ordering::SeqCst);
        queue
    }

    /// Takes keys from now on, for good.
    ///
    /// What was added before is not known here, so whoever opens a queue adds every key there is, and looks which there are
    /// *after* this: then a key that is not among them comes to be while the queue is open already.
    pub fn open(&self) {
        self.inner.is_open.store(true, Ordering::SeqCst);
    }

    /// Makes the key due now, where the queue is open. Its failures are not forgotten: a pass that fails again waits longer.
    pub fn add(&self, key: K) {
        if !self.inner.is_open.load(Ordering::SeqCst) {
            return;
        }
        self.inner.order.lock().add(key);
        self.inner.changed.notify_one();
    }

    /// The next key that is due, longest due first; waits until there is one.
    ///
    /// Whoever takes a key has to give it back to [`WorkQueue::done`]: until then it is not handed out again. Dropping the
    /// future loses nothing.
    pub async fn next(&self) -> K {
        loop {
            let changed = self.inner.changed.notified();
            let due = {
                let mut order = self.inner.order.lock();
                if let Some(key) = order.next(Instant::now()) {
                    // Another taker may have been passed over while this one was woken for two additions.
                    self.inner.changed.notify_one();
                    return key;
                }
                order.due()
            };
            match due {
                None => changed.await,
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    /// Ends the pass of a key that [`WorkQueue::next`] handed out.
    pub fn done(&self, key: &K, outcome: Outcome) {
        self.inner.order.lock().done(key, outcome, Instant::now(), rand::random());
        self.inner.changed.notify_one();
    }

    /// How many keys are where.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.inner.order.lock().depth()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_taker_is_woken_by_an_addition() {
        let queue = WorkQueue::default();
        let taker = tokio::spawn({
            let queue = queue.clone();
            async move { queue.next().await }
        });
        tokio::task::yield_now().await;
        queue.add("a");
        assert_eq!(taker.await.unwrap(), "a");
    }

    /// A pass over the key ends, and it is due again after this time.
    async fn again(queue: &WorkQueue<&'static str>, key: &'static str, after: Duration) {
        queue.add(key);
        assert_eq!(queue.next().await, key);
        queue.done(&key, Outcome::After(after));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_key_comes_when_it_is_due() {
        let queue = WorkQueue::default();
        let start = Instant::now();
        again(&queue, "a", Duration::from_secs(5)).await;
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        queue.done(&"a", Outcome::AwaitChange);
        assert_eq!(queue.depth(), Depth::default());
    }

    #[tokio::test]
    async fn a_closed_queue_keeps_nothing_and_an_open_one_everything() {
        let queue = WorkQueue::closed();
        queue.add("before");
        assert_eq!(queue.depth(), Depth::default());
        queue.open();
        queue.add("after");
        assert_eq!(queue.next().await, "after");
        assert_eq!(queue.depth(), Depth { running: 1, ..Depth::default() });
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_addition_wakes_a_taker_that_waits_for_a_later_one() {
        let queue = WorkQueue::default();
        let start = Instant::now();
        again(&queue, "late", Duration::from_secs(60)).await;
        let taker = tokio::spawn({
            let queue = queue.clone();
            async move { queue.next().await }
        });
        tokio::task::yield_now().await;
        queue.add("earlier");
        assert_eq!(taker.await.unwrap(), "earlier");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn every_taker_gets_a_key() {
        let queue = WorkQueue::default();
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for key in 0..3 {
            queue.add(key);
        }
        let mut taken = Vec::new();
        for taker in takers {
            taken.push(taker.await.unwrap());
        }
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2]);
    }
}
