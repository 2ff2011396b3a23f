//! The CRDs in a cluster: as they are shipped, or so loose that anything can be stored.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use mcp_crds::crd;
use mcp_crds::kind::{API_VERSION, GROUP, Kind, VERSION};
use serde_json::json;

use super::cluster::Cluster;
use super::object::{self, Verb};
use super::wait;

/// Brings the CRDs into the form in which they are shipped, and waits until the API server works by it.
///
/// # Panics
/// Where it does not.
pub(crate) async fn install(cluster: &Cluster) {
    let client = cluster.client().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in Kind::ALL {
        let definition = crd::definition(kind);
        let name = definition.metadata.name.clone().expect("a name");
        let apply = PatchParams::apply("tests").force();
        crds.patch(&name, &apply, &Patch::Apply(&definition)).await.expect("apply a CRD");
    }
    until_wrong_objects_get(&client, 422).await;
    until_documented(&client).await;
}

/// Lets every object of the kinds be stored, as it might have been before a rule was there.
///
/// # Panics
/// Where the API server does not work so.
pub(crate) async fn loosen(cluster: &Cluster) {
    let client = cluster.client().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in Kind::ALL {
        let mut definition = crd::definition(kind);
        for version in &mut definition.spec.versions {
            let loose = json!({ "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            } });
            version.schema = serde_json::from_value(loose).expect("a schema");
            version.subresources.as_mut().expect("subresources").scale = None;
        }
        let name = definition.metadata.name.clone().expect("a name");
        let apply = PatchParams::apply("tests").force();
        crds.patch(&name, &apply, &Patch::Apply(&definition)).await.expect("apply a CRD");
    }
    until_wrong_objects_get(&client, 201).await;
}

/// Waits until objects that only the loose schema lets through get this code.
async fn until_wrong_objects_get(client: &Client, code: u16) {
    wait::until(format_args!("wrong objects get {code}"), async || {
        for kind in Kind::ALL {
            let metadata = json!({ "name": "wrong", "namespace": "default" });
            let object =
                json!({ "apiVersion": API_VERSION, "kind": kind.as_str(), "metadata": metadata, "spec": 1 });
            let reply = object::send(client, Verb::Create, &object, true).await;
            if reply.code != code {
                return Err(format!("{kind}: {}: {:#}", reply.code, reply.body));
            }
        }
        Ok(())
    })
    .await;
}

/// Waits until `kubectl explain` can work, which comes last.
async fn until_documented(client: &Client) {
    let path = format!("/openapi/v3/apis/{GROUP}/{VERSION}");
    wait::until("the API server explains the kinds", async || {
        let documents = object::request(client, http::Method::GET, &path, "application/json", None).await;
        let schemas = documents.body["components"]["schemas"].as_object();
        let documented = |kind: Kind| {
            let name = format!(".{kind}");
            schemas.is_some_and(|schemas| schemas.keys().any(|key| key.ends_with(&name)))
        };
        let missing: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !documented(*kind)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} are missing")) }
    })
    .await;
}
