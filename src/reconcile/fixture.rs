//! Builders of what tests need: servers, offers, and children as a cluster would show them.

use std::sync::Arc;

use jiff::Timestamp;
use mcp_crds::catalog::{Entry, Id};
use mcp_crds::kind::Kind;
use mcp_crds::validate::{Operation, object};
use serde_json::{Value, json};

use super::dereference::{Offer, Offered};
use super::identity::Identity;
use super::validate::ValidServer;
use crate::children::{ChildKind, Sight};

/// When everything in these tests happens, in seconds.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An MCPServer `main` in `team`, as the API server would store it.
pub(crate) fn mk_server(spec: Value) -> Value {
    mk_object(Kind::Server, "main", spec)
}

/// An object in `team`.
pub(crate) fn mk_object(kind: Kind, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1",
        "kind": kind.as_str(),
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": format!("uid-of-{name}"),
            "generation": 1,
            "resourceVersion": "100",
            "creationTimestamp": at(NOW - 60).to_string(),
            "labels": { "mcp-server": "main" },
        },
        "spec": spec,
    })
}

/// A tool that every rule lets through.
pub(crate) fn mk_tool(name: &str) -> Value {
    mk_object(
        Kind::Tool,
        name,
        json!({
            "name": name,
            "description": "does something",
            "service": { "name": "backend", "port": 8080, "path": "/" },
            "inputSchema": { "type": "object" },
        }),
    )
}

/// The object as the index would bring it into the catalog.
pub(crate) fn entry(kind: Kind, document: &Value) -> Entry {
    let mut defaulted = document.clone();
    mcp_crds::default::apply(kind, &mut defaulted, None);
    let valid = object(kind, Operation::Update, &defaulted).errors.is_empty();
    Entry::read(kind, "", document).with_document(document.to_string()).with_validity(valid)
}

pub(crate) fn identity(document: &Value) -> Identity {
    Identity::of(&entry(Kind::Server, document))
}

/// `main`, valid.
#[track_caller]
pub(crate) fn valid(spec: Value) -> ValidServer {
    let document = mk_server(spec);
    ValidServer::new(&identity(&document), &document).expect("a valid server")
}

/// These objects, all served.
pub(crate) fn offered(objects: &[(Kind, Value)]) -> Offered {
    let offer = |(kind, document): &(Kind, Value)| Offer {
        id: Id { kind: *kind, name: document["metadata"]["name"].as_str().unwrap().into() },
        document: Arc::from(document.to_string()),
    };
    Offered { served: objects.iter().map(offer).collect(), ..Offered::default() }
}

/// A Deployment of `wanted` replicas, of which `available` are.
pub(crate) fn mk_deployment(wanted: i32, available: i32) -> Value {
    let holds = if available >= wanted { "True" } else { "False" };
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "main", "namespace": "team", "uid": "uid-of-deployment", "generation": 1 },
        "spec": { "replicas": wanted, "selector": {}, "template": {} },
        "status": {
            "observedGeneration": 1,
            "replicas": wanted,
            "readyReplicas": available,
            "availableReplicas": available,
            "conditions": [{ "type": "Available", "status": holds }],
        },
    })
}

/// A child as a watch shows it.
pub(crate) fn sight(object: &Value) -> Sight {
    let kind = ChildKind::ALL.into_iter().find(|kind| object["kind"] == kind.as_str()).expect("a child");
    Sight::read(kind, serde_json::from_value(object.clone()).unwrap()).expect("a name and a namespace")
}
