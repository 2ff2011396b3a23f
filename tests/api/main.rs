//! Tests on a real API server: the webhooks and the operator as kubectl and controllers meet them.
//!
//! They start control planes of their own (`hack/control-plane.sh build` makes the binary, where it is missing): one that the
//! tests share that only make objects, and a few, used again, for tests that stop API servers or bring their own operators.
//! All of them end with this process, however it ends. Most of the time is spent waiting, so more threads than processors
//! are well used.
//!
//! Where TEST_KUBECONFIG names a cluster that can reach 127.0.0.1 here, that is the shared one. A namespace `operator-…` with
//! a Secret and a Lease stays behind in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod broken;
mod certificates;
mod chart;
mod children;
mod crds;
mod defaults;
mod deletion;
mod faults;
mod gateway;
mod harness;
mod installing;
mod kubernetes_server;
mod late;
mod membership;
mod outside;
mod permissions;
mod propagation;
mod quiet;
mod redis;
mod replicas;
mod rules;
mod samples;
mod unreadable;
mod without_webhooks;
