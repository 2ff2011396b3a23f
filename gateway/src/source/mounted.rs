//! The catalog as the kubelet mounts it: what a pod starts with where the API server is away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mcp_crds::snapshot::{INDEX_KEY, Index, LoadError, Snapshot, shard_key};
use thiserror::Error;

/// The mounted catalog cannot be loaded.
#[derive(Debug, Error)]
pub enum MountedError {
    /// A file cannot be read.
    #[error("{path}: cannot be read")]
    Read {
        /// Which.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It is not what was written, or not all there.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Loads a catalog from a folder, in which every ConfigMap of it is a file.
///
/// # Errors
/// Where it is not there, or not whole.
pub fn load(folder: &Path) -> Result<(String, Snapshot), MountedError> {
    let path: PathBuf = folder.join(INDEX_KEY);
    let read = fs::read_to_string(&path);
    let text = read.map_err(|source| MountedError::Read { path: path.display().to_string(), source })?;
    let index = Index::parse(&text)?;
    let snapshot = index.load(|shard| fs::read_to_string(folder.join(shard_key(shard))).ok())?;
    Ok((index.revision, snapshot))
}

#[cfg(test)]
mod tests {
    use mcp_crds::kind::Kind;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_loaded_and_half_of_it_is_not() {
        let mut server = json!({"metadata": {"name": "main", "namespace": "ns"}, "spec": {}});
        mcp_crds::default::apply(Kind::Server, &mut server, None);
        let mut tool = json!({"metadata": {"name": "t"}, "spec": {"service": {"name": "s", "port": 80}}});
        mcp_crds::default::apply(Kind::Tool, &mut tool, None);
        let written =
            Snapshot::compile(&server, "cluster.local", [(Kind::Tool, &tool)]).unwrap().encode().unwrap();
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(MountedError::Read { .. })));
        fs::write(folder.path().join(INDEX_KEY), &written.index).unwrap();
        assert!(matches!(load(folder.path()), Err(MountedError::Load(error)) if error.is_pending()));
        for (shard, text) in &written.shards {
            fs::write(folder.path().join(shard_key(*shard)), text).unwrap();
        }
        let (revision, snapshot) = load(folder.path()).unwrap();
        assert_eq!((revision, snapshot.tools.len()), (written.revision, 1));
    }
}
