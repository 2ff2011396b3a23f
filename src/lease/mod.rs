//! Which replica writes: leadership held through a `coordination.k8s.io/v1` Lease.
//!
//! Every replica keeps its caches and answers admission; the Lease gates writes alone. It is in two halves: an
//! [`Elector`] that decides from plain values and a clock that is handed to it, and a [`Candidate`] that carries out
//! what the elector says.
//!
//! # Why two replicas never both believe they lead
//!
//! No clock of one machine is compared with a clock of another. A holder believes in its claim for
//! [`Settings::renew_deadline`], counted on its own monotonic clock from *before* it sent the renewal. Anyone else
//! waits for the whole lease duration, counted on its own monotonic clock from when it *last saw the record change*,
//! which is after the API server stored that renewal. As the deadline is shorter than the duration, the belief has ended
//! before the wait has. The times inside the Lease are for people who read it. Writes carry the resource version that
//! was read, so that two who act on the same record cannot both succeed.
//!
//! What this cannot see: a Lease that someone edits by hand to take it from a live holder (they overlap until the
//! holder's next renewal), and a machine whose monotonic clock stands still while it is suspended.

#[cfg(test)]
pub(crate) mod api_server;
mod elector;
mod task;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use elector::{Decision, Elector, Lost, Observation, Step, decide};
pub use task::{Candidate, candidate};

/// The interval between renewals varies by up to this share of it, so that replicas don't act in step.
const JITTER: f64 = 0.2;

/// How the Lease is named, and the times it is held by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who this process is. Must differ between any two processes, also between two lives of one pod.
    pub identity: Arc<str>,
    /// How long others wait after the last renewal they saw. Whole seconds.
    pub lease_duration: Duration,
    /// How long a holder believes in its claim after it sent the last renewal that succeeded.
    pub renew_deadline: Duration,
    /// Time between renewals, and between a candidate's looks at the Lease.
    pub retry_period: Duration,
}

/// Times that would let two replicas lead, or one lose its claim while all is well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// The API stores the duration as seconds.
    #[error("lease duration {0:?} must be a whole number of seconds, and at least one")]
    Fraction(Duration),
    /// The belief must end before the wait of others does.
    #[error("renew deadline {deadline:?} must be shorter than the lease duration {duration:?}")]
    DeadlineTooLong {
        /// The deadline that was asked for.
        deadline: Duration,
        /// The duration that was asked for.
        duration: Duration,
    },
    /// At least one retry must fit between two renewals and the deadline.
    #[error("retry period {retry:?} must be above zero and at most half of the renew deadline {deadline:?}")]
    RetryTooLong {
        /// The period that was asked for.
        retry: Duration,
        /// The deadline that was asked for.
        deadline: Duration,
    },
}

impl Settings {
    /// Checks that the times fit together.
    ///
    /// # Errors
    /// The first relation that does not hold.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let Self { lease_duration: duration, renew_deadline: deadline, retry_period: retry, .. } = self;
        if duration.subsec_nanos() != 0 || duration.is_zero() || i32::try_from(duration.as_secs()).is_err() {
            return Err(InvalidSettings::Fraction(*duration));
        }
        if deadline >= duration {
            return Err(InvalidSettings::DeadlineTooLong { deadline: *deadline, duration: *duration });
        }
        if retry.is_zero() || *retry > *deadline / 2 {
            return Err(InvalidSettings::RetryTooLong { retry: *retry, deadline: *deadline });
        }
        Ok(())
    }
}

/// An identity no other process has: the pod's name, where it runs in one, and a random part.
///
/// The random part is what makes a restarted container wait for its own earlier claim like anyone else: the process
/// before it may have left a write on the way.
#[must_use]
pub fn identity(name: &str) -> Arc<str> {
    format!("{name}_{:016x}", rand::random::<u64>()).into()
}

/// Someone's right to write, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    holder: Arc<str>,
    expires: Instant,
}

impl Claim {
    /// Whether `me` holds this claim and it has not run out at `now`.
    #[must_use]
    pub fn is_current_for(&self, me: &str, now: Instant) -> bool {
        *self.holder == *me && now < self.expires
    }
}

/// What a writer asks before each write.
///
/// The answer compares the claim's expiry with the clock at that moment, so a process that was cut off from the API
/// server, or stopped for a while, learns that it no longer leads without anyone having to tell it.
#[derive(Clone, Debug)]
pub struct Leadership {
    me: Arc<str>,
    claim: watch::Receiver<Option<Claim>>,
    leading: watch::Receiver<bool>,
}

/// The process does not lead, so it must not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica does not hold the lease")]
pub struct NotLeading;

impl Leadership {
    /// What this process calls itself.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.me
    }

    /// Whether a write may be sent now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.expires().is_some()
    }

    /// The moment after which no write may be sent unless a renewal has moved it.
    ///
    /// # Errors
    /// [`NotLeading`] where none may be sent at all.
    pub fn check(&self) -> Result<Instant, NotLeading> {
        self.expires().ok_or(NotLeading)
    }

    /// Waits until this process leads.
    ///
    /// # Errors
    /// [`NotLeading`] where it never will, as the candidate has ended.
    pub async fn acquired(&mut self) -> Result<(), NotLeading> {
        let me = Arc::clone(&self.me);
        let leads = |claim: &Option<Claim>| {
            claim.as_ref().is_some_and(|claim| claim.is_current_for(&me, Instant::now()))
        };
        self.claim.wait_for(leads).await.map(drop).map_err(|_| NotLeading)
    }

    /// Tells of the beginning and the end of leading, for those who only want to know when to look. A claim that runs
    /// out ends it a moment late: before a write, [`Leadership::check`] is what counts.
    #[must_use]
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    fn expires(&self) -> Option<Instant> {
        let claim = self.claim.borrow();
        claim
            .as_ref()
            .filter(|claim| claim.is_current_for(&self.me, Instant::now()))
            .map(|claim| claim.expires)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a writer asks, and the other end of it.
    pub(crate) fn mk_leadership(me: &str) -> (watch::Sender<Option<Claim>>, Leadership) {
        let (claims, claim) = watch::channel(None);
        let (_, leading) = watch::channel(false);
        (claims, Leadership { me: me.into(), claim, leading })
    }

    /// A claim that ends in so many seconds.
    pub(crate) fn mk_claim(holder: &str, seconds: u64) -> Claim {
        Claim { holder: holder.into(), expires: Instant::now() + Duration::from_secs(seconds) }
    }

    fn settings(duration: u64, deadline: u64, retry: u64) -> Settings {
        Settings {
            namespace: "mcp-operator-system".into(),
            name: "mcp-operator".into(),
            identity: "a".into(),
            lease_duration: Duration::from_millis(duration),
            renew_deadline: Duration::from_millis(deadline),
            retry_period: Duration::from_millis(retry),
        }
    }

    #[test]
    fn times_that_fit_together_are_accepted() {
        assert_eq!(settings(15_000, 10_000, 2_000).validate(), Ok(()));
        assert_eq!(settings(2_000, 1_000, 500).validate(), Ok(()));
    }

    #[test]
    fn times_that_would_let_two_lead_are_refused() {
        let refused = |duration, deadline, retry| settings(duration, deadline, retry).validate().unwrap_err();
        assert!(matches!(refused(15_000, 15_000, 2_000), InvalidSettings::DeadlineTooLong { .. }));
        assert!(matches!(refused(1_500, 1_000, 200), InvalidSettings::Fraction(_)));
        assert!(matches!(refused(0, 0, 0), InvalidSettings::Fraction(_)));
        assert!(matches!(refused(15_000, 10_000, 6_000), InvalidSettings::RetryTooLong { .. }));
        assert!(matches!(refused(15_000, 10_000, 0), InvalidSettings::RetryTooLong { .. }));
    }

    #[test]
    fn two_processes_of_one_pod_have_two_identities() {
        assert_ne!(identity("pod"), identity("pod"));
        assert!(identity("pod").starts_with("pod_"));
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_ends_by_itself_when_the_claim_runs_out() {
        let (claims, mut leadership) = mk_leadership("a");
        assert_eq!(leadership.check(), Err(NotLeading));

        let claim = mk_claim("a", 10);
        claims.send_replace(Some(claim.clone()));
        leadership.acquired().await.unwrap();
        assert_eq!(leadership.check(), Ok(claim.expires));

        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(leadership.check(), Err(NotLeading));
    }

    #[tokio::test(start_paused = true)]
    async fn another_holders_claim_is_not_ours() {
        let (claims, leadership) = mk_leadership("a");
        claims.send_replace(Some(mk_claim("b", 10)));
        assert!(!leadership.is_held());
    }

    #[tokio::test]
    async fn waiting_for_leadership_ends_with_the_candidate() {
        let (claims, mut leadership) = mk_leadership("a");
        drop(claims);
        assert_eq!(leadership.acquired().await, Err(NotLeading));
    }
}
