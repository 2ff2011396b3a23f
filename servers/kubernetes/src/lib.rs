//! An MCP server for Kubernetes: what a model needs to look after pods, with no more rights than its service account has.
//!
//! It keeps no state: every request is answered from the API server, so any replica answers any request. What is asked of
//! Kubernetes goes through [`kubernetes::Kubernetes`], which bounds it in time and size, and says what was refused in a
//! sentence. Everything else here is pure: arguments become objects ([`tools`]), objects become summaries ([`resources`])
//! and findings ([`prompts`]).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod cli;
pub mod http;
pub mod kubernetes;
pub mod name;
pub mod prompts;
pub mod refusal;
pub mod resources;
pub mod server;
pub mod stdio;
pub mod telemetry;
pub mod tools;

#[cfg(test)]
mod api_server;
