//! What a pass tells of a server that uses Redis, and what it takes over into the status.

use jiff::Timestamp;
use mcp_crds::catalog::ObjectKey;
use mcp_crds::v1alpha1::{self, MCPServerStatus};

use super::build;
use super::condition::{Reason, Type, Verdict};
use super::server::Plan;
use crate::redis::Redis;

/// Completes a status by what pods say of their Redis. What was last known stays in the status over restarts, and goes with
/// `spec.redis`.
pub(super) fn complete(
    status: &mut MCPServerStatus,
    redis: &Redis,
    key: &ObjectKey,
    plan: &Plan,
    stored: &MCPServerStatus,
    now: Timestamp,
) {
    let before = || stored.conditions.iter().find(|it| it.type_ == Type::RedisReady.as_str()).cloned();
    let Some(server) = plan.server() else {
        status.conditions.extend(before());
        return;
    };
    let used = server.spec().redis.as_ref().filter(|_| server.gateway().is_some());
    let Some(used) = used else {
        redis.forget(key);
        return;
    };
    let identity = server.identity();
    redis.observe(key, &identity.uid, build::admin_port(server.spec()));
    match redis.answers(key, &identity.uid) {
        Some(answers) => {
            let verdict = verdict(used, answers);
            let condition = verdict.condition(Type::RedisReady, identity.generation, &stored.conditions, now);
            status.conditions.push(condition);
        }
        None => status.conditions.extend(before()),
    }
}

fn verdict(redis: &v1alpha1::Redis, answers: bool) -> Verdict {
    let v1alpha1::Redis { service_name, port, .. } = redis;
    if answers {
        return Verdict::yes(Reason::Connected, format!("{service_name}:{port} answers the pods"));
    }
    Verdict::no(
        Reason::Disconnected,
        format!(
            "{service_name}:{port} does not answer every pod, and until it does each keeps sessions, cached results and rate \
             limits by itself; see the pods' logs"
        ),
    )
}
