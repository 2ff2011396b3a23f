//! Bodies that clients send, bounded in size and in time, and all of them together in how much of them is held.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
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
    const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
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

/// Reads a body whole: of at most `max` bytes, which have come by `until`. As long as it comes in pieces, these are in `room`,
/// which has a permit a byte and is everyone's.
///
/// # Errors
/// Where it passes a bound, or breaks off.
pub async fn collect<B>(mut body: B, max: usize, until: Instant, room: &Semaphore) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let read = timeout_at(until, read(&mut body, max, room)).await;
    let read = read.unwrap_or(Err(BodyError::TooSlow));
    if matches!(read, Err(BodyError::TooLarge(_) | BodyError::NoRoom)) {
        let _ = timeout(REST.1, discard(&mut body, REST.0)).await;
    }
    read
}

async fn discard(body: &mut (impl Body<Data = Bytes> + Unpin), mut left: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

async fn read<B>(body: &mut B, max: usize, room: &Semaphore) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
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

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    /// These bytes at once, and then nothing.
    fn stalled(bytes: usize) -> Body {
        let some = futures::stream::once(async move { Ok::<_, BodyError>(vec![b'x'; bytes]) });
        Body::from_stream(futures::StreamExt::chain(some, futures::stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_of_bodies_has_a_bound_for_all_of_them() {
        let room = Semaphore::new(1000);
        let collect = |body| collect(body, 1 << 20, Instant::now() + Duration::from_secs(30), &room);
        let mut stalling = Box::pin(collect(stalled(900)));
        assert!(futures::poll!(&mut stalling).is_pending());
        assert_eq!(collect(stalled(900)).await, Err(BodyError::NoRoom));
        // What comes at once waits for nothing.
        assert_eq!(collect(Body::from(vec![b'x'; 5000])).await.map(|body| body.len()), Ok(5000));
        assert_eq!(stalling.await, Err(BodyError::TooSlow));
        assert_eq!(room.available_permits(), 1000);
    }
}
