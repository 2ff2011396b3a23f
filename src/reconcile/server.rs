//! A pass over an MCPServer.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mcp_crds::catalog::ObjectKey;
use mcp_crds::v1alpha1::MCPServerStatus;
use serde::Deserialize;
use serde_json::Value;

use super::apply::{self, Applied, Change, Child};
use super::build::{self, Children};
use super::dereference::{self, Dereferenced, Offered};
use super::identity::Identity;
use super::keys::Keys;
use super::status::{self, Facts};
use super::validate::{Invalid, ValidServer};
use super::{Context, Error, Outcome, condition, finalize, keys, probed, redis, tell};

/// How long a first status waits for the Deployment to report its pods. Creation times have whole seconds, so an age
/// of two is one of one at least.
const FIRST_STATUS: SignedDuration = SignedDuration::from_secs(2);

/// After how long a name that is taken is tried again: nothing watches somebody else's objects.
const TAKEN: Duration = Duration::from_secs(30);

/// After how long a child that the API server does not take is tried again, in case its rules have changed.
const REFUSED: Duration = Duration::from_secs(300);

/// What a server should be: everything that is decided before the first request.
#[derive(Debug)]
pub(super) enum Plan {
    /// It breaks rules. Its children stay as they are.
    Invalid(Invalid),
    /// It runs, or is to.
    Valid(Box<ValidServer>, Box<Children>),
}

impl Plan {
    pub(super) fn new(identity: &Identity, document: &Value, offered: &Offered, gateway_image: &str) -> Self {
        match ValidServer::new(identity, document) {
            Err(invalid) => Self::Invalid(invalid),
            Ok(server) => {
                let children = Box::new(build::server(&server, gateway_image, offered));
                Self::Valid(Box::new(server), children)
            }
        }
    }

    pub(super) fn server(&self) -> Option<&ValidServer> {
        match self {
            Self::Invalid(_) => None,
            Self::Valid(server, _) => Some(server),
        }
    }
}

pub(super) async fn reconcile(key: &ObjectKey, context: &Context) -> Result<Outcome, Error> {
    let Some(found) = dereference::server(key, context) else {
        context.written.forget(key);
        context.probes.forget(key);
        context.redis.forget(key);
        context.removals.forget(key);
        return Ok(Outcome::AwaitChange);
    };
    let Dereferenced { identity, deleting, document: seen, offered, children: present, trouble } = found;
    let mut document: Value = serde_json::from_str(&seen).map_err(Error::Document)?;
    let latest = context.written.latest(key, &seen);
    let stored =
        stored_status(latest.as_ref().map(|latest| &latest.status).or_else(|| document.get("status")));
    set_version(&mut document, latest.and_then(|latest| latest.version));
    let now = (context.clock)();
    if deleting {
        context.probes.forget(key);
        context.redis.forget(key);
        let keys = keys::of(&context.removals, &identity, &document, now);
        let status = status::terminating(&identity, &stored, &keys, now);
        let written = write_status(context, &identity, &seen, status, stored).await?;
        set_version(&mut document, written);
        if !matches!(keys, Keys::Removing(_)) {
            finalize::release(context, &identity, &document).await?;
        }
        if let Keys::Left(why) = keys {
            context.recorder.record(tell::left(&identity, &why));
        }
        return Ok(Outcome::AwaitChange);
    }
    let plan = Plan::new(&identity, &document, &offered, &context.gateway_image);
    // What breaks rules may not take any write but that of its status.
    if plan.server().is_some() {
        finalize::keep(context, &identity, &document).await?;
    }
    let children = match &plan {
        Plan::Valid(_, wanted) => {
            let mut changes = Changes { context, identity: &identity, list: Vec::new() };
            apply::children(context, &identity, wanted, &present, &mut changes.list).await?
        }
        Plan::Invalid(_) => Applied::untouched(&identity, present),
    };
    if let Some(wait) = first_status_waits(&children, &stored, now) {
        return Ok(Outcome::After(wait));
    }
    let facts = Facts {
        identity: &identity,
        plan: &plan,
        offered: &offered,
        children: &children,
        trouble: trouble.as_ref(),
    };
    let mut status = status::server(&facts, &stored, now);
    probed::complete(&mut status, &context.probes, key, &plan, &stored, now);
    redis::complete(&mut status, &context.redis, key, &plan, &stored, now);
    status.conditions = condition::own(status.conditions);
    write_status(context, &identity, &seen, status, stored).await?;
    outcome(&identity, &children)
}

/// Makes what is written next mean the object as it is after the last write.
fn set_version(document: &mut Value, version: Option<String>) {
    if let (Some(version), Some(seen)) = (version, document.pointer_mut("/metadata/resourceVersion")) {
        *seen = version.into();
    }
}

/// What a pass does to the children. It is told when this goes, also where the pass fails half way or is given up: the next
/// one finds it done, and would not know.
struct Changes<'a> {
    context: &'a Context,
    identity: &'a Identity,
    list: Vec<Change>,
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        let told = tell::changes(self.identity, &self.list);
        told.into_iter().for_each(|occurrence| self.context.recorder.record(occurrence));
    }
}

/// A status that does not read as one counts as none, and is replaced.
fn stored_status(status: Option<&Value>) -> MCPServerStatus {
    status.and_then(|status| MCPServerStatus::deserialize(status).ok()).unwrap_or_default()
}

/// Writes a status where anything in it but times has changed: the times of what has not are the stored ones. Gives the
/// object's version after it.
async fn write_status(
    context: &Context,
    identity: &Identity,
    seen: &Arc<str>,
    status: MCPServerStatus,
    stored: MCPServerStatus,
) -> Result<Option<String>, Error> {
    let stored = status::own_part(stored);
    if status == stored {
        return Ok(None);
    }
    let version = apply::status(context, identity, seen, &status).await?;
    tell::status(identity, &stored, &status).into_iter().for_each(|told| context.recorder.record(told));
    Ok(version)
}

/// Whether a first status is better written a little later: the Deployment is about to report its pods.
fn first_status_waits(children: &Applied, stored: &MCPServerStatus, now: Timestamp) -> Option<Duration> {
    let rollout = children.rollout()?;
    if stored.observed_generation.is_some() || rollout.has_reported() {
        return None;
    }
    let created = rollout.created?;
    let left = created.checked_add(FIRST_STATUS).ok()?.duration_since(now);
    // A clock that is behind the API server's must not make it wait for long.
    Duration::try_from(left.min(FIRST_STATUS)).ok().filter(|left| !left.is_zero())
}

/// When to look at children again that are not as they should be, and that no watch tells about.
fn outcome(identity: &Identity, children: &Applied) -> Result<Outcome, Error> {
    let mut wait: Option<Duration> = None;
    for (_, child) in children.all() {
        let again = match child {
            Child::Own(_) | Child::Absent => continue,
            Child::Taken(_) => TAKEN,
            Child::Refused(_) => REFUSED,
            Child::Forbidden(message) => {
                return Err(Error::Refused {
                    what: format!("a child of {identity}"),
                    message: message.clone(),
                });
            }
        };
        wait = Some(wait.map_or(again, |wait| wait.min(again)));
    }
    Ok(wait.map_or(Outcome::AwaitChange, Outcome::After))
}
