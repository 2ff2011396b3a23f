//! What a server consists of: pure, and nothing in it can fail, as all that can was tried in `validate`.

pub mod config;
mod deployment;
pub(crate) mod digest;
pub mod labels;
mod service;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use mcp_crds::kind::{API_VERSION, Kind};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::dereference::Offered;
use super::validate::ValidServer;
pub(crate) use deployment::RESERVED_VOLUMES;
pub use deployment::{CONFIG_DIRECTORY, CONTAINER};

use config::CatalogFile;

/// The whole of what the operator wants one child to be, as server-side apply is told it.
///
/// It carries a fingerprint of itself (the annotation [`labels::APPLIED`]), by which a later pass sees that a field
/// has left the intent: comparing fields alone would only see what was added.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Intent {
    name: String,
    json: Value,
}

impl Intent {
    fn new(name: &str, mut json: Value) -> Self {
        let fingerprint = digest::fingerprint(json.to_string().as_bytes());
        if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut)
            && let Value::Object(annotations) = metadata.entry("annotations").or_insert_with(|| json!({}))
        {
            annotations.insert(labels::APPLIED.to_owned(), fingerprint.into());
        }
        Self { name: name.to_owned(), json }
    }

    /// The child's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The whole intent.
    pub(crate) const fn json(&self) -> &Value {
        &self.json
    }
}

/// Everything that a server with an image consists of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Children {
    /// Where there is something to put in it.
    pub(crate) config_map: Option<Intent>,
    /// The selected tools, prompts and resources, as they are in `config_map`.
    pub(crate) catalog: CatalogFile,
    pub(crate) service: Intent,
    pub(crate) deployment: Intent,
}

/// Builds the children of a server that runs `image`.
pub(crate) fn image_server(server: &ValidServer, image: &str, offered: &Offered) -> Children {
    let (config_map, catalog) = config::build(server, offered);
    Children {
        deployment: deployment::build(server, image, config_map.as_ref()),
        service: service::build(server),
        config_map,
        catalog,
    }
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
