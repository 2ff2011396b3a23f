//! What the tests on real clusters stand on: clusters, operators, objects, waits.

pub(crate) mod authorizer;
pub(crate) mod binary;
pub(crate) mod cluster;
pub(crate) mod endpoints;
pub(crate) mod evidence;
pub(crate) mod followed;
#[allow(dead_code, reason = "tests with pods need no process beside them")]
pub(crate) mod gateway;
pub(crate) mod kubernetes_server;
pub(crate) mod load;
pub(crate) mod manifest;
pub(crate) mod namespace;
pub(crate) mod object;
#[allow(dead_code, reason = "what the tests of faults do to an operator is not all used at all times")]
pub(crate) mod operator;
pub(crate) mod pods;
pub(crate) mod process;
#[expect(dead_code, reason = "the tests without a cluster use the rest")]
pub(crate) mod queries;
#[allow(dead_code, reason = "the gateway's own tests do more to it")]
pub(crate) mod redis;
#[expect(dead_code, reason = "the documentation and the tests without a cluster use the rest")]
pub(crate) mod rules;
pub(crate) mod schemas;
pub(crate) mod sdk;
pub(crate) mod wait;
pub(crate) mod writes;
