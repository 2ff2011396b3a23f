//! The connection: made, kept, and made again.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, RedisResult};
use mcp_redis::{Password, SettingsError};
use rand::Rng as _;
use thiserror::Error;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Connection, PROGRAM, Redis, is_gone};
use crate::gateway::Gateway;

/// How long an answer may take. A request waits for it, so a slower Redis is worse than none; but a pod that has no CPU
/// for a moment must not take that for Redis' doing.
const ANSWER: Duration = Duration::from_secs(1);

/// How long it may take to connect, TLS and password included.
const CONNECT: Duration = Duration::from_secs(2);

/// How often an idle connection is tried.
const PING: Duration = Duration::from_secs(1);

/// After how long it is connected again: at first, and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How many things that other pods say may wait; what is beyond is not heard.
const MAX_HEARD: usize = 1024;

/// Why there is no connection.
#[derive(Debug, Error)]
enum Failure {
    /// The password is not where it should be.
    #[error("its password cannot be read from {0:?}: {1}")]
    Password(PathBuf, io::Error),
    /// The settings name none.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It cannot be reached, or lets nobody in who has this password.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// It does not answer in time.
    #[error("it does not answer within {CONNECT:?}")]
    Late,
}

impl Redis {
    /// Keeps the connection up, and hears what the other pods say, for ever.
    pub async fn follow(self: Arc<Self>, gateway: Arc<Gateway>) -> Infallible {
        let mut wait = WAITS.0;
        let mut told = None;
        loop {
            // Each connection has its own: the end of one must not be taken for the next one's.
            let (said, mut heard) = broadcast::channel(MAX_HEARD);
            let connected = timeout(CONNECT, self.connect(said)).await;
            match connected.unwrap_or(Err(Failure::Late)) {
                Ok(commands) => {
                    info!("redis answers");
                    (wait, told) = (WAITS.0, None);
                    let connection = Arc::new(Connection { commands, lost: CancellationToken::new() });
                    self.set(Some(Arc::clone(&connection)));
                    self.keep(&connection, &mut heard, &gateway).await;
                    self.set(None);
                    warn!("redis does not answer any more; it is tried again");
                }
                Err(failure) => {
                    // Once, and again where it is for something else.
                    let why = failure.to_string();
                    if told.as_ref() != Some(&why) {
                        warn!(error = why, "redis cannot be reached; it is tried again");
                        told = Some(why);
                    }
                }
            }
            let share = rand::rng().random_range(0.5..1.0);
            sleep(wait.mul_f64(share)).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    async fn connect(&self, said: broadcast::Sender<PushInfo>) -> Result<MultiplexedConnection, Failure> {
        let client = self.settings.client(PROGRAM, self.password().await?.as_ref())?;
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(CONNECT))
            .set_push_sender(said);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(self.channel()).await?;
        self.try_out(&mut connection).await?;
        Ok(connection)
    }

    /// Read each time: where Redis wants another one than before, the file soon has it.
    async fn password(&self) -> Result<Option<Password>, Failure> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let text = tokio::fs::read_to_string(path).await;
        let text = text.map_err(|error| Failure::Password(path.clone(), error))?;
        let Ok(password) = text.parse();
        Ok(Some(password))
    }

    /// Asks for what changes nothing, and is refused by a Redis that cannot be written to.
    async fn try_out(&self, commands: &mut MultiplexedConnection) -> RedisResult<()> {
        let tried: RedisResult<()> =
            ::redis::cmd("DEL").arg(self.key("nothing", "")).query_async(commands).await;
        tried.or_else(|error| if is_gone(&error) { Err(error) } else { Ok(()) })
    }

    /// Returns when the connection is of no use any more.
    async fn keep(
        &self,
        connection: &Connection,
        heard: &mut broadcast::Receiver<PushInfo>,
        gateway: &Gateway,
    ) {
        let mut commands = connection.commands.clone();
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = connection.lost.cancelled() => return,
                push = heard.recv() => match push {
                    Ok(push) if push.kind == PushKind::Disconnection => return,
                    Ok(push) => self.hear(push, gateway),
                    Err(broadcast::error::RecvError::Lagged(count)) => {
                        debug!(count, "other pods said more than could be heard");
                    }
                    // The connection held the sender.
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                _ = pings.tick() => {
                    if self.try_out(&mut commands).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
