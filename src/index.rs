//! Watches of the four kinds, and of the Services and Secrets that they name, which keep the catalog.
//!
//! Every replica runs them, whoever leads: each answers admission, and a new leader needs no list before it can go on.
//! Objects are read as raw JSON, so that one whose fields have the wrong types is an entry that breaks rules, and never
//! an error that stops the watch of the others.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::api::{ApiResource, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use mcp_crds::catalog::{Affected, Catalog, Entry, ObjectKey};
use mcp_crds::kind::{GROUP, Kind, VERSION};
use mcp_crds::labels::TOOL_CREDENTIAL;
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::lists::{Listed, Patience, follow, in_pages};
use crate::object::Object;
use crate::reconcile;

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
        let api: Api<Object> = Api::all_with(client, &resource);
        let events = watcher::watcher(api, in_pages()).backoff(Patience::default());
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
        self.watch_names(api, in_pages(), listed, |catalog, change| match change {
            Names::All(services) => catalog.reset_services(services.iter().map(pair)),
            Names::Here(namespace, name) => catalog.apply_service(&namespace, &name),
            Names::Gone(namespace, name) => {
                let mut affected = catalog.delete_service(&namespace, &name);
                // A server that found its name taken can have it now.
                let server = ObjectKey::new(Kind::Server, namespace.as_str(), name.as_str());
                affected.extend(catalog.get(&server).is_some().then_some(server));
                affected
            }
        })
        .await
    }

    /// Watches the names of the Secrets whose owners consent to their being sent as headers, for ever. What is in them
    /// is not asked for.
    pub(crate) async fn watch_credentials(self, client: Client, listed: Listed) -> Infallible {
        let api: Api<PartialObjectMeta<Secret>> = Api::all(client);
        let consenting = in_pages().labels(&format!("{TOOL_CREDENTIAL}=true"));
        self.watch_names(api, consenting, listed, |catalog, change| match change {
            Names::All(secrets) => catalog.reset_credentials(secrets.iter().map(pair)),
            Names::Here(namespace, name) => catalog.apply_credential(&namespace, &name),
            Names::Gone(namespace, name) => catalog.delete_credential(&namespace, &name),
        })
        .await
    }

    async fn watch_names<K>(
        self,
        api: Api<PartialObjectMeta<K>>,
        config: watcher::Config,
        listed: Listed,
        apply: impl Fn(&mut Catalog, Names<'_>) -> Affected,
    ) -> Infallible
    where
        PartialObjectMeta<K>: Resource + DeserializeOwned + Clone + fmt::Debug + Send + 'static,
    {
        let events = watcher::watcher(api, config).backoff(Patience::default());
        let (mut relist, index) = (Vec::new(), &self);
        follow(events, listed, |event: Event<PartialObjectMeta<K>>| match event {
            Event::Init => relist.clear(),
            Event::InitApply(object) => relist.push(name_of(&object)),
            Event::InitDone => {
                let list = std::mem::take(&mut relist);
                index.change(|catalog| apply(catalog, Names::All(&list)));
            }
            Event::Apply(object) => {
                let (namespace, name) = name_of(&object);
                index.change(|catalog| apply(catalog, Names::Here(namespace, name)));
            }
            Event::Delete(object) => {
                let (namespace, name) = name_of(&object);
                index.change(|catalog| apply(catalog, Names::Gone(namespace, name)));
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

/// What a watch shows of objects of which only the names matter, each with its namespace.
enum Names<'a> {
    All(&'a [(String, String)]),
    Here(String, String),
    Gone(String, String),
}

fn name_of(object: &impl ResourceExt) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn pair((namespace, name): &(String, String)) -> (&str, &str) {
    (namespace, name)
}

/// What the catalog keeps of a watched object.
fn entry(kind: Kind, object: Object) -> Entry {
    let Object { mut metadata, mut data } = object;
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    data.insert("metadata".to_owned(), serde_json::to_value(&metadata).unwrap_or_default());
    let mut raw = Value::Object(data);
    let (entry, document) = (Entry::read(kind, "", &raw), raw.to_string());
    entry.with_validity(reconcile::errors(kind, &mut raw).is_empty()).with_document(document)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn watched(object: Value) -> Object {
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
    fn a_server_that_the_controller_does_not_run_is_not_called_valid() {
        let server = |name: &str, spec: Value| {
            let metadata = json!({"name": name, "namespace": "ns"});
            let object = json!({"apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPServer", "metadata": metadata, "spec": spec});
            entry(Kind::Server, watched(object)).valid
        };
        assert!(server("main", json!({})));
        assert!(!server("no.service", json!({})));
        assert!(!server("main", json!({"volumes": [{"name": "mcp-tmp", "emptyDir": {}}]})));
        assert!(!server("main", json!({"config": {"a": "x".repeat(1 << 20)}})));
    }

    #[test]
    fn what_is_nested_without_end_is_an_entry_that_breaks_rules() {
        for (kind, spec) in [
            (Kind::Server, r#"{"volumes": [DEEP]}"#),
            (Kind::Tool, r#"{"service": {"name": "s", "port": 80}, "inputSchema": DEEP}"#),
        ] {
            let deep = format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
            let spec = spec.replace("DEEP", &deep);
            let text = format!(r#"{{"metadata": {{"name": "deep", "namespace": "ns"}}, "spec": {spec}}}"#);
            let entry = entry(kind, serde_json::from_str(&text).unwrap());
            assert!(!entry.valid);
            // A pass can read it again, and says why.
            let mut document: Value = serde_json::from_str(&entry.document).unwrap();
            let errors = reconcile::errors(kind, &mut document);
            assert!(errors.iter().any(|error| error.to_string().contains("deep")), "{errors:?}");
        }
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
