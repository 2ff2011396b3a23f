//! The ConfigMap `NAME-config`: `config.json`, and what the server's selector picks up as `catalog.json`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
pub use mcp_crds::config::{CONFIG_JSON, MAX_CONFIG_MAP};
use mcp_crds::kind::Kind;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::digest::fingerprint;
use super::{CatalogState, Counts, Intent, json, metadata, text};
use crate::children::ChildKind;
use crate::reconcile::dereference::{Offer, Offered};
use crate::reconcile::validate::ValidServer;

/// Key of the selected tools, prompts and resources.
pub const CATALOG_JSON: &str = "catalog.json";

/// Name of the ConfigMap of a server.
pub(crate) fn config_map_name(server: &str) -> String {
    format!("{server}-config")
}

/// The ConfigMap of a server with an image, where there is something to put in it. Whether there is one follows from the server
/// alone, and not from what it selects, as the pods mount it.
pub(super) fn with_catalog(server: &ValidServer, offered: &Offered) -> (Option<Intent>, CatalogState) {
    let mut data = settings(server);
    if server.spec().tool_selector.is_none() {
        return (config_map(server, data), CatalogState::NotWanted);
    }
    let catalog = add_catalog(&mut data, offered);
    (config_map(server, data), catalog)
}

/// The ConfigMap of a server whose catalog is elsewhere, where it has settings.
pub(super) fn without_catalog(server: &ValidServer) -> Option<Intent> {
    config_map(server, settings(server))
}

fn settings(server: &ValidServer) -> BTreeMap<String, String> {
    server.config_json().map(|config| (CONFIG_JSON.to_owned(), config.to_owned())).into_iter().collect()
}

fn config_map(server: &ValidServer, data: BTreeMap<String, String>) -> Option<Intent> {
    if data.is_empty() && (server.gateway().is_some() || server.spec().tool_selector.is_none()) {
        return None;
    }
    let name = config_map_name(&server.identity().name);
    let config_map =
        ConfigMap { metadata: metadata(server, &name), data: Some(data), ..ConfigMap::default() };
    Some(Intent::new(ChildKind::ConfigMap, server, &name, json(&config_map)))
}

fn add_catalog(data: &mut BTreeMap<String, String>, offered: &Offered) -> CatalogState {
    let catalog = Catalog::new(offered);
    let text = text(&catalog);
    let others: usize = data.iter().map(|(key, value)| key.len() + value.len()).sum();
    let bytes = text.len();
    if others + CATALOG_JSON.len() + bytes > MAX_CONFIG_MAP {
        return CatalogState::TooLarge { bytes };
    }
    let revision = fingerprint(text.as_bytes());
    let counts = Counts::new(catalog.tools.len(), catalog.prompts.len(), catalog.resources.len());
    data.insert(CATALOG_JSON.to_owned(), text);
    CatalogState::Written { revision, counts, left_out: Vec::new() }
}

/// `catalog.json`: the `spec` of each object that the server is to offer, by the objects' names.
#[derive(Debug, Serialize)]
struct Catalog<'a> {
    tools: Vec<Spec<'a>>,
    prompts: Vec<Spec<'a>>,
    resources: Vec<Spec<'a>>,
}

/// A spec, its members as they were stored.
type Spec<'a> = BTreeMap<&'a str, &'a RawValue>;

impl<'a> Catalog<'a> {
    fn new(offered: &'a Offered) -> Self {
        let of_kind =
            |kind| offered.served.iter().filter(|offer| offer.id.kind == kind).filter_map(spec).collect();
        Self {
            tools: of_kind(Kind::Tool),
            prompts: of_kind(Kind::Prompt),
            resources: of_kind(Kind::Resource),
        }
    }
}

/// `None` for what is no object, which the catalog does not hold.
fn spec(offer: &Offer) -> Option<Spec<'_>> {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        metadata: Metadata<'a>,
        #[serde(borrow)]
        spec: Spec<'a>,
    }
    #[derive(Deserialize)]
    struct Metadata<'a> {
        #[serde(borrow)]
        name: &'a RawValue,
    }
    let document: Document<'_> = serde_json::from_str(&offer.document).ok()?;
    let mut spec = document.spec;
    // As the mutating webhook would have filled it in.
    spec.entry("name").or_insert(document.metadata.name);
    Some(spec)
}
