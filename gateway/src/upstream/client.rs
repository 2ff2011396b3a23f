//! The client of all backends.

use std::error::Error;
use std::mem;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt as _;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use mcp_process::tls;
use rand::Rng as _;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tower::Service as _;

use super::backend::Permit;
use super::connection::{Connection, ResponseBody};
use super::failure::is_unavailable;
use super::{Failure, Target};
use crate::body::Passing;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the first retry waits at most; each later one twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The client.
#[derive(Debug, Clone)]
pub struct Upstream {
    connector: HttpsConnector<HttpConnector>,
}

/// A request to a backend.
#[derive(Debug)]
pub struct Request<'a> {
    /// To whom.
    pub target: &'a Target,
    /// With which method.
    pub method: Method,
    /// The path with its query.
    pub path: PathAndQuery,
    /// What is sent along.
    pub headers: HeaderMap,
    /// The body, JSON where there is one.
    pub body: Bytes,
    /// When it must be over, its answer included.
    pub deadline: Deadline,
    /// How often it may be tried again.
    pub retries: u8,
}

/// A backend's answer as far as its head, and the right to read on.
#[derive(Debug)]
pub struct Exchange {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    pub(super) body: Option<ResponseBody>,
    pub(super) deadline: Deadline,
    permit: Permit,
}

/// When a call must be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    begun: Instant,
    timeout: Duration,
}

impl Deadline {
    /// So long after now.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self { begun: Instant::now(), timeout }
    }

    fn at(self) -> Instant {
        self.begun + self.timeout
    }

    /// Waits for something until then.
    pub(crate) fn wait<F: Future>(self, work: F) -> impl Future<Output = Result<F::Output, Failure>> {
        timeout_at(self.at(), work).map(move |done| done.map_err(|_| Failure::Timeout(self.timeout)))
    }
}

impl Exchange {
    /// When its answer must be read.
    pub(crate) const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// What must be held as long as a body is read.
    pub(crate) fn into_permit(self) -> Permit {
        self.permit
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

impl Upstream {
    /// A client that trusts the certificate authorities of this machine, and speaks HTTP/1.1. Where there are none, as in
    /// an image with nothing in it, plain HTTP still works.
    #[must_use]
    pub fn new() -> Self {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Self { connector }
    }

    /// One exchange, over a connection that was kept, or a new one.
    fn exchange(
        &self,
        target: &Target,
        mut request: http::Request<Body>,
    ) -> impl Future<Output = Result<http::Response<ResponseBody>, Failure>> {
        request.headers_mut().insert(header::HOST, target.host().clone());
        // A block: an async function would hold the request twice.
        async move {
            let kept = target.kept();
            while let Some(connection) = kept.take() {
                match connection.send(request, kept).await {
                    Ok(answered) => return Ok(answered),
                    // The backend has closed it.
                    Err(mut error) => match error.take_message() {
                        Some(unsent) => request = unsent,
                        None => return Err(Failure::Broken(root(error.error()))),
                    },
                }
            }
            // Seldom needed, and large: every request would have to carry it about.
            let connection = Box::pin(self.connect(target)).await?;
            connection.send(request, kept).await.map_err(|error| Failure::Broken(root(error.error())))
        }
    }

    async fn connect(&self, target: &Target) -> Result<Box<Connection>, Failure> {
        let stream = self.connector.clone().call(target.origin()?).await;
        let stream = stream.map_err(|error| Failure::Connect(root(&*error)))?;
        Connection::begin(stream).await.map_err(|error| Failure::Broken(root(&error)))
    }

    /// Sends a request, again where that may help, and waits for the answer's head. What is sent is taken from the request.
    ///
    /// # Errors
    /// Where none comes in time.
    pub async fn send(&self, request: &mut Request<'_>) -> Result<Exchange, Failure> {
        let backend = &request.target.backend;
        let permit = backend.admit(request.deadline.begun)?;
        let mut wait = FIRST_WAIT;
        let mut left = request.retries;
        loop {
            let outcome = self.send_once(request, left == 0).await;
            let retry = match &outcome {
                Ok(response) => is_unavailable(response.status()),
                Err(failure) => matches!(failure, Failure::Connect(_) | Failure::Broken(_)),
            };
            if retry && left > 0 {
                left -= 1;
                let at = Instant::now() + wait.mul_f64(rand::rng().random_range(0.5..1.0));
                wait *= 2;
                if at < request.deadline.at() {
                    sleep_until(at).await;
                    continue;
                }
            }
            let healthy = match &outcome {
                Ok(response) => !is_unavailable(response.status()),
                Err(failure) => !failure.is_of_health(),
            };
            backend.learn(healthy);
            let (parts, body) = outcome?.into_parts();
            let (status, headers, deadline) = (parts.status, parts.headers, request.deadline);
            return Ok(Exchange { status, headers, body: Some(body), deadline, permit });
        }
    }

    /// The last time, what is sent is taken and not copied.
    async fn send_once(
        &self,
        request: &mut Request<'_>,
        is_last: bool,
    ) -> Result<http::Response<ResponseBody>, Failure> {
        let headers = if is_last { mem::take(&mut request.headers) } else { request.headers.clone() };
        let mut outgoing = http::Request::new(Body::from(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = request.path.clone().into();
        *outgoing.headers_mut() = headers;
        if !request.body.is_empty() {
            let json = HeaderValue::from_static("application/json");
            outgoing.headers_mut().entry(header::CONTENT_TYPE).or_insert(json);
        }
        request.deadline.wait(self.exchange(request.target, outgoing)).await?
    }

    /// Passes a request through as it is, its body streaming. The answer's head must come within `timeout` of the body's
    /// end: until then it is the client that is waited for. A failure that is the client's fault says nothing about the
    /// backend.
    ///
    /// # Errors
    /// Where none comes in time.
    pub(crate) async fn pass(
        &self,
        target: &Target,
        request: http::Request<Body>,
        passing: &mut Passing,
        timeout: Duration,
    ) -> Result<(http::Response<ResponseBody>, Permit), Failure> {
        let permit = target.backend.admit(Instant::now())?;
        let late = async {
            passing.ended().await;
            sleep(timeout).await;
        };
        let outcome = tokio::select! {
            biased;
            sent = self.exchange(target, request) => sent,
            () = late => Err(Failure::Timeout(timeout)),
        };
        let healthy = match &outcome {
            Ok(response) => !is_unavailable(response.status()),
            Err(failure) => passing.wrong().is_some() || !failure.is_of_health(),
        };
        target.backend.learn(healthy);
        Ok((outcome?, permit))
    }
}

/// What an error comes from.
fn root(mut error: &(dyn Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
