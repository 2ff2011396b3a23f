//! The webhooks as the API server meets them: reviews in, reviews out, over HTTP and over TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where these do"
)]

mod drain;
mod hostile;
mod malformed;
mod reviews;
mod support;
mod telemetry;
mod tls;
mod writers;
