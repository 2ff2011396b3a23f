//! Every version that a child goes through.

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use kube::{Api, Client};
use mcp_operator::children::ChildKind;
use serde_json::Value;

use super::{object, wait};

/// A watch of one child.
pub(crate) struct Followed {
    events: BoxStream<'static, kube::Result<WatchEvent<DynamicObject>>>,
}

impl Followed {
    /// From this version on.
    ///
    /// # Panics
    /// Where the API server does not answer.
    pub(crate) async fn begin(client: &Client, kind: ChildKind, from: &Value) -> Self {
        let text = |field: &str| from["metadata"][field].as_str().expect("a stored object");
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), text("namespace"), &kind.resource());
        let only = WatchParams::default().fields(&format!("metadata.name={}", object::name(from)));
        let events = api.watch(&only, text("resourceVersion")).await.expect("a watch");
        Self { events: events.boxed() }
    }

    /// All versions since the beginning, up to this one.
    ///
    /// # Panics
    /// Where it does not come.
    pub(crate) async fn versions_until(mut self, last: &Value) -> Vec<Value> {
        let mut versions = Vec::new();
        let all = async {
            while let Some(event) = self.events.next().await {
                let version = match event.expect("an event") {
                    WatchEvent::Added(version) | WatchEvent::Modified(version) => version,
                    _ => continue,
                };
                let version = serde_json::to_value(version).expect("an object");
                let is_last = version["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"];
                versions.push(version);
                if is_last {
                    return;
                }
            }
            panic!("the watch ended");
        };
        tokio::time::timeout(wait::BOUND, all).await.expect("the last version");
        versions
    }
}
