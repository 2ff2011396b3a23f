//! Rotation decided, done and tried on a model; and handshakes with what it leaves.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy takes only the bodies of tests for tests"
)]

mod calls;
mod law;
mod steps;
mod tls;
