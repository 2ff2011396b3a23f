//! The API of mcp-operator, and everything about it that is pure: the four kinds, their defaults, the rules
//! that decide whether an object is accepted, the catalog that sees across objects, and what of it a gateway is given to
//! serve.
//!
//! Nothing here does I/O: no Kubernetes client, no async runtime, no clock.
#![warn(missing_docs)]

pub mod bounded;
pub mod catalog;
pub mod config;
pub mod crd;
pub mod default;
pub mod field;
pub mod kind;
pub mod labels;
pub mod node;
pub mod selector;
pub mod snapshot;
pub mod v1alpha1;
pub mod validate;
pub mod volumes;
