//! The gateway as a process, beside real backends, a real Redis and clients of every kind.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(unreachable_pub, reason = "what is shared with the other tests is written for them")]

mod backends;
mod browsers;
mod clients;
mod connections;
mod ending;
mod hostile;
mod live;
mod operations;
mod redis;
mod schemas;
mod support;
mod traces;
mod versions;
