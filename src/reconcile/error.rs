//! Why a pass failed, and when it is worth another.

use std::time::Duration;

use kube::core::Status;
use thiserror::Error;

/// When a pass that failed is tried again. Every change of the object makes it due in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// When something about the object changes.
    AwaitChange,
    /// After a backoff of the object's own, which grows with every failure.
    Backoff,
}

/// Why a pass failed.
#[derive(Debug, Error)]
pub enum Error {
    /// Another replica writes. It makes the pass as well; this one does when it takes over.
    #[error("this replica may not write")]
    NotLeading,
    /// The object, or its namespace, is no more.
    #[error("the object is gone")]
    Gone,
    /// What was to be written is not what was seen a moment ago. The watch is about to show it.
    #[error("{what} changed while it was being written")]
    Changed {
        /// The object that was written.
        what: String,
    },
    /// The API server does not take the write: permissions, a policy, or a quota.
    #[error("{what} was refused: {message}")]
    Refused {
        /// The object that was written.
        what: String,
        /// What the API server said.
        message: String,
    },
    /// The request failed for a reason that may pass.
    #[error("request for {what} failed")]
    Request {
        /// The object that the request was about.
        what: String,
        /// What failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The pass took so long that its requests must be taken for lost.
    #[error("the pass took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// An object of the catalog cannot be read as JSON.
    #[error("the object's document is no JSON")]
    Document(#[source] serde_json::Error),
}

impl Error {
    /// When to try again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::NotLeading | Self::Gone | Self::Document(_) => Retry::AwaitChange,
            Self::Changed { .. } | Self::Refused { .. } | Self::Request { .. } | Self::TimedOut(_) => {
                Retry::Backoff
            }
        }
    }

    /// What kind of failure it is, for metrics: one of a fixed set.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::NotLeading => "not-leading",
            Self::Gone => "gone",
            Self::Changed { .. } => "changed",
            Self::Refused { .. } => "refused",
            Self::Request { .. } => "request",
            Self::TimedOut(_) => "timed-out",
            Self::Document(_) => "document",
        }
    }
}

/// What the API server's answer to a write means.
#[derive(Debug)]
pub(super) enum Answer {
    /// The precondition on the object's identity did not hold.
    Conflict,
    /// It does not take this object as it is.
    Refused(String),
    /// It does not let the operator write this, or the namespace have it.
    Forbidden(String),
    /// Everything else.
    Failed(Error),
}

impl Answer {
    /// Reads a failed write of `what`.
    pub(super) fn of(error: kube::Error, what: &str) -> Self {
        let kube::Error::Api(status) = &error else { return Self::failed(what, error) };
        match status.code {
            404 => Self::Failed(Error::Gone),
            409 => Self::Conflict,
            403 if namespace_ends(status) => Self::Failed(Error::Gone),
            403 => Self::Forbidden(status.message.clone()),
            422 if identity_differs(status) => Self::Conflict,
            400 | 413 | 422 => Self::Refused(status.message.clone()),
            // The API server calls it an internal error where an applied object has a field, or a value of a type, that
            // the kind does not know. `volumes` of a server comes here as its author wrote it.
            500 if status.message.contains("failed to create typed patch object") => {
                Self::Refused(status.message.clone())
            }
            _ => Self::failed(what, error),
        }
    }

    fn failed(what: &str, error: kube::Error) -> Self {
        Self::Failed(Error::Request { what: what.to_owned(), source: Box::new(error) })
    }

    /// As an error, where the caller has no more to say about it.
    pub(super) fn into_error(self, what: &str) -> Error {
        let what = what.to_owned();
        match self {
            Self::Conflict => Error::Changed { what },
            Self::Refused(message) | Self::Forbidden(message) => Error::Refused { what, message },
            Self::Failed(error) => error,
        }
    }
}

/// Whether nothing can be made any more because the namespace is being deleted.
fn namespace_ends(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Whether the object has another `uid` than the one that was meant.
fn identity_differs(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.field == "metadata.uid")
}
