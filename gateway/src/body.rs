//! Bodies that clients send, bounded in size and in time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};

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
    /// Too much of others' bodies is held already.
    #[error("as much of bodies that are still coming is held as the server holds; try again later")]
    NoRoom,
}

impl BodyError {
    /// The status of the answer.
    #[must_use]
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What metrics call the bound.
    #[must_use]
    pub(crate) const fn bound(self) -> &'static str {
        match self {
            Self::NoRoom => "bodies",
            Self::TooLarge(_) | Self::TooSlow | Self::Broken => "body",
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        if self == Self::NoRoom {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// How much more of a body that is not wanted is read, in bytes, and for how long. A client hears an answer only where it
/// has sent what it had to send: the rest would be met by a closed connection.
const REST: (usize, Duration) = (16 << 20, Duration::from_secs(2));

/// Reads a body whole. As long as it comes in pieces, these are in `room`, which has a permit a byte and is everyone's.
///
/// # Errors
/// Where it passes a bound, or breaks off.
pub(crate) async fn collect(mut body: Body, bounds: &Bounds, room: &Semaphore) -> Result<Bytes, BodyError> {
    let read = timeout(bounds.body_time, read(&mut body, bounds.body_bytes, room)).await;
    let read = read.unwrap_or(Err(BodyError::TooSlow));
    if matches!(read, Err(BodyError::TooLarge(_) | BodyError::NoRoom)) {
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

async fn read(body: &mut Body, max: usize, room: &Semaphore) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > max as u64 {
        return Err(BodyError::TooLarge(max));
    }
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    let mut held = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if first.len().max(more.len()) + data.len() > max {
            return Err(BodyError::TooLarge(max));
        }
        // Mostly there is one frame, which is then neither copied nor waits for another.
        if first.is_empty() && more.is_empty() {
            if body.is_end_stream() {
                return Ok(data);
            }
            take(room, &mut held, data.len())?;
            first = data;
        } else {
            take(room, &mut held, data.len())?;
            more.extend_from_slice(&std::mem::take(&mut first));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

fn take<'r>(
    room: &'r Semaphore,
    held: &mut Option<SemaphorePermit<'r>>,
    bytes: usize,
) -> Result<(), BodyError> {
    let bytes = u32::try_from(bytes).map_err(|_| BodyError::NoRoom)?;
    let more = room.try_acquire_many(bytes).map_err(|_| BodyError::NoRoom)?;
    match held {
        Some(held) => held.merge(more),
        None => *held = Some(more),
    }
    Ok(())
}

/// A body that is passed on while it comes, as far as it may be long, and take long. What is wrong with it is the client's
/// doing, and not that of whom it is passed to.
#[derive(Debug)]
pub(crate) struct Passed {
    body: Body,
    left: usize,
    max: usize,
    until: Instant,
    /// Runs while nothing comes.
    waiting: Option<Pin<Box<Sleep>>>,
    wrong: Arc<Mutex<Option<BodyError>>>,
    _ended: oneshot::Sender<()>,
}

/// How a [`Passed`] body fares.
#[derive(Debug)]
pub(crate) struct Passing {
    wrong: Arc<Mutex<Option<BodyError>>>,
    ended: oneshot::Receiver<()>,
    until: Instant,
}

impl Passing {
    /// What was wrong with it, if anything was.
    pub(crate) fn wrong(&self) -> Option<BodyError> {
        *self.wrong.lock()
    }

    /// Waits until nothing of it is to come any more: it has been passed on, or given up, or its time is over.
    pub(crate) async fn ended(&mut self) {
        // Nothing is sent; the sender goes with the body.
        let _ = timeout_at(self.until, &mut self.ended).await;
    }
}

impl Passed {
    /// A body of at most `max` bytes, which have come by `until`.
    pub(crate) fn new(body: Body, max: usize, until: Instant) -> (Self, Passing) {
        let wrong = Arc::default();
        let (sender, ended) = oneshot::channel();
        let passing = Passing { wrong: Arc::clone(&wrong), ended, until };
        (Self { body, left: max, max, until, waiting: None, wrong, _ended: sender }, passing)
    }

    fn fail(&self, error: BodyError) -> BodyError {
        *self.wrong.lock() = Some(error);
        error
    }

    /// Whether its time is over; whoever waits for more is told when it is.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let until = self.until;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep_until(until)));
        waiting.as_mut().poll(context).is_ready()
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
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if polled.is_pending() && this.is_late(context) {
            return Poll::Ready(Some(Err(this.fail(BodyError::TooSlow))));
        }
        Poll::Ready(match ready!(polled) {
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
        let until = Instant::now() + Duration::from_secs(60);
        let (passed, mut passing) = Passed::new(Body::from("12345"), 5, until);
        assert_eq!(passed.collect().await.unwrap().to_bytes(), "12345");
        passing.ended().await;
        assert_eq!(passing.wrong(), None);
        assert!(Instant::now() < until, "it ended with its body");
        let (passed, passing) = Passed::new(Body::from("123456"), 5, until);
        assert_eq!(passed.collect().await.unwrap_err(), BodyError::TooLarge(5));
        assert_eq!(passing.wrong(), Some(BodyError::TooLarge(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_passed_on_has_its_time() {
        let until = Instant::now() + Duration::from_secs(60);
        let (passed, mut passing) = Passed::new(dribbled(), usize::MAX, until);
        assert_eq!(passed.collect().await.unwrap_err(), BodyError::TooSlow);
        assert_eq!((passing.wrong(), Instant::now()), (Some(BodyError::TooSlow), until));
        // Nobody takes this one on.
        let until = until + Duration::from_secs(60);
        let (_passed, mut stuck) = Passed::new(Body::from("1"), 5, until);
        stuck.ended().await;
        assert_eq!((stuck.wrong(), Instant::now()), (None, until));
        passing.ended().await;
    }

    /// A byte a second, for ever.
    fn dribbled() -> Body {
        Body::from_stream(futures::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, BodyError>("x"), ()))
        }))
    }

    /// These bytes at once, and then nothing.
    fn stalled(bytes: usize) -> Body {
        let some = futures::stream::once(async move { Ok::<_, BodyError>(vec![b'x'; bytes]) });
        Body::from_stream(futures::StreamExt::chain(some, futures::stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_of_bodies_has_a_bound_for_all_of_them() {
        let (bounds, room) = (Bounds::default(), Semaphore::new(1000));
        let mut stalling = Box::pin(collect(stalled(900), &bounds, &room));
        assert!(futures::poll!(&mut stalling).is_pending());
        assert_eq!(collect(stalled(900), &bounds, &room).await, Err(BodyError::NoRoom));
        // What comes at once waits for nothing.
        assert_eq!(
            collect(Body::from(vec![b'x'; 5000]), &bounds, &room).await.map(|body| body.len()),
            Ok(5000)
        );
        assert_eq!(stalling.await, Err(BodyError::TooSlow));
        assert_eq!(room.available_permits(), 1000);
    }
}
