//! The API of mcp-operator, and everything about it that is pure: the four kinds, their defaults, the rules
//! that decide whether an object is accepted, and the catalog that sees across objects.
//!
//! Nothing here does I/O: no Kubernetes client, no async runtime, no clock.
#![warn(missing_docs)]

pub mod catalog;
pub mod crd;
pub mod default;
pub mod field;
pub mod kind;
pub mod labels;
pub mod node;
pub mod selector;
pub mod v1alpha1;
pub mod validate;
