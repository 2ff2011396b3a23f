//! Writing: server-side apply of children and of statuses.
//!
//! A pass knows without a request whether a child is as it should be: the watch shows it, and [`drift`] compares. Only what
//! differs is applied, so a restart with nothing changed and a pass after a status write nothing.
//!
//! Every apply says which object it means, and the API server holds it to that: the `uid` of the one that was seen, or
//! that there is none yet. So an object of the same name that somebody else made is never touched, not even in the moment
//! between looking and writing, and forcing is safe: it only takes back fields of an object that is the operator's own.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Resource;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use mcp_crds::kind::{API_VERSION, GROUP, Kind, VERSION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{debug, info};

use super::build::{Children, Intent, labels};
use super::dereference::Watched;
use super::error::Answer;
use super::identity::Identity;
use super::{Context, Error, MANAGER, drift};

/// Holds a Deployment's replicas where an autoscaler decides about them. A field that its only manager no longer applies
/// would fall back to its default.
const REPLICAS_MANAGER: &str = "mcp-operator-replicas";

/// A version that no object has: etcd gives its first write the second. The API server makes an object that is applied
/// with it where there is none, and refuses where there is one.
const ABSENT: &str = "1";

/// What became of a child.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Child<K> {
    /// It is the server's own, and as it should be.
    Own(Arc<K>),
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
#[derive(Debug, Clone)]
pub(super) struct Applied {
    pub(super) config_map: Child<ConfigMap>,
    pub(super) service: Child<Service>,
    pub(super) deployment: Child<Deployment>,
}

impl Applied {
    /// The children as they are, where a pass leaves them so.
    pub(super) fn untouched(owner: &Identity, watched: Watched) -> Self {
        Self {
            config_map: as_seen(owner, watched.config_map),
            service: as_seen(owner, watched.service),
            deployment: as_seen(owner, watched.deployment),
        }
    }
}

fn as_seen<K: Resource>(owner: &Identity, child: Option<Arc<K>>) -> Child<K> {
    match child {
        Some(child) if owner.stranger(child.meta()).is_none() => Child::Own(child),
        _ => Child::Absent,
    }
}

/// Makes the children what they should be.
pub(super) async fn children(
    context: &Context,
    owner: &Identity,
    children: &Children,
    watched: Watched,
) -> Result<Applied, Error> {
    let config_map = match &children.config_map {
        Some(intent) => child(context, owner, intent, watched.config_map).await?,
        None => Child::Absent,
    };
    let service = child(context, owner, &children.service, watched.service).await?;
    let deployment = if children.config_map.is_some() && !matches!(config_map, Child::Own(_)) {
        // Its pods would mount somebody else's ConfigMap, or wait for one that does not come.
        as_seen(owner, watched.deployment)
    } else {
        hand_over_replicas(context, owner, &children.deployment, watched.deployment.as_deref()).await?;
        child(context, owner, &children.deployment, watched.deployment).await?
    };
    Ok(Applied { config_map, service, deployment })
}

async fn child<K: Applicable>(
    context: &Context,
    owner: &Identity,
    intent: &Intent,
    watched: Option<Arc<K>>,
) -> Result<Child<K>, Error> {
    let target = Target::<K>::new(context, owner, intent.name());
    if let Some(present) = watched {
        return target.keep(owner, intent, present).await;
    }
    match target.apply(intent.json(), Precondition::Absent, MANAGER).await {
        Ok(created) => Ok(Child::Own(created)),
        // It is another's, or our own and the watch is late.
        Err(Answer::Conflict) => match target.get().await? {
            Some(present) => target.keep(owner, intent, Arc::new(present)).await,
            None => Err(Answer::Conflict.into_error(&target.what)),
        },
        Err(answer) => settled(answer, &target.what),
    }
}

/// What the status tells is no error of the pass.
fn settled<K>(answer: Answer, what: &str) -> Result<Child<K>, Error> {
    match answer {
        Answer::Refused(message) => Ok(Child::Refused(message)),
        Answer::Forbidden(message) => Ok(Child::Forbidden(message)),
        answer @ (Answer::Conflict | Answer::Failed(_)) => Err(answer.into_error(what)),
    }
}

/// Before an autoscaler takes over, gives the present number of replicas a manager that keeps it.
async fn hand_over_replicas(
    context: &Context,
    owner: &Identity,
    intent: &Intent,
    present: Option<&Deployment>,
) -> Result<(), Error> {
    let Some(present) = present.filter(|present| owner.stranger(&present.metadata).is_none()) else {
        return Ok(());
    };
    let wanted =
        intent.json().pointer("/metadata/annotations").and_then(|all| all.get(labels::REPLICAS_FROM));
    let handed_over = present.metadata.annotations.as_ref().and_then(|all| all.get(labels::REPLICAS_FROM));
    let replicas = present.spec.as_ref().and_then(|spec| spec.replicas);
    let (Some(_), None, Some(replicas)) = (wanted, handed_over, replicas) else { return Ok(()) };
    let target = Target::<Deployment>::new(context, owner, intent.name());
    let body = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": intent.name() },
        "spec": { "replicas": replicas },
    });
    let uid = Precondition::Uid(present.metadata.uid.as_deref().unwrap_or_default());
    let answer = target.apply(&body, uid, REPLICAS_MANAGER).await;
    answer.map(drop).map_err(|answer| answer.into_error(&target.what))
}

/// A kind that servers consist of.
trait Applicable:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Applicable for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
{
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
struct Target<'a, K> {
    context: &'a Context,
    api: Api<K>,
    name: &'a str,
    what: String,
}

impl<'a, K: Applicable> Target<'a, K> {
    fn new(context: &'a Context, owner: &Identity, name: &'a str) -> Self {
        let what = format!("{} \"{}/{name}\"", K::kind(&()), owner.namespace);
        Self { context, api: Api::namespaced(context.client.clone(), &owner.namespace), name, what }
    }

    /// Makes a child that is there what it should be, if it is the owner's.
    async fn keep(&self, owner: &Identity, intent: &Intent, present: Arc<K>) -> Result<Child<K>, Error> {
        let meta = present.meta();
        if let Some(stranger) = owner.stranger(meta) {
            return Ok(Child::Taken(format!(
                "{} \"{}\" is not this server's: {stranger}",
                K::kind(&()),
                self.name
            )));
        }
        let observed = serde_json::to_value(&*present).map_err(Error::Document)?;
        // What is being deleted cannot be mended; when it has gone, the watch says so.
        if meta.deletion_timestamp.is_some() || drift::holds(intent.json(), &observed) {
            return Ok(Child::Own(present));
        }
        debug!(child = self.what, fields = ?drift::differing(intent.json(), &observed), "differs");
        let uid = Precondition::Uid(meta.uid.as_deref().unwrap_or_default());
        match self.apply(intent.json(), uid, MANAGER).await {
            Ok(applied) => Ok(Child::Own(applied)),
            Err(answer) => settled(answer, &self.what),
        }
    }

    async fn apply(
        &self,
        body: &Value,
        precondition: Precondition<'_>,
        manager: &str,
    ) -> Result<Arc<K>, Answer> {
        self.context.check_may_write().map_err(Answer::Failed)?;
        let body = precondition.add_to(body.clone());
        let params = PatchParams::apply(manager).force();
        match self.api.patch(self.name, &params, &Patch::Apply(&body)).await {
            Ok(applied) => {
                info!(child = self.what, "applied");
                Ok(Arc::new(applied))
            }
            Err(error) => Err(Answer::of(error, &self.what)),
        }
    }

    async fn get(&self) -> Result<Option<K>, Error> {
        let got = self.api.get_opt(self.name).await;
        got.map_err(|error| Error::Request { what: self.what.clone(), source: Box::new(error) })
    }
}

/// Writes the status of one of our own kinds, whole: fields that are no longer in it go. It was decided from the document
/// `seen`.
///
/// The API server takes no precondition on the `uid` here. A status that reaches an object made anew in that very moment
/// is put right by that object's own pass.
pub(super) async fn status(
    context: &Context,
    identity: &Identity,
    seen: &Arc<str>,
    status: &impl Serialize,
) -> Result<(), Error> {
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
    answer.map_err(|error| Answer::of(error, &what).into_error(&what))?;
    context.written.put(&identity.key(), seen, status);
    debug!(object = what, "status written");
    Ok(())
}

/// Whether the stored object has values of types that its kind does not know: it was stored under an older schema. Such an
/// object takes no server-side apply, of whatever, and the API server calls that an internal error.
fn cannot_be_applied_to(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.code == 500 && status.message.contains("failed to create typed live object"))
}

/// Requests about objects of one of our own kinds, which need no more than their metadata.
pub(super) fn own_kind(context: &Context, identity: &Identity) -> Api<DynamicObject> {
    let kind: Kind = identity.kind;
    let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
    Api::namespaced_with(context.client.clone(), &identity.namespace, &resource)
}

impl Context {
    pub(super) fn check_may_write(&self) -> Result<(), Error> {
        if (self.may_write)() { Ok(()) } else { Err(Error::NotLeading) }
    }
}
