//! Whether this replica may be sent requests, and what it still waits for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// What the process needs before it is ready. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    gates: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed(Option<Cow<'static, str>>),
}

/// One thing that readiness needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The gate's name.
    pub name: &'static str,
    /// What is known about why it is closed.
    pub reason: Option<Cow<'static, str>>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{}: {reason}", self.name),
            None => f.write_str(self.name),
        }
    }
}

impl Readiness {
    /// A process that needs nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes readiness wait for one thing more. The gate is closed until its owner opens it, and again once the owner is
    /// gone: a part that ended is not ready, however it ended.
    ///
    /// A name is for one gate; one that is made a second time takes the place of the first.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        self.gates.lock().insert(name, State::Closed(None));
        Gate { name, readiness: self.clone() }
    }

    /// What is missing, by name. Empty means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let closed = |(name, state): (&&'static str, &State)| match state {
            State::Open => None,
            State::Closed(reason) => Some(Missing { name, reason: reason.clone() }),
        };
        self.gates.lock().iter().filter_map(closed).collect()
    }
}

/// One part's say in whether the process is ready.
#[derive(Debug)]
pub struct Gate {
    name: &'static str,
    readiness: Readiness,
}

impl Gate {
    /// This part is ready.
    pub fn open(&self) {
        self.set(State::Open);
    }

    /// This part is not ready, for a reason that `/readyz` shows. The reason must not hold secrets.
    pub fn close(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(State::Closed(Some(reason.into())));
    }

    fn set(&self, state: State) {
        let mut gates = self.readiness.gates.lock();
        let known = gates.get(self.name);
        match (&known, &state) {
            (Some(State::Closed(_)), State::Open) => tracing::info!(gate = self.name, "ready"),
            (Some(State::Open), State::Closed(reason)) => {
                tracing::warn!(gate = self.name, reason = reason.as_deref(), "no longer ready");
            }
            _ => {}
        }
        gates.insert(self.name, state);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // No line in the log: at the end of the process every task ends, and a failure is logged by the supervisor.
        self.readiness.gates.lock().insert(self.name, State::Closed(Some("its task has ended".into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(readiness: &Readiness) -> Vec<String> {
        readiness.missing().iter().map(Missing::to_string).collect()
    }

    #[test]
    fn every_gate_has_to_be_open() {
        let readiness = Readiness::new();
        let (watches, certificate) = (readiness.gate("watches"), readiness.gate("certificate"));
        assert_eq!(missing(&readiness), ["certificate", "watches"]);
        watches.open();
        certificate.close("Secret mcp-operator-webhook-cert not found");
        assert_eq!(missing(&readiness), ["certificate: Secret mcp-operator-webhook-cert not found"]);
        certificate.open();
        assert!(readiness.missing().is_empty());
    }

    #[test]
    fn a_gate_can_close_again() {
        let readiness = Readiness::new();
        let gate = readiness.gate("certificate");
        gate.open();
        gate.close("expired");
        assert_eq!(missing(&readiness), ["certificate: expired"]);
    }

    #[test]
    fn a_part_that_ended_is_not_ready() {
        let readiness = Readiness::new();
        let gate = readiness.gate("watches");
        gate.open();
        drop(gate);
        assert_eq!(missing(&readiness), ["watches: its task has ended"]);
    }
}
