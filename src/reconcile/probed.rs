//! What a pass tells the prober of a server, and what it takes over from it into the status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use mcp_crds::catalog::ObjectKey;
use mcp_crds::v1alpha1::{MCPServerStatus, Transport};

use super::condition::{Reason, Type, Verdict, whole_seconds};
use super::server::Plan;
use super::validate::ValidServer;
use crate::probe::{Failure, Found, Probed, Probes, Server, Target};

/// Completes a status by what is known from probing; the rest of it is decided.
///
/// What was last known stays in the status over restarts, and goes with the schedule.
pub(super) fn complete(
    status: &mut MCPServerStatus,
    probes: &Probes,
    key: &ObjectKey,
    plan: &Plan,
    stored: &MCPServerStatus,
    now: Timestamp,
) {
    let Some(server) = plan.server() else {
        // What its schedule is, is not known: until it is valid again everything stays.
        take_over(status, stored);
        return;
    };
    let Some(wanted) = wanted(server, key, status, stored) else {
        probes.forget(key);
        status.last_probe_time = None;
        return;
    };
    let uid = wanted.uid.clone();
    probes.observe(wanted, now);
    match probes.last(key, &uid) {
        Some(probed) => {
            let condition =
                verdict(&probed).condition(Type::ProbeSucceeded, probed.generation, &stored.conditions, now);
            status.conditions.push(condition);
            status.last_probe_time = Some(whole_seconds(probed.at));
        }
        None => take_over(status, stored),
    }
}

fn take_over(status: &mut MCPServerStatus, stored: &MCPServerStatus) {
    status.conditions.extend(find(&stored.conditions, Type::ProbeSucceeded).cloned());
    status.last_probe_time.clone_from(&stored.last_probe_time);
}

/// The server as the prober sees it. Nothing where nothing is to be asked: it has no schedule, nobody can reach it, or
/// its name leads to somebody else's Service.
fn wanted(
    server: &ValidServer,
    key: &ObjectKey,
    status: &MCPServerStatus,
    stored: &MCPServerStatus,
) -> Option<Server> {
    let (identity, spec) = (server.identity(), server.spec());
    // Valid as it is, it parses.
    let schedule = spec.schedule.as_deref()?.parse().ok()?;
    let holds = |type_| find(&status.conditions, type_).filter(|condition| condition.status == "True");
    holds(Type::ServiceReady)?;
    status.url.as_ref()?;
    let url = format!("{}{}", status.endpoint.as_deref()?, spec.path);
    Some(Server {
        key: key.clone(),
        uid: identity.uid.clone(),
        generation: identity.generation,
        target: target(url, spec.transport),
        schedule,
        ready_since: holds(Type::Ready).map(|ready| ready.last_transition_time.0),
        asked_at: stored.last_probe_time.as_ref().map(|time| time.0),
    })
}

fn target(url: String, transport: Transport) -> Target {
    Target { url: url.into(), may_be_sse: transport == Transport::Http }
}

fn find(conditions: &[Condition], type_: Type) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

fn verdict(Probed { url, answer, .. }: &Probed) -> Verdict {
    let failure = match answer {
        Ok(found) => return Verdict::yes(Reason::Answered, answered(found)),
        Err(failure) => failure,
    };
    match failure {
        Failure::Unreachable(_) => Verdict::no(Reason::Unreachable, format!("{url} {failure}")),
        Failure::Silent { .. } => Verdict::no(Reason::NoAnswer, format!("{url} {failure}")),
        Failure::Status { status: 404 | 405, .. } => Verdict::no(
            Reason::WrongAnswer,
            format!("{url} {failure}; spec.path says where the server speaks MCP, and spec.transport how"),
        ),
        Failure::Status { .. } | Failure::Error { .. } | Failure::NotMcp { .. } => {
            Verdict::no(Reason::WrongAnswer, format!("{url} {failure}"))
        }
    }
}

fn answered(found: &Found) -> String {
    let name = found.name.as_deref().unwrap_or("a server without a name");
    let version = found.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let tools = if found.tools == 1 { "tool" } else { "tools" };
    format!("{name}{version} answers by MCP {} and has {} {tools}", found.protocol, found.tools)
}
