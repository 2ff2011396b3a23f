//! The operator: watches, reconcile, leader lease, wiring, command line.
#![warn(missing_docs)]

use std::any::Any;

pub mod admin;
mod admission;
pub mod children;
pub mod cli;
mod index;
pub mod lease;
mod lists;
pub mod metrics;
mod object;
mod operator;
pub mod permissions;
pub mod pods;
pub mod probe;
pub mod queue;
pub mod readiness;
pub mod reconcile;
pub mod recorder;
pub mod redis;
pub mod runtime;
pub mod supervise;
pub mod telemetry;
pub mod webhook_configuration;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit this was built from, where the build said so.
pub const COMMIT: &str = match option_env!("MCP_OPERATOR_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// What a panic said, as far as it can be read.
fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().copied().unwrap_or("no message").to_owned(),
    }
}
