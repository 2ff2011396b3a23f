//! Sessions of the legacy generation.
//!
//! A session is what was agreed on at `initialize` and what the client asked for since, with a lifetime that each use
//! begins anew. What belongs to one pod alone (a stream that is open, calls that are in flight) is there only as long as
//! there is any, so that an idle session takes a few hundred bytes. With Redis it is there that sessions are kept, and a
//! pod has nothing of one that is idle.

mod ability;
mod sessions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use ability::{Abilities, Ability};
pub(super) use sessions::Missing;
pub use sessions::{Counted, Sessions};

use self::sessions::random_text;
use super::message::{Answer, Id};
use super::protocol::{LogLevel, Version};
use crate::redis::{Away, Redis, What};

/// How many resources a session may subscribe to.
pub(super) const MAX_SUBSCRIPTIONS: usize = 100;

/// How long the URI of a subscription may be, in bytes.
pub(super) const MAX_URI: usize = 2048;

/// How many calls of a session may be in flight on one pod.
const MAX_IN_FLIGHT: usize = 100;

/// The answer to a request that a client was asked.
pub(super) type Answering = oneshot::Receiver<Result<Answer, Answer>>;

/// One session, as far as this pod has to do with it.
#[derive(Debug)]
pub struct Session {
    id: Box<str>,
    created: Instant,
    /// Where it is kept, if not here.
    kept: Option<Kept>,
    state: Mutex<State>,
}

/// Where sessions are kept that every replica knows.
#[derive(Debug)]
struct Kept {
    redis: Arc<Redis>,
    present: Arc<sessions::Present>,
    lifetime: Duration,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// What was agreed on, what the client can do, and what it asked for since.
    record: sessions::Record,
    /// Whether the record is the one that Redis keeps, and not what a client said while nobody could be asked.
    is_known: bool,
    /// Whether Redis has it as well, though it is kept here.
    is_saved: bool,
    /// URIs, each with what its contents were known by when the client was last told.
    subscriptions: BTreeMap<Box<str>, Option<u64>>,
    /// There as long as something is in it.
    here: Option<Box<Here>>,
}

/// What of a session is on this pod.
#[derive(Debug, Default)]
struct Here {
    stream: Option<CancellationToken>,
    in_flight: HashMap<Id, CancellationToken>,
    asked: HashMap<Id, oneshot::Sender<Result<Answer, Answer>>>,
}

impl Here {
    fn is_empty(&self) -> bool {
        self.stream.is_none() && self.in_flight.is_empty() && self.asked.is_empty()
    }
}

/// A request of a session that is being answered; dropped when it is.
#[derive(Debug)]
pub(super) struct InFlight {
    session: Arc<Session>,
    id: Id,
    pub(super) cancelled: CancellationToken,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.session.here(|here| here.in_flight.remove(&self.id));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(kept) = &self.kept {
            kept.present.forget(&self.id);
        }
    }
}

impl Session {
    fn new(id: &str, record: sessions::Record, kept: Option<Kept>, now: Instant) -> Self {
        let subscriptions = BTreeMap::new();
        let state = State { used: now, record, is_known: false, is_saved: false, subscriptions, here: None };
        Self { id: id.into(), created: now, kept, state: Mutex::new(state) }
    }

    /// Redis says what is kept of it.
    fn know(&self, record: sessions::Record) {
        let mut state = self.state.lock();
        (state.record, state.is_known) = (record, true);
    }

    fn here<T>(&self, change: impl FnOnce(&mut Here) -> T) -> T {
        let mut state = self.state.lock();
        let here = state.here.get_or_insert_default();
        let result = change(here);
        if here.is_empty() {
            state.here = None;
        }
        result
    }

    /// What of it is worth keeping.
    fn record(&self) -> sessions::Record {
        self.state.lock().record
    }

    /// What was agreed on.
    pub(super) fn version(&self) -> Version {
        self.record().version
    }

    /// What the client can do.
    pub(super) fn abilities(&self) -> Abilities {
        self.record().abilities
    }

    /// The level from which the client wants log messages.
    pub(super) fn log_level(&self) -> LogLevel {
        self.record().log_level
    }

    pub(super) async fn set_log_level(&self, level: LogLevel) -> Result<(), Away> {
        let (record, is_known) = {
            let mut state = self.state.lock();
            state.record.log_level = level;
            (state.record, state.is_known)
        };
        match &self.kept {
            None => Ok(()),
            // What is kept may be more than what is known here.
            Some(_) if !is_known => Err(Away),
            Some(kept) => kept.redis.write_session(&self.id, &record.text()).await,
        }
    }

    /// Subscribes to a resource. `false` where there are too many.
    pub(super) async fn subscribe(&self, uri: &str, known_by: Option<u64>) -> Result<bool, Away> {
        if let Some(Kept { redis, lifetime, .. }) = &self.kept {
            return redis.subscribe(&self.id, uri, &mark(known_by), MAX_SUBSCRIPTIONS, *lifetime).await;
        }
        let mut state = self.state.lock();
        let room = state.subscriptions.len() < MAX_SUBSCRIPTIONS || state.subscriptions.contains_key(uri);
        if room {
            state.subscriptions.insert(uri.into(), known_by);
        }
        Ok(room)
    }

    pub(super) async fn unsubscribe(&self, uri: &str) -> Result<(), Away> {
        if let Some(kept) = &self.kept {
            return kept.redis.unsubscribe(&self.id, uri).await;
        }
        self.state.lock().subscriptions.remove(uri);
        Ok(())
    }

    /// The subscribed resources whose contents are others than when the client was last told, which is now.
    pub(super) async fn updated(&self, known_by: impl Fn(&str) -> Option<u64> + Send) -> Vec<Box<str>> {
        let Some(Kept { redis, lifetime, .. }) = &self.kept else {
            let mut state = self.state.lock();
            let mut updated = Vec::new();
            for (uri, told) in &mut state.subscriptions {
                let now = known_by(uri);
                if std::mem::replace(told, now) != now {
                    updated.push(uri.clone());
                }
            }
            return updated;
        };
        let mut updated = Vec::new();
        // What cannot be asked now is told with the next change.
        for (uri, told) in redis.subscriptions(&self.id).await.unwrap_or_default() {
            let now = mark(known_by(&uri));
            if told != now {
                let _ = redis.subscribe(&self.id, &uri, &now, MAX_SUBSCRIPTIONS, *lifetime).await;
                updated.push(uri.into());
            }
        }
        updated
    }

    /// Registers a request, so that it can be cancelled. `None` where its id is in flight already, or too many are.
    pub(super) fn begin(self: &Arc<Self>, id: &Id) -> Option<InFlight> {
        let cancelled = CancellationToken::new();
        let begun = self.here(|here| {
            let room = here.in_flight.len() < MAX_IN_FLIGHT && !here.in_flight.contains_key(id);
            if room {
                here.in_flight.insert(id.clone(), cancelled.clone());
            }
            room
        });
        begun.then(|| InFlight { session: Arc::clone(self), id: id.clone(), cancelled })
    }

    /// Cancels a request, wherever it is in flight.
    pub(super) async fn cancel(&self, id: &Id) {
        if !self.cancel_here(id)
            && let Some(kept) = &self.kept
        {
            // A call that is not cancelled comes to its end.
            let _ = kept.redis.tell(&self.id, What::Cancelled { id: id.as_json().into() }).await;
        }
    }

    fn cancel_here(&self, id: &Id) -> bool {
        let token = self.here(|here| here.in_flight.get(id).cloned());
        token.inspect(CancellationToken::cancel).is_some()
    }

    /// Opens the session's stream. The one that was open before ends, wherever it is: each message goes out once.
    pub(super) async fn open_stream(&self) -> CancellationToken {
        let token = CancellationToken::new();
        if let Some(before) = self.here(|here| here.stream.replace(token.clone())) {
            before.cancel();
        }
        if let Some(kept) = &self.kept {
            let _ = kept.redis.tell(&self.id, What::Stream).await;
        }
        token
    }

    /// The stream has ended, unless it is another already.
    pub(super) fn close_stream(&self, token: &CancellationToken) {
        token.cancel();
        self.here(|here| here.stream.take_if(|open| open.is_cancelled()));
    }

    /// An id for a request to the client, and where its answer will be.
    pub(super) fn expect_answer(&self) -> (Id, Answering) {
        let (sender, answering) = oneshot::channel();
        let id = Id::from(random_text());
        self.here(|here| {
            here.asked.retain(|_, sender| !sender.is_closed());
            here.asked.insert(id.clone(), sender)
        });
        (id, answering)
    }

    /// The client has answered whoever asked. An answer that nobody waits for is dropped.
    pub(super) async fn answer(&self, id: &Id, result: Result<Answer, Answer>) {
        let Err(result) = self.answer_here(id, result) else { return };
        if let Some(kept) = &self.kept {
            let (Ok(body) | Err(body)) = &result;
            let (id, body) = (id.as_json().into(), body.text().into());
            let _ = kept.redis.tell(&self.id, What::Answered { id, is_error: result.is_err(), body }).await;
        }
    }

    /// Gives the answer back where nobody waits for it here.
    fn answer_here(&self, id: &Id, result: Result<Answer, Answer>) -> Result<(), Result<Answer, Answer>> {
        match self.here(|here| here.asked.remove(id)) {
            Some(sender) => sender.send(result),
            None => Err(result),
        }
    }

    /// Another pod says what happened.
    fn heard(&self, what: What) {
        match what {
            What::Ended => self.end(),
            What::Stream => {
                if let Some(stream) = self.here(|here| here.stream.take()) {
                    stream.cancel();
                }
            }
            What::Cancelled { id } => {
                if let Some(id) = Id::from_json(&id) {
                    self.cancel_here(&id);
                }
            }
            What::Answered { id, is_error, body } => {
                let body = Answer::from(body);
                if let Some(id) = Id::from_json(&id) {
                    let _ = self.answer_here(&id, if is_error { Err(body) } else { Ok(body) });
                }
            }
        }
    }

    /// Ends what of the session is on this pod.
    fn end(&self) {
        let here = self.state.lock().here.take();
        if let Some(here) = here {
            here.stream.iter().for_each(CancellationToken::cancel);
        }
    }
}

/// What contents are known by, as Redis has it.
fn mark(known_by: Option<u64>) -> String {
    known_by.map(|hash| hash.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
