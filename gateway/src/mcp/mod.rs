//! The Model Context Protocol over streamable HTTP: both generations on one URL, decided request by request.

mod calls;
mod completion;
mod content;
mod conversation;
mod endpoint;
mod error;
mod events;
mod header;
mod input;
mod message;
mod prompts;
pub mod protocol;
mod resources;
pub mod result;
mod results;
pub mod session;
mod subscriptions;
mod tools;

pub use endpoint::{delete, get, post};
pub use error::RpcError;
pub(crate) use results::Results;
pub(crate) use tools::Outcome;
