//! Tests that need no cluster.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod check;
mod command_line;
mod dependencies;
mod docs;
#[path = "../support/rules.rs"]
mod examples;
mod manifests;
mod monitoring;
#[path = "../support/queries.rs"]
mod queries;
mod rules;
mod webhook;
