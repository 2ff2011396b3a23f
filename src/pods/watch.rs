//! The watches of pods, and of the Events about them.

use std::convert::Infallible;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event as KubernetesEvent, Pod, PodStatus};
use kube::api::ApiResource;
use kube::core::{NotUsed, Object};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Client};
use mcp_crds::catalog::ObjectKey;
use mcp_crds::labels;

use super::complaint::REASONS;
use super::{Pods, Sight};
use crate::lists::{Listed, Patience, follow, in_pages};
use crate::reconcile::MANAGER;

/// A pod without its spec, which nobody here reads.
type Slim = Object<NotUsed, PodStatus>;

/// Watches the servers' pods, for ever. `on_change` is called with each server whose trouble is another now; it must not
/// block.
pub(crate) async fn watch(
    client: Client,
    pods: Arc<Pods>,
    listed: Listed,
    on_change: impl Fn(ObjectKey),
) -> Infallible {
    let ours = in_pages().labels(&format!("{}={MANAGER}", labels::MANAGED_BY));
    let api: Api<Slim> = Api::all_with(client, &ApiResource::erase::<Pod>(&()));
    let events = watcher(api, ours).backoff(Patience::default());
    let mut relist = Vec::new();
    let read = |pod: Slim| Sight::read(&pod.metadata, pod.status.as_ref());
    follow(events, listed, |event| match event {
        Event::Init => relist.clear(),
        Event::InitApply(pod) => relist.extend(read(pod)),
        Event::InitDone => pods.reset(std::mem::take(&mut relist)).into_iter().for_each(&on_change),
        Event::Apply(pod) => {
            read(pod).and_then(|sight| pods.apply(sight)).into_iter().for_each(&on_change);
        }
        Event::Delete(pod) => {
            read(pod).and_then(|sight| pods.apply(sight.gone())).into_iter().for_each(&on_change);
        }
    })
    .await
}

/// Watches the Events about pods that tell what their status does not, for ever. The pods have to be known before: what is said
/// about others is not kept.
pub(crate) async fn watch_events(
    client: Client,
    pods: Arc<Pods>,
    on_change: impl Fn(ObjectKey),
) -> Infallible {
    let watches = REASONS.map(|reason| {
        let api: Api<KubernetesEvent> = Api::all(client.clone());
        let about_pods = in_pages().fields(&format!("involvedObject.kind=Pod,reason={reason}"));
        watcher(api, about_pods).backoff(Patience::default()).boxed()
    });
    let mut events = futures::stream::select_all(watches);
    loop {
        match events.next().await {
            Some(Ok(Event::Apply(event) | Event::InitApply(event))) => {
                pods.complain(&event).into_iter().for_each(&on_change);
            }
            Some(Ok(Event::Init | Event::InitDone | Event::Delete(_))) => {}
            // Without them a condition says less; everything else goes on.
            Some(Err(error)) => tracing::warn!(%error, "watch of events failed, trying again"),
            None => std::future::pending().await,
        }
    }
}
