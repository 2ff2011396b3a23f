//! Requests to the Services that do the work: over pooled connections, bounded in time, in size and in number, and to
//! nobody but the Service that an object names. No redirect is followed.

mod arguments;
mod backend;
mod body;
mod client;
mod connection;
mod directory;
mod events;
mod failure;
mod target;

pub use arguments::{ArgumentError, Outgoing, map};
pub use backend::{Backend, Permit};
pub use body::{Answer, Content, collect};
pub use client::{Deadline, Exchange, Request, Upstream};
pub use connection::ResponseBody;
pub use directory::{Directory, InvalidService, Service};
pub use events::Events;
pub use failure::Failure;
pub use target::Target;
