//! `spec.schedule`: servers asked at their times, and once when they become ready, as an MCP client would ask them.
//!
//! Passes say which servers there are ([`Probes::observe`]); a task of the leader's asks them ([`run`]) and keeps what they
//! answered; the pass that it then calls for writes that into the status. So a server that never answers holds up neither
//! a pass nor another server, and there is one place that writes statuses.
//!
//! What is in memory here is only what was asked since this replica leads. The rest is in the statuses: a restart neither
//! asks nor writes anything before the next time of a schedule.

mod alarm;
mod probes;
mod task;

use std::sync::Arc;

use jiff::Timestamp;
use mcp_crds::catalog::ObjectKey;
use mcp_crds::validate::cron::Schedule;

pub use mcp_probe::{Failure, Found, Mcp, Target};
pub use probes::Probes;
pub use task::{Ask, run};

/// A server that is to be asked, as a pass sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Which object it is.
    pub key: ObjectKey,
    /// Of objects that have one name after each other, which.
    pub uid: Box<str>,
    /// Its generation, for the condition to name.
    pub generation: i64,
    /// Where it speaks MCP.
    pub target: Target,
    /// When it is to be asked.
    pub schedule: Schedule,
    /// Since when it is ready; nothing where it is not.
    pub ready_since: Option<Timestamp>,
    /// When it was last asked, by its status.
    pub asked_at: Option<Timestamp>,
}

/// What came of asking a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// When the answer was there, or was given up.
    pub at: Timestamp,
    /// The generation of the object that was asked.
    pub generation: i64,
    /// Where it was asked.
    pub url: Arc<str>,
    /// The answer.
    pub answer: Result<Found, Failure>,
}
