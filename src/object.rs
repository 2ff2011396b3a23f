//! Objects as the API server sends them, read at once and without the larger part of most: who manages which field.
//!
//! kube's `DynamicObject` reads everything twice, as what is not its metadata is found out by reading it all, and makes a
//! tree of every managed field. With thousands of objects that is most of what following them costs.
//!
//! Nor does anything that was stored make one unreadable, and with it the list that it stands in: see [`bounded`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use kube::Resource;
use kube::api::ApiResource;
use kube::core::DynamicResourceScope;
use mcp_crds::bounded;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An object of any kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object {
    /// Of managed fields it has only the names of the managers.
    pub(crate) metadata: ObjectMeta,
    /// Everything else, its type among it.
    pub(crate) data: Map<String, Value>,
}

impl Resource for Object {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
        let mut object = Object::default();
        while let Some(name) = members.next_key::<String>()? {
            if name == "metadata" {
                object.metadata = members.next_value::<Metadata>()?.into();
            } else {
                object.data.insert(name, members.next_value_seed(bounded::Member)?);
            }
        }
        Ok(object)
    }
}

/// What is read of `metadata`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
    managed_fields: Option<Vec<Manager>>,
}

#[derive(Debug, Deserialize)]
struct Manager {
    manager: Option<String>,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        let managed = |Manager { manager }| ManagedFieldsEntry { manager, ..ManagedFieldsEntry::default() };
        Self {
            name: read.name,
            namespace: read.namespace,
            uid: read.uid,
            resource_version: read.resource_version,
            generation: read.generation,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            labels: read.labels,
            annotations: read.annotations,
            owner_references: read.owner_references,
            finalizers: read.finalizers,
            managed_fields: read.managed_fields.map(|fields| fields.into_iter().map(managed).collect()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::api::{DynamicObject, ObjectList, WatchEvent};
    use serde_json::json;

    use super::*;

    #[test]
    fn it_holds_what_kube_reads_but_who_manages_which_field() {
        let sent = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "weather", "namespace": "default", "uid": "u-1", "resourceVersion": "17", "generation": 3,
                "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
                "labels": { "a": "b" }, "annotations": { "c": "d" }, "finalizers": ["e"],
                "ownerReferences": [{ "apiVersion": "v1", "kind": "F", "name": "f", "uid": "u-2", "controller": true }],
                "managedFields": [{ "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:spec": {} } }],
            },
            "spec": { "replicas": 2 },
            "status": { "conditions": [{ "type": "Available" }] },
        });
        let read: Object = serde_json::from_str(&sent.to_string()).unwrap();
        let mut expected: DynamicObject = serde_json::from_value(sent.clone()).unwrap();
        for entry in expected.metadata.managed_fields.iter_mut().flatten() {
            *entry = ManagedFieldsEntry { manager: entry.manager.take(), ..ManagedFieldsEntry::default() };
        }
        assert_eq!(read.metadata, expected.metadata);
        for member in ["apiVersion", "kind", "spec", "status"] {
            assert_eq!(read.data.get(member), sent.get(member), "{member}");
        }
        assert_eq!(read.data.len(), 4);
    }

    #[test]
    fn one_that_is_nested_without_end_stops_no_list() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
        let list = format!(
            r#"{{"kind": "List", "metadata": {{"resourceVersion": "7"}}, "items": [
                {{"metadata": {{"name": "deep"}}, "spec": {deep}}}, {{"metadata": {{"name": "next"}}, "spec": 1}}]}}"#
        );
        let list: ObjectList<Object> = serde_json::from_str(&list).unwrap();
        let names: Vec<_> = list.items.iter().filter_map(|object| object.metadata.name.as_deref()).collect();
        assert_eq!(names, ["deep", "next"]);
        let event =
            format!(r#"{{"type": "ADDED", "object": {{"metadata": {{"name": "deep"}}, "spec": {deep}}}}}"#);
        let event: WatchEvent<Object> = serde_json::from_str(&event).unwrap();
        assert!(
            matches!(event, WatchEvent::Added(object) if object.metadata.name.as_deref() == Some("deep"))
        );
    }

    #[test]
    fn one_without_metadata_has_none_and_what_is_no_object_is_an_error() {
        assert_eq!(serde_json::from_str::<Object>("{}").unwrap(), Object::default());
        assert!(serde_json::from_str::<Object>("[]").is_err());
    }
}
