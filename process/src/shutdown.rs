//! How the process ends in good order.
//!
//! A rolling update takes a pod's address out of the Service while it sends the pod SIGTERM, and neither waits for the
//! other. So between the signal and the closing of the listeners there is a delay in which the pod already says that it is
//! not ready and still answers everything:
//!
//! 1. *begun*: `/readyz` fails, writers stop, the lease is handed over; servers go on.
//! 2. *closing*, after [`Timing::delay`]: servers accept no connection any more and finish the ones they have.
//! 3. the [`Timing::deadline`], or a second signal: what is left is aborted.

use std::fmt;
use std::io;
use std::time::Duration;

use futures::Stream;
use futures::stream;
use tokio::signal::unix::{self, SignalKind};
use tokio_util::sync::CancellationToken;

/// When the stages of an ending follow each other, counted from its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long servers go on as if nothing had happened.
    pub delay: Duration,
    /// How long everything may take. Below a pod's `terminationGracePeriodSeconds`.
    pub deadline: Duration,
}

/// What servers and writers are handed, to learn that the process ends. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    begun: CancellationToken,
    closing: CancellationToken,
}

impl Drain {
    /// A process that does not end yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the ending: nothing new is written or taken on from here.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Tells servers to finish.
    pub fn close(&self) {
        self.begun.cancel();
        self.closing.cancel();
    }

    /// Whether the ending has begun.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits for the ending to begin: for what writes, and for what reports readiness.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until servers have to finish: for what answers others.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }
}

/// A request by the outside that the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// From the kubelet, or a service manager.
    Terminate,
    /// From a keyboard.
    Interrupt,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

/// The signals that ask this process to end, as they come. They no longer end it by themselves from here on.
///
/// # Errors
/// Where the handlers cannot be installed.
pub fn signals() -> io::Result<impl Stream<Item = Signal> + Unpin> {
    let terminate = unix::signal(SignalKind::terminate())?;
    let interrupt = unix::signal(SignalKind::interrupt())?;
    Ok(Box::pin(stream::unfold((terminate, interrupt), |(mut terminate, mut interrupt)| async move {
        let signal = tokio::select! {
            Some(()) = terminate.recv() => Signal::Terminate,
            Some(()) = interrupt.recv() => Signal::Interrupt,
            else => return None,
        };
        Some((signal, (terminate, interrupt)))
    })))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn closing_implies_that_it_has_begun() {
        let drain = Drain::new();
        let other = drain.clone();
        assert!(!other.is_begun());
        drain.begin();
        assert!(other.is_begun() && other.begun().now_or_never().is_some());
        assert_eq!(other.closing().now_or_never(), None);
        drain.close();
        assert_eq!(other.closing().now_or_never(), Some(()));

        let at_once = Drain::new();
        at_once.close();
        assert!(at_once.is_begun());
    }
}
