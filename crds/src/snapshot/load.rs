//! From pieces to a snapshot: all of them, or none.

use serde::Deserialize;
use thiserror::Error;

use super::shard::{Shard, hash};
use super::{Index, Snapshot, VERSION};

/// Why a catalog cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Whoever wrote it is newer.
    #[error(
        "the catalog is of version {found}, and this gateway knows versions up to {VERSION}: update the gateway"
    )]
    Newer {
        /// Its version.
        found: u32,
    },
    /// It is not what was written.
    #[error("the catalog's {part} is not readable: {reason}")]
    Unreadable {
        /// The index, or which shard.
        part: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The index has come before this shard, or an older shard is still there.
    #[error("shard {shard} of the catalog has not come yet")]
    Pending {
        /// Its number.
        shard: u8,
    },
}

impl LoadError {
    /// Whether it is only a matter of time.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }
}

impl Index {
    /// Reads an index.
    ///
    /// # Errors
    /// Where it is of a newer version, or not what was written.
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let unreadable = |reason: String| LoadError::Unreadable { part: "index".to_owned(), reason };
        // First: a newer index may have another form.
        let versioned: Versioned =
            serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if versioned.version > VERSION {
            return Err(LoadError::Newer { found: versioned.version });
        }
        let index: Self = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if index.revision != index.expected_revision() {
            return Err(unreadable("its revision is not its hash".to_owned()));
        }
        Ok(index)
    }

    /// Puts the snapshot together. `text_of` gives a shard's text, where it is there.
    ///
    /// # Errors
    /// Where a shard is missing, is not the one that the index names, or is not readable.
    pub fn load<T: AsRef<str>>(&self, text_of: impl Fn(u8) -> Option<T>) -> Result<Snapshot, LoadError> {
        let mut snapshot = Snapshot {
            server: self.server.clone(),
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
        };
        for named in &self.shards {
            let text = text_of(named.shard).filter(|text| hash(text.as_ref().as_bytes()) == named.hash);
            let text = text.ok_or(LoadError::Pending { shard: named.shard })?;
            let shard: Shard = serde_json::from_str(text.as_ref()).map_err(|error| {
                LoadError::Unreadable { part: format!("shard {}", named.shard), reason: error.to_string() }
            })?;
            snapshot.tools.extend(shard.tools);
            snapshot.prompts.extend(shard.prompts);
            snapshot.resources.extend(shard.resources);
        }
        snapshot.tools.sort_by(|a, b| a.name.cmp(&b.name));
        snapshot.prompts.sort_by(|a, b| a.name.cmp(&b.name));
        snapshot.resources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(snapshot)
    }
}
