//! Tests on a real API server: the webhooks and the operator as kubectl and controllers meet them.
//!
//! `hack/control-plane.sh build` makes the control plane that they start; where TEST_KUBECONFIG names a cluster, the tests
//! that only make objects use that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod crds;
mod defaults;
mod deletion;
mod faults;
mod harness;
mod late;
mod membership;
mod quiet;
mod replicas;
mod rules;
mod samples;
mod unreadable;
mod without_webhooks;
