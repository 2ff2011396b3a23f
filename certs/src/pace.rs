//! How soon to look again after a write or a failure.

use std::time::Duration;

/// Writes that may follow each other without a pause: more than a rotation has in a row.
const BURST: u32 = 8;

/// The pause after which one more write is free.
const REFILL: Duration = Duration::from_secs(1);

/// The pause after a first failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Slows down what does not settle: failures exponentially, and writes that somebody keeps undoing to one a second.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failures: u32,
    /// Writes that are not yet worn off, and when that was last worked out.
    writes: u32,
    counted_at: Duration,
}

impl Pace {
    /// The pause after a write at `clock`, a reading of a monotonic clock.
    pub(crate) fn wrote(&mut self, clock: Duration) -> Duration {
        self.failures = 0;
        let worn_off = clock.saturating_sub(self.counted_at).as_secs() / REFILL.as_secs();
        self.writes = self.writes.saturating_sub(u32::try_from(worn_off).unwrap_or(u32::MAX));
        if worn_off > 0 {
            self.counted_at = clock;
        }
        self.writes = (self.writes + 1).min(BURST);
        if self.writes < BURST { Duration::ZERO } else { REFILL }
    }

    /// The pause after a failure.
    pub(crate) fn failed(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        pause.min(LONGEST_PAUSE)
    }

    /// A pass found nothing to do.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_is_not_slowed_down() {
        let mut pace = Pace::default();
        for _ in 0..BURST - 1 {
            assert_eq!(pace.wrote(Duration::ZERO), Duration::ZERO);
        }
    }

    #[test]
    fn a_fight_becomes_one_write_a_second() {
        let (mut pace, mut clock, mut writes) = (Pace::default(), Duration::ZERO, 0);
        while clock < Duration::from_secs(60) {
            clock += pace.wrote(clock) + Duration::from_millis(5);
            writes += 1;
        }
        assert!((55..=70).contains(&writes), "{writes}");
        assert_eq!(pace.wrote(clock + Duration::from_secs(20)), Duration::ZERO);
    }

    #[test]
    fn failures_back_off_up_to_half_a_minute_and_start_anew_after_a_success() {
        let mut pace = Pace::default();
        let pauses: Vec<_> = (0..40).map(|_| pace.failed()).collect();
        assert_eq!(pauses.first(), Some(&FIRST_PAUSE));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        pace.succeeded();
        assert_eq!(pace.failed(), FIRST_PAUSE);
    }
}
