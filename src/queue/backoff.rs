//! How long a key that failed waits.

use std::time::Duration;

/// An exponential backoff with full jitter between two bounds.
///
/// After failure *n* the wait is spread evenly from `base` to `base · 2ⁿ`, and never beyond `cap`: many objects that failed
/// together, as when the API server was away, do not come back together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The least wait.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Default for Backoff {
    /// From 1 s to 5 min.
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The wait after `failures` in a row, at least one; `unit` in `0.0..=1.0` places it between its bounds.
    #[must_use]
    pub fn wait(&self, failures: u32, unit: f64) -> Duration {
        let ceiling = 2_u32
            .checked_pow(failures)
            .and_then(|factor| self.base.checked_mul(factor))
            .map_or(self.cap, |ceiling| ceiling.min(self.cap));
        let spread = ceiling.saturating_sub(self.base);
        self.base.min(self.cap) + spread.mul_f64(unit.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_doubles_until_the_cap() {
        let backoff = Backoff::default();
        let ceilings: Vec<u64> = (1..=10).map(|failures| backoff.wait(failures, 1.0).as_secs()).collect();
        assert_eq!(ceilings, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.wait(10, 0.0), Duration::from_secs(1));
        assert_eq!(backoff.wait(1, 0.5), Duration::from_millis(1_500));
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_bounds_and_never_shrinks_with_failures(
            failures in 0..u32::MAX, unit in 0.0..=1.0_f64, base in 1..10_000_u64, more in 0..1_000_000_u64,
        ) {
            let backoff =
                Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(base + more) };
            let wait = backoff.wait(failures, unit);
            prop_assert!(backoff.base <= wait && wait <= backoff.cap);
            prop_assert!(wait <= backoff.wait(failures + 1, unit));
        }
    }
}
