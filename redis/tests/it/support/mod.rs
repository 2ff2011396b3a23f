//! What the tests stand on: a Redis.

#[path = "../../../../tests/support/process.rs"]
#[allow(dead_code, reason = "the tests on clusters use the rest")]
pub(crate) mod process;

#[path = "../../../../tests/support/redis.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
pub(crate) mod redis;

#[path = "../../../../tests/support/wait.rs"]
pub(crate) mod wait;
