//! The operator: watches, reconcile, leader lease, wiring, command line.

pub mod cli;
pub mod webhook_configuration;
