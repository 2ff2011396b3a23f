//! Results that may be used again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What an entry takes beside its key and value, about.
const OVERHEAD: usize = 200;

/// Values by key, each for its time, bounded in bytes. The oldest make room.
#[derive(Debug)]
pub struct Cache<V> {
    max_bytes: usize,
    entries: Mutex<Entries<V>>,
}

#[derive(Debug)]
struct Entries<V> {
    by_key: HashMap<Arc<str>, Entry<V>>,
    /// The same keys, by their entries' numbers: in the order in which they came.
    order: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    until: Instant,
    bytes: usize,
    number: u64,
}

impl<V: Clone> Cache<V> {
    /// An empty cache.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        let entries = Entries { by_key: HashMap::new(), order: BTreeMap::new(), bytes: 0, next: 0 };
        Self { max_bytes, entries: Mutex::new(entries) }
    }

    /// A value whose time is not over.
    #[must_use]
    pub fn get(&self, key: &str, now: Instant) -> Option<V> {
        let entries = self.entries.lock();
        entries.by_key.get(key).filter(|entry| now < entry.until).map(|entry| entry.value.clone())
    }

    /// Keeps a value of about `size` bytes, if there is room for it at all.
    pub fn put(&self, key: String, value: V, size: usize, ttl: Duration, now: Instant) {
        let bytes = 2 * key.len() + size + OVERHEAD;
        let Some(until) = now.checked_add(ttl).filter(|_| bytes <= self.max_bytes / 4) else { return };
        let key: Arc<str> = key.into();
        let mut entries = self.entries.lock();
        entries.next += 1;
        let number = entries.next;
        entries.order.insert(number, Arc::clone(&key));
        entries.bytes += bytes;
        if let Some(before) = entries.by_key.insert(key, Entry { value, until, bytes, number }) {
            entries.order.remove(&before.number);
            entries.bytes -= before.bytes;
        }
        entries.make_room(self.max_bytes, now);
    }

    /// How many bytes the values take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.lock().bytes
    }
}

impl<V> Entries<V> {
    fn make_room(&mut self, max_bytes: usize, now: Instant) {
        while let Some(oldest) = self.order.first_entry() {
            let current = self.by_key.get(oldest.get());
            if current.is_some_and(|entry| now < entry.until && self.bytes <= max_bytes) {
                return;
            }
            let key = oldest.remove();
            if let Some(entry) = self.by_key.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn a_value_is_there_for_its_time() {
        let (cache, now) = (Cache::new(1 << 20), Instant::now());
        cache.put("a".into(), 1, 10, TTL, now);
        assert_eq!(cache.get("a", now + TTL / 2), Some(1));
        assert_eq!(cache.get("a", now + TTL), None);
        cache.put("a".into(), 2, 10, TTL, now + TTL);
        assert_eq!(cache.get("a", now + TTL), Some(2));
    }

    #[test]
    fn the_oldest_make_room() {
        let (cache, now) = (Cache::new(10_000), Instant::now());
        for n in 0..100 {
            cache.put(format!("k{n}"), n, 1_000, TTL, now);
            assert!(cache.bytes() <= 10_000);
        }
        assert_eq!((cache.get("k0", now), cache.get("k99", now)), (None, Some(99)));
        cache.put("huge".into(), 0, 5_000, TTL, now);
        assert_eq!(cache.get("huge", now), None);
    }

    #[test]
    fn one_key_put_often_takes_no_more_room() {
        let (cache, start) = (Cache::new(1 << 20), Instant::now());
        // The oldest stays, so nothing behind it makes room.
        cache.put("oldest".into(), 0, 10, 100 * TTL, start);
        for n in 0..10_000 {
            cache.put("a".into(), n, 10, TTL, start + Duration::from_millis(n));
        }
        let entries = cache.entries.lock();
        assert_eq!((entries.by_key.len(), entries.order.len()), (2, 2));
    }
}
