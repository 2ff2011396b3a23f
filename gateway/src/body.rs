//! Bodies that are passed on as they come, bounded in size and in time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use mcp_process::body::BodyError;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

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
    use std::time::Duration;

    use http_body_util::BodyExt as _;

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
}
