//! A snapshot in pieces that each fit into a ConfigMap.
//!
//! An item's shard follows from its kind and name, so that a change of it rewrites that shard and the index, and nothing
//! else. Only where a shard is full an item goes to the next one that has room.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Prompt, Resource, Server, Snapshot, Tool, VERSION};
use crate::kind::Kind;

/// How many shards there may be.
pub const MAX_SHARDS: u8 = 16;

/// How large a shard's text may be: a ConfigMap holds 1 MiB, its key included.
pub const MAX_SHARD_BYTES: usize = 1024 * 1024 - 1024;

/// The ConfigMap that holds the index of a server's catalog.
#[must_use]
pub fn name(server: &str) -> String {
    format!("{server}-catalog")
}

/// The ConfigMap that holds one of its shards.
#[must_use]
pub fn shard_name(server: &str, shard: u8) -> String {
    format!("{server}-catalog-{shard}")
}

/// The key of the index in its ConfigMap, and the name of the file where that is mounted.
pub const INDEX_KEY: &str = "index.json";

/// The key of a shard in its ConfigMap, and the name of the file where that is mounted.
#[must_use]
pub fn shard_key(shard: u8) -> String {
    format!("shard-{shard}.json")
}

/// The snapshot does not fit into its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the catalog comes to {bytes} bytes, and {MAX_SHARDS} ConfigMaps of 1 MiB do not hold it")]
pub struct TooLarge {
    /// What all items come to.
    pub bytes: usize,
}

/// A snapshot as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Which catalog it is: equal for equal ones, and for no others.
    pub revision: String,
    /// The index, to be written after the shards.
    pub index: String,
    /// The shards, by number; without those in which nothing is.
    pub shards: BTreeMap<u8, String>,
}

/// What says which shards there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// [`VERSION`] of whoever wrote it.
    pub version: u32,
    /// [`Encoded::revision`].
    pub revision: String,
    /// The server.
    pub server: Server,
    /// Its shards, by number.
    pub shards: Vec<ShardRef>,
}

/// One shard, as the index names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRef {
    /// Its number.
    pub shard: u8,
    /// The hash of its text.
    pub hash: String,
}

/// The items of one shard.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Shard {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Tool>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) prompts: Vec<Prompt>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) resources: Vec<Resource>,
}

impl Snapshot {
    /// Writes the snapshot. Equal ones give equal bytes.
    ///
    /// # Errors
    /// Where it is too large.
    pub fn encode(&self) -> Result<Encoded, TooLarge> {
        let mut writers: Vec<Writer> = (0..MAX_SHARDS).map(|_| Writer::default()).collect();
        let mut bytes = 0;
        let mut put = |kind: Kind, name: &str, item: String| {
            bytes += item.len();
            let first = preferred(kind, name);
            let place = (0..MAX_SHARDS).map(|n| usize::from((first + n) % MAX_SHARDS));
            let with_room = |place: usize| {
                writers.get(place).is_some_and(|writer| writer.bytes + item.len() < MAX_SHARD_BYTES)
            };
            match place.into_iter().find(|place| with_room(*place)).and_then(|place| writers.get_mut(place)) {
                Some(writer) => {
                    writer.put(kind, &item);
                    true
                }
                None => false,
            }
        };
        let mut fits = true;
        for tool in &self.tools {
            fits &= put(Kind::Tool, &tool.name, text(tool));
        }
        for prompt in &self.prompts {
            fits &= put(Kind::Prompt, &prompt.name, text(prompt));
        }
        for resource in &self.resources {
            fits &= put(Kind::Resource, &resource.name, text(resource));
        }
        if !fits {
            return Err(TooLarge { bytes });
        }
        let shards: BTreeMap<u8, String> =
            (0..).zip(writers).filter(|(_, it)| it.bytes > EMPTY).map(|(n, it)| (n, it.finish())).collect();
        let refs = shards.iter().map(|(shard, text)| ShardRef { shard: *shard, hash: hash(text.as_bytes()) });
        let index = Index::new(self.server.clone(), refs.collect());
        Ok(Encoded { revision: index.revision.clone(), index: text(&index), shards })
    }
}

impl Index {
    fn new(server: Server, shards: Vec<ShardRef>) -> Self {
        let mut index = Self { version: VERSION, revision: String::new(), server, shards };
        index.revision = index.expected_revision();
        index
    }

    /// What the revision has to be.
    pub(super) fn expected_revision(&self) -> String {
        hash(text(&Self { revision: String::new(), ..self.clone() }).as_bytes())
    }
}

/// The first 128 bits of the SHA-256, in hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The shard in which an item is, unless that is full.
fn preferred(kind: Kind, name: &str) -> u8 {
    let digest = Sha256::digest(format!("{kind}/{name}"));
    digest.first().map_or(0, |byte| byte % MAX_SHARDS)
}

/// What these types hold can always be written as JSON: their maps have strings for keys.
fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What the text of a shard without items would come to, generously.
const EMPTY: usize = r#"{"tools":[],"prompts":[],"resources":[]}"#.len();

/// Puts the text of a shard together from the texts of its items, each of which is written once.
struct Writer {
    bytes: usize,
    lists: [String; 3],
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes: EMPTY, lists: Default::default() }
    }
}

impl Writer {
    fn put(&mut self, kind: Kind, item: &str) {
        let [tools, prompts, resources] = &mut self.lists;
        let list = match kind {
            Kind::Server | Kind::Tool => tools,
            Kind::Prompt => prompts,
            Kind::Resource => resources,
        };
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(item);
        self.bytes += item.len() + 1;
    }

    fn finish(self) -> String {
        let [tools, prompts, resources] = self.lists;
        format!(r#"{{"tools":[{tools}],"prompts":[{prompts}],"resources":[{resources}]}}"#)
    }
}
