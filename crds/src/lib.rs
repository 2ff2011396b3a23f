//! The API of mcp-operator, and everything about it that is pure: the four kinds, their defaults, the rules
//! that decide whether an object is accepted, and the catalog that sees across objects.
//!
//! Nothing here does I/O: no Kubernetes client, no async runtime, no clock.
#![warn(missing_docs)]

pub mod field;
pub mod node;
pub mod validate;
