//! Serving a router over plain HTTP/1.1, with a bound on everything a peer could use up.

use std::convert::Infallible;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::Peer;

/// What one server lets its peers use up.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at a time. Those beyond wait in the kernel's queue, which has a bound of its own.
    pub connections: usize,
    /// How long the head of a request may take to arrive, and how long a connection may be idle between two.
    pub head: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 64, head: Duration::from_secs(30) }
    }
}

/// Accepts connections until `closing`, then finishes the requests that have begun and returns.
///
/// Dropping the future closes every connection.
///
/// # Errors
/// None: what goes wrong with a connection is that connection's end, and an error of accepting is waited out.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    closing: impl Future<Output = ()>,
) -> Result<(), Infallible> {
    let mut closing = pin!(closing);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(bounds.connections));
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
                    let router = router.clone().layer(axum::Extension(Peer(peer)));
                    let connection = graceful.watch(connection(stream, router, bounds));
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
    Ok(())
}

type Connection = http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>;

fn connection(stream: TcpStream, router: Router, bounds: Bounds) -> Connection {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
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

#[cfg(test)]
mod tests;
