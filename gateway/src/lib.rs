//! The MCP data plane: serves tools, prompts and resources that are Kubernetes objects, live.
//!
//! A request travels from [`server`] (connections and their bounds) by [`router`] and [`security`] to [`mcp`] (the
//! protocol, of both generations), which answers from the [`catalog`], through [`policy`] and [`upstream`] where a
//! Service does the work. Catalogs come from a [`source`].
#![warn(missing_docs)]

pub mod admin;
mod body;
pub mod catalog;
mod chunks;
pub mod cli;
mod cors;
pub mod credentials;
pub mod gateway;
pub mod ingress;
pub mod json;
pub mod mcp;
pub mod metrics;
pub mod pattern;
pub mod policy;
mod process;
pub mod redis;
pub mod router;
pub mod security;
pub mod server;
pub mod source;
pub mod telemetry;
pub mod upstream;

/// The version of this package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
