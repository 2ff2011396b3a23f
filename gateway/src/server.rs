//! Serving a router over HTTP/1.1, with a bound on everything that a client could use up.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use mcp_process::timed::Timed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::gateway::Bounds;
use crate::security::Local;

/// How many headers a request may have.
const MAX_HEADERS: usize = 100;

/// Accepts connections until `closing`, then finishes the requests that have begun and returns.
///
/// Each connection takes one of the `slots`; while there is none, nobody is accepted. Dropping the future closes every
/// connection.
///
/// # Errors
/// None: what goes wrong with a connection is that connection's end, and an error of accepting is waited out.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    slots: Arc<Semaphore>,
    closing: impl Future<Output = ()>,
) -> Result<(), Infallible> {
    let mut closing = pin!(closing);
    let graceful = GracefulShutdown::new();
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
                    let connection = graceful.watch(connection(stream, &router, bounds));
                    connections.spawn(async move {
                        let _slot = slot;
                        if let Err(error) = connection.await {
                            debug!(%peer, error = &error as &dyn std::error::Error, "a connection failed");
                        }
                    });
                }
                Err(error) => refused(&error).await,
            },
        }
    }
    drop(listener);
    graceful.shutdown().await;
    while connections.join_next().await.is_some() {}
    Ok(())
}

fn connection(
    stream: TcpStream,
    router: &Router,
    bounds: Bounds,
) -> impl GracefulConnection<Error = hyper::Error> + Send + use<> {
    // Answers are small and whole; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok().map(Local);
    let router = router.clone().map_request(move |mut request: Request<Incoming>| {
        if let Some(local) = local {
            request.extensions_mut().insert(local);
        }
        request
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .max_buf_size(bounds.head_bytes)
        .max_headers(MAX_HEADERS)
        .serve_connection(
            TokioIo::new(Timed::new(stream, bounds.write_time)),
            TowerToHyperService::new(router),
        )
}

/// A connection that ended before it was accepted is nobody's fault; out of file descriptors takes a while to pass.
async fn refused(error: &io::Error) {
    let of_the_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !of_the_peer {
        warn!(error = error as &dyn std::error::Error, "no connection could be accepted");
        sleep(Duration::from_millis(100)).await;
    }
}
