//! What is removed from a real Redis.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(unreachable_pub, reason = "what is shared with the other tests is written for them")]

mod remove;
mod support;
