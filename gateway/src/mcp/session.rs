//! Sessions of the legacy generation.
//!
//! A session is what was agreed on at `initialize` and what the client asked for since, with a lifetime that each use
//! begins anew. What belongs to one pod alone (a stream that is open, calls that are in flight) is there only as long as
//! there is any, so that an idle session takes a few hundred bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::message::{Id, Params, meta};
use super::protocol::{LogLevel, Version};
use crate::json::Members;

/// How many resources a session may subscribe to.
pub(super) const MAX_SUBSCRIPTIONS: usize = 100;

/// How long the URI of a subscription may be, in bytes.
pub(super) const MAX_URI: usize = 2048;

/// How many calls of a session may be in flight.
const MAX_IN_FLIGHT: usize = 100;

/// Something that a server may need from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ability {
    Sampling,
    Elicitation,
    Roots,
}

impl Ability {
    const ALL: [Self; 3] = [Self::Sampling, Self::Elicitation, Self::Roots];

    /// The capability that declares it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
            Self::Roots => "roots",
        }
    }

    /// What a request to a client needs; `None` where it is no such request.
    pub(super) fn needed_for(method: &str) -> Option<Self> {
        match method {
            "sampling/createMessage" => Some(Self::Sampling),
            "elicitation/create" => Some(Self::Elicitation),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }
}

/// What a client can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Abilities(u8);

impl Abilities {
    /// From the `capabilities` of a client.
    pub(super) fn read(capabilities: Option<&RawValue>) -> Self {
        let members = capabilities.and_then(|text| Members::parse(text.get()).ok()).unwrap_or_default();
        let bits = Ability::ALL.into_iter().filter(|ability| members.has(ability.as_str()));
        Self(bits.fold(0, |bits, ability| bits | 1 << ability as u8))
    }

    /// From the `_meta` of a modern request.
    pub(super) fn of_modern(params: &Params) -> Self {
        Self::read(meta(params).and_then(|meta| meta.capabilities))
    }

    pub(super) const fn has(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u8) != 0
    }
}

/// The answer to a request that a client was asked.
pub(super) type Answering = oneshot::Receiver<Result<Params, Params>>;

/// One session.
#[derive(Debug)]
pub struct Session {
    /// What was agreed on.
    pub(super) version: Version,
    /// What the client can do.
    pub(super) abilities: Abilities,
    created: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    log_level: LogLevel,
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
    asked: HashMap<Id, oneshot::Sender<Result<Params, Params>>>,
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

impl Session {
    fn new(version: Version, abilities: Abilities, now: Instant) -> Self {
        let state =
            State { used: now, log_level: LogLevel::Debug, subscriptions: BTreeMap::new(), here: None };
        Self { version, abilities, created: now, state: Mutex::new(state) }
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

    /// The level from which the client wants log messages.
    pub(super) fn log_level(&self) -> LogLevel {
        self.state.lock().log_level
    }

    pub(super) fn set_log_level(&self, level: LogLevel) {
        self.state.lock().log_level = level;
    }

    /// Subscribes to a resource. `false` where there are too many.
    pub(super) fn subscribe(&self, uri: &str, known_by: Option<u64>) -> bool {
        let mut state = self.state.lock();
        let room = state.subscriptions.len() < MAX_SUBSCRIPTIONS || state.subscriptions.contains_key(uri);
        if room {
            state.subscriptions.insert(uri.into(), known_by);
        }
        room
    }

    pub(super) fn unsubscribe(&self, uri: &str) {
        self.state.lock().subscriptions.remove(uri);
    }

    /// The subscribed resources whose contents are others than when the client was last told, which is now.
    pub(super) fn updated(&self, known_by: impl Fn(&str) -> Option<u64>) -> Vec<Box<str>> {
        let mut state = self.state.lock();
        let mut updated = Vec::new();
        for (uri, told) in &mut state.subscriptions {
            let now = known_by(uri);
            if *told != now {
                *told = now;
                updated.push(uri.clone());
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

    /// Cancels a request, if it is in flight here.
    pub(super) fn cancel(&self, id: &Id) {
        if let Some(token) = self.here(|here| here.in_flight.get(id).cloned()) {
            token.cancel();
        }
    }

    /// Opens the session's stream. The one that was open before ends: each message goes out once.
    pub(super) fn open_stream(&self) -> CancellationToken {
        let token = CancellationToken::new();
        if let Some(before) = self.here(|here| here.stream.replace(token.clone())) {
            before.cancel();
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

    /// The client has answered. An answer that nobody waits for is dropped.
    pub(super) fn answer(&self, id: &Id, result: Result<Params, Params>) {
        if let Some(sender) = self.here(|here| here.asked.remove(id)) {
            let _ = sender.send(result);
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

/// 192 bits that nobody can guess.
fn random_text() -> String {
    let mut bytes = [0; 24];
    // The kernel's source fails on no machine that runs this; an id of zeros would be refused as taken.
    let _ = OsRng.try_fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// No session can be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there are {limit} sessions already; try again later")]
pub struct Full {
    limit: usize,
}

/// Every session.
#[derive(Debug)]
pub struct Sessions {
    by_id: Mutex<HashMap<Box<str>, Arc<Session>>>,
    max: usize,
    lifetime: Duration,
}

impl Sessions {
    /// No sessions yet, and at most `max`, each of which ends `lifetime` after its last use.
    #[must_use]
    pub fn new(max: usize, lifetime: Duration) -> Self {
        Self { by_id: Mutex::default(), max, lifetime }
    }

    /// Begins a session.
    pub(super) fn begin(
        &self,
        version: Version,
        abilities: Abilities,
        now: Instant,
    ) -> Result<(String, Arc<Session>), Full> {
        let full = Full { limit: self.max };
        let mut by_id = self.by_id.lock();
        if by_id.len() >= self.max {
            drop(by_id);
            self.sweep(now);
            by_id = self.by_id.lock();
        }
        if by_id.len() >= self.max {
            return Err(full);
        }
        let id = random_text();
        let session = Arc::new(Session::new(version, abilities, now));
        if by_id.contains_key(id.as_str()) {
            return Err(full);
        }
        by_id.insert(id.as_str().into(), Arc::clone(&session));
        Ok((id, session))
    }

    /// Uses a session: its lifetime begins anew. `None` where it never was, or has ended.
    pub(super) fn get(&self, id: &str, now: Instant) -> Option<Arc<Session>> {
        let session = self.by_id.lock().get(id).cloned()?;
        if self.touch(&session, now) {
            return Some(session);
        }
        self.end(id);
        None
    }

    /// Whether a session goes on from here.
    pub(super) fn touch(&self, session: &Session, now: Instant) -> bool {
        let mut state = session.state.lock();
        let alive = now < state.used + self.lifetime;
        if alive {
            state.used = now;
        }
        alive
    }

    /// Ends a session. `false` where there is none.
    pub(super) fn end(&self, id: &str) -> bool {
        let session = self.by_id.lock().remove(id);
        session.inspect(|session| session.end()).is_some()
    }

    /// Ends the sessions whose time is over.
    pub fn sweep(&self, now: Instant) {
        let mut ended = Vec::new();
        self.by_id.lock().retain(|_, session| {
            let alive = now < session.state.lock().used + self.lifetime;
            if !alive {
                ended.push(Arc::clone(session));
            }
            alive
        });
        ended.iter().for_each(|session| session.end());
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.lock().len()
    }

    /// How long ago each was begun, and last used.
    #[must_use]
    pub fn ages(&self, now: Instant) -> Vec<(Duration, Duration)> {
        let by_id = self.by_id.lock();
        let ages = by_id.values().map(|session| {
            let used = session.state.lock().used;
            (now.saturating_duration_since(session.created), now.saturating_duration_since(used))
        });
        ages.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    fn begin(sessions: &Sessions, now: Instant) -> Result<(String, Arc<Session>), Full> {
        sessions.begin(Version::V2025_11_25, Abilities::default(), now)
    }

    #[test]
    fn a_lifetime_begins_anew_with_each_use() {
        let (sessions, start) = (Sessions::new(10, LIFETIME), Instant::now());
        let (id, _) = begin(&sessions, start).unwrap();
        assert!(sessions.get(&id, start + LIFETIME * 9 / 10).is_some());
        assert!(sessions.get(&id, start + LIFETIME * 18 / 10).is_some());
        assert!(sessions.get(&id, start + LIFETIME * 28 / 10).is_none());
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn there_is_room_again_when_sessions_are_over() {
        let (sessions, start) = (Sessions::new(2, LIFETIME), Instant::now());
        let (first, _) = begin(&sessions, start).unwrap();
        begin(&sessions, start).unwrap();
        assert_eq!(begin(&sessions, start).unwrap_err(), Full { limit: 2 });
        assert!(sessions.end(&first) && !sessions.end(&first));
        begin(&sessions, start).unwrap();
        assert!(begin(&sessions, start).is_err());
        assert!(begin(&sessions, start + LIFETIME).is_ok());
        assert_eq!(sessions.count(), 1);
    }

    #[test]
    fn ids_are_visible_ascii_and_never_the_same() {
        let ids: std::collections::HashSet<String> = (0..1000).map(|_| random_text()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_graphic())));
    }

    #[test]
    fn a_request_is_cancelled_by_its_id_and_forgotten_when_it_is_done() {
        let (sessions, now) = (Sessions::new(1, LIFETIME), Instant::now());
        let (_, session) = begin(&sessions, now).unwrap();
        let id = Id::from("a".to_owned());
        let call = session.begin(&id).expect("room");
        assert!(session.begin(&id).is_none(), "the id is in flight");
        session.cancel(&id);
        assert!(call.cancelled.is_cancelled());
        drop(call);
        assert!(session.state.lock().here.is_none());
        assert!(session.begin(&id).is_some());
    }

    #[test]
    fn a_second_stream_ends_the_first_and_is_not_ended_by_it() {
        let (sessions, now) = (Sessions::new(1, LIFETIME), Instant::now());
        let (id, session) = begin(&sessions, now).unwrap();
        let first = session.open_stream();
        let second = session.open_stream();
        assert!(first.is_cancelled());
        session.close_stream(&first);
        assert!(!second.is_cancelled());
        assert!(sessions.end(&id));
        assert!(second.is_cancelled());
    }

    #[test]
    fn updates_are_told_once() {
        let (sessions, now) = (Sessions::new(1, LIFETIME), Instant::now());
        let (_, session) = begin(&sessions, now).unwrap();
        assert!(session.subscribe("a:1", Some(1)) && session.subscribe("a:2", None));
        assert_eq!(session.updated(|_| Some(1)), [Box::from("a:2")]);
        assert!(session.updated(|_| Some(1)).is_empty());
        session.unsubscribe("a:2");
        assert_eq!(session.updated(|_| None), [Box::from("a:1")]);
        assert!(
            (0..200).filter(|n| session.subscribe(&format!("b:{n}"), None)).count() == MAX_SUBSCRIPTIONS - 1
        );
    }

    #[tokio::test]
    async fn an_answer_finds_who_waits_for_it() {
        let (sessions, now) = (Sessions::new(1, LIFETIME), Instant::now());
        let (_, session) = begin(&sessions, now).unwrap();
        let (id, answering) = session.expect_answer();
        session.answer(&Id::from("other".to_owned()), Ok(Params::default()));
        session.answer(&id, Ok(Params::from("{\"a\":1}".to_owned())));
        assert_eq!(answering.await.unwrap().unwrap().text(), "{\"a\":1}");
        assert!(session.state.lock().here.is_none());
    }
}
