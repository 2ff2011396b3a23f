//! A server's status, from what a pass found out. Pure: the time is a parameter, and matters only where something flips.

use std::fmt::Write as _;

use jiff::Timestamp;
use mcp_crds::snapshot::{self, MAX_SHARDS};
use mcp_crds::v1alpha1::{self, MCPServerSpec, MCPServerStatus, Phase, Transport};

use super::apply::{Applied, Child};
use super::build::{CatalogState, ingress, labels};
use super::condition::{Reason, Type, Verdict, own, whole_seconds};
use super::dereference::Offered;
use super::identity::Identity;
use super::keys::Keys;
use super::server::Plan;
use super::validate::Invalid;
use crate::children::{ChildKind, Facts as ChildFacts, Rollout};
use crate::pods::Trouble;

/// What a pass found out.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) identity: &'a Identity,
    pub(super) plan: &'a Plan,
    pub(super) offered: &'a Offered,
    pub(super) children: &'a Applied,
    /// Why its pods do not come up, as far as they say so.
    pub(super) trouble: Option<&'a Trouble>,
}

/// The status of a server, given the one that is stored. Equal to the part of it that passes write ([`own_part`]) where
/// nothing but time has passed.
pub(super) fn server(facts: &Facts<'_>, stored: &MCPServerStatus, now: Timestamp) -> MCPServerStatus {
    let generation = facts.identity.generation;
    let conditions = conditions(facts);
    let (ready, phase) = ready(facts, &conditions);
    let conditions = std::iter::once((Type::Ready, ready)).chain(conditions);
    let conditions = conditions
        .map(|(type_, verdict)| verdict.condition(type_, generation, &stored.conditions, now))
        .collect();
    let mut status = describe(facts, stored);
    status.conditions = conditions;
    status.observed_generation = Some(generation);
    in_phase(phase, status, stored, now)
}

/// The status of a server that is being deleted: as it was, and terminating.
pub(super) fn terminating(
    identity: &Identity,
    stored: &MCPServerStatus,
    keys: &Keys,
    now: Timestamp,
) -> MCPServerStatus {
    let mut status = own_part(stored.clone());
    let held = stored.conditions.iter().find(|it| it.reason == Reason::KeysNotRemoved.as_str());
    let ready = match (keys, held) {
        (Keys::Removing(Some(why)), _) => Verdict::no(Reason::KeysNotRemoved, why),
        // Whoever leads now has not seen yet whether that still holds.
        (Keys::Removing(None), Some(held)) => Verdict::no(Reason::KeysNotRemoved, &*held.message),
        _ => Verdict::no(Reason::Terminating, "the server is being deleted"),
    };
    let ready = ready.condition(Type::Ready, identity.generation, &stored.conditions, now);
    status.conditions.retain(|condition| condition.type_ != ready.type_);
    status.conditions.insert(0, ready);
    status.observed_generation = Some(identity.generation);
    in_phase(Phase::Terminating, status, stored, now)
}

/// The part of a stored status that passes write.
pub(super) fn own_part(mut stored: MCPServerStatus) -> MCPServerStatus {
    stored.conditions = own(stored.conditions);
    stored
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
    match facts.plan {
        Plan::Valid(_, built) => catalog(&built.catalog, facts, stored, &mut status),
        Plan::Invalid(_) => {}
    }
    let rollout = facts.children.rollout();
    status.replicas = rollout.map_or(0, |rollout| rollout.replicas);
    status.ready_replicas = rollout.map_or(0, |rollout| rollout.ready);
    status
}

/// What is being served.
fn catalog(state: &CatalogState, facts: &Facts<'_>, stored: &MCPServerStatus, status: &mut MCPServerStatus) {
    match state {
        CatalogState::Written { revision, counts, .. } => {
            (status.tools, status.prompts, status.resources) =
                (counts.tools, counts.prompts, counts.resources);
            status.catalog_revision = Some(revision.clone());
        }
        // The last one that was not too large.
        CatalogState::TooLarge { .. } if serves_an_earlier_catalog(facts) => {
            (status.tools, status.prompts, status.resources) =
                (stored.tools, stored.prompts, stored.resources);
            status.catalog_revision.clone_from(&stored.catalog_revision);
        }
        CatalogState::TooLarge { .. } | CatalogState::NotWanted => {}
    }
}

/// Whether a gateway has a catalog that was written before.
fn serves_an_earlier_catalog(facts: &Facts<'_>) -> bool {
    let index = snapshot::name(&facts.identity.name);
    facts.children.all().any(|(key, child)| *key.name == *index && matches!(child, Child::Own(_)))
}

fn address(identity: &Identity, spec: &MCPServerSpec) -> MCPServerStatus {
    let endpoint = format!("http://{}.{}.svc.cluster.local:{}", identity.name, identity.namespace, spec.port);
    MCPServerStatus {
        selector: Some(labels::selector_text(&identity.name)),
        url: reachable(spec)
            .then(|| ingress::url(spec).unwrap_or_else(|| format!("{endpoint}{}", spec.path))),
        endpoint: reachable(spec).then_some(endpoint),
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
        Plan::Valid(server, built) => (server, built),
    };
    let config_maps = facts.children.all().filter(|(key, _)| key.kind == ChildKind::ConfigMap);
    if let Some(trouble) = config_maps.filter_map(|(key, child)| trouble(key.kind, child)).next() {
        return trouble;
    }
    match &built.catalog {
        CatalogState::TooLarge { bytes } if server.gateway().is_some() => {
            let more = if serves_an_earlier_catalog(facts) { "; what was served before stays" } else { "" };
            Verdict::no(
                Reason::CatalogTooLarge,
                format!("the catalog would be {bytes} bytes, more than {MAX_SHARDS} ConfigMaps hold{more}"),
            )
        }
        CatalogState::TooLarge { bytes } => Verdict::no(
            Reason::CatalogTooLarge,
            format!("catalog.json would be {bytes} bytes, more than a ConfigMap holds, and is left out"),
        ),
        CatalogState::Written { left_out, .. } => Verdict::yes(Reason::Valid, notes(facts.offered, left_out)),
        CatalogState::NotWanted => Verdict::yes(Reason::Valid, notes(facts.offered, &[])),
    }
}

/// What is valid, and may still not be what its author expects.
fn notes(offered: &Offered, not_compiled: &[String]) -> String {
    let mut notes = "the object keeps every rule".to_owned();
    for (id, conflict) in offered.left_out.iter().take(3) {
        let (noun, value) = (conflict.claim.noun(), conflict.claim.value());
        let _ = write!(notes, "; {id} is left out, as {noun} \"{value}\" is {}'s", conflict.winner);
    }
    if let Some(more) = offered.left_out.len().checked_sub(3).filter(|more| *more > 0) {
        let _ = write!(notes, "; {more} more are left out");
    }
    for why in not_compiled.iter().take(3) {
        let _ = write!(notes, "; {why}, and is left out");
    }
    notes
}

/// All conditions but `Ready`, in the order in which they stand.
fn conditions(facts: &Facts<'_>) -> Vec<(Type, Verdict)> {
    let mut conditions = vec![
        (Type::DeploymentReady, of_child(facts, ChildKind::Deployment, || deployment(facts).0)),
        (Type::ServiceReady, of_child(facts, ChildKind::Service, || service(facts.identity))),
    ];
    let spec = facts.plan.server().map(super::validate::ValidServer::spec);
    if let Some(wanted) = spec.and_then(|spec| spec.ingress.as_ref()) {
        conditions
            .push((Type::IngressReady, of_child(facts, ChildKind::Ingress, || ingress_of(facts, wanted))));
    }
    conditions.push((Type::ConfigurationValid, configuration(facts)));
    conditions
}

/// What is to be said of a child; `own` speaks where it is the server's.
fn of_child(facts: &Facts<'_>, kind: ChildKind, own: impl FnOnce() -> Verdict) -> Verdict {
    trouble(kind, facts.children.of(kind)).unwrap_or_else(own)
}

/// Why a child that was asked for is not there as it should be.
fn trouble(kind: ChildKind, child: &Child) -> Option<Verdict> {
    Some(match child {
        Child::Own(_) => return None,
        Child::Taken(message) => Verdict::no(Reason::NameTaken, message.clone()),
        Child::Refused(message) => Verdict::no(Reason::Refused, message.clone()),
        Child::Forbidden(message) => Verdict::no(Reason::Forbidden, message.clone()),
        Child::Absent => Verdict::no(Reason::NotCreated, format!("there is no {kind}")),
    })
}

fn service(identity: &Identity) -> Verdict {
    Verdict::yes(Reason::Created, format!("Service \"{}\" stands in front of the pods", identity.name))
}

fn ingress_of(facts: &Facts<'_>, wanted: &v1alpha1::Ingress) -> Verdict {
    let root = ingress::root(wanted);
    match facts.children.of(ChildKind::Ingress) {
        Child::Own(child) if child.facts == (ChildFacts::Ingress { addressed: true }) => {
            Verdict::yes(Reason::AddressAssigned, format!("{root} leads to the Service"))
        }
        _ => Verdict::no(
            Reason::AddressPending,
            format!(
                "no ingress controller has reported an address for {root}; spec.ingress.className says which one should"
            ),
        ),
    }
}

/// The pods, and the phase that follows from them.
fn deployment(facts: &Facts<'_>) -> (Verdict, Phase) {
    match facts.children.rollout() {
        Some(rollout) => pods(facts, rollout),
        None => (Verdict::no(Reason::NotCreated, "there is no Deployment"), Phase::Pending),
    }
}

/// In this order: that no pods are wanted, that enough of them are available, why they cannot be created, why they do not come
/// up, that they have taken too long, that they are being started.
fn pods(facts: &Facts<'_>, rollout: &Rollout) -> (Verdict, Phase) {
    if rollout.wanted == 0 {
        return (Verdict::yes(Reason::ScaledToZero, "no replicas are wanted"), Phase::Pending);
    }
    let creating = rollout.replica_failure.as_deref().map(Trouble::creating);
    let trouble = creating.as_ref().or(facts.trouble);
    let told =
        trouble.zip(facts.plan.server()).map(|(trouble, server)| (trouble, trouble.sentence(server.spec())));
    let available = format!("{} of {} replicas are available", rollout.available, rollout.wanted);
    // A Deployment without pods has its condition too, and keeps it until its controller has seen that it is to have some.
    if rollout.is_available && rollout.available > 0 {
        let more =
            told.map_or_else(String::new, |(_, sentence)| format!("; a pod does not come up: {sentence}"));
        return (Verdict::yes(Reason::Available, available + &more), Phase::Ready);
    }
    if let Some((trouble, sentence)) = told {
        let waits = trouble.may_pass() && rollout.late.is_none();
        let phase = if waits { Phase::Pending } else { Phase::Failed };
        return (Verdict::no(trouble.into(), sentence), phase);
    }
    if let Some(late) = &rollout.late {
        return (Verdict::no(Reason::ProgressDeadlineExceeded, &**late), Phase::Failed);
    }
    (Verdict::no(Reason::Progressing, available), Phase::Pending)
}

/// Whether the server serves, and the phase that follows. The first of what is in the way is the reason: the configuration,
/// then what could not be made, in the order in which it is made, then the pods.
fn ready(facts: &Facts<'_>, conditions: &[(Type, Verdict)]) -> (Verdict, Phase) {
    let find =
        |type_| conditions.iter().find(|(found, _)| *found == type_).map(|(_, verdict)| verdict.clone());
    let configuration = find(Type::ConfigurationValid);
    let is_fatal = |verdict: &Verdict| {
        let image = facts.plan.server().is_some_and(|server| server.gateway().is_none());
        let goes_on = image || serves_an_earlier_catalog(facts);
        !verdict.holds && (verdict.reason != Reason::CatalogTooLarge || !goes_on)
    };
    if let Some(wrong) = configuration.filter(is_fatal) {
        return (wrong, Phase::Failed);
    }
    if let Some(trouble) = facts.children.all().find_map(|(key, child)| trouble(key.kind, child)) {
        return (trouble, Phase::Failed);
    }
    let (deployment, phase) = deployment(facts);
    if phase != Phase::Ready {
        return (Verdict { holds: false, ..deployment }, phase);
    }
    let Some(spec) = facts.plan.server().map(super::validate::ValidServer::spec) else {
        return (deployment, phase);
    };
    if spec.transport == Transport::Stdio && !spec.command.is_empty() {
        let message = "the process runs, and nobody can reach it: a stdio server is reached over the bridge, which this version of the operator does not run; use an image that speaks HTTP, and change spec.transport";
        // Waiting does not help.
        return (Verdict::no(Reason::BridgeNotAvailable, message), Phase::Failed);
    }
    let mut message = deployment.message;
    if spec.transport == Transport::Stdio {
        message.push_str("; without a command the image's own process runs, and is not reachable over HTTP");
    }
    (Verdict::yes(Reason::Available, message), Phase::Ready)
}

#[cfg(test)]
mod tests;
