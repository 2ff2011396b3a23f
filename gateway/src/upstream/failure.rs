//! How a call of a backend can fail, in words for the caller.

use std::time::Duration;

use http::StatusCode;
use http::uri::InvalidUri;
use thiserror::Error;

/// Why a backend did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// Everything that may be in flight to it is.
    #[error("the service is busy: {limit} calls are in flight to it already; try again later")]
    Busy {
        /// The bound.
        limit: usize,
    },
    /// It failed again and again a moment ago.
    #[error("the service failed repeatedly and is left alone for {} s", .0.as_secs().max(1))]
    Open(Duration),
    /// No connection could be made.
    #[error("the service could not be reached: {0}")]
    Connect(String),
    /// It took too long.
    #[error("the service did not answer within {}", human(*.0))]
    Timeout(Duration),
    /// What it sent is no HTTP, or ended early.
    #[error("the service's answer broke off: {0}")]
    Broken(String),
    /// It sent more than it may.
    #[error("the service's answer is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// It answered that it could not.
    #[error("the service answered {status}{}", after_colon(.beginning))]
    Status {
        /// The status.
        status: StatusCode,
        /// How its body begins, where that is text.
        beginning: String,
    },
    /// It answered with something that its media type rules out.
    #[error("the service's answer cannot be used: {0}")]
    Garbage(String),
    /// The request cannot be made.
    #[error("the request cannot be sent: {0}")]
    Request(String),
}

impl From<InvalidUri> for Failure {
    fn from(error: InvalidUri) -> Self {
        Self::Request(error.to_string())
    }
}

impl Failure {
    /// Whether it tells something about the backend's health.
    #[must_use]
    pub(crate) fn is_of_health(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout(_) | Self::Broken(_) => true,
            Self::Status { status, .. } => is_unavailable(*status),
            Self::Busy { .. }
            | Self::Open(_)
            | Self::TooLarge { .. }
            | Self::Garbage(_)
            | Self::Request(_) => false,
        }
    }

    /// What metrics call it.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Open(_) => "circuit_open",
            Self::Connect(_) => "connect",
            Self::Timeout(_) => "timeout",
            Self::Broken(_) => "broken",
            Self::TooLarge { .. } => "too_large",
            Self::Status { .. } => "status",
            Self::Garbage(_) => "garbage",
            Self::Request(_) => "request",
        }
    }
}

/// Statuses that mean that somebody else might have answered, or the same one a little later.
pub(super) const fn is_unavailable(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn human(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "the time that is left".to_owned(),
        milliseconds if milliseconds % 1000 == 0 => format!("{} s", milliseconds / 1000),
        milliseconds => format!("{milliseconds} ms"),
    }
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
