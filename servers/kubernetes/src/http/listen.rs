//! Connections: accepted up to a bound, and closed when nobody says anything on them.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use mcp_process::timed::Timed;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

/// Connections at a time. Those beyond wait in the kernel's queue, which has a bound of its own.
const CONNECTIONS: usize = 512;
/// How long the head of a request may take to arrive, and how long a connection may be idle between two.
const IDLE: Duration = Duration::from_secs(75);
/// How long a client may leave unread what was sent to it.
const UNREAD: Duration = Duration::from_secs(30);

/// Accepts connections until `closing`, then finishes the requests that have begun and returns.
///
/// Dropping the future closes every connection.
pub async fn serve(listener: TcpListener, router: Router, closing: impl Future<Output = ()>) {
    let mut closing = pin!(closing);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = &mut closing => break,
            Some(_) = connections.join_next() => {}
            (slot, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    // Answers are whole: waiting to send more of them together only delays them.
                    let _ = stream.set_nodelay(true);
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(IDLE)
                        .serve_connection(TokioIo::new(Timed::new(stream, UNREAD)), TowerToHyperService::new(router.clone()));
                    let connection = graceful.watch(connection);
                    connections.spawn(async move {
                        let _slot = slot;
                        if let Err(error) = connection.await {
                            debug!(%peer, error = &error as &dyn std::error::Error, "a connection failed");
                        }
                    });
                }
                Err(error) => refused(error).await,
            },
        }
    }
    drop(listener);
    graceful.shutdown().await;
    while connections.join_next().await.is_some() {}
}

/// A connection that ended before it was accepted is nobody's fault; out of file descriptors takes a while to pass.
async fn refused(error: io::Error) {
    let of_the_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !of_the_peer {
        warn!(error = &error as &dyn std::error::Error, "no connection could be accepted");
        sleep(Duration::from_secs(1)).await;
    }
}
