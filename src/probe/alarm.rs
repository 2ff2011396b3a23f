//! When a schedule's times have come. Pure: the time is a parameter, and may jump.

use jiff::{SignedDuration, Timestamp};
use mcp_crds::validate::cron::Schedule;

/// How late a time may be noticed. Later it is one that was missed, and is not made up for.
const LATE: SignedDuration = SignedDuration::from_secs(60);

/// How far a clock may be set back without the times it passes again coming again.
const SET_BACK: SignedDuration = SignedDuration::from_secs(60);

/// Rings at the times of a schedule, whatever the clock does in between: not twice for one time, not for times that were
/// missed, and again at the next one after every jump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    schedule: Schedule,
    next: Option<Timestamp>,
    rang_for: Option<Timestamp>,
    /// When it was last looked at.
    looked: Timestamp,
}

impl Alarm {
    /// Rings for the first time after `now`.
    pub(super) fn new(schedule: Schedule, now: Timestamp) -> Self {
        Self { schedule, next: schedule.next_after(now), rang_for: None, looked: now }
    }

    /// The schedule that it keeps.
    pub(super) const fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// When to look next; never where nothing.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// Whether it rings now. To be called whenever the time may have come, and at least once a minute, to notice a clock that
    /// was set.
    pub(super) fn look(&mut self, now: Timestamp) -> bool {
        let runs_on = now >= self.looked;
        self.looked = now;
        if runs_on && self.next.is_none_or(|next| next > now) {
            return false;
        }
        let due = self.next.filter(|next| *next <= now);
        let rings = due.is_some_and(|due| now.duration_since(due) <= LATE);
        if rings {
            self.rang_for = due;
        }
        // From where the clock stands now, also where that is before the time that was waited for.
        let passed = self.rang_for.filter(|rang| *rang > now && rang.duration_since(now) <= SET_BACK);
        self.next = self.schedule.next_after(passed.unwrap_or(now));
        rings
    }
}

#[cfg(test)]
mod tests;
