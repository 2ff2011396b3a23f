//! Connections to backends.
//!
//! Whoever has a connection drives it: a request, then the body of its answer, and while it is kept for the next request nobody
//! does. So no task belongs to a connection; and a call that is given up, because its client went away or its time is over, takes
//! its connection along, by which the backend learns that nobody waits.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::future::poll_fn;
use futures::task::AtomicWaker;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use mcp_process::gathered::Gathered;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio::time::Instant;

/// What a connection runs over.
type Stream = TokioIo<Gathered<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>>;

/// How long an idle connection is kept, and until the next sweep. Below what servers mostly keep theirs, so that a request seldom
/// meets their closing.
const IDLE: Duration = Duration::from_secs(25);

/// How many idle connections are kept.
const MAX_IDLE: usize = 64;

/// A connection, for one exchange at a time.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Body>,
    /// None when it has come to its end.
    driver: Option<http1::Connection<Stream, Body>>,
    relay: Arc<Relay>,
    /// That of the relay.
    waker: Waker,
}

/// Wakes who drives a connection at the time. The connection itself knows nobody else, so that its next request wakes nobody who
/// drove it before.
#[derive(Debug, Default)]
struct Relay(AtomicWaker);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

impl Connection {
    /// Begins to speak HTTP/1.1.
    pub(super) async fn begin(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> hyper::Result<Box<Self>> {
        let stream = TokioIo::new(Gathered(TokioIo::new(stream)));
        let (sender, driver) = http1::handshake(stream).await?;
        let relay = Arc::<Relay>::default();
        let waker = Arc::clone(&relay).into();
        Ok(Box::new(Self { sender, driver: Some(driver), relay, waker }))
    }

    /// Goes on with what is under way. What goes wrong is the exchange's error as well.
    fn drive(&mut self, context: &mut Context<'_>) {
        self.relay.0.register(context.waker());
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(&mut Context::from_waker(&self.waker)).is_ready()
        {
            self.driver = None;
        }
    }

    /// Whether the next exchange can begin: the backend has neither closed it nor said what nobody asked for.
    fn is_idle(&mut self) -> bool {
        self.drive(&mut nobody());
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request, and waits for the answer's head. The error has the request where nothing of it was sent.
    pub(super) fn send(
        mut self: Box<Self>,
        request: Request<Body>,
        home: &Arc<Idle>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, TrySendError<Request<Body>>>> {
        // Nothing but driving brings the answer about, so nobody needs to be woken for it; and tokio is not to make it wait either.
        let answered = unconstrained(self.sender.try_send_request(request));
        async move {
            let mut answered = pin!(answered);
            let answered = poll_fn(|context| {
                self.drive(context);
                answered.as_mut().poll(&mut nobody())
            });
            Ok(answered.await?.map(|body| ResponseBody::new(body, self, home)))
        }
    }
}

const fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A backend's connections over which nothing is under way.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<Vec<(Box<Connection>, Instant)>>);

impl Idle {
    /// The one that was used last. The backend may have closed it since: then sending gives the request back.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        self.0.lock().pop().map(|(connection, _)| connection)
    }

    /// Keeps one that is through with its exchange. A backend may answer before it has been sent all of a request; what is left of
    /// that goes with the connection.
    fn keep(&self, connection: Box<Connection>) {
        // Who drove it is not to be woken for what the next one does.
        drop(connection.relay.0.take());
        let mut kept = self.0.lock();
        if connection.sender.is_ready() && kept.len() < MAX_IDLE {
            kept.push((connection, Instant::now()));
        }
    }

    /// Closes those that have been kept for long enough, or that the backend has closed.
    pub(super) fn sweep(&self, now: Instant) {
        self.0.lock().retain_mut(|(connection, since)| now - *since < IDLE && connection.is_idle());
    }
}

/// The body of an answer. Reading it drives the connection, and so sends what is left of the request as well; with its end the
/// connection is free for another exchange, if it is through with the request.
#[derive(Debug)]
pub struct ResponseBody {
    body: Incoming,
    /// Until the end, and where it is kept then.
    connection: Option<(Box<Connection>, Arc<Idle>)>,
}

impl ResponseBody {
    fn new(body: Incoming, connection: Box<Connection>, home: &Arc<Idle>) -> Self {
        let mut this = Self { body, connection: Some((connection, Arc::clone(home))) };
        if http_body::Body::is_end_stream(&this) {
            this.free();
        }
        this
    }

    fn free(&mut self) {
        if let Some((connection, home)) = self.connection.take() {
            home.keep(connection);
        }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some((connection, _)) = &mut self.connection {
            connection.drive(context);
        }
        let polled = Pin::new(&mut self.body).poll_frame(&mut nobody());
        if matches!(polled, Poll::Ready(None)) || self.is_end_stream() {
            self.free();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    /// A connection, with its other end.
    async fn mk_connection() -> (Box<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = MaybeHttpsStream::Http(TokioIo::new(stream.unwrap()));
        (Connection::begin(stream).await.unwrap(), accepted.unwrap().0)
    }

    /// Has an exchange, over which the other end says this.
    async fn exchange(
        connection: Box<Connection>,
        other: &mut TcpStream,
        home: &Arc<Idle>,
        answer: &str,
    ) -> Result<Bytes, String> {
        other.write_all(answer.as_bytes()).await.unwrap();
        let answered = connection.send(Request::new(Body::empty()), home).await;
        let answered = answered.map_err(|error| error.into_error().to_string())?;
        let body = answered.into_body().collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_connection_is_kept_when_its_answer_is_read_and_for_a_time() {
        let (home, now) = (Arc::new(Idle::default()), Instant::now());
        let (mut connection, mut other) = mk_connection().await;
        for (answer, body) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi"),
            ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ] {
            assert_eq!(exchange(connection, &mut other, &home, answer).await.unwrap(), body);
            connection = home.take().expect("it is kept");
            assert!(home.take().is_none());
        }
        home.keep(connection);
        home.sweep(now);
        let connection = home.take().expect("it is not old");
        home.keep(connection);
        home.sweep(Instant::now() + IDLE);
        assert!(home.take().is_none());
        let mut said = String::new();
        other.read_to_string(&mut said).await.expect("it is closed");
        assert_eq!(said.matches("HTTP/1.1").count(), 3, "{said}");
    }

    #[tokio::test]
    async fn a_connection_is_not_kept_that_cannot_be_used_again() {
        let home = Arc::new(Idle::default());
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        ] {
            let (connection, mut other) = mk_connection().await;
            assert_eq!(exchange(connection, &mut other, &home, answer).await.unwrap(), "hi");
            assert!(home.take().is_none(), "{answer}");
        }
        let (connection, mut other) = mk_connection().await;
        let cut = exchange(connection, &mut other, &home, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi");
        // Nobody would read the rest.
        assert!(tokio::time::timeout(Duration::from_millis(100), cut).await.is_err());
        assert!(home.take().is_none());
        assert_ne!(other.read(&mut [0; 4096]).await.unwrap(), 0);
        assert_eq!(other.read(&mut [0; 4096]).await.unwrap(), 0, "it is closed");
    }

    #[tokio::test]
    async fn a_connection_is_not_kept_that_has_more_of_its_request_to_send() {
        let home = Arc::new(Idle::default());
        let (connection, mut other) = mk_connection().await;
        other.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, hyper::Error>>());
        let request = Request::post("/").body(endless).unwrap();
        let answered = connection.send(request, &home).await.expect("an answer");
        assert_eq!(answered.into_body().collect().await.unwrap().to_bytes(), "hi");
        assert!(home.0.lock().is_empty(), "nobody would send the rest");
    }

    #[tokio::test]
    async fn what_came_over_a_kept_connection_gives_the_next_request_back_unsent() {
        for (said, closed) in [("", true), (ANSWER, false), (ANSWER, true)] {
            let home = Arc::new(Idle::default());
            let (connection, mut other) = mk_connection().await;
            exchange(connection, &mut other, &home, ANSWER).await.unwrap();
            other.write_all(said.as_bytes()).await.unwrap();
            if closed {
                other.shutdown().await.unwrap();
            }
            // It has come; tokio hears of it when there is nothing else to do.
            tokio::time::sleep(Duration::from_millis(10)).await;
            let connection = home.take().expect("nobody has looked at it");
            let mut error = connection.send(Request::new(Body::empty()), &home).await.unwrap_err();
            assert!(error.take_message().is_some(), "{said:?} {closed}");
            let mut sent = String::new();
            other.read_to_string(&mut sent).await.unwrap();
            assert_eq!(sent.matches("HTTP/1.1").count(), 1, "{said:?} {closed}");
        }
    }

    #[tokio::test]
    async fn whoever_drove_a_connection_is_not_woken_by_the_next_request() {
        #[derive(Default)]
        struct Woken(AtomicUsize);

        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let home = Arc::new(Idle::default());
        let (connection, mut other) = mk_connection().await;
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut first = pin!(connection.send(Request::new(Body::empty()), &home));
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        other.write_all(ANSWER.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let while_driving = woken.0.load(Ordering::Relaxed);
        assert_ne!(while_driving, 0, "the answer is there");
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        let connection = home.take().expect("it is kept");
        let mut second = pin!(connection.send(Request::new(Body::empty()), &home));
        assert!(second.as_mut().poll(&mut nobody()).is_pending());
        assert_eq!(woken.0.load(Ordering::Relaxed), while_driving);
    }

    #[tokio::test]
    async fn a_request_that_was_not_sent_is_given_back() {
        let home = Arc::new(Idle::default());
        let (mut connection, other) = mk_connection().await;
        drop(other);
        while connection.is_idle() {
            tokio::task::yield_now().await;
        }
        let mut error = connection.send(Request::new(Body::empty()), &home).await.unwrap_err();
        assert!(error.take_message().is_some());
    }
}
