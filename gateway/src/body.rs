//! Bodies that clients send, bounded in size and in time.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
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

/// Reads a body whole.
///
/// # Errors
/// Where it passes a bound, or breaks off.
pub(crate) async fn collect(body: Body, bounds: &Bounds) -> Result<Bytes, BodyError> {
    timeout(bounds.body_time, read(body, bounds.body_bytes)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn read(mut body: Body, max: usize) -> Result<Bytes, BodyError> {
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
