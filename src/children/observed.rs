//! One child, reduced to what passes decide from.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use kube::api::ObjectMeta;
use mcp_crds::catalog::ObjectKey;
use mcp_crds::kind::Kind;
use mcp_crds::labels::{INSTANCE, MANAGED_BY};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ChildKey, ChildKind};
use crate::object::Object;
use crate::reconcile::MANAGER;
use crate::reconcile::build::{digest, labels};

/// The controller of Deployments counts revisions in this annotation.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// A child, as it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Which object of this name it is.
    pub uid: Box<str>,
    /// Its `resourceVersion`, by which the later of two sights is told; 0 where it is no number.
    pub version: u64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whose it is.
    pub owner: Owner,
    /// Fingerprint of the intent that was last applied to it.
    pub applied: Option<Box<str>>,
    /// What its kind has to tell about its state.
    pub facts: Facts,
}

/// A child as it has just come from the API server.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Which child.
    pub key: ChildKey,
    /// What is kept of it.
    pub observed: Observed,
    /// All that an intent may speak of, as compact JSON. It is kept only until a pass has compared it.
    pub body: String,
}

/// Whose a child is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// It has a controller.
    Controller {
        /// The controller's `uid`.
        uid: Box<str>,
        /// The controller's kind.
        kind: Box<str>,
        /// The controller's name.
        name: Box<str>,
    },
    /// It has none, and carries the operator's labels for the server of this name.
    Labels(Box<str>),
    /// It has none, and was made by this manager, if anything says so.
    Manager(Option<Box<str>>),
}

/// What a child's kind has to tell about its state.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// Nothing.
    None,
    /// A Deployment's pods.
    Deployment(Box<Rollout>),
    /// Whether an Ingress has an address.
    Ingress {
        /// Whether a controller has reported one.
        addressed: bool,
    },
}

/// How far a Deployment's pods have come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rollout {
    /// When the Deployment was made.
    pub created: Option<Timestamp>,
    /// The Deployment's `metadata.generation`.
    pub generation: i64,
    /// The generation that its controller has seen last.
    pub observed_generation: Option<i64>,
    /// How many pods it is to have.
    pub wanted: i32,
    /// How many it has.
    pub replicas: i32,
    /// How many of them are ready.
    pub ready: i32,
    /// How many of them have been ready for long enough.
    pub available: i32,
    /// Whether enough of them are.
    pub is_available: bool,
    /// Why pods cannot be made.
    pub replica_failure: Option<Box<str>>,
    /// What was said when the rollout took longer than the Deployment's deadline.
    pub late: Option<Box<str>>,
    /// Whether its replicas are left to an autoscaler.
    pub autoscaled: bool,
}

impl Rollout {
    /// Whether its controller has reported all pods that it is to have.
    #[must_use]
    pub fn has_reported(&self) -> bool {
        self.observed_generation >= Some(self.generation) && self.replicas >= self.wanted
    }

    fn read(metadata: &ObjectMeta, data: &Map<String, Value>) -> Self {
        let spec = data.get("spec").and_then(|spec| spec.get("replicas")).and_then(Value::as_i64);
        let status: DeploymentStatus =
            data.get("status").and_then(|status| Deserialize::deserialize(status).ok()).unwrap_or_default();
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let find = |type_: &str, status: &str| {
            conditions.iter().find(|condition| condition.type_ == type_ && condition.status == status)
        };
        let said = |condition: &DeploymentCondition| condition.message.as_deref().unwrap_or_default().into();
        let late = find("Progressing", "False")
            .filter(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        Self {
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            generation: metadata.generation.unwrap_or_default(),
            observed_generation: status.observed_generation,
            wanted: spec.and_then(|replicas| i32::try_from(replicas).ok()).unwrap_or(1),
            replicas: status.replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            is_available: find("Available", "True").is_some(),
            replica_failure: find("ReplicaFailure", "True").map(said),
            late: late.map(said),
            autoscaled: annotation(metadata, labels::REPLICAS_FROM).is_some(),
        }
    }
}

impl Sight {
    /// Reads a child; `None` for an object without a name or a namespace, which the API server never sends.
    #[must_use]
    pub(crate) fn read(kind: ChildKind, object: Object) -> Option<Self> {
        let (namespace, name) =
            (object.metadata.namespace.as_deref()?.into(), object.metadata.name.as_deref()?.into());
        Some(Self::of(ChildKey { kind, namespace, name }, object))
    }

    /// Reads the child of this key.
    #[must_use]
    pub(crate) fn of(key: ChildKey, object: Object) -> Self {
        let Object { metadata, data } = object;
        let facts = match key.kind {
            ChildKind::Deployment => Facts::Deployment(Box::new(Rollout::read(&metadata, &data))),
            ChildKind::Ingress => {
                let status = data.get("status");
                let addresses = status.and_then(|it| it.pointer("/loadBalancer/ingress")?.as_array());
                Facts::Ingress { addressed: addresses.is_some_and(|addresses| !addresses.is_empty()) }
            }
            _ => Facts::None,
        };
        let observed = Observed {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            version: metadata.resource_version.as_deref().and_then(|it| it.parse().ok()).unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            owner: Owner::read(&metadata),
            applied: annotation(&metadata, labels::APPLIED).map(Into::into),
            facts,
        };
        let body = comparable(key.kind, with_metadata(data, metadata)).to_string();
        Self { key, observed, body }
    }
}

impl Observed {
    /// How far a Deployment's pods have come.
    #[must_use]
    pub fn rollout(&self) -> Option<&Rollout> {
        match &self.facts {
            Facts::Deployment(rollout) => Some(rollout),
            _ => None,
        }
    }

    /// The server that a child of this namespace belongs to, as far as it says so.
    pub(super) fn server(&self, namespace: &str) -> Option<ObjectKey> {
        let name = match &self.owner {
            Owner::Controller { kind, name, .. } if **kind == *Kind::Server.as_str() => name,
            Owner::Labels(name) => name,
            Owner::Controller { .. } | Owner::Manager(_) => return None,
        };
        Some(ObjectKey::new(Kind::Server, namespace, &**name))
    }
}

impl Owner {
    fn read(metadata: &ObjectMeta) -> Self {
        let references = metadata.owner_references.iter().flatten();
        if let Some(controller) = references.into_iter().find(|owner| owner.controller == Some(true)) {
            return Self::Controller {
                uid: controller.uid.as_str().into(),
                kind: controller.kind.as_str().into(),
                name: controller.name.as_str().into(),
            };
        }
        let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
        let manager = label(MANAGED_BY);
        if manager == Some(MANAGER)
            && let Some(server) = label(INSTANCE)
        {
            return Self::Labels(server.into());
        }
        let writer = metadata.managed_fields.iter().flatten().find_map(|entry| entry.manager.as_deref());
        Self::Manager(manager.filter(|manager| *manager != MANAGER).or(writer).map(Into::into))
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn with_metadata(mut data: Map<String, Value>, metadata: ObjectMeta) -> Value {
    // Strings and maps of strings: that cannot fail.
    let metadata = json!({
        "labels": metadata.labels,
        "annotations": metadata.annotations,
        "ownerReferences": metadata.owner_references,
    });
    data.insert("metadata".to_owned(), metadata);
    Value::Object(data)
}

/// Of an object or an intent all that intents speak of; what a ConfigMap holds as fingerprints, as it may be large.
pub(crate) fn comparable(kind: ChildKind, object: Value) -> Value {
    let Value::Object(mut object) = object else { return object };
    for field in ["apiVersion", "kind", "status"] {
        object.remove(field);
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|field, _| matches!(field.as_str(), "labels" | "annotations" | "ownerReferences"));
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.remove(REVISION);
        }
    }
    if kind == ChildKind::ConfigMap {
        for field in ["data", "binaryData"] {
            if let Some(Value::Object(data)) = object.get_mut(field) {
                shorten(data);
            }
        }
    }
    Value::Object(object)
}

fn shorten(data: &mut Map<String, Value>) {
    for value in data.values_mut() {
        if let Value::String(text) = value {
            *text = digest::fingerprint(text.as_bytes());
        }
    }
}
