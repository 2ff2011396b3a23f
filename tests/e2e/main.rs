//! Tests with real pods.
//!
//! They share one cluster with a node (`hack/cluster.sh build` makes what it consists of, `hack/image.sh build` our images,
//! where they are missing), which ends with this process, however it ends. It needs root; `hack/cluster.sh check` says what a
//! machine lacks. Where TEST_KUBECONFIG names a cluster into which the images are loaded, and whose pods can be reached from
//! here, that is the shared one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, unused_imports, reason = "the tests without pods use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod node;

use support::cluster::Cluster;
use tokio::sync::OnceCell;

/// The cluster of all tests here.
async fn cluster() -> Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER.get_or_init(Cluster::with_node).await.clone()
}
