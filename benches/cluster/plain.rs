//! A client that only sends the patches that the operator sends, and decides and watches nothing.

use std::time::Instant;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use mcp_crds::kind::Kind;
use mcp_operator::children::ChildKind;
use serde_json::{Map, Value, json};

use super::ControlPlane;

/// As many requests at once as the operator makes.
const CONNECTIONS: usize = 16;

/// Whose patches are sent again.
const OPERATOR: &str = "mcp-operator";

/// What the operator has applied for one server.
pub(crate) struct Patches {
    /// The server that it was for.
    server: String,
    children: Vec<(ApiResource, Value)>,
    status: Value,
}

impl Patches {
    /// Reads them from what the API server says that the operator manages.
    pub(crate) async fn of(plane: &ControlPlane, namespace: &str, server: &str) -> anyhow::Result<Self> {
        let mut children = Vec::new();
        for kind in [ChildKind::Service, ChildKind::Deployment] {
            let resource = kind.resource();
            let api: Api<DynamicObject> = Api::namespaced_with(plane.client.clone(), namespace, &resource);
            children.push((resource, applied(&api.get(server).await?)?));
        }
        let status = applied(&plane.api(Kind::Server, namespace).get(server).await?)?;
        Ok(Self { server: server.to_owned(), children, status })
    }

    /// Seconds that it takes to create servers of these names in a namespace, and to send for each what the operator
    /// sent for that one.
    pub(crate) async fn send(
        &self,
        plane: &ControlPlane,
        namespace: &str,
        servers: impl IntoIterator<Item = (String, Value)>,
    ) -> anyhow::Result<f64> {
        let started = Instant::now();
        futures::stream::iter(servers)
            .map(|(name, server)| self.send_one(plane, namespace, name, server))
            .buffer_unordered(CONNECTIONS)
            .try_collect::<()>()
            .await?;
        Ok(started.elapsed().as_secs_f64())
    }

    async fn send_one(
        &self,
        plane: &ControlPlane,
        namespace: &str,
        name: String,
        server: Value,
    ) -> anyhow::Result<()> {
        let params = PatchParams::apply("plain").force();
        let servers = plane.api(Kind::Server, namespace);
        let created = servers.patch(&name, &params, &Patch::Apply(server)).await?;
        let uid = created.metadata.uid.context("a uid")?;
        for (resource, child) in &self.children {
            let mut child = self.rename(child, &name)?;
            if let Some(owner) = child.pointer_mut("/metadata/ownerReferences/0/uid") {
                *owner = json!(uid);
            }
            let api: Api<DynamicObject> = Api::namespaced_with(plane.client.clone(), namespace, resource);
            api.patch(&name, &params, &Patch::Apply(child)).await?;
        }
        servers.patch_status(&name, &params, &Patch::Apply(self.rename(&self.status, &name)?)).await?;
        Ok(())
    }

    fn rename(&self, patch: &Value, name: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&patch.to_string().replace(&self.server, name))?)
    }
}

/// The part of an object that the operator's last apply to it had.
fn applied(object: &DynamicObject) -> anyhow::Result<Value> {
    let managed = object.metadata.managed_fields.iter().flatten();
    let fields = managed
        .filter(|entry| {
            entry.manager.as_deref() == Some(OPERATOR) && entry.operation.as_deref() == Some("Apply")
        })
        .find_map(|entry| entry.fields_v1.as_ref())
        .context("nothing was applied by the operator")?;
    let whole = serde_json::to_value(object)?;
    let Value::Object(mut patch) = owned(&whole, &fields.0) else { bail!("an object is expected") };
    for field in ["apiVersion", "kind"] {
        patch.insert(field.to_owned(), whole.get(field).context("its type")?.clone());
    }
    if let Value::Object(metadata) = patch.entry("metadata").or_insert_with(|| json!({})) {
        metadata.insert("name".to_owned(), object.metadata.name.as_deref().context("its name")?.into());
    }
    Ok(patch.into())
}

/// What a set of fields, in the form of `managedFields`, picks out of a value.
fn owned(value: &Value, fields: &Value) -> Value {
    let sets = fields.as_object().into_iter().flatten().filter(|(key, _)| *key != ".");
    let sets: Vec<(&String, &Value)> = sets.collect();
    match value {
        _ if sets.is_empty() => value.clone(),
        Value::Object(object) => {
            let member = |(key, fields): &(&String, &Value)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), owned(object.get(name)?, fields)))
            };
            Value::Object(sets.iter().filter_map(member).collect::<Map<_, _>>())
        }
        Value::Array(list) => {
            let element = |(key, fields): &(&String, &Value)| {
                let wanted: Value = serde_json::from_str(key.get(2..)?).ok()?;
                let is_meant = |element: &&Value| match (key.get(..2), wanted.as_object()) {
                    (Some("k:"), Some(keys)) => {
                        keys.iter().all(|(name, value)| element.get(name) == Some(value))
                    }
                    _ => **element == wanted,
                };
                Some(owned(list.iter().find(is_meant)?, fields))
            };
            Value::Array(sets.iter().filter_map(element).collect())
        }
        _ => value.clone(),
    }
}
