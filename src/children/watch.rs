//! Watches of what servers consist of.

use std::convert::Infallible;
use std::sync::Arc;

use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Client};
use mcp_crds::catalog::ObjectKey;
use mcp_crds::labels;

use super::{ChildKind, Children, Sight};
use crate::lists::{Listed, Patience, follow, in_pages};
use crate::object::Object;
use crate::reconcile::MANAGER;

/// Watches the children of a kind, for ever. `on_change` is called with each server that has to look at what changed; it must
/// not block.
pub(crate) async fn watch(
    client: Client,
    kind: ChildKind,
    children: Arc<Children>,
    listed: Listed,
    on_change: impl Fn(ObjectKey),
) -> Infallible {
    let ours = in_pages().labels(&format!("{}={MANAGER}", labels::MANAGED_BY));
    let api: Api<Object> = Api::all_with(client, &kind.resource());
    let events = watcher(api, ours).backoff(Patience::default());
    let mut relist = Vec::new();
    follow(events, listed, |event| match event {
        Event::Init => relist.clear(),
        Event::InitApply(child) => relist.extend(Sight::read(kind, child)),
        Event::InitDone => {
            children.reset(kind, std::mem::take(&mut relist)).into_iter().for_each(&on_change);
        }
        Event::Apply(child) => {
            let sight = Sight::read(kind, child);
            sight.and_then(|sight| children.apply(sight)).into_iter().for_each(&on_change);
        }
        Event::Delete(child) => {
            let sight = Sight::read(kind, child);
            sight.and_then(|sight| children.delete(&sight)).into_iter().for_each(&on_change);
        }
    })
    .await
}
