//! A bound on how many there are at a time, where the bound may change meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts who is inside.
#[derive(Debug, Default)]
pub struct Gate {
    inside: Arc<AtomicU64>,
}

/// Being inside, until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Ticket {
    _inside: Arc<Inside>,
}

#[derive(Debug)]
struct Inside(Arc<AtomicU64>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    /// Lets one more in, unless `max` are inside.
    #[must_use]
    pub fn enter(&self, max: u64) -> Option<Ticket> {
        let entered = self
            .inside
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |inside| (inside < max).then_some(inside + 1));
        entered.ok().map(|_| Ticket { _inside: Arc::new(Inside(Arc::clone(&self.inside))) })
    }

    /// How many are inside.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inside.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_may_are_inside_until_their_last_ticket_is_dropped() {
        let gate = Gate::default();
        let (first, second) = (gate.enter(2), gate.enter(2));
        assert!(first.is_some() && second.is_some() && gate.enter(2).is_none());
        let clone = first.clone();
        drop(first);
        assert!(gate.enter(2).is_none());
        drop(clone);
        assert!(gate.enter(2).is_some());
        drop(second);
        assert_eq!(gate.count(), 0);
    }
}
