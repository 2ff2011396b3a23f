//! One Service's port: how many calls are in flight to it, whether it is worth calling, and which connections to it are kept.

use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Failure;
use super::connection::Idle;

/// How many calls may be in flight to one backend. More than half of what a server serves by default, so that one slow
/// backend leaves room for the others.
pub(crate) const MAX_IN_FLIGHT: usize = 64;

/// How many failures in a row open the circuit.
const THRESHOLD: u32 = 5;

/// How long it stays open before one call may try.
const OPEN: Duration = Duration::from_secs(5);

/// One Service's port.
#[derive(Debug)]
pub struct Backend {
    authority: Authority,
    in_flight: Arc<Semaphore>,
    circuit: Mutex<Circuit>,
    plain: Arc<Idle>,
    tls: Arc<Idle>,
}

/// What a call in flight holds.
#[derive(Debug)]
pub struct Permit {
    _in_flight: OwnedSemaphorePermit,
}

impl Backend {
    /// A backend of which nothing is known.
    #[must_use]
    pub fn new(authority: Authority) -> Self {
        Self {
            authority,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            circuit: Mutex::new(Circuit::default()),
            plain: Arc::default(),
            tls: Arc::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        MAX_IN_FLIGHT.saturating_sub(self.in_flight.available_permits())
    }

    /// Connections that were kept for later requests, with TLS or without.
    pub(super) const fn kept(&self, tls: bool) -> &Arc<Idle> {
        if tls { &self.tls } else { &self.plain }
    }

    /// Closes connections that have been kept for long enough.
    pub fn sweep(&self, now: Instant) {
        self.plain.sweep(now);
        self.tls.sweep(now);
    }

    /// Whether it is left alone for a while.
    #[must_use]
    pub fn is_open(&self, now: Instant) -> bool {
        self.circuit.lock().open_until.is_some_and(|until| now < until)
    }

    /// Lets a call through, or says why not.
    pub(super) fn admit(&self, now: Instant) -> Result<Permit, Failure> {
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| Failure::Busy { limit: MAX_IN_FLIGHT })?;
        self.circuit.lock().admit(now).map_err(Failure::Open)?;
        Ok(Permit { _in_flight: permit })
    }

    /// Learns how a call went.
    pub(super) fn learn(&self, healthy: bool) {
        self.circuit.lock().learn(healthy, Instant::now);
    }
}

/// A circuit breaker: after some failures in a row nothing is tried for a while, then one call, whose outcome decides.
#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    /// Set while it is open. At that time one call may try; whoever does moves it on.
    open_until: Option<Instant>,
}

impl Circuit {
    fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.open_until {
            None => Ok(()),
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                self.open_until = Some(now + OPEN);
                Ok(())
            }
        }
    }

    fn learn(&mut self, healthy: bool, now: impl FnOnce() -> Instant) {
        if healthy {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= THRESHOLD {
            self.open_until = Some(now() + OPEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_the_circuit_and_one_call_tries() {
        let (mut circuit, start) = (Circuit::default(), Instant::now());
        for _ in 0..THRESHOLD {
            assert_eq!(circuit.admit(start), Ok(()));
            circuit.learn(false, || start);
        }
        assert_eq!(circuit.admit(start + Duration::from_secs(1)), Err(Duration::from_secs(4)));
        assert_eq!(circuit.admit(start + OPEN), Ok(()), "one tries");
        assert!(circuit.admit(start + OPEN).is_err(), "and no other");
        circuit.learn(true, || start + OPEN);
        assert_eq!(circuit.admit(start + OPEN), Ok(()));
    }

    #[test]
    fn a_success_between_starts_counting_again() {
        let (mut circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..10 {
            circuit.learn(false, || now);
            circuit.learn(false, || now);
            circuit.learn(true, || now);
        }
        assert_eq!(circuit.admit(now), Ok(()));
    }

    #[test]
    fn what_is_in_flight_is_bounded() {
        let backend = Backend::new("localhost:80".parse().unwrap());
        let permits: Vec<_> =
            (0..MAX_IN_FLIGHT).map(|_| backend.admit(Instant::now()).expect("room")).collect();
        assert_eq!(backend.admit(Instant::now()).unwrap_err(), Failure::Busy { limit: MAX_IN_FLIGHT });
        drop(permits);
        assert!(backend.admit(Instant::now()).is_ok());
    }
}
