//! Tests with real pods.
//!
//! They share one cluster with a node (`hack/cluster.sh build` makes what it consists of, `hack/image.sh build` our images,
//! where they are missing), in which the operator is installed by its manifests, see [`installed`]. It ends with this process,
//! however that ends. It needs root; what else a machine lacks, the cluster's start says. Where TEST_KUBECONFIG names a cluster
//! into which the images are loaded, and whose pods can be reached from here, that is the shared one.
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

mod broken;
mod conformance;
mod gateway;
mod installed;
mod killed;
mod neighbours;
mod node;
mod outages;
mod outside;
mod rollouts;
mod running;
mod scaling;
mod secrets;
mod seeds;
