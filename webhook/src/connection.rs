//! One connection, from the handshake to its end.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::server::Limits;

/// How many requests one HTTP/2 connection may have under way.
const MAX_STREAMS: u32 = 64;
/// How large the head of a request may be. The API server's are a few hundred bytes.
const MAX_HEAD_BYTES: u32 = 16 << 10;

/// Serves one connection to its end, or until it is idle and told to `leave`. What a client does wrong ends its connection, and
/// nothing else.
pub(crate) async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    limits: &Limits,
    activity: Arc<Activity>,
    leave: &CancellationToken,
    draining: &CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot turn off delays of small packets");
    }
    let handshake = tokio::time::timeout(limits.handshake, acceptor.accept(stream));
    match leave.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => serve_http(stream, router, limits, activity, leave, draining).await,
        Some(Ok(Err(error))) => tracing::debug!(%error, "TLS handshake failed"),
        Some(Err(_)) => tracing::debug!("TLS handshake timed out"),
        None => tracing::debug!("TLS handshake given up for another connection"),
    }
}

async fn serve_http(
    stream: TlsStream<TcpStream>,
    router: Router,
    limits: &Limits,
    activity: Arc<Activity>,
    leave: &CancellationToken,
    draining: &CancellationToken,
) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let under_way = UnderWay::begin(&activity);
        // A clone of a router is a pointer's.
        let answer = router.clone().call(request);
        let draining = draining.clone();
        async move {
            let _under_way = under_way;
            let mut response = answer.await?;
            if !is_http2 && draining.is_cancelled() {
                // Asks the client to use another connection next time.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(Observed { stream, activity: Arc::clone(&activity) });
    let builder = builder(is_http2);
    let mut connection = pin!(builder.serve_connection(io, service));

    let watch = watch(&activity, is_http2, limits, leave, draining);
    let why = tokio::select! {
        ended = connection.as_mut() => return ended_with(ended),
        why = watch => why,
    };
    tracing::debug!(?why, "closing a connection");
    // Another connection waits for the place: the client is told, and not waited for.
    let mut patience = if why == Why::Crowded { Duration::ZERO } else { limits.linger };
    match why {
        Why::SlowHead => return,
        Why::Idle | Why::Crowded | Why::Draining => connection.as_mut().graceful_shutdown(),
    }
    // What is under way is finished: the server's own deadline bounds it. A client that neither asks nor hangs up
    // is not waited for.
    loop {
        match tokio::time::timeout(patience, connection.as_mut()).await {
            Ok(ended) => return ended_with(ended),
            Err(_) if matches!(activity.now(), Doing::Requests(_)) => patience = limits.linger,
            Err(_) => return,
        }
    }
}

fn ended_with(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// ALPN has decided on the protocol, so nothing has to be guessed from the first bytes.
fn builder(is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads and idle connections have limits of their own, which hyper's one timer cannot tell apart.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES as usize * 4);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// A request's head takes too long.
    SlowHead,
    /// There has been no request for too long.
    Idle,
    /// It is idle, and another connection waits for its place.
    Crowded,
    /// The server drains.
    Draining,
}

/// Waits until the connection is to be closed.
async fn watch(
    activity: &Activity,
    is_http2: bool,
    limits: &Limits,
    leave: &CancellationToken,
    draining: &CancellationToken,
) -> Why {
    let lingering = async {
        draining.cancelled().await;
        // HTTP/2 can say where it stops; in HTTP/1 a request may cross the closing of an idle connection.
        if !is_http2 {
            tokio::time::sleep(limits.linger).await;
            while activity.now() == Doing::Head {
                tokio::time::sleep(limits.linger).await;
            }
        }
    };
    let overdue = async {
        let mut tick = tokio::time::interval(limits.head.min(limits.idle));
        loop {
            let now = tick.tick().await;
            match activity.now_since() {
                (Doing::Head, since) if !is_http2 && now.duration_since(since) >= limits.head => {
                    return Why::SlowHead;
                }
                (Doing::Nothing | Doing::Head, since) if now.duration_since(since) >= limits.idle => {
                    return Why::Idle;
                }
                _ => {}
            }
        }
    };
    tokio::select! {
        () = lingering => Why::Draining,
        () = leave.cancelled() => Why::Crowded,
        why = overdue => why,
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Waiting for a request.
    Nothing,
    /// Receiving bytes that are no whole head yet.
    Head,
    /// Answering this many requests.
    Requests(usize),
}

/// What a connection is doing, and since when.
#[derive(Debug)]
pub(crate) struct Activity {
    doing: Mutex<(Doing, Instant)>,
    /// Told when it has answered its last request.
    freed: Arc<Notify>,
}

impl Activity {
    /// Of a connection that has just come.
    pub(crate) fn new(now: Instant, freed: Arc<Notify>) -> Self {
        Self { doing: Mutex::new((Doing::Nothing, now)), freed }
    }

    /// Since when it has been without a request, where it is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        match self.now_since() {
            (Doing::Nothing | Doing::Head, since) => Some(since),
            (Doing::Requests(_), _) => None,
        }
    }

    fn now_since(&self) -> (Doing, Instant) {
        *self.doing.lock()
    }

    fn now(&self) -> Doing {
        self.now_since().0
    }

    fn received(&self) {
        let mut activity = self.doing.lock();
        if activity.0 == Doing::Nothing {
            *activity = (Doing::Head, Instant::now());
        }
    }

    fn began(&self) {
        let mut activity = self.doing.lock();
        activity.0 = match activity.0 {
            Doing::Requests(count) => Doing::Requests(count + 1),
            Doing::Nothing | Doing::Head => Doing::Requests(1),
        };
    }

    fn ended(&self) {
        let mut activity = self.doing.lock();
        *activity = match *activity {
            (Doing::Requests(count), since) if count > 1 => (Doing::Requests(count - 1), since),
            _ => (Doing::Nothing, Instant::now()),
        };
        drop(activity);
        self.freed.notify_one();
    }
}

/// A request between its head and its answer, also where the client goes away between them.
struct UnderWay(Arc<Activity>);

impl UnderWay {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.began();
        Self(Arc::clone(activity))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// A stream that notes when bytes arrive.
struct Observed {
    stream: TlsStream<TcpStream>,
    activity: Arc<Activity>,
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
