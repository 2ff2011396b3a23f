//! What a server consists of: pure, and nothing in it can fail, as all that can was tried in `validate`.

mod access;
mod catalog;
pub mod config;
mod deployment;
pub(crate) mod digest;
mod disruption;
mod gateway;
pub(crate) mod ingress;
pub mod labels;
mod network;
mod probes;
mod scaling;
mod service;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use mcp_crds::kind::{API_VERSION, Kind};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::dereference::Offered;
use super::validate::ValidServer;
use crate::children::{ChildKey, ChildKind};
pub(crate) use catalog::is_shard;
pub use deployment::{CONFIG_DIRECTORY, CONTAINER};
pub(crate) use gateway::admin_port;
pub(crate) use probes::INSTALL;

/// The whole of what the operator wants one child to be, as server-side apply is told it.
///
/// It carries a fingerprint of itself (the annotation [`labels::APPLIED`]), by which a later pass sees that a field
/// has left the intent: comparing fields alone would only see what was added.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Intent {
    key: ChildKey,
    fingerprint: String,
    json: Value,
    least_replicas: Option<i32>,
    part: Part,
}

/// What a child is to the children of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It stands for itself.
    Whole,
    /// It is a piece of a catalog.
    Shard,
    /// It says which pieces a catalog has, and is written when they are there.
    Index,
}

impl Intent {
    fn new(kind: ChildKind, server: &ValidServer, name: &str, mut json: Value) -> Self {
        let fingerprint = digest::fingerprint(json.to_string().as_bytes());
        if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut)
            && let Value::Object(annotations) = metadata.entry("annotations").or_insert_with(|| json!({}))
        {
            annotations.insert(labels::APPLIED.to_owned(), fingerprint.clone().into());
        }
        let key = ChildKey { kind, namespace: Arc::clone(&server.identity().namespace), name: name.into() };
        Self { key, fingerprint, json, least_replicas: None, part: Part::Whole }
    }

    fn in_part(self, part: Part) -> Self {
        Self { part, ..self }
    }

    /// Leaves a Deployment's replicas to an autoscaler that has at least this many.
    fn autoscaled(self, least: i32) -> Self {
        Self { least_replicas: Some(least), ..self }
    }

    /// Which child.
    pub(crate) const fn key(&self) -> &ChildKey {
        &self.key
    }

    /// Of the whole intent.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How many replicas a Deployment is to have; nothing where that is left to an autoscaler.
    pub(crate) fn replicas(&self) -> Option<i32> {
        let replicas = self.json.pointer("/spec/replicas")?.as_i64()?;
        i32::try_from(replicas).ok()
    }

    /// Where a Deployment's replicas are left to an autoscaler, how many that keeps at least.
    pub(crate) const fn least_replicas(&self) -> Option<i32> {
        self.least_replicas
    }

    /// What it is to the others of its kind.
    pub(crate) const fn part(&self) -> Part {
        self.part
    }

    /// The whole intent.
    pub(crate) const fn json(&self) -> &Value {
        &self.json
    }
}

/// Everything that a server consists of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Children {
    /// In the order in which they are written.
    pub(crate) intents: Vec<Intent>,
    /// The selected tools, prompts and resources, as they are in the ConfigMaps.
    pub(crate) catalog: CatalogState,
    /// Children that stay as they are, where there are any.
    pub(crate) kept: Vec<ChildKey>,
}

/// What became of the selected tools, prompts and resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CatalogState {
    /// The server selects nothing, and is to be told of nothing.
    NotWanted,
    /// They are in the ConfigMaps.
    Written {
        /// Their fingerprint.
        revision: String,
        /// How many they are.
        counts: Counts,
        /// Why some are not among them, each in a sentence.
        left_out: Vec<String>,
    },
    /// They would come to this many bytes, and are left out: half a catalog would look like a whole one.
    TooLarge {
        /// How large they would be.
        bytes: usize,
    },
}

/// How many of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) tools: i32,
    pub(crate) prompts: i32,
    pub(crate) resources: i32,
}

impl Counts {
    fn new(tools: usize, prompts: usize, resources: usize) -> Self {
        let count = |number| i32::try_from(number).unwrap_or(i32::MAX);
        Self { tools: count(tools), prompts: count(prompts), resources: count(resources) }
    }
}

impl Children {
    /// The intent of a child of this kind, where there is to be one.
    #[cfg(test)]
    pub(crate) fn of(&self, kind: ChildKind) -> Option<&Intent> {
        self.intents.iter().find(|intent| intent.key.kind == kind)
    }
}

/// Builds the children of a server. `gateway_image` is what runs where it has no image of its own.
pub(crate) fn server(server: &ValidServer, gateway_image: &str, offered: &Offered) -> Children {
    let (mut intents, mut kept) = (Vec::new(), Vec::new());
    let (config_map, catalog) = match server.gateway() {
        None => config::with_catalog(server, offered),
        Some(of) => {
            let written = catalog::build(server, of, offered);
            intents.extend(written.intents);
            if matches!(written.state, CatalogState::TooLarge { .. }) {
                kept = catalog::keys(server);
            }
            intents.extend(access::build(server, offered));
            (config::without_catalog(server), written.state)
        }
    };
    intents.push(service::build(server));
    intents.push(deployment::build(server, gateway_image, config_map.is_some()));
    intents.extend(config_map);
    intents.extend(network::build(server));
    intents.extend(disruption::build(server));
    intents.extend(scaling::build(server));
    intents.extend(ingress::build(server));
    intents.sort_by(|a, b| {
        let place = |intent: &Intent| (intent.key.kind, intent.part == Part::Index);
        place(a).cmp(&place(b)).then_with(|| a.key.cmp(&b.key))
    });
    Children { intents, catalog, kept }
}

/// How many pods there may be.
fn most_pods(server: &ValidServer) -> i32 {
    let spec = server.spec();
    spec.autoscaling.as_ref().map_or(spec.replicas, |autoscaling| autoscaling.max_replicas)
}

fn metadata(server: &ValidServer, name: &str) -> ObjectMeta {
    let identity = server.identity();
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(identity.namespace.to_string()),
        labels: Some(labels::labels(&identity.name, server.spec().transport)),
        owner_references: Some(vec![OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: Kind::Server.as_str().to_owned(),
            name: identity.name.to_string(),
            uid: identity.uid.to_string(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    }
}

/// Compact JSON.
fn text(value: &impl Serialize) -> String {
    #[expect(
        clippy::expect_used,
        reason = "the keys of what is built are strings, all that serde_json asks for"
    )]
    serde_json::to_string(value).expect("string keys")
}

fn json(object: &impl Serialize) -> Value {
    #[expect(
        clippy::expect_used,
        reason = "the keys of what is built are strings, all that serde_json asks for"
    )]
    serde_json::to_value(object).expect("string keys")
}

/// The object at a path of fields, made where it is not there.
fn object_at<'a>(json: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut at = json.as_object_mut()?;
    for field in path {
        at = at.entry(*field).or_insert_with(|| json!({})).as_object_mut()?;
    }
    Some(at)
}

#[cfg(test)]
mod tests;
