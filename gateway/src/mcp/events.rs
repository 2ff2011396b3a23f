//! Responses that are streams of server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http::header;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After how long a silent stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many messages may wait for a slow reader before what makes them waits as well.
const MAX_WAITING: usize = 16;

/// JSON-RPC messages, each as its text.
pub(super) type Messages = Pin<Box<dyn Stream<Item = String> + Send>>;

/// The event that carries a message.
fn event(message: &str) -> Bytes {
    let mut text = String::with_capacity(message.len() + 32);
    text.push_str("event: message\n");
    for line in message.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text.into()
}

/// The response that carries messages. `held` is dropped when the stream ends, however it does.
pub(super) fn response(messages: Messages, held: impl Send + 'static) -> Response {
    struct State<H> {
        messages: Messages,
        alive: Interval,
        _held: H,
    }
    let mut alive = interval_at(tokio::time::Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let state = State { messages, alive, _held: held };
    let frames = stream::unfold(state, |mut state| async move {
        let frame = tokio::select! {
            biased;
            message = state.messages.next() => event(&message?),
            _ = state.alive.tick() => Bytes::from_static(b":\n\n"),
        };
        Some((Ok::<_, Infallible>(frame), state))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-cache"),
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(frames)).into_response()
}

/// Messages that go on being made when nobody reads them any more: a legacy client that goes away does not cancel. `held`
/// is dropped when they have come to their end.
pub(super) fn detached(
    mut messages: Messages,
    cancelled: CancellationToken,
    held: impl Send + 'static,
    tasks: &TaskTracker,
) -> Messages {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    tasks.spawn(async move {
        let _held = held;
        let send = async {
            while let Some(message) = messages.next().await {
                // Nobody reads: the work goes on all the same.
                let _ = sender.send(message).await;
            }
        };
        tokio::select! {
            () = send => {}
            () = cancelled.cancelled() => {}
        }
    });
    let next = |mut receiver: mpsc::Receiver<String>| async move {
        let message = receiver.recv().await?;
        Some((message, receiver))
    };
    stream::unfold(receiver, next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_is_one_event() {
        assert_eq!(event("{\n}"), "event: message\ndata: {\ndata: }\n\n");
        assert_eq!(event("{}"), "event: message\ndata: {}\n\n");
    }

    #[tokio::test]
    async fn detached_work_is_done_though_nobody_reads() {
        let (done, told) = tokio::sync::oneshot::channel();
        let tasks = TaskTracker::new();
        let work = stream::unfold((0, Some(done)), |(n, mut done)| async move {
            if n == 3 {
                done.take()?.send(()).ok()?;
                return None;
            }
            Some((n.to_string(), (n + 1, done)))
        });
        drop(detached(work.boxed(), CancellationToken::new(), (), &tasks));
        told.await.expect("it came to its end");
    }

    #[tokio::test]
    async fn detached_work_ends_when_it_is_cancelled() {
        let (held, released) = tokio::sync::oneshot::channel::<()>();
        let (cancelled, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut messages = detached(stream::pending().boxed(), cancelled.clone(), held, &tasks);
        cancelled.cancel();
        assert_eq!(messages.next().await, None);
        released.await.expect_err("what was held is let go");
    }
}
