//! What the replicas of a server share, kept in Redis: legacy sessions, cached results and token buckets.
//!
//! There is one connection, which [`Redis::follow`] keeps up and on which this pod also hears the others. While there is
//! none, every question is answered with [`Away`] at once: nobody waits for a Redis that is known to be gone. A question
//! that is not answered in time ends the connection, for the same reason.
//!
//! The password is in a file, which is read for each connection: who changes it restarts nothing.

mod cache;
mod events;
mod link;
mod rate_limit;
mod sessions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation};
use arc_swap::ArcSwapOption;
use mcp_redis::{Prefix, Program, Settings, SettingsError};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use events::{Event, What};

/// Who this is, as Redis lists its clients.
const PROGRAM: Program = Program { name: "mcp-gateway", version: crate::VERSION };

/// Redis gives no answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("redis does not answer")]
pub struct Away;

/// What becomes of what cannot be done without Redis, while there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnFailure {
    /// It is done as far as this pod can: sessions begin here, those of before are taken at their word, and limits are
    /// counted here
    #[default]
    Open,
    /// It is refused: with 503 what needs a session, and with an error a call of a tool that has a rate limit
    Closed,
}

/// Redis, with what of it belongs to one server.
pub struct Redis {
    settings: Settings,
    /// Where the password is, where it asks for one.
    password_file: Option<PathBuf>,
    /// What every key of the server begins with.
    prefix: Prefix,
    /// What becomes of what cannot be done without Redis.
    pub on_failure: OnFailure,
    /// Names this process among those that hear each other.
    me: u64,
    current: ArcSwapOption<Connection>,
    is_up: watch::Sender<bool>,
    failures: AtomicU64,
}

/// One connection.
struct Connection {
    commands: MultiplexedConnection,
    /// Told when a question shows that this connection is of no use. It says nothing about the next one.
    lost: CancellationToken,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("prefix", &self.prefix.to_string())
            .field("up", &self.is_up())
            .finish_non_exhaustive()
    }
}

impl Redis {
    /// What of a Redis belongs to a server. Nothing is connected, and no password read, before [`Self::follow`] runs.
    ///
    /// # Errors
    /// Where the settings name no Redis.
    pub fn new(
        settings: Settings,
        password_file: Option<PathBuf>,
        prefix: Prefix,
        on_failure: OnFailure,
    ) -> Result<Self, SettingsError> {
        settings.client(PROGRAM, None)?;
        Ok(Self {
            settings,
            password_file,
            prefix,
            on_failure,
            me: rand::random(),
            current: ArcSwapOption::empty(),
            is_up: watch::Sender::new(false),
            failures: AtomicU64::new(0),
        })
    }

    /// Whether Redis answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.current.load().is_some()
    }

    /// Waits until Redis answers.
    pub async fn up(&self) {
        // The sender is owned by `self`, so there is no end to wait for.
        let _ = self.is_up.subscribe().wait_for(|up| *up).await;
    }

    /// How many questions were not answered.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn key(&self, kind: &str, name: &str) -> String {
        format!("{}{kind}:{name}", self.prefix)
    }

    async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        let (connection, mut commands) = self.connection()?;
        self.answer(&connection, command.query_async(&mut commands).await)
    }

    async fn script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        let (connection, mut commands) = self.connection()?;
        self.answer(&connection, script.invoke_async(&mut commands).await)
    }

    fn connection(&self) -> Result<(Arc<Connection>, MultiplexedConnection), Away> {
        let Some(connection) = self.current.load_full() else {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return Err(Away);
        };
        let commands = connection.commands.clone();
        Ok((connection, commands))
    }

    fn answer<T>(&self, connection: &Arc<Connection>, answer: RedisResult<T>) -> Result<T, Away> {
        answer.map_err(|error| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            self.learn(connection, &error);
            Away
        })
    }

    /// A connection that does not answer is given up for everyone; an error that Redis itself says is that question's.
    fn learn(&self, connection: &Arc<Connection>, error: &RedisError) {
        if !is_gone(error) {
            warn!(error = error as &dyn std::error::Error, "redis refused a command");
            return;
        }
        debug!(error = error as &dyn std::error::Error, "redis did not answer");
        // Another may have taken its place meanwhile.
        self.current.compare_and_swap(&Some(Arc::clone(connection)), None);
        connection.lost.cancel();
    }

    fn set(&self, connection: Option<Arc<Connection>>) {
        let is_up = connection.is_some();
        self.current.store(connection);
        self.is_up.send_replace(is_up);
    }
}

/// Whether an error means that a connection is of no use any more. So it is where another Redis has become the one that
/// may be written to: a replica refuses for as long as it is one.
fn is_gone(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() || is_of_replica(error)
}

fn is_of_replica(error: &RedisError) -> bool {
    const CODES: [&str; 2] = ["READONLY", "MASTERDOWN"];
    // Before version 7 what a script met is told within an error of the script's.
    CODES.iter().any(|code| error.code() == Some(code) || error.detail().is_some_and(|it| it.contains(code)))
}

#[cfg(test)]
mod tests {
    use ::redis::{ErrorKind, ServerErrorKind};

    use super::*;

    #[test]
    fn a_replica_is_of_no_use_and_a_command_that_is_refused_says_nothing() {
        let script =
            "Error running script (call to f_1): @user_script:3: -READONLY You can't write against a replica";
        for (kind, detail, gone) in [
            (ServerErrorKind::ReadOnly, "You can't write against a read only replica.", true),
            (ServerErrorKind::MasterDown, "Link with MASTER is down", true),
            (ServerErrorKind::ResponseError, script, true),
            (ServerErrorKind::ResponseError, "wrong number of arguments", false),
            (ServerErrorKind::NoPerm, "this user has no permissions", false),
        ] {
            let error = RedisError::from((ErrorKind::Server(kind), "an error", detail.to_owned()));
            assert_eq!(is_gone(&error), gone, "{error:?}");
        }
    }
}
