//! What the tests on a real API server stand on: clusters, operators, objects, waits.

pub(crate) mod cluster;
pub(crate) mod endpoints;
pub(crate) mod load;
pub(crate) mod manifest;
pub(crate) mod namespace;
pub(crate) mod object;
pub(crate) mod operator;
pub(crate) mod pods;
pub(crate) mod process;
pub(crate) mod rules;
pub(crate) mod schemas;
pub(crate) mod wait;
pub(crate) mod writes;
