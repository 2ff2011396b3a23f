//! Watches of the four kinds and of Services, which keep the catalog.
//!
//! Every replica runs them, whoever leads: each answers admission, and a new leader needs no list before it can go on.
//! Objects are read as raw JSON, so that one whose fields have the wrong types is an entry that breaks rules, and never
//! an error that stops the watch of the others.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use mcp_crds::catalog::{Affected, Catalog, Entry, ObjectKey};
use mcp_crds::kind::{GROUP, Kind, VERSION};
use mcp_crds::validate::{self, Operation};
use mcp_crds::{default, field::Findings};
use parking_lot::RwLock;
use serde_json::Value;

use crate::lists::{Listed, follow, in_pages};

/// Where kubectl keeps what was last applied: as large as the object, and read by nobody here.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The catalog, and who wants to know what a change of it concerns.
#[derive(Clone)]
pub(crate) struct Index {
    catalog: Arc<RwLock<Catalog>>,
    on_change: Arc<dyn Fn(Affected) + Send + Sync>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

impl Index {
    /// An empty index. `on_change` is called with what each change concerns, after the catalog has it; it must not block.
    pub(crate) fn new(on_change: impl Fn(Affected) + Send + Sync + 'static) -> Self {
        Self { catalog: Arc::default(), on_change: Arc::new(on_change) }
    }

    /// The catalog that the watches keep.
    #[must_use]
    pub(crate) fn catalog(&self) -> Arc<RwLock<Catalog>> {
        Arc::clone(&self.catalog)
    }

    /// Watches one kind, for ever. `listed` opens at the first complete list.
    pub(crate) async fn watch_kind(self, client: Client, kind: Kind, listed: Listed) -> Infallible {
        let resource = ApiResource {
            group: GROUP.into(),
            version: VERSION.into(),
            api_version: mcp_crds::kind::API_VERSION.into(),
            kind: kind.as_str().into(),
            plural: kind.plural().into(),
        };
        let api: Api<DynamicObject> = Api::all_with(client, &resource);
        let events = watcher(api, in_pages()).default_backoff();
        let (mut relist, index) = (Vec::new(), &self);
        follow(events, listed, |event| match event {
            Event::Init => relist.clear(),
            Event::InitApply(object) => relist.push(entry(kind, object)),
            Event::InitDone => {
                let entries = std::mem::take(&mut relist);
                index.change(|catalog| catalog.reset(kind, entries));
            }
            Event::Apply(object) => {
                let entry = entry(kind, object);
                index.change(|catalog| catalog.apply(entry));
            }
            Event::Delete(object) => {
                let key = ObjectKey::new(kind, object.namespace().unwrap_or_default(), object.name_any());
                index.change(|catalog| {
                    let mut affected = catalog.delete(&key);
                    affected.insert(key);
                    affected
                });
            }
        })
        .await
    }

    /// Watches the names of Services, for ever.
    pub(crate) async fn watch_services(self, client: Client, listed: Listed) -> Infallible {
        let api: Api<PartialObjectMeta<Service>> = Api::all(client);
        let events = watcher(api, in_pages()).default_backoff();
        let (mut relist, index) = (Vec::new(), &self);
        follow(events, listed, |event: Event<PartialObjectMeta<Service>>| match event {
            Event::Init => relist.clear(),
            Event::InitApply(service) => relist.push(name_of(&service)),
            Event::InitDone => {
                let services = std::mem::take(&mut relist);
                index.change(|catalog| {
                    catalog.reset_services(
                        services.iter().map(|(namespace, name)| (namespace.as_str(), name.as_str())),
                    )
                });
            }
            Event::Apply(service) => {
                let (namespace, name) = name_of(&service);
                index.change(|catalog| catalog.apply_service(&namespace, &name));
            }
            Event::Delete(service) => {
                let (namespace, name) = name_of(&service);
                index.change(|catalog| {
                    let mut affected = catalog.delete_service(&namespace, &name);
                    // A server that found its name taken can have it now.
                    let server = ObjectKey::new(Kind::Server, namespace.as_str(), name.as_str());
                    affected.extend(catalog.get(&server).is_some().then_some(server));
                    affected
                });
            }
        })
        .await
    }

    fn change(&self, change: impl FnOnce(&mut Catalog) -> Affected) {
        let affected = change(&mut self.catalog.write());
        if !affected.is_empty() {
            (self.on_change)(affected);
        }
    }
}

fn name_of(service: &PartialObjectMeta<Service>) -> (String, String) {
    (service.namespace().unwrap_or_default(), service.name_any())
}

/// What the catalog keeps of a watched object.
fn entry(kind: Kind, mut object: DynamicObject) -> Entry {
    object.metadata.managed_fields = None;
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    let raw = serde_json::to_value(&object).unwrap_or_default();
    let document = raw.to_string();
    Entry::read(kind, "", &raw).with_validity(findings(kind, raw).errors.is_empty()).with_document(document)
}

fn findings(kind: Kind, mut object: Value) -> Findings {
    default::apply(kind, &mut object, None);
    validate::object(kind, Operation::Update, &object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn watched(object: Value) -> DynamicObject {
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn an_object_of_the_wrong_shape_is_an_entry_that_breaks_rules() {
        let object = watched(json!({"apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPServer",
            "metadata": {"name": "broken", "namespace": "ns"}, "spec": {"port": "eighty", "replicas": []}}));
        let entry = entry(Kind::Server, object);
        assert!(!entry.valid);
        assert_eq!(entry.key, ObjectKey::new(Kind::Server, "ns", "broken"));
    }

    #[test]
    fn what_nobody_reads_is_not_kept() {
        let object = watched(json!({"apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPTool",
            "metadata": {"name": "t", "namespace": "ns", "managedFields": [{"manager": "kubectl"}],
                         "annotations": {LAST_APPLIED: "{}", "kept": "yes"}},
            "spec": {"service": {"name": "s", "port": 80}}}));
        let entry = entry(Kind::Tool, object);
        assert!(entry.valid);
        assert!(
            !entry.document.contains("managedFields") && !entry.document.contains("last-applied"),
            "{}",
            entry.document
        );
        assert!(entry.document.contains("kept"));
    }
}
