//! A server's status, from what a pass found out. Pure: the time is a parameter, and matters only where something flips.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::core::v1::Service;
use mcp_crds::kind::Kind;
use mcp_crds::v1alpha1::{MCPServerSpec, MCPServerStatus, Phase, ProbeType, Transport};

use super::apply::{Applied, Child};
use super::build::config::CatalogFile;
use super::build::labels;
use super::condition::{Reason, Type, Verdict, own, whole_seconds};
use super::dereference::Offered;
use super::identity::Identity;
use super::server::Plan;
use super::validate::Invalid;

/// What a pass found out.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) identity: &'a Identity,
    pub(super) plan: &'a Plan,
    pub(super) offered: &'a Offered,
    pub(super) children: &'a Applied,
}

/// The status of a server, given the one that is stored. Equal to the part of it that passes write ([`own_part`]) where
/// nothing but time has passed.
pub(super) fn server(facts: &Facts<'_>, stored: &MCPServerStatus, now: Timestamp) -> MCPServerStatus {
    let configuration = configuration(facts);
    let service = child(&facts.children.service, "Service", |service| {
        Verdict::yes(Reason::Created, format!("Service \"{}\" stands in front of the pods", name(service)))
    });
    let deployment = child(&facts.children.deployment, "Deployment", deployment);
    let (ready, phase) = ready(facts, [&configuration, &service, &deployment]);
    let generation = facts.identity.generation;
    let conditions = [
        (Type::Ready, ready),
        (Type::DeploymentReady, deployment),
        (Type::ServiceReady, service),
        (Type::ConfigurationValid, configuration),
    ];
    let conditions = conditions
        .map(|(type_, verdict)| verdict.condition(type_, generation, &stored.conditions, now))
        .into();
    let mut status = describe(facts, stored);
    status.conditions = conditions;
    status.observed_generation = Some(generation);
    in_phase(phase, status, stored, now)
}

/// The status of a server that is being deleted: as it was, and terminating.
pub(super) fn terminating(identity: &Identity, stored: &MCPServerStatus, now: Timestamp) -> MCPServerStatus {
    let mut status = own_part(stored.clone());
    let ready = Verdict::no(Reason::Terminating, "the server is being deleted");
    let ready = ready.condition(Type::Ready, identity.generation, &stored.conditions, now);
    status.conditions.retain(|condition| condition.type_ != ready.type_);
    status.conditions.insert(0, ready);
    status.observed_generation = Some(identity.generation);
    in_phase(Phase::Terminating, status, stored, now)
}

/// The part of a stored status that passes write; the rest is the prober's.
pub(super) fn own_part(mut stored: MCPServerStatus) -> MCPServerStatus {
    stored.conditions = own(stored.conditions);
    stored.last_probe_time = None;
    stored
}

/// Whether the Deployment has reported all pods that it is to have, so that a first status is worth writing.
pub(super) fn has_reported(deployment: &Deployment) -> bool {
    let wanted = wanted_replicas(deployment);
    let status = deployment.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation) >= deployment.metadata.generation;
    seen && status.and_then(|status| status.replicas).unwrap_or(0) >= wanted
}

fn in_phase(
    phase: Phase,
    mut status: MCPServerStatus,
    stored: &MCPServerStatus,
    now: Timestamp,
) -> MCPServerStatus {
    let since = stored.last_transition_time.clone().filter(|_| stored.phase == phase);
    status.phase = phase;
    status.last_transition_time = Some(since.unwrap_or_else(|| whole_seconds(now)));
    status
}

/// Everything but conditions and phase.
fn describe(facts: &Facts<'_>, stored: &MCPServerStatus) -> MCPServerStatus {
    let mut status = match facts.plan.server() {
        Some(server) => address(facts.identity, server.spec()),
        // What runs goes on as it was described, until the object is valid again.
        None => own_part(stored.clone()),
    };
    if let Plan::Image(_, built) = facts.plan
        && let CatalogFile::Written { revision } = &built.catalog
    {
        let count = |kind| {
            let offers = facts.offered.served.iter().filter(|offer| offer.id.kind == kind).count();
            i32::try_from(offers).unwrap_or(i32::MAX)
        };
        status.tools = count(Kind::Tool);
        status.prompts = count(Kind::Prompt);
        status.resources = count(Kind::Resource);
        status.catalog_revision = Some(revision.clone());
    }
    let pods = match &facts.children.deployment {
        Child::Own(deployment) => deployment.status.as_ref(),
        _ => None,
    };
    status.replicas = pods.and_then(|pods| pods.replicas).unwrap_or(0);
    status.ready_replicas = pods.and_then(|pods| pods.ready_replicas).unwrap_or(0);
    status
}

fn address(identity: &Identity, spec: &MCPServerSpec) -> MCPServerStatus {
    let endpoint = format!("http://{}.{}.svc.cluster.local:{}", identity.name, identity.namespace, spec.port);
    MCPServerStatus {
        selector: Some(labels::selector_text(&identity.name)),
        url: reachable(spec).then(|| format!("{endpoint}{}", spec.path)),
        endpoint: Some(endpoint),
        ..MCPServerStatus::default()
    }
}

/// Whether an MCP client can connect: not to a process that speaks over its standard input.
fn reachable(spec: &MCPServerSpec) -> bool {
    spec.transport != Transport::Stdio
}

fn configuration(facts: &Facts<'_>) -> Verdict {
    let (server, built) = match facts.plan {
        Plan::Invalid(Invalid(errors)) => return Verdict::no(Reason::Invalid, errors.clone()),
        Plan::WithoutImage(server) => {
            return Verdict::yes(Reason::Valid, notes(server.spec(), facts.offered));
        }
        Plan::Image(server, built) => (server, built),
    };
    match (&facts.children.config_map, &built.catalog) {
        (Child::Own(_) | Child::Absent, CatalogFile::TooLarge { bytes }) => Verdict::no(
            Reason::CatalogTooLarge,
            format!("catalog.json would be {bytes} bytes, more than a ConfigMap holds, and is left out"),
        ),
        (Child::Own(_) | Child::Absent, _) => {
            Verdict::yes(Reason::Valid, notes(server.spec(), facts.offered))
        }
        (other, _) => child(other, "ConfigMap", |_| Verdict::yes(Reason::Valid, "")),
    }
}

/// What is valid, and may still not be what its author expects.
fn notes(spec: &MCPServerSpec, offered: &Offered) -> String {
    let mut notes = "the object keeps every rule".to_owned();
    if spec.transport != Transport::Stdio
        && spec.probes.as_ref().is_some_and(|probes| probes.type_ == ProbeType::Mcp)
    {
        notes
            .push_str("; probes of type MCP need the gateway's binary, until then the port is probed by TCP");
    }
    for (id, conflict) in offered.left_out.iter().take(3) {
        let (noun, value) = (conflict.claim.noun(), conflict.claim.value());
        let _ = write!(notes, "; {id} is left out, as {noun} \"{value}\" is {}'s", conflict.winner);
    }
    if let Some(more) = offered.left_out.len().checked_sub(3).filter(|more| *more > 0) {
        let _ = write!(notes, "; {more} more are left out");
    }
    notes
}

/// What is to be said of a child; `own` speaks where it is the server's.
fn child<K>(child: &Child<K>, kind: &str, own: impl FnOnce(&K) -> Verdict) -> Verdict {
    match child {
        Child::Own(child) => own(child),
        Child::Taken(message) => Verdict::no(Reason::NameTaken, message.clone()),
        Child::Refused(message) => Verdict::no(Reason::Refused, message.clone()),
        Child::Forbidden(message) => Verdict::no(Reason::Forbidden, message.clone()),
        Child::Absent => Verdict::no(Reason::NotCreated, format!("there is no {kind}")),
    }
}

fn deployment(deployment: &Deployment) -> Verdict {
    let wanted = wanted_replicas(deployment);
    let status = deployment.status.clone().unwrap_or_default();
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let find = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_);
    let said = |condition: &DeploymentCondition| condition.message.clone().unwrap_or_default();
    let available = format!("{} of {wanted} replicas are available", status.available_replicas.unwrap_or(0));
    if wanted == 0 {
        return Verdict::yes(Reason::ScaledToZero, "no replicas are wanted");
    }
    if let Some(failure) = find("ReplicaFailure").filter(|condition| condition.status == "True") {
        return Verdict::no(Reason::ReplicaFailure, said(failure));
    }
    let progressing = find("Progressing").filter(|condition| condition.status == "False");
    if let Some(late) = progressing.filter(|late| late.reason.as_deref() == Some("ProgressDeadlineExceeded"))
    {
        return Verdict::no(Reason::ProgressDeadlineExceeded, said(late));
    }
    match find("Available") {
        Some(condition) if condition.status == "True" => Verdict::yes(Reason::Available, available),
        _ => Verdict::no(Reason::Progressing, available),
    }
}

/// Whether the server serves, and the phase that follows. The first of what is in the way is the reason.
fn ready(facts: &Facts<'_>, [configuration, service, deployment]: [&Verdict; 3]) -> (Verdict, Phase) {
    let blocking = |verdict: &Verdict| !verdict.holds && verdict.reason != Reason::CatalogTooLarge;
    if blocking(configuration) {
        return (configuration.clone(), Phase::Failed);
    }
    let Plan::Image(server, _) = facts.plan else {
        let message = "a server without an image is served by the gateway, which this version of the operator does not run";
        return (Verdict::no(Reason::GatewayNotAvailable, message), Phase::Pending);
    };
    if let Some(failed) = [service, deployment].into_iter().find(|verdict| blocking(verdict)) {
        let waits = failed.reason == Reason::Progressing || failed.reason == Reason::NotCreated;
        return (failed.clone(), if waits { Phase::Pending } else { Phase::Failed });
    }
    if deployment.reason == Reason::ScaledToZero {
        return (Verdict::no(Reason::ScaledToZero, deployment.message.clone()), Phase::Pending);
    }
    let spec = server.spec();
    if spec.transport == Transport::Stdio && !spec.command.is_empty() {
        let message = "the process runs, and nobody can reach it: a stdio server is reached over the bridge, which this version of the operator does not run";
        return (Verdict::no(Reason::BridgeNotAvailable, message), Phase::Pending);
    }
    let mut message = deployment.message.clone();
    if spec.transport == Transport::Stdio {
        message.push_str("; without a command the image's own process runs, and is not reachable over HTTP");
    }
    (Verdict::yes(Reason::Available, message), Phase::Ready)
}

fn wanted_replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn name(service: &Service) -> &str {
    service.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests;
