//! The ConfigMaps of a gateway's catalog: shards, and the index that names them, which is written last.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use mcp_crds::kind::Kind;
use mcp_crds::snapshot::{self, INDEX_KEY, MAX_SHARDS, Server, Snapshot, shard_key};
use mcp_crds::{default, field};
use serde_json::Value;

use super::{CatalogState, Counts, Intent, Part, json, metadata};
use crate::children::{ChildKey, ChildKind};
use crate::reconcile::dereference::{Offer, Offered};
use crate::reconcile::validate::ValidServer;

/// What a gateway is to serve, written down.
pub(super) struct Written {
    pub(super) intents: Vec<Intent>,
    pub(super) state: CatalogState,
}

/// Compiles what a server offers. One that cannot be, although it keeps every rule, is left out: the others are served.
pub(super) fn build(server: &ValidServer, of: &Server, offered: &Offered) -> Written {
    let documents: Vec<(Kind, Value)> = offered.served.iter().filter_map(document).collect();
    let mut snapshot =
        Snapshot { server: of.clone(), tools: Vec::new(), prompts: Vec::new(), resources: Vec::new() };
    let errors = snapshot.offer(documents.iter().map(|(kind, document)| (*kind, document)));
    let left_out = errors.iter().map(|error| field::on_one_line(&error.to_string())).collect();
    let encoded = match snapshot.encode() {
        Ok(encoded) => encoded,
        Err(too_large) => {
            let state = CatalogState::TooLarge { bytes: too_large.bytes };
            return Written { intents: Vec::new(), state };
        }
    };
    let name = &server.identity().name;
    let mut intents: Vec<Intent> = encoded
        .shards
        .into_iter()
        .map(|(shard, text)| {
            config_map(server, &snapshot::shard_name(name, shard), shard_key(shard), text)
                .in_part(Part::Shard)
        })
        .collect();
    let index = config_map(server, &snapshot::name(name), INDEX_KEY.to_owned(), encoded.index);
    intents.push(index.in_part(Part::Index));
    let counts = Counts::new(snapshot.tools.len(), snapshot.prompts.len(), snapshot.resources.len());
    Written { intents, state: CatalogState::Written { revision: encoded.revision, counts, left_out } }
}

/// Every ConfigMap that a catalog may be in.
pub(super) fn keys(server: &ValidServer) -> Vec<ChildKey> {
    let identity = server.identity();
    let shards = (0..MAX_SHARDS).map(|shard| snapshot::shard_name(&identity.name, shard));
    let names = std::iter::once(snapshot::name(&identity.name)).chain(shards);
    let key = |name: String| ChildKey {
        kind: ChildKind::ConfigMap,
        namespace: identity.namespace.clone(),
        name: name.into(),
    };
    names.map(key).collect()
}

/// Whether a child is a piece of a server's catalog.
pub(crate) fn is_shard(server: &str, child: &ChildKey) -> bool {
    child.kind == ChildKind::ConfigMap
        && (0..MAX_SHARDS).any(|shard| *child.name == *snapshot::shard_name(server, shard))
}

/// With defaults, as the mutating webhook would have filled them in.
fn document(offer: &Offer) -> Option<(Kind, Value)> {
    let mut document = serde_json::from_str(&offer.document).ok()?;
    default::apply(offer.id.kind, &mut document, None);
    Some((offer.id.kind, document))
}

fn config_map(server: &ValidServer, name: &str, key: String, text: String) -> Intent {
    let config_map = ConfigMap {
        metadata: metadata(server, name),
        data: Some(BTreeMap::from([(key, text)])),
        ..ConfigMap::default()
    };
    Intent::new(ChildKind::ConfigMap, server, name, json(&config_map))
}
