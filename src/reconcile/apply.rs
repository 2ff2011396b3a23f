//! Writing: server-side apply of children and of statuses, and deletion of children that are no longer wanted.
//!
//! A pass knows without a request whether a child is as it should be: the watch shows it, and [`drift`] compares. Only what
//! differs is applied, so a restart with nothing changed and a pass after a status write nothing.
//!
//! Every write says which object it means, and the API server holds it to that: the `uid` of the one that was seen, or
//! that there is none yet. So an object of the same name that somebody else made is never touched, not even in the moment
//! between looking and writing, and forcing is safe: it only takes back fields of an object that is the operator's own.

use std::sync::Arc;

use kube::api::{Api, ApiResource, DeleteParams, GroupVersionKind, Patch, PatchParams, Preconditions};
use mcp_crds::kind::{API_VERSION, GROUP, Kind, VERSION};
use serde::Serialize;
use serde_json::{Value, json};
use tracing::{debug, info};

use super::build::{self, Intent, Part};
use super::error::Answer;
use super::identity::Identity;
use super::written::Latest;
use super::{Context, Error, MANAGER, drift};
use crate::children::{ChildKey, ChildKind, Found, Observed, Rollout, Sight};
use crate::object::Object;

/// Holds a Deployment's replicas where an autoscaler decides about them. A field that its only manager no longer applies
/// would fall back to its default.
const REPLICAS_MANAGER: &str = "mcp-operator-replicas";

/// Without these, pods would not be what they are meant to be.
const BEFORE_PODS: [ChildKind; 4] =
    [ChildKind::ConfigMap, ChildKind::ServiceAccount, ChildKind::Role, ChildKind::RoleBinding];

/// A version that no object has: etcd gives its first write the second. The API server makes an object that is applied
/// with it where there is none, and refuses where there is one.
const ABSENT: &str = "1";

/// What became of a child.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Child {
    /// It is the server's own, and as it should be.
    Own(Arc<Observed>),
    /// The name is taken: a sentence that says by whom. The object is left alone.
    Taken(String),
    /// The API server does not take it as it would be; what it said.
    Refused(String),
    /// The API server forbids it: permissions, a policy, a quota; what it said.
    Forbidden(String),
    /// There is none, and none was asked for.
    Absent,
}

/// What became of all children: a status is written from nothing else.
#[derive(Debug, Clone, Default)]
pub(super) struct Applied {
    children: Vec<(ChildKey, Child)>,
}

/// Something that a pass did to the children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A child was made.
    Created(ChildKey),
    /// A child that is no longer wanted was deleted.
    Deleted(ChildKey),
    /// The Deployment was told to have another number of pods.
    Scaled {
        /// How many it was to have.
        from: i32,
        /// How many it is to have.
        to: i32,
    },
}

impl Applied {
    /// The children as they are, where a pass leaves them so.
    pub(super) fn untouched(owner: &Identity, children: Vec<(ChildKey, Arc<Observed>)>) -> Self {
        let own = children.into_iter().filter(|(_, child)| owner.stranger(child).is_none());
        Self { children: own.map(|(key, child)| (key, Child::Own(child))).collect() }
    }

    /// The child of a kind of which there is at most one.
    pub(super) fn of(&self, kind: ChildKind) -> &Child {
        self.children.iter().find(|(key, _)| key.kind == kind).map_or(&Child::Absent, |(_, child)| child)
    }

    /// Every child that was asked for.
    pub(super) fn all(&self) -> impl Iterator<Item = (&ChildKey, &Child)> {
        self.children.iter().map(|(key, child)| (key, child))
    }

    /// Adds a child, or replaces it; they stand in the order in which they are written.
    pub(super) fn put(&mut self, (key, child): (ChildKey, Child)) {
        match self.children.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => self.children.splice(at..=at, [(key, child)]).for_each(drop),
            Err(at) => self.children.insert(at, (key, child)),
        }
    }

    /// How far the pods have come.
    pub(super) fn rollout(&self) -> Option<&Rollout> {
        match self.of(ChildKind::Deployment) {
            Child::Own(deployment) => deployment.rollout(),
            _ => None,
        }
    }
}

/// Makes the children what they should be. `present` are those that there are, or that say so. What it does stands in `changes`
/// also where it fails, or does not come to its end.
pub(super) async fn children(
    context: &Context,
    owner: &Identity,
    wanted: &build::Children,
    present: &[(ChildKey, Arc<Observed>)],
    changes: &mut Vec<Change>,
) -> Result<Applied, Error> {
    let orphans = present.iter().filter(|(key, child)| {
        let is_wanted = wanted.intents.iter().any(|intent| intent.key() == key);
        !is_wanted && !wanted.kept.contains(key) && !child.deleting && owner.controls(child)
    });
    // An autoscaler goes before the Deployment's replicas are taken back: the two would fight.
    let (first, last): (Vec<_>, Vec<_>) =
        orphans.partition(|(key, _)| key.kind == ChildKind::HorizontalPodAutoscaler);
    let mut applied = Applied::default();
    for (key, child) in first {
        changes.extend(applied.remove(context, key, child).await?);
    }
    let kept = present.iter().filter(|(key, child)| wanted.kept.contains(key) && owner.controls(child));
    kept.for_each(|(key, child)| applied.put((key.clone(), Child::Own(Arc::clone(child)))));
    let mut pods_are_told = true;
    for intent in &wanted.intents {
        // Gateways would wait for what does not come.
        if intent.part() == Part::Index && !applied.is_all_own(&[ChildKind::ConfigMap]) {
            continue;
        }
        let child = match intent.key().kind {
            // Its pods would mount somebody else's ConfigMap, or wait for one that does not come; or run as somebody else; or
            // an autoscaler that could not be deleted would fight over their number.
            ChildKind::Deployment
                if !applied.is_all_own(&BEFORE_PODS)
                    || !applied.is_all_own(&[ChildKind::HorizontalPodAutoscaler]) =>
            {
                pods_are_told = false;
                context.children.find(intent.key()).map_or(Child::Absent, |found| as_seen(owner, found))
            }
            _ => child(context, owner, intent, changes).await?,
        };
        applied.put((intent.key().clone(), child));
    }
    // What pods need goes when they have been told to do without.
    pods_are_told &= matches!(applied.of(ChildKind::Deployment), Child::Own(_));
    for (key, child) in last.into_iter().filter(|(key, _)| pods_are_told || !BEFORE_PODS.contains(&key.kind))
    {
        let change = applied.remove(context, key, child).await?;
        changes.extend(change.filter(|_| !build::is_shard(&owner.name, key)));
    }
    Ok(applied)
}

impl Applied {
    /// Deletes a child that is no longer wanted. That it may not is no error of the pass, but told in the status.
    async fn remove(
        &mut self,
        context: &Context,
        key: &ChildKey,
        child: &Observed,
    ) -> Result<Option<Change>, Error> {
        match delete(context, key, child).await {
            Ok(change) => Ok(change),
            Err(Answer::Refused(message) | Answer::Forbidden(message)) => {
                let ChildKey { kind, name, .. } = key;
                let left =
                    format!("{kind} \"{name}\" is no longer wanted and could not be deleted: {message}");
                self.put((key.clone(), Child::Forbidden(left)));
                Ok(None)
            }
            Err(answer @ (Answer::Conflict | Answer::Failed(_))) => Err(answer.into_error(&key.to_string())),
        }
    }

    /// Whether those of these kinds that were written so far are as they should be.
    fn is_all_own(&self, kinds: &[ChildKind]) -> bool {
        self.all().all(|(key, child)| !kinds.contains(&key.kind) || matches!(child, Child::Own(_)))
    }
}

fn as_seen(owner: &Identity, found: Found) -> Child {
    if owner.stranger(&found.observed).is_none() { Child::Own(found.observed) } else { Child::Absent }
}

async fn child(
    context: &Context,
    owner: &Identity,
    intent: &Intent,
    changes: &mut Vec<Change>,
) -> Result<Child, Error> {
    let target = Target::new(context, owner, intent.key());
    if let Some(present) = context.children.find(intent.key()) {
        return target.keep(intent, present, changes).await;
    }
    match target.apply(intent.json(), Precondition::Absent, MANAGER).await {
        Ok(created) => {
            // Shards come and go with what is served.
            if intent.part() != Part::Shard {
                changes.push(Change::Created(intent.key().clone()));
            }
            Ok(Child::Own(created))
        }
        // It is another's, or our own and the watch is late.
        Err(Answer::Conflict) => match target.get().await? {
            Some(present) => target.keep(intent, present, changes).await,
            None => Err(Answer::Conflict.into_error(&target.what)),
        },
        Err(answer) => settled(answer, &target.what),
    }
}

/// What the status tells is no error of the pass.
fn settled(answer: Answer, what: &str) -> Result<Child, Error> {
    match answer {
        Answer::Refused(message) => Ok(Child::Refused(message)),
        Answer::Forbidden(message) => Ok(Child::Forbidden(message)),
        answer @ (Answer::Conflict | Answer::Failed(_)) => Err(answer.into_error(what)),
    }
}

/// Deletes a child that the server controls and no longer wants, if it is still there.
async fn delete(context: &Context, key: &ChildKey, child: &Observed) -> Result<Option<Change>, Answer> {
    context.check_may_write().map_err(Answer::Failed)?;
    let only_this = Preconditions { uid: Some(child.uid.to_string()), resource_version: None };
    let params = DeleteParams { preconditions: Some(only_this), ..DeleteParams::background() };
    let what = key.to_string();
    match context.api(key).delete(&key.name, &params).await {
        Ok(_) => {
            info!(child = what, "deleted");
            Ok(Some(Change::Deleted(key.clone())))
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(Answer::of(error, &what)),
    }
}

/// Which object an apply means.
#[derive(Debug, Clone, Copy)]
enum Precondition<'a> {
    /// One that is not there yet.
    Absent,
    /// The one with this `uid`.
    Uid(&'a str),
}

impl Precondition<'_> {
    fn add_to(self, mut body: Value) -> Value {
        if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
            match self {
                Self::Absent => metadata.insert("resourceVersion".to_owned(), ABSENT.into()),
                Self::Uid(uid) => metadata.insert("uid".to_owned(), uid.into()),
            };
        }
        body
    }
}

/// One child of a server.
struct Target<'a> {
    context: &'a Context,
    owner: &'a Identity,
    key: &'a ChildKey,
    what: String,
}

impl<'a> Target<'a> {
    fn new(context: &'a Context, owner: &'a Identity, key: &'a ChildKey) -> Self {
        Self { context, owner, key, what: key.to_string() }
    }

    /// Makes a child that is there what it should be, if it is the owner's.
    async fn keep(&self, intent: &Intent, present: Found, changes: &mut Vec<Change>) -> Result<Child, Error> {
        let Found { observed, body } = present;
        if let Some(stranger) = self.owner.stranger(&observed) {
            let ChildKey { kind, name, .. } = self.key;
            return Ok(Child::Taken(format!("{kind} \"{name}\" is not this server's: {stranger}")));
        }
        // What is being deleted cannot be mended; when it has gone, the watch says so.
        if observed.deleting {
            return Ok(Child::Own(observed));
        }
        if observed.applied.as_deref() == Some(intent.fingerprint()) && self.owner.controls(&observed) {
            let Some(body) = body else { return Ok(Child::Own(observed)) };
            if self.agrees(intent, &body)? {
                self.context.children.agrees(self.key, &observed);
                return Ok(Child::Own(observed));
            }
        }
        let uid = Precondition::Uid(&observed.uid);
        if let Err(answer) = self.hand_over_replicas(intent, &observed).await {
            return settled(answer, &self.what);
        }
        match self.apply(intent.json(), uid, MANAGER).await {
            Ok(applied) => {
                changes.extend(scaled(intent, &observed));
                Ok(Child::Own(applied))
            }
            Err(answer) => settled(answer, &self.what),
        }
    }

    fn agrees(&self, intent: &Intent, body: &str) -> Result<bool, Error> {
        let observed: Value = serde_json::from_str(body).map_err(Error::Document)?;
        let differing = drift::differing(self.key.kind, intent.json(), &observed);
        if !differing.is_empty() {
            debug!(child = self.what, fields = ?differing, "differs");
        }
        Ok(differing.is_empty())
    }

    /// Before an autoscaler takes over, gives the present number of replicas a manager that keeps it. An autoscaler does
    /// nothing where there are none, so from there it takes over at its least.
    async fn hand_over_replicas(&self, intent: &Intent, present: &Observed) -> Result<(), Answer> {
        let Some(rollout) = present.rollout().filter(|rollout| !rollout.autoscaled) else { return Ok(()) };
        let Some(least) = intent.least_replicas() else { return Ok(()) };
        let replicas = if rollout.wanted == 0 { least } else { rollout.wanted };
        let body = json!({
            "apiVersion": self.key.kind.api_version(),
            "kind": self.key.kind.as_str(),
            "metadata": { "name": &*self.key.name },
            "spec": { "replicas": replicas },
        });
        self.apply(&body, Precondition::Uid(&present.uid), REPLICAS_MANAGER).await.map(drop)
    }

    async fn apply(
        &self,
        body: &Value,
        precondition: Precondition<'_>,
        manager: &str,
    ) -> Result<Arc<Observed>, Answer> {
        self.context.check_may_write().map_err(Answer::Failed)?;
        let body = precondition.add_to(body.clone());
        let params = PatchParams::apply(manager).force();
        let writing = self.context.children.writing(self.key.clone());
        let answer = self.context.api(self.key).patch(&self.key.name, &params, &Patch::Apply(&body)).await;
        let applied = answer.map_err(|error| Answer::of(error, &self.what))?;
        info!(child = self.what, "applied");
        let sight = Sight::of(self.key.clone(), applied);
        Ok(if manager == MANAGER { writing.done(sight) } else { Arc::new(sight.observed) })
    }

    async fn get(&self) -> Result<Option<Found>, Error> {
        let got = self.context.api(self.key).get_opt(&self.key.name).await;
        let got = got.map_err(|error| Error::Request { what: self.what.clone(), source: Box::new(error) })?;
        Ok(got.map(|object| Sight::of(self.key.clone(), object).into()))
    }
}

/// What an apply does to the number of pods.
fn scaled(intent: &Intent, before: &Observed) -> Option<Change> {
    let (from, to) = (before.rollout()?.wanted, intent.replicas()?);
    (from != to).then_some(Change::Scaled { from, to })
}

/// Writes the status of one of our own kinds, whole: fields that are no longer in it go. It was decided from the document
/// `seen`. Gives
/// the object's version after it.
///
/// The API server takes no precondition on the `uid` here. A status that reaches an object made anew in that very moment
/// is put right by that object's own pass.
pub(super) async fn status(
    context: &Context,
    identity: &Identity,
    seen: &Arc<str>,
    status: &impl Serialize,
) -> Result<Option<String>, Error> {
    context.check_may_write()?;
    let status = serde_json::to_value(status).map_err(Error::Document)?;
    let body = json!({
        "apiVersion": API_VERSION,
        "kind": identity.kind.as_str(),
        "metadata": { "name": &*identity.name },
        "status": &status,
    });
    let api = own_kind(context, identity);
    let params = PatchParams::apply(MANAGER).force();
    let what = identity.to_string();
    let mut answer = api.patch_status(&identity.name, &params, &Patch::Apply(&body)).await;
    if answer.as_ref().is_err_and(cannot_be_applied_to) {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let body = json!({ "status": &status });
        answer = api.patch_status(&identity.name, &params, &Patch::Merge(&body)).await;
    }
    let written = answer.map_err(|error| Answer::of(error, &what).into_error(&what))?;
    let version = written.metadata.resource_version;
    context.written.put(&identity.key(), seen, Latest { status, version: version.clone() });
    debug!(object = what, "status written");
    Ok(version)
}

/// Whether the stored object has values of types that its kind does not know: it was stored under an older schema. Such an
/// object takes no server-side apply, of whatever, and the API server calls that an internal error.
fn cannot_be_applied_to(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.code == 500 && status.message.contains("failed to create typed live object"))
}

/// Requests about objects of one of our own kinds, which need no more than their metadata.
pub(super) fn own_kind(context: &Context, identity: &Identity) -> Api<Object> {
    let kind: Kind = identity.kind;
    let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
    Api::namespaced_with(context.client.clone(), &identity.namespace, &resource)
}

impl Context {
    fn api(&self, key: &ChildKey) -> Api<Object> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &key.kind.resource())
    }

    pub(super) fn check_may_write(&self) -> Result<(), Error> {
        if (self.may_write)() { Ok(()) } else { Err(Error::NotLeading) }
    }
}
