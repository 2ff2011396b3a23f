//! Where catalogs come from. A change is built aside and swapped in whole; a broken one is refused and reported, and the
//! last good one stays.

pub mod cluster;
pub mod manifests;
pub mod mounted;
pub(crate) mod secrets;

use std::sync::Arc;

use mcp_crds::snapshot::Snapshot;
use tracing::{info, warn};

use crate::catalog::Catalog;
use crate::gateway::Gateway;
use crate::upstream::Directory;

/// Serves another snapshot from here on, if it can be served. Returns whether it is.
pub async fn take(
    gateway: &Arc<Gateway>,
    revision: String,
    snapshot: Snapshot,
    directory: &Directory,
) -> bool {
    let (before, directory) = (gateway.live.get(), directory.clone());
    // Thousands of tools take a while, and requests go on.
    let built = tokio::task::spawn_blocking(move || {
        Catalog::build(revision, snapshot, &directory, before.as_deref())
    });
    match built.await {
        Ok(Ok(catalog)) => {
            let counts = catalog.counts();
            info!(
                revision = catalog.revision,
                tools = counts.tools,
                prompts = counts.prompts,
                resources = counts.resources,
                "serving another catalog"
            );
            let before = gateway.live.swap(catalog);
            gateway.metrics.loaded(true);
            // So does forgetting them.
            tokio::task::spawn_blocking(move || drop(before));
            true
        }
        Ok(Err(error)) => refuse(gateway, &error),
        Err(error) => refuse(gateway, &error),
    }
}

/// Reports a catalog that cannot be served.
pub fn refuse(gateway: &Gateway, error: &(dyn std::error::Error + 'static)) -> bool {
    gateway.metrics.loaded(false);
    warn!(error, "a catalog was refused, and the last good one stays");
    false
}
