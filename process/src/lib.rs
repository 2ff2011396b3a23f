//! What the project's processes have in common: how they end in good order, how much of what clients send they hold, how they
//! write what is small, how long they wait for who does not read, whom they trust, and where their traces go.

#![warn(missing_docs)]

pub mod body;
pub mod gathered;
pub mod shutdown;
pub mod timed;
pub mod tls;
pub mod traces;
