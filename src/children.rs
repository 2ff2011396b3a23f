//! Watches of what servers consist of, for the passes to read and to be called by.

use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use mcp_crds::catalog::ObjectKey;
use mcp_crds::kind::Kind;
use mcp_crds::labels;
use serde::de::DeserializeOwned;

use crate::lists::{Listed, follow, in_pages};
use crate::reconcile::MANAGER;

/// What is called when a child changed (with its server), and when a list may have missed what did (with nothing).
pub(crate) type OnChange = Arc<dyn Fn(Option<ObjectKey>) + Send + Sync>;

/// A store, and the task that keeps it.
pub(crate) fn watch<K>(
    client: Client,
    listed: Listed,
    on_change: OnChange,
) -> (Store<K>, impl Future<Output = Infallible>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
    K::DynamicType: Hash + Eq,
{
    let (store, writer) = reflector::store();
    (store, keep(client, writer, listed, on_change))
}

async fn keep<K>(client: Client, writer: Writer<K>, listed: Listed, on_change: OnChange) -> Infallible
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let ours = in_pages().labels(&format!("{}={MANAGER}", labels::MANAGED_BY));
    let events = watcher(Api::<K>::all(client), ours)
        .default_backoff()
        .modify(|child| child.managed_fields_mut().clear())
        .reflect(writer)
        .boxed();
    follow(events, listed, |event| match event {
        Event::Apply(child) | Event::Delete(child) => {
            if let Some(server) = owner(&child) {
                on_change(Some(server));
            }
        }
        Event::InitDone => on_change(None),
        Event::Init | Event::InitApply(_) => {}
    })
    .await
}

fn owner(child: &impl Resource) -> Option<ObjectKey> {
    let owner = child.owner_references().iter().find(|owner| owner.kind == Kind::Server.as_str())?;
    Some(ObjectKey::new(Kind::Server, child.namespace()?, owner.name.as_str()))
}
