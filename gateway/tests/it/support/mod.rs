//! What the tests stand on: gateways, backends, a Redis, a client that says exactly what it is told to.

pub(crate) mod backend;
pub(crate) mod balancer;
pub(crate) mod client;
pub(crate) mod gateway;

#[path = "../../../../tests/support/process.rs"]
#[allow(dead_code, reason = "the tests on clusters use the rest")]
pub(crate) mod process;

#[path = "../../../../tests/support/redis.rs"]
pub(crate) mod redis;

#[path = "../../../../tests/support/wait.rs"]
pub(crate) mod wait;
