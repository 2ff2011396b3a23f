//! What is told to people as Events: what a pass did, and where an object's state became another. Pure.
//!
//! The stored status is the memory of what was told: what it says already is not told again, also after a restart.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use mcp_crds::kind::API_VERSION;
use mcp_crds::v1alpha1::{MCPServerStatus, Phase};

use super::apply::Change;
use super::condition::{Reason, Type};
use super::identity::Identity;
use crate::children::ChildKey;
use crate::recorder::Occurrence;

/// What the operator does with what goes.
const DELETE: &str = "Delete";

impl Identity {
    fn occurrence(&self, warning: bool, reason: Reason, action: &'static str, note: String) -> Occurrence {
        Occurrence {
            api_version: API_VERSION,
            kind: self.kind.as_str(),
            namespace: Arc::clone(&self.namespace),
            name: Arc::clone(&self.name),
            uid: self.uid.clone(),
            warning,
            reason: reason.as_str(),
            action,
            note,
        }
    }
}

/// What a pass did: one Event for what it made, one for what it removed, one for another number of pods.
pub(super) fn changes(identity: &Identity, changes: &[Change]) -> Vec<Occurrence> {
    let list = |wanted: fn(&Change) -> Option<&ChildKey>| {
        let names = changes.iter().filter_map(wanted).map(|key| format!("{} \"{}\"", key.kind, key.name));
        Some(names.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
    };
    let created = list(|change| match change {
        Change::Created(key) => Some(key),
        _ => None,
    });
    let deleted = list(|change| match change {
        Change::Deleted(key) => Some(key),
        _ => None,
    });
    let created = created.map(|names| (Reason::Created, "Create", format!("created {names}")));
    let deleted =
        deleted.map(|names| (Reason::Deleted, DELETE, format!("deleted {names}, no longer asked for")));
    let scaled = changes.iter().filter_map(|change| match change {
        Change::Scaled { from, to } => {
            Some((Reason::Scaled, "Scale", format!("scaled from {from} to {to} replicas")))
        }
        _ => None,
    });
    let all = created.into_iter().chain(deleted).chain(scaled);
    all.map(|(reason, action, note)| identity.occurrence(false, reason, action, note)).collect()
}

/// A server that failed, by its reason; or whose deletion is held up, once, however each try fails.
pub(super) fn status(
    identity: &Identity,
    before: &MCPServerStatus,
    after: &MCPServerStatus,
) -> Option<Occurrence> {
    let ready = find(&after.conditions, Type::Ready)?;
    let reason = Reason::from_name(&ready.reason)?;
    let was_so = || find(&before.conditions, Type::Ready).is_some_and(|before| before.reason == ready.reason);
    let (is_news, action) = match (after.phase, reason) {
        (Phase::Failed, _) => (is_news(&before.conditions, ready), "Reconcile"),
        (_, Reason::KeysNotRemoved) => (!was_so(), DELETE),
        _ => return None,
    };
    is_news.then(|| identity.occurrence(true, reason, action, ready.message.clone()))
}

/// What a server that has been released leaves behind.
pub(super) fn left(identity: &Identity, why: &str) -> Occurrence {
    identity.occurrence(true, Reason::KeysNotRemoved, DELETE, why.to_owned())
}

/// A tool, prompt or resource that is not accepted: what it conflicts with, or what is wrong with it.
pub(super) fn offer(identity: &Identity, before: &[Condition], after: &[Condition]) -> Option<Occurrence> {
    let accepted = find(after, Type::Accepted).filter(|accepted| accepted.status == "False")?;
    let reason = Reason::from_name(&accepted.reason)?;
    is_news(before, accepted)
        .then(|| identity.occurrence(true, reason, "Reconcile", accepted.message.clone()))
}

fn find(conditions: &[Condition], type_: Type) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

/// Whether a condition says something else than it did.
fn is_news(before: &[Condition], now: &Condition) -> bool {
    let before = before.iter().find(|before| before.type_ == now.type_);
    before.is_none_or(|before| (&before.reason, &before.message) != (&now.reason, &now.message))
}

#[cfg(test)]
mod tests;
