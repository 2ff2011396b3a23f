//! Tests that need no cluster.

#[path = "../support/rules.rs"]
mod examples;
mod rules;
