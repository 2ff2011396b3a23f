//! How much of what there may be.

pub mod cache;
pub mod gate;
pub mod rate_limit;
