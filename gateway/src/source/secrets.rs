//! Values of headers from Secrets of the namespace, followed without a restart. Only what carries the label of consent
//! is read, and only what the catalog names.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use futures::stream;
use futures::stream::{SelectAll, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use mcp_crds::labels::TOOL_CREDENTIAL;
use tracing::warn;

use crate::gateway::Gateway;

/// Values by key, by the Secret's name.
type Secrets = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// Follows the Secrets that the catalog names, for ever.
pub(crate) async fn follow(client: Client, namespace: String, gateway: Arc<Gateway>) -> Infallible {
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let mut changes = gateway.live.subscribe();
    let mut watched = BTreeSet::new();
    let mut events = SelectAll::new();
    // Without one there is nothing to wait for.
    events.push(stream::pending().boxed());
    let mut secrets = Secrets::new();
    loop {
        let named = gateway.live.get().map(|catalog| catalog.secrets()).unwrap_or_default();
        if named != watched {
            secrets.retain(|name, _| named.contains(name));
            events = SelectAll::new();
            events.push(stream::pending().boxed());
            for name in &named {
                events.push(watch(&api, name));
            }
            watched = named;
            publish(&gateway, &secrets);
        }
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            event = events.next() => {
                if let Some((name, values)) = event {
                    match values {
                        Some(values) => secrets.insert(name, values),
                        None => secrets.remove(&name),
                    };
                    publish(&gateway, &secrets);
                }
            }
        }
    }
}

fn publish(gateway: &Gateway, secrets: &Secrets) {
    let values = secrets.iter().flat_map(|(name, values)| {
        values.iter().map(move |(key, value)| (name.as_str(), key.as_str(), value.as_slice()))
    });
    gateway.credentials.replace(values);
}

type Change = (String, Option<BTreeMap<String, Vec<u8>>>);

/// The values of one Secret as they change; none where it is gone, or nobody consents.
fn watch(api: &Api<Secret>, name: &str) -> stream::BoxStream<'static, Change> {
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .labels(&format!("{TOOL_CREDENTIAL}=true"));
    let name = name.to_owned();
    let mut found = false;
    let changes = watcher(api.clone(), config).default_backoff().filter_map(move |event| {
        let values = |secret: Secret| {
            secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
        };
        let change = match event {
            Ok(Event::Apply(secret)) => Some(Some(values(secret))),
            Ok(Event::InitApply(secret)) => {
                found = true;
                Some(Some(values(secret)))
            }
            Ok(Event::Delete(_)) => Some(None),
            Ok(Event::Init) => {
                found = false;
                None
            }
            Ok(Event::InitDone) => (!found).then_some(None),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, secret = name, "a Secret's watch failed");
                None
            }
        };
        let name = name.clone();
        async move { change.map(|values| (name, values)) }
    });
    changes.boxed()
}
