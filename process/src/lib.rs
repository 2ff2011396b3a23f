//! What the operator's process and the gateway's have in common: how they end in good order, and where their traces go.

#![warn(missing_docs)]

pub mod shutdown;
pub mod traces;
