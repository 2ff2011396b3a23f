//! The decisions of leader election, as a state machine without I/O or a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

use super::{Claim, JITTER, Settings};

/// What is known of the Lease, and until when its holder has to be respected.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    lease: Option<Lease>,
    respected_until: Option<Instant>,
}

impl Observation {
    /// Takes in what was read or written, at `now` on this process's clock.
    ///
    /// A record that did not change leaves the time as it was: only a renewal buys the holder more of it. So does a
    /// Lease that is gone, as deleting it does not tell its holder anything.
    fn record(&mut self, lease: Option<Lease>, me: &str, now: Instant, default_duration: Duration) {
        if let Some(lease) = &lease {
            let changed = self.lease.as_ref().is_none_or(|known| known.spec != lease.spec);
            match holder(lease) {
                Some(holder) if holder == me => self.respected_until = None,
                Some(_) if changed => {
                    self.respected_until = Some(now + duration(lease).unwrap_or(default_duration));
                }
                Some(_) => {}
                None => self.respected_until = None,
            }
        }
        self.lease = lease;
    }
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is free: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Another holds it.
    Wait {
        /// When it becomes free if its holder does not renew it.
        until: Instant,
    },
}

/// Decides for `me` at `now`.
#[must_use]
pub fn decide(observed: &Observation, me: &str, now: Instant) -> Decision {
    if observed.lease.as_ref().and_then(holder) == Some(me) {
        return Decision::Renew;
    }
    match observed.respected_until {
        Some(until) if now < until => Decision::Wait { until },
        _ => Decision::Acquire,
    }
}

/// The request that a candidate has to make next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Read the Lease.
    Read,
    /// Create the Lease: there is none.
    Create(Lease),
    /// Replace the Lease, if it still has the resource version that this object carries.
    Replace(Lease),
    /// Nothing until the next turn.
    Rest,
}

/// The lease was held and is not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another process holds it.
    #[error("the lease was taken by {holder}")]
    Taken {
        /// Who has it now.
        holder: String,
    },
    /// No renewal succeeded in time.
    #[error("the lease was not renewed within {deadline:?}")]
    Expired {
        /// The time there was.
        deadline: Duration,
    },
}

/// One candidate's view of the election.
///
/// A turn is [`Elector::begin_turn`], then [`Elector::step`] until it says [`Step::Rest`], each followed by the method
/// that tells how the request went: [`Elector::read`], [`Elector::wrote`] or [`Elector::failed`].
#[derive(Debug)]
pub struct Elector {
    settings: Settings,
    observed: Observation,
    claim: Option<Claim>,
    /// The observation may be acted on without another read.
    fresh: bool,
    /// The turn's work is done.
    rested: bool,
}

impl Elector {
    /// A candidate that has not looked at the Lease yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, observed: Observation::default(), claim: None, fresh: false, rested: false }
    }

    /// The claim this candidate holds, whether or not it has run out.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// Starts a turn. A holder goes by the record it wrote itself, anyone else reads first.
    ///
    /// # Errors
    /// [`Lost::Expired`] where the claim has run out.
    pub fn begin_turn(&mut self, now: Instant) -> Result<(), Lost> {
        self.fresh = self.fresh && self.claim.is_some();
        self.rested = false;
        self.expire(now)
    }

    /// What to do next in this turn, at `now` on the monotonic clock and `wall` for people who read the Lease.
    #[must_use]
    pub fn step(&self, now: Instant, wall: Timestamp) -> Step {
        if self.rested {
            return Step::Rest;
        }
        if !self.fresh {
            return Step::Read;
        }
        let me = &self.settings.identity;
        match (decide(&self.observed, me, now), &self.observed.lease) {
            (Decision::Wait { .. }, _) => Step::Rest,
            (_, None) => Step::Create(self.held(None, wall)),
            (_, Some(lease)) => Step::Replace(self.held(Some(lease), wall)),
        }
    }

    /// The Lease was read, and `now` is when the answer came.
    ///
    /// # Errors
    /// [`Lost`] where this candidate had a claim and the Lease names another, or the claim has run out.
    pub fn read(&mut self, lease: Option<Lease>, now: Instant) -> Result<(), Lost> {
        let me = Arc::clone(&self.settings.identity);
        self.observed.record(lease, &me, now, self.settings.lease_duration);
        self.fresh = true;
        self.expire(now)?;
        match self.observed.lease.as_ref().and_then(holder) {
            Some(holder) if self.claim.is_some() && *holder != *me => {
                let holder = holder.to_owned();
                self.claim = None;
                Err(Lost::Taken { holder })
            }
            _ => Ok(()),
        }
    }

    /// The Lease was created or replaced as [`Elector::step`] said. `sent` is when the request was sent: that, not the
    /// answer, is what the claim is counted from.
    pub fn wrote(&mut self, lease: Lease, sent: Instant, now: Instant) {
        let Settings { identity, lease_duration, renew_deadline, .. } = &self.settings;
        self.observed.record(Some(lease), identity, now, *lease_duration);
        self.claim = Some(Claim { holder: Arc::clone(identity), expires: sent + *renew_deadline });
        self.fresh = true;
        self.rested = true;
    }

    /// A request failed, or nobody knows whether it did: what was known may no longer hold.
    pub fn failed(&mut self) {
        self.fresh = false;
    }

    /// Gives up the claim, and answers with the request that makes the Lease free, so that others need not wait:
    /// [`Step::Rest`] where it does not name us.
    pub fn vacate(&mut self, wall: Timestamp) -> Step {
        self.claim = None;
        if !self.fresh {
            return Step::Read;
        }
        match self.observed.lease.clone() {
            Some(mut lease) if holder(&lease) == Some(&self.settings.identity) => {
                let spec = lease.spec.get_or_insert_default();
                spec.holder_identity = Some(String::new());
                spec.renew_time = Some(MicroTime(wall));
                Step::Replace(lease)
            }
            _ => Step::Rest,
        }
    }

    /// How long to rest before the next turn; `unit` in `0.0..1.0` spreads it. Never beyond the end of the claim.
    #[must_use]
    pub fn rest(&self, now: Instant, unit: f64) -> Duration {
        let period = self.settings.retry_period;
        let spread = period.mul_f64(1.0 - JITTER / 2.0 + JITTER * unit.clamp(0.0, 1.0));
        match &self.claim {
            Some(claim) => spread.min(claim.expires.saturating_duration_since(now)),
            None => spread,
        }
    }

    fn expire(&mut self, now: Instant) -> Result<(), Lost> {
        match &self.claim {
            Some(claim) if !claim.is_current_for(&self.settings.identity, now) => {
                self.claim = None;
                Err(Lost::Expired { deadline: self.settings.renew_deadline })
            }
            _ => Ok(()),
        }
    }

    /// The Lease with us as its holder. Everything else in the object is left as it was read.
    fn held(&self, known: Option<&Lease>, wall: Timestamp) -> Lease {
        let mut lease = known.cloned().unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                namespace: Some(self.settings.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let renewal = holder(&lease) == Some(&self.settings.identity);
        let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
        if !renewal {
            spec.holder_identity = Some(self.settings.identity.to_string());
            spec.acquire_time = Some(MicroTime(wall));
            spec.lease_transitions = Some(match known {
                Some(_) => spec.lease_transitions.unwrap_or(0).saturating_add(1),
                None => 0,
            });
        }
        spec.lease_duration_seconds = i32::try_from(self.settings.lease_duration.as_secs()).ok();
        spec.renew_time = Some(MicroTime(wall));
        lease
    }
}

/// Who holds it; an empty name is nobody.
fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// How long its holder asked to be respected after a renewal.
fn duration(lease: &Lease) -> Option<Duration> {
    let seconds = lease.spec.as_ref()?.lease_duration_seconds?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod simulation;
