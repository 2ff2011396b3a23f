//! Bodies that clients send, bounded in size and in time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::timeout;

use crate::gateway::Bounds;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    /// It is too large.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It takes too long to come.
    #[error("the body did not come in time")]
    TooSlow,
    /// It broke off.
    #[error("the body broke off")]
    Broken,
}

impl BodyError {
    /// The status of the answer.
    #[must_use]
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// How much more of a body that is too large is read, in bytes, and for how long. A client hears an answer only where it
/// has sent what it had to send: the rest would be met by a closed connection.
const REST: (usize, Duration) = (16 << 20, Duration::from_secs(2));

/// Reads a body whole.
///
/// # Errors
/// Where it passes a bound, or breaks off.
pub(crate) async fn collect(mut body: Body, bounds: &Bounds) -> Result<Bytes, BodyError> {
    let read = timeout(bounds.body_time, read(&mut body, bounds.body_bytes)).await;
    let read = read.unwrap_or(Err(BodyError::TooSlow));
    if matches!(read, Err(BodyError::TooLarge(_))) {
        let _ = timeout(REST.1, discard(&mut body, REST.0)).await;
    }
    read
}

async fn discard(body: &mut Body, mut left: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

async fn read(body: &mut Body, max: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > max as u64 {
        return Err(BodyError::TooLarge(max));
    }
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if first.len().max(more.len()) + data.len() > max {
            return Err(BodyError::TooLarge(max));
        }
        // Mostly there is one frame, which is then not copied.
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&std::mem::take(&mut first));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// A body that is passed on while it comes, as far as it may be long. What is wrong with it is the client's doing, and not
/// that of whom it is passed to.
#[derive(Debug)]
pub(crate) struct Passed {
    body: Body,
    left: usize,
    max: usize,
    wrong: Wrong,
}

/// What was wrong with a [`Passed`] body, if anything was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrong(Arc<Mutex<Option<BodyError>>>);

impl Wrong {
    pub(crate) fn get(&self) -> Option<BodyError> {
        *self.0.lock()
    }
}

impl Passed {
    pub(crate) fn new(body: Body, max: usize) -> (Self, Wrong) {
        let wrong = Wrong::default();
        (Self { body, left: max, max, wrong: wrong.clone() }, wrong)
    }

    fn fail(&self, error: BodyError) -> BodyError {
        *self.wrong.0.lock() = Some(error);
        error
    }
}

impl http_body::Body for Passed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        Poll::Ready(match ready!(Pin::new(&mut this.body).poll_frame(context)) {
            None => None,
            Some(Err(_)) => Some(Err(this.fail(BodyError::Broken))),
            Some(Ok(frame)) => match this.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                None => Some(Err(this.fail(BodyError::TooLarge(this.max)))),
                Some(left) => {
                    this.left = left;
                    Some(Ok(frame))
                }
            },
        })
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
    use super::*;

    #[tokio::test]
    async fn what_is_passed_on_is_bounded_and_says_whose_fault_it_is() {
        let (passed, wrong) = Passed::new(Body::from("12345"), 5);
        assert_eq!(passed.collect().await.unwrap().to_bytes(), "12345");
        assert_eq!(wrong.get(), None);
        let (passed, wrong) = Passed::new(Body::from("123456"), 5);
        assert_eq!(passed.collect().await.unwrap_err(), BodyError::TooLarge(5));
        assert_eq!(wrong.get(), Some(BodyError::TooLarge(5)));
    }
}
