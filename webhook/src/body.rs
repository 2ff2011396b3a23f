//! A request's body, read within bounds of size and time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body that is read: an object and the stored one, each far above what a cluster stores.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;

/// From this size on a body is large: only some are held at once, and they are judged apart from the others.
pub(crate) const LARGE_BODY_BYTES: usize = 64 << 10;

/// How long a client may take to send its body. The API server gives up on us earlier.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A body, and the right to hold it where it is large.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    pub(crate) large: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(
        "the body is larger than {MAX_BODY_BYTES} bytes, which is the most that an admission review may have"
    )]
    TooLarge,
    #[error("the body did not arrive within {} s", READ_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the body did not arrive whole: {0}")]
    Broken(#[source] axum::Error),
    #[error("the server is going down")]
    GoingDown,
}

impl IntoResponse for ReadError {
    fn into_response(self) -> Response {
        let code = match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
            Self::GoingDown => StatusCode::SERVICE_UNAVAILABLE,
        };
        (code, format!("{self}\n")).into_response()
    }
}

/// Reads a body whole. A large one first waits for one of the `large` permits.
pub(crate) async fn read(body: Body, large: &Arc<Semaphore>) -> Result<Read, ReadError> {
    tokio::time::timeout(READ_TIMEOUT, read_whole(body, large)).await.unwrap_or(Err(ReadError::TimedOut))
}

async fn read_whole(mut body: Body, large: &Arc<Semaphore>) -> Result<Read, ReadError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut permit = None;
    let mut frames = Frames::Empty;
    loop {
        let size = announced.max(frames.len());
        if size > MAX_BODY_BYTES {
            return Err(ReadError::TooLarge);
        }
        if size > LARGE_BODY_BYTES && permit.is_none() {
            permit = Some(Arc::clone(large).acquire_owned().await.map_err(|_| ReadError::GoingDown)?);
        }
        match body.frame().await {
            // Frames that are no data are trailers, which mean nothing here.
            Some(frame) => {
                if let Ok(data) = frame.map_err(ReadError::Broken)?.into_data() {
                    frames.push(data, announced);
                }
            }
            None => return Ok(Read { bytes: frames.into_bytes(), large: permit }),
        }
    }
}

/// What has arrived: mostly one frame, which is then never copied.
enum Frames {
    Empty,
    One(Bytes),
    Many(BytesMut),
}

impl Frames {
    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(frame) => frame.len(),
            Self::Many(joined) => joined.len(),
        }
    }

    fn push(&mut self, data: Bytes, announced: usize) {
        match self {
            Self::Empty => *self = Self::One(data),
            Self::One(first) => {
                let mut joined = BytesMut::with_capacity(announced.max(first.len() + data.len()));
                joined.extend_from_slice(first);
                joined.extend_from_slice(&data);
                *self = Self::Many(joined);
            }
            Self::Many(joined) => joined.extend_from_slice(&data),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Empty => Bytes::new(),
            Self::One(frame) => frame,
            Self::Many(joined) => joined.freeze(),
        }
    }
}
