//! Tests that need no cluster.

mod check;
mod docs;
#[path = "../support/rules.rs"]
mod examples;
mod rules;
mod webhook;
