//! Tests that need no cluster.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod check;
mod dependencies;
mod docs;
#[path = "../support/rules.rs"]
mod examples;
mod rules;
mod webhook;
