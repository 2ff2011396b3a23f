//! Following watches, and knowing when all of them have listed.

use std::convert::Infallible;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::readiness::{Gate, Readiness};

/// How many objects a page of a list has. A page is held whole, and its objects take twenty times the room of their text
/// while they are being read.
const PAGE: u32 = 50;

/// How lists and watches are asked for.
pub(crate) fn in_pages() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// How long a watch waits before it tries again: twice as long each time, and each replica a little different. The longest is
/// short beside kube's own 30 seconds, by which an outage would go on here when it is over everywhere else.
#[derive(Debug)]
pub(crate) struct Patience {
    next: Duration,
    asked: Option<Instant>,
}

impl Patience {
    const SHORTEST: Duration = Duration::from_millis(800);
    const LONGEST: Duration = Duration::from_secs(5);
    /// After so long without a failure it begins anew.
    const CALM: Duration = Duration::from_secs(60);
}

impl Default for Patience {
    fn default() -> Self {
        Self { next: Self::SHORTEST, asked: None }
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if self.asked.replace(now).is_some_and(|before| now.duration_since(before) > Self::CALM) {
            self.next = Self::SHORTEST;
        }
        let wait = self.next;
        self.next = (wait * 2).min(Self::LONGEST);
        Some(wait.mul_f64(rand::random_range(0.5..=1.0)))
    }
}

impl Backoff for Patience {
    /// An answer alone is no calm: a list that fails half way would be asked for again and again.
    fn reset(&mut self) {}
}

/// The lists that have to be complete before anything is decided from them: with half of them, a server would lose what
/// it offers, and an object its rivals.
#[derive(Debug)]
pub(crate) struct Lists {
    // Nothing is ever sent: that all senders are gone is the message.
    outstanding: mpsc::Sender<Infallible>,
    complete: mpsc::Receiver<Infallible>,
}

/// One of the lists.
#[derive(Debug)]
pub(crate) struct Listed {
    gate: Gate,
    outstanding: Option<mpsc::Sender<Infallible>>,
}

impl Lists {
    pub(crate) fn new() -> Self {
        let (outstanding, complete) = mpsc::channel(1);
        Self { outstanding, complete }
    }

    /// Adds a list, with a gate of this name.
    pub(crate) fn add(&self, readiness: &Readiness, name: &'static str) -> Listed {
        Listed { gate: readiness.gate(name), outstanding: Some(self.outstanding.clone()) }
    }

    /// Waits until every list was complete once.
    pub(crate) async fn complete(self) {
        let Self { outstanding, mut complete } = self;
        drop(outstanding);
        let _ = complete.recv().await;
    }
}

impl Listed {
    fn is_complete(&self) -> bool {
        self.outstanding.is_none()
    }

    fn complete(&mut self) {
        self.outstanding = None;
        self.gate.open();
    }

    fn failed(&self, error: &watcher::Error) {
        // What was complete once goes on being used; how stale it may be, nobody can tell.
        if !self.is_complete() {
            self.gate.close(reason(error));
        }
    }
}

/// Why there is no list, for a person.
fn reason(error: &watcher::Error) -> String {
    match error {
        // Where there is no such path at all, the answer is no `Status`, and so has a code and no reason.
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404 => {
            "the API server does not know this kind: is its CustomResourceDefinition installed?".to_owned()
        }
        // Alone, as the error's own text has the message twice.
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.message.clone(),
        error => error.to_string(),
    }
}

/// Feeds a watch to `apply`, for ever: a watch is tried again, with the backoff of its stream, whatever went wrong.
pub(crate) async fn follow<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    mut listed: Listed,
    mut apply: impl FnMut(Event<K>),
) -> Infallible {
    let mut events = std::pin::pin!(events);
    loop {
        match events.next().await {
            Some(Ok(event)) => {
                let done = matches!(event, Event::InitDone);
                apply(event);
                if done {
                    listed.complete();
                }
            }
            Some(Err(error)) => {
                tracing::warn!(error = reason(&error), "watch failed, trying again");
                listed.failed(&error);
            }
            // A watch has no end.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn refused(code: u16, reason: &str, message: &str) -> String {
        let status = kube::core::Status::failure(message, reason).with_code(code).boxed();
        super::reason(&watcher::Error::InitialListFailed(kube::Error::Api(status)))
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_at_five_seconds_and_begins_anew_after_a_calm() {
        let mut patience = Patience::default();
        let waits: Vec<Duration> = patience.by_ref().take(8).collect();
        for (wait, longest) in waits.iter().zip([800, 1600, 3200, 5000, 5000, 5000, 5000, 5000]) {
            let longest = Duration::from_millis(longest);
            assert!(*wait <= longest && *wait >= longest / 2, "{waits:?}");
        }
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(patience.next() <= Some(Duration::from_millis(800)));
    }

    #[test]
    fn a_kind_that_nobody_has_defined_is_said_to_be_so() {
        let said = refused(404, "Failed to parse error data", "404 page not found");
        assert!(said.ends_with("is its CustomResourceDefinition installed?"), "{said}");
    }

    #[test]
    fn what_the_api_server_says_is_said_once() {
        let message = "pods is forbidden: User \"nobody\" cannot list resource \"pods\"";
        assert_eq!(refused(403, "Forbidden", message), message);
    }

    #[tokio::test]
    async fn all_lists_have_to_be_complete() {
        let (lists, readiness) = (Lists::new(), Readiness::new());
        let (mut first, mut second) = (lists.add(&readiness, "first"), lists.add(&readiness, "second"));
        let mut complete = std::pin::pin!(lists.complete());
        first.complete();
        assert!(complete.as_mut().now_or_never().is_none());
        second.complete();
        complete.await;
        assert!(readiness.missing().is_empty());
    }
}
