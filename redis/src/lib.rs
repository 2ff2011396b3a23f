//! What the gateway and the operator both have to know of a server's Redis: how it is reached, which of its keys are the
//! server's, and how those are removed.
//!
//! The gateway keeps things there and the operator removes them when the server is deleted. They run in different pods and may
//! be of different versions, so what they have to agree on is here, and neither knows the other.

#![warn(missing_docs)]

mod lookup;
mod prefix;
mod remove;
mod settings;

pub use lookup::Lookup;
pub use prefix::Prefix;
pub use redis::{Client, RedisError};
pub use remove::remove;
pub use settings::{Password, Program, Settings, SettingsError};
