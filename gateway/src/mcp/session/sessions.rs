//! Every session: kept here, or in Redis where every replica knows them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::Instant;

use super::{Abilities, Kept, Session};
use crate::mcp::protocol::{LogLevel, Version};
use crate::redis::{Away, Event, OnFailure, Redis, What};

/// How many bytes of chance make an id.
const ID_BYTES: usize = 24;

/// 192 bits that nobody can guess.
pub(super) fn random_text() -> String {
    let mut bytes = [0; ID_BYTES];
    // The kernel's source fails on no machine that runs this; an id of zeros would be refused as taken.
    let _ = OsRng.try_fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether an id may have been given out here.
fn may_be_id(id: &str) -> bool {
    URL_SAFE_NO_PAD.decode(id).is_ok_and(|bytes| bytes.len() == ID_BYTES)
}

/// What of a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) version: Version,
    pub(super) abilities: Abilities,
    pub(super) log_level: LogLevel,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: Version,
    abilities: u8,
    log: LogLevel,
}

impl Record {
    pub(super) fn text(&self) -> String {
        let Self { version, abilities, log_level } = *self;
        // Names and a number.
        serde_json::to_string(&Written { version, abilities: abilities.bits(), log: log_level })
            .unwrap_or_default()
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let Written { version, abilities, log } = serde_json::from_str(text).ok()?;
        Some(Self { version, abilities: Abilities::from_bits(abilities), log_level: log })
    }
}

/// No session can be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::mcp) enum Refused {
    /// There are too many.
    #[error("there are as many sessions as the server holds")]
    Full,
    /// Nobody would know it.
    #[error("the server cannot keep sessions now")]
    Away,
}

/// There is no session to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::mcp) enum Missing {
    /// It never was, or has ended.
    #[error("the session has ended, or never was; begin another with initialize")]
    Unknown,
    /// Whether there is one cannot be told.
    #[error("the server cannot look up sessions now")]
    Away,
}

/// Sessions that are kept in Redis and have something to do on this pod.
#[derive(Debug, Default)]
pub(super) struct Present(Mutex<HashMap<Box<str>, Weak<Session>>>);

impl Present {
    fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.0.lock().get(id).and_then(Weak::upgrade)
    }

    fn get_or_insert(&self, id: &str, make: impl FnOnce() -> Session) -> Arc<Session> {
        let mut present = self.0.lock();
        if let Some(session) = present.get(id).and_then(Weak::upgrade) {
            return session;
        }
        let session = Arc::new(make());
        present.insert(id.into(), Arc::downgrade(&session));
        session
    }

    /// The last one that had to do with a session is done.
    pub(super) fn forget(&self, id: &str) {
        let mut present = self.0.lock();
        // Another may have begun meanwhile.
        if present.get(id).is_some_and(|session| session.strong_count() == 0) {
            present.remove(id);
        }
    }
}

/// How many sessions there are, how old they are and for how long they have not been used; each at the 50th and the 99th
/// percentile, and the most. Redis does not tell ages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub count: usize,
    /// How long ago they were begun.
    pub age: [Option<Duration>; 3],
    /// How long ago they were used.
    pub idle: [Option<Duration>; 3],
}

/// Every session.
#[derive(Debug)]
pub struct Sessions {
    /// All of them or, with Redis, those that began while it was away.
    held: Mutex<HashMap<Box<str>, Arc<Session>>>,
    max: usize,
    lifetime: Duration,
    redis: Option<Arc<Redis>>,
    present: Arc<Present>,
}

impl Sessions {
    /// No sessions yet, and at most `max`, each of which ends `lifetime` after its last use. With Redis they are kept
    /// there, and the bound is for all replicas together.
    #[must_use]
    pub fn new(max: usize, lifetime: Duration, redis: Option<Arc<Redis>>) -> Self {
        Self { held: Mutex::default(), max, lifetime, redis, present: Arc::default() }
    }

    /// Begins a session, and gives its id.
    pub(in crate::mcp) async fn begin(
        &self,
        version: Version,
        abilities: Abilities,
        now: Instant,
    ) -> Result<String, Refused> {
        let record = Record { version, abilities, log_level: LogLevel::Debug };
        let id = random_text();
        if let Some(redis) = &self.redis {
            match redis.begin_session(&id, &record.text(), self.lifetime, self.max).await {
                Ok(true) => return Ok(id),
                Ok(false) => return Err(Refused::Full),
                Err(Away) if redis.on_failure == OnFailure::Closed => return Err(Refused::Away),
                Err(Away) => {}
            }
        }
        self.hold(id, record, now)
    }

    fn hold(&self, id: String, record: Record, now: Instant) -> Result<String, Refused> {
        if self.held.lock().len() >= self.max {
            self.sweep(now);
        }
        let session = Arc::new(Session::new(&id, record, None, now));
        let mut held = self.held.lock();
        if held.len() >= self.max || held.contains_key(id.as_str()) {
            return Err(Refused::Full);
        }
        held.insert(id.as_str().into(), session);
        Ok(id)
    }

    /// Uses a session: its lifetime begins anew. `said` is the version that the client says was agreed on; it is taken
    /// at its word where nobody can be asked.
    pub(in crate::mcp) async fn get(
        &self,
        id: &str,
        said: Version,
        now: Instant,
    ) -> Result<Arc<Session>, Missing> {
        let held = self.held.lock().get(id).cloned();
        if let Some(session) = &held
            && !self.touch(session, now)
        {
            self.drop_held(id);
            return Err(Missing::Unknown);
        }
        let Some(redis) = &self.redis else { return held.ok_or(Missing::Unknown) };
        if let Some(session) = held {
            return self.get_held(redis, id, session).await;
        }
        match redis.use_session(id, self.lifetime).await {
            Ok(None) => Err(Missing::Unknown),
            Ok(Some(text)) => {
                let record = Record::read(&text).ok_or(Missing::Unknown)?;
                let session = self.present(redis, id, record, now);
                session.know(record);
                Ok(session)
            }
            Err(Away) if !may_be_id(id) => Err(Missing::Unknown),
            Err(Away) if redis.on_failure == OnFailure::Closed => Err(Missing::Away),
            Err(Away) => {
                let abilities = Abilities::default();
                let record = Record { version: said, abilities, log_level: LogLevel::Debug };
                Ok(self.present(redis, id, record, now))
            }
        }
    }

    /// A session that began here while Redis was away. As soon as that answers, every replica knows the session; it is
    /// held no longer when nothing of it is on this pod.
    async fn get_held(
        &self,
        redis: &Arc<Redis>,
        id: &str,
        session: Arc<Session>,
    ) -> Result<Arc<Session>, Missing> {
        let is_saved = session.state.lock().is_saved;
        if is_saved {
            match redis.use_session(id, self.lifetime).await {
                Ok(None) => {
                    self.drop_held(id);
                    return Err(Missing::Unknown);
                }
                Err(Away) => return Ok(session),
                Ok(Some(_)) => {}
            }
        } else {
            let saved = redis.begin_session(id, &session.record().text(), self.lifetime, self.max).await;
            if saved != Ok(true) {
                return Ok(session);
            }
            let subscriptions = session.state.lock().subscriptions.clone();
            for (uri, known_by) in subscriptions {
                let known_by = super::mark(known_by);
                let _ = redis.subscribe(id, &uri, &known_by, super::MAX_SUBSCRIPTIONS, self.lifetime).await;
            }
            session.state.lock().is_saved = true;
        }
        if session.state.lock().here.is_some() {
            return Ok(session);
        }
        self.held.lock().remove(id);
        let present = self.present(redis, id, session.record(), session.created);
        present.know(session.record());
        Ok(present)
    }

    fn present(&self, redis: &Arc<Redis>, id: &str, record: Record, now: Instant) -> Arc<Session> {
        self.present.get_or_insert(id, || {
            let (redis, present) = (Arc::clone(redis), Arc::clone(&self.present));
            Session::new(id, record, Some(Kept { redis, present, lifetime: self.lifetime }), now)
        })
    }

    fn touch(&self, session: &Session, now: Instant) -> bool {
        let mut state = session.state.lock();
        let alive = now < state.used + self.lifetime;
        if alive {
            state.used = now;
        }
        alive
    }

    fn drop_held(&self, id: &str) -> bool {
        let session = self.held.lock().remove(id);
        session.inspect(|session| session.end()).is_some()
    }

    /// Ends a session, on every replica.
    pub(in crate::mcp) async fn end(&self, id: &str) -> Result<(), Missing> {
        let was_held = self.drop_held(id);
        if let Some(session) = self.present.get(id) {
            session.end();
        }
        let ended = match &self.redis {
            Some(redis) => redis.end_session(id).await,
            None => Ok(false),
        };
        match ended {
            Ok(ended) if ended || was_held => Ok(()),
            Ok(_) => Err(Missing::Unknown),
            Err(Away) if was_held => Ok(()),
            Err(Away) => Err(Missing::Away),
        }
    }

    /// Another pod says what happened to a session.
    pub(crate) fn heard(&self, event: Event) {
        let held = self.held.lock().get(event.session.as_str()).cloned();
        let is_over = matches!(event.what, What::Ended);
        if let Some(session) = held.or_else(|| self.present.get(&event.session)) {
            session.heard(event.what);
        }
        if is_over {
            self.drop_held(&event.session);
        }
    }

    /// Ends the sessions whose time is over. Redis does that itself.
    pub fn sweep(&self, now: Instant) {
        let mut ended = Vec::new();
        self.held.lock().retain(|_, session| {
            let alive = now < session.state.lock().used + self.lifetime;
            if !alive {
                ended.push(Arc::clone(session));
            }
            alive
        });
        ended.iter().for_each(|session| session.end());
    }

    /// How many there are; with Redis and while it answers, on all replicas together.
    pub async fn count(&self, now: Instant) -> Counted {
        let mut counted = self.count_held(now);
        if let Some(redis) = &self.redis
            && let Ok(kept) = redis.count_sessions(self.lifetime).await
        {
            counted = Counted { count: kept.count, age: [None; 3], idle: kept.idle };
        }
        counted
    }

    fn count_held(&self, now: Instant) -> Counted {
        let (mut ages, mut idle): (Vec<Duration>, Vec<Duration>) = {
            let held = self.held.lock();
            let times = held.values().map(|session| {
                let used = session.state.lock().used;
                (now.saturating_duration_since(session.created), now.saturating_duration_since(used))
            });
            times.unzip()
        };
        ages.sort_unstable();
        idle.sort_unstable();
        let quantiles = |sorted: &[Duration]| {
            [50, 99, 100].map(|percent| sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied())
        };
        Counted { count: ages.len(), age: quantiles(&ages), idle: quantiles(&idle) }
    }
}
