//! Serving a router over HTTP/1.1, with a bound on everything that a client could use up.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use mcp_process::gathered::Gathered;
use mcp_process::timed::Timed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::gateway::Bounds;

/// How many headers a request may have.
const MAX_HEADERS: usize = 100;

/// Accepts connections until `closing`, then finishes the requests that have begun and returns. `answer` is given each request
/// with the address at which its connection was accepted.
///
/// Each connection takes one of the `slots`; while there is none, nobody is accepted. Dropping the future closes every
/// connection.
///
/// # Errors
/// None: what goes wrong with a connection is that connection's end, and an error of accepting is waited out.
pub async fn serve<F>(
    listener: TcpListener,
    answer: impl Fn(Option<IpAddr>, Request) -> F + Clone + Send + 'static,
    bounds: Bounds,
    slots: Arc<Semaphore>,
    closing: impl Future<Output = ()>,
) -> Result<(), Infallible>
where
    F: Future<Output = Response> + Send + 'static,
{
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
                    let connection = graceful.watch(connection(stream, answer.clone(), bounds));
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

fn connection<F>(
    stream: TcpStream,
    answer: impl Fn(Option<IpAddr>, Request) -> F + Send + 'static,
    bounds: Bounds,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static
where
    F: Future<Output = Response> + Send + 'static,
{
    // Answers are small and whole; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok().map(|address| address.ip());
    let service = service_fn(move |request: http::Request<Incoming>| {
        // Not in a box: hyper has a place for it for as long as the connection lives, and so nothing is allocated for a request.
        answer(local, request.map(Body::new)).map(Ok::<_, Infallible>)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .max_buf_size(bounds.head_bytes)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Timed::new(Gathered(stream), bounds.write_time)), service)
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
