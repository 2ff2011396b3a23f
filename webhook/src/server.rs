//! The TLS server: accepts, bounds what a client may take, and drains.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::connection::{self, Activity};

/// What a client may take of the server, and how long things may last.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many connections are served at once. One more takes the place of the one that has been without a request for
    /// longest; where all have one, it waits.
    pub connections: usize,
    /// How long a TLS handshake may last.
    pub handshake: Duration,
    /// How long the head of an HTTP/1 request may take from its first byte.
    pub head: Duration,
    /// How long a connection may be without a request. Longer than clients keep theirs (90 s in Go), so that
    /// it is they who close, and no request crosses our closing.
    pub idle: Duration,
    /// How long an idle HTTP/1 connection is kept when the server drains, for a request that may be under way.
    /// Every answer meanwhile asks the client to close.
    pub linger: Duration,
    /// How long draining may last. What is unanswered then is dropped.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            linger: Duration::from_secs(1),
            drain: Duration::from_secs(20),
        }
    }
}

/// How serving can end badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// [`Limits::drain`] has passed.
    #[error("dropped {connections} connections that were not done when the time for draining was over")]
    DrainTimedOut {
        /// How many were left.
        connections: usize,
    },
}

/// Serves `router` on `listener` until `shutdown`, and then drains: accepts no more, asks clients to close,
/// answers every request that has arrived, and returns.
///
/// The configuration's ALPN list decides whether HTTP/2 is offered. Whoever waits for load balancers to take
/// notice does so before `shutdown`. Every connection is a task of this future's own: dropping it ends them all.
///
/// # Errors
/// Only where draining took longer than [`Limits::drain`]. Nothing that a client does, and no failure to accept,
/// ends the server.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let draining = CancellationToken::new();
    let mut connections = Connections {
        acceptor: TlsAcceptor::from(tls),
        router,
        slots: Arc::new(Semaphore::new(limits.connections)),
        arrived: None,
        draining: draining.clone(),
        limits: Arc::new(limits),
        tasks: JoinSet::new(),
        places: HashMap::new(),
        freed: Arc::default(),
    };
    tokio::select! {
        () = shutdown => {}
        never = connections.accept(&listener) => match never {},
    }
    draining.cancel();
    connections.accept_backlog(&listener).await;
    drop(listener);
    connections.finish().await
}

struct Connections {
    acceptor: TlsAcceptor,
    router: Router,
    slots: Arc<Semaphore>,
    /// Accepted, and waiting for a place.
    arrived: Option<TcpStream>,
    draining: CancellationToken,
    limits: Arc<Limits>,
    tasks: JoinSet<()>,
    places: HashMap<Id, Place>,
    /// Told whenever a connection has answered its last request.
    freed: Arc<Notify>,
}

/// What is known of a connection that is being served.
struct Place {
    activity: Arc<Activity>,
    /// Asks it to give its place to another.
    leave: CancellationToken,
}

impl Connections {
    async fn accept(&mut self, listener: &TcpListener) -> Infallible {
        let mut pause = Pause::default();
        loop {
            self.place_arrived();
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = self.freed.notified(), if self.arrived.is_some() => {}
                accepted = listener.accept(), if self.arrived.is_none() => match accepted {
                    Ok((stream, _)) => {
                        pause = Pause::default();
                        self.arrived = Some(stream);
                    }
                    Err(error) => pause.after(&error).await,
                },
            }
        }
    }

    /// Serves what has arrived, or makes room for it. Whoever opens connections and asks nothing would otherwise keep the API
    /// server out, and with it every change of our kinds.
    fn place_arrived(&mut self) {
        let Some(stream) = self.arrived.take() else { return };
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            self.spawn(stream, Some(slot));
            return;
        }
        self.arrived = Some(stream);
        let idle = self.places.values().filter_map(|place| Some((place.activity.idle_since()?, place)));
        // One that was asked to leave already is still the first, until it has left.
        if let Some((_, place)) = idle.min_by_key(|(since, _)| *since) {
            place.leave.cancel();
        }
    }

    /// Takes what the kernel has already accepted for us: closing the listener would reset it.
    async fn accept_backlog(&mut self, listener: &TcpListener) {
        if let Some(stream) = self.arrived.take() {
            // It is the last: one more than there are places does no harm.
            self.spawn(stream, None);
        }
        while let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            let accepted = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
            let Ok(Ok((stream, _))) = accepted else { return };
            self.spawn(stream, Some(slot));
        }
    }

    fn spawn(&mut self, stream: TcpStream, slot: Option<tokio::sync::OwnedSemaphorePermit>) {
        let (acceptor, router) = (self.acceptor.clone(), self.router.clone());
        let (limits, draining) = (Arc::clone(&self.limits), self.draining.clone());
        let place = Place {
            activity: Arc::new(Activity::new(Instant::now(), Arc::clone(&self.freed))),
            leave: CancellationToken::new(),
        };
        let (activity, leave) = (Arc::clone(&place.activity), place.leave.clone());
        let task = self.tasks.spawn(async move {
            let _slot = slot;
            let serving = connection::serve(stream, acceptor, router, &limits, activity, &leave, &draining);
            serving.await;
        });
        self.places.insert(task.id(), place);
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.places.remove(&id);
        if let Err(error) = ended {
            tracing::error!(%error, "a connection's task failed");
        }
    }

    async fn finish(mut self) -> Result<(), ServeError> {
        let drain = self.limits.drain;
        let all = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(drain, all).await.is_ok() {
            return Ok(());
        }
        let connections = self.tasks.len();
        self.tasks.shutdown().await;
        Err(ServeError::DrainTimedOut { connections })
    }
}

/// How long to wait after a failed accept: not at all where it was the client's fault, and longer each time
/// where we are out of something, such as file descriptors.
#[derive(Debug, Default)]
struct Pause(Duration);

impl Pause {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    async fn after(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return;
        }
        self.0 = (self.0 * 2).clamp(Self::FIRST, Self::LONGEST);
        tracing::warn!(%error, pause = ?self.0, "cannot accept connections");
        tokio::time::sleep(self.0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn paused(pause: &mut Pause, error: io::ErrorKind) -> u128 {
        let started = tokio::time::Instant::now();
        pause.after(&error.into()).await;
        started.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn accepting_pauses_longer_each_time_it_is_our_fault() {
        let mut pause = Pause::default();
        for expected in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            assert_eq!(paused(&mut pause, io::ErrorKind::Other).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_went_away_holds_up_nobody() {
        assert_eq!(paused(&mut Pause::default(), io::ErrorKind::ConnectionAborted).await, 0);
    }
}
