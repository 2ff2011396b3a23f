//! Streams that tell of changes: `subscriptions/listen` of the modern generation, and a session's stream.
//!
//! Nothing is queued for a slow reader. When it reads again it is told what is another than when it was last told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::RpcError;
use super::calls::{Context, Reply};
use super::events::Messages;
use super::message::Id;
use super::protocol::{META_SERVER_INFO, META_SUBSCRIPTION};
use super::resources::known_by;
use super::session::{MAX_SUBSCRIPTIONS, MAX_URI, Missing, Session};
use crate::catalog::live::Changes;
use crate::gateway::Gateway;
use crate::json::{Object, array, string};

/// How often a stream shows that its session is used.
const TOUCH: Duration = Duration::from_secs(30);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: Vec<String>,
}

#[derive(Deserialize)]
struct Listen<'a> {
    #[serde(borrow)]
    notifications: Option<&'a RawValue>,
}

/// Who is told, and how a notification shows it.
enum Listener {
    Subscription { id: Id, filter: Filter, known: BTreeMap<String, Option<u64>>, server_info: String },
    Session { session: Arc<Session>, id: String, ended: CancellationToken },
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Session { session, ended, .. } = self {
            session.close_stream(ended);
        }
    }
}

struct Watching {
    gateway: Arc<Gateway>,
    listener: Listener,
    changes: watch::Receiver<Changes>,
    told: Changes,
    /// At most one for each list and for each resource that is subscribed to.
    ready: VecDeque<String>,
    over: bool,
}

/// Answers `subscriptions/listen`.
pub(super) fn listen(context: &Context) -> Result<Reply, RpcError> {
    let listen: Listen<'_> = context.params.read()?;
    let notifications = listen.notifications.ok_or_else(|| {
        RpcError::invalid_params("params.notifications: says what is to be told, and is missing")
    })?;
    let mut filter: Filter = serde_json::from_str(notifications.get())
        .map_err(|error| RpcError::invalid_params(format!("params.notifications: {error}")))?;
    if filter.resource_subscriptions.len() > MAX_SUBSCRIPTIONS {
        let reason = format!("a stream may subscribe to {MAX_SUBSCRIPTIONS} resources");
        return Err(RpcError::invalid_params(reason));
    }
    filter.resource_subscriptions.retain(|uri| uri.len() <= MAX_URI);
    let uris = filter.resource_subscriptions.iter();
    let known = uris.map(|uri| (uri.clone(), known_by(&context.catalog, uri))).collect();
    let acknowledged = acknowledged(&filter, &context.id);
    let listener = Listener::Subscription {
        id: context.id.clone(),
        filter,
        known,
        server_info: context.server_info().to_owned(),
    };
    Ok(Reply::Messages(Watching::new(&context.gateway, listener, VecDeque::from([acknowledged])).messages()))
}

/// The stream of a session.
pub(super) async fn of_session(gateway: &Arc<Gateway>, session: Arc<Session>, id: &str) -> Messages {
    let ended = session.open_stream().await;
    let listener = Listener::Session { session, id: id.to_owned(), ended };
    Watching::new(gateway, listener, VecDeque::new()).messages()
}

fn acknowledged(filter: &Filter, id: &Id) -> String {
    let mut honoured = Object::new();
    for (name, wanted) in [
        ("toolsListChanged", filter.tools_list_changed),
        ("promptsListChanged", filter.prompts_list_changed),
        ("resourcesListChanged", filter.resources_list_changed),
    ] {
        if wanted {
            honoured.raw(name, "true");
        }
    }
    if !filter.resource_subscriptions.is_empty() {
        let uris = filter.resource_subscriptions.iter().map(|uri| string(uri));
        honoured.raw("resourceSubscriptions", &array(uris));
    }
    let params = tagged(Object::new().raw("notifications", &honoured.finish()), id);
    notification("notifications/subscriptions/acknowledged", Some(&params))
}

/// Params that show to which subscription they belong.
fn tagged(params: &mut Object, id: &Id) -> String {
    let meta = Object::new().raw(META_SUBSCRIPTION, id.as_json()).finish();
    params.raw("_meta", &meta).finish()
}

fn notification(method: &str, params: Option<&str>) -> String {
    let mut message = Object::new();
    message.string("jsonrpc", "2.0").string("method", method);
    if let Some(params) = params {
        message.raw("params", params);
    }
    message.finish()
}

impl Watching {
    fn new(gateway: &Arc<Gateway>, listener: Listener, ready: VecDeque<String>) -> Self {
        let changes = gateway.live.subscribe();
        let told = *changes.borrow();
        Self { gateway: Arc::clone(gateway), listener, changes, told, ready, over: false }
    }

    fn messages(self) -> Messages {
        stream::unfold(self, |mut watching| async move { Some((watching.next().await?, watching)) }).boxed()
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            if self.over {
                return None;
            }
            self.wait().await;
        }
    }

    /// Waits for something to tell, or for the end.
    async fn wait(&mut self) {
        let touched = Instant::now() + TOUCH;
        let ended = match &self.listener {
            Listener::Session { ended, .. } => ended.clone(),
            Listener::Subscription { .. } => CancellationToken::new(),
        };
        tokio::select! {
            biased;
            () = self.gateway.drain.closing() => {
                self.over = true;
                self.ready.extend(self.listener.farewell());
                return;
            }
            () = ended.cancelled() => {
                self.over = true;
                return;
            }
            changed = self.changes.changed() => {
                self.over = changed.is_err();
                self.compare().await;
                return;
            }
            () = sleep_until(touched) => {}
        }
        self.over |= !self.listener.is_alive(&self.gateway).await;
    }

    async fn compare(&mut self) {
        let now = *self.changes.borrow_and_update();
        let told = std::mem::replace(&mut self.told, now);
        let Some(catalog) = self.gateway.live.get() else { return };
        let lists = [
            ("notifications/tools/list_changed", told.tools != now.tools),
            ("notifications/prompts/list_changed", told.prompts != now.prompts),
            ("notifications/resources/list_changed", told.resources != now.resources),
        ];
        let wanted = self.listener.wants();
        for ((method, changed), wanted) in lists.into_iter().zip(wanted) {
            if changed && wanted {
                self.ready.push_back(self.listener.notification(method, None));
            }
        }
        for uri in self.listener.updated(|uri| known_by(&catalog, uri)).await {
            let message = self.listener.notification("notifications/resources/updated", Some(&uri));
            self.ready.push_back(message);
        }
    }
}

impl Listener {
    /// Which lists it wants to be told of: tools, prompts, resources.
    const fn wants(&self) -> [bool; 3] {
        match self {
            Self::Session { .. } => [true; 3],
            Self::Subscription { filter, .. } => {
                [filter.tools_list_changed, filter.prompts_list_changed, filter.resources_list_changed]
            }
        }
    }

    async fn updated(&mut self, known_by: impl Fn(&str) -> Option<u64> + Send) -> Vec<Box<str>> {
        match self {
            Self::Session { session, .. } => session.updated(known_by).await,
            Self::Subscription { known, .. } => {
                let mut updated = Vec::new();
                for (uri, told) in known {
                    let now = known_by(uri);
                    if *told != now {
                        *told = now;
                        updated.push(uri.as_str().into());
                    }
                }
                updated
            }
        }
    }

    fn notification(&self, method: &str, uri: Option<&str>) -> String {
        let mut params = Object::new();
        params.optional("uri", uri);
        match self {
            Self::Subscription { id, .. } => notification(method, Some(&tagged(&mut params, id))),
            Self::Session { .. } => {
                let params = params.finish();
                notification(method, uri.map(|_| params.as_str()))
            }
        }
    }

    /// The response with which a subscription ends well.
    fn farewell(&self) -> Option<String> {
        let Self::Subscription { id, server_info, .. } = self else { return None };
        let meta =
            Object::new().raw(META_SUBSCRIPTION, id.as_json()).raw(META_SERVER_INFO, server_info).finish();
        let result = Object::new().string("resultType", "complete").raw("_meta", &meta).finish();
        Some(Object::new().string("jsonrpc", "2.0").raw("id", id.as_json()).raw("result", &result).finish())
    }

    /// Whether the session goes on; a stream that is open uses it.
    async fn is_alive(&self, gateway: &Gateway) -> bool {
        match self {
            Self::Session { session, id, .. } => {
                let used = gateway.sessions.get(id, session.version(), Instant::now()).await;
                !matches!(used, Err(Missing::Unknown))
            }
            Self::Subscription { .. } => true,
        }
    }
}
