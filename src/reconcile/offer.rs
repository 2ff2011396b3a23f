//! A pass over an MCPTool, MCPPrompt or MCPResource: who offers it, and if not everyone who selects it, why.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use mcp_crds::catalog::{self, Catalog, Conflict, Entry, Id, Index, ObjectKey};
use mcp_crds::field::{FieldError, FieldPath};
use mcp_crds::kind::Kind;
use mcp_crds::labels::TOOL_CREDENTIAL;
use mcp_crds::v1alpha1::OfferStatus;
use serde::Deserialize;
use serde_json::Value;

mod summary;

use self::summary::Summary;
use super::condition::{Reason, Type, Verdict, own};
use super::identity::Identity;
use super::validate::{self, sentence};
use super::{Context, Error, Outcome, apply, tell};

/// How many servers a status names; the rest is counted.
const MAX_SERVERS: usize = 100;

/// What the catalog says about an object.
#[derive(Debug)]
struct Standing {
    identity: Identity,
    document: Arc<str>,
    valid: bool,
    /// Servers that offer it, by name.
    servers: Vec<Arc<str>>,
    /// Servers that select it and offer something older instead, by name.
    lost: Vec<(Arc<str>, Conflict)>,
    services: Vec<Box<str>>,
    missing_services: Vec<Box<str>>,
    secrets: Vec<Box<str>>,
    withheld_secrets: Vec<Box<str>>,
}

pub(super) async fn reconcile(key: &ObjectKey, context: &Context) -> Result<Outcome, Error> {
    let Some(standing) = Standing::read(&context.catalog.read(), key) else {
        context.written.forget(key);
        return Ok(Outcome::AwaitChange);
    };
    let stored = match context.written.latest(key, &standing.document) {
        Some(latest) => Some(latest.status),
        None => stored_status(&standing.document)?,
    };
    let stored = readable(stored);
    let errors = if standing.valid { Vec::new() } else { errors(key.id.kind, &standing.document)? };
    let summary = Summary::of(key, &standing.document)?;
    let status = status(&standing, summary, &errors, &stored.conditions, (context.clock)());
    if status != stored {
        apply::status(context, &standing.identity, &standing.document, &status).await?;
        let told = tell::offer(&standing.identity, &stored.conditions, &status.conditions);
        told.into_iter().for_each(|occurrence| context.recorder.record(occurrence));
    }
    Ok(Outcome::AwaitChange)
}

/// Only the status is read: the rest of the document may be large.
fn stored_status(document: &str) -> Result<Option<Value>, Error> {
    #[derive(Deserialize)]
    struct Document {
        status: Option<Value>,
    }
    let document: Document = serde_json::from_str(document).map_err(Error::Document)?;
    Ok(document.status)
}

/// A status that does not read as one counts as none, and is replaced.
fn readable(status: Option<Value>) -> OfferStatus {
    let mut status = status.and_then(|status| OfferStatus::deserialize(status).ok()).unwrap_or_default();
    status.conditions = own(status.conditions);
    status
}

/// What the webhooks would have said.
fn errors(kind: Kind, document: &str) -> Result<Vec<FieldError>, Error> {
    let mut object: Value = serde_json::from_str(document).map_err(Error::Document)?;
    Ok(validate::errors(kind, &mut object))
}

impl Standing {
    /// `None` where there is no such object, or none that is worth a status.
    fn read(catalog: &Catalog, key: &ObjectKey) -> Option<Self> {
        let index = catalog.namespace(&key.namespace)?;
        let entry = index.get(&key.id).filter(|entry| !entry.deleting)?;
        let mut standing = Self {
            identity: Identity::of(entry),
            document: Arc::clone(&entry.document),
            valid: entry.valid,
            servers: Vec::new(),
            lost: Vec::new(),
            services: entry.services.clone(),
            missing_services: Vec::new(),
            secrets: entry.secrets.clone(),
            withheld_secrets: Vec::new(),
        };
        let missing = entry.services.iter().filter(|name| !catalog.has_service(&key.namespace, name));
        standing.missing_services.extend(missing.cloned());
        let withheld = entry.secrets.iter().filter(|name| !catalog.has_credential(&key.namespace, name));
        standing.withheld_secrets.extend(withheld.cloned());
        if entry.valid {
            standing.settle(index, entry);
        }
        Some(standing)
    }

    fn settle(&mut self, index: &Index, entry: &Entry) {
        for name in index.selecting(&entry.labels) {
            let server = index.get(&Id { kind: Kind::Server, name: Arc::clone(&name) });
            let Some(server) = server.filter(|server| server.valid && !server.deleting) else { continue };
            let Some(selector) = &server.selector else { continue };
            match catalog::standing(index, selector, entry) {
                Ok(()) => self.servers.push(name),
                Err(conflict) => self.lost.push((name, conflict)),
            }
        }
    }
}

fn status(
    standing: &Standing,
    summary: Summary,
    errors: &[FieldError],
    before: &[Condition],
    now: Timestamp,
) -> OfferStatus {
    let generation = standing.identity.generation;
    let accepted = accepted(standing, errors).condition(Type::Accepted, generation, before, now);
    let resolved = resolved(standing).map(|it| it.condition(Type::ServiceResolved, generation, before, now));
    let credentials =
        credentials(standing).map(|it| it.condition(Type::CredentialsResolved, generation, before, now));
    OfferStatus {
        conditions: [accepted].into_iter().chain(resolved).chain(credentials).collect(),
        servers: standing.servers.iter().take(MAX_SERVERS).map(ToString::to_string).collect(),
        server_count: i32::try_from(standing.servers.len()).unwrap_or(i32::MAX),
        variables: summary.variables,
        uri: summary.uri,
        observed_generation: Some(generation),
    }
}

fn accepted(standing: &Standing, errors: &[FieldError]) -> Verdict {
    if !standing.valid {
        let of_schema = !errors.is_empty() && errors.iter().all(is_of_schema);
        let reason = if of_schema { Reason::InvalidSchema } else { Reason::Invalid };
        return Verdict::no(reason, sentence(errors));
    }
    if let Some((server, conflict)) = standing.lost.first() {
        let (noun, value) = (conflict.claim.noun(), conflict.claim.value());
        let mut message =
            format!("{noun} \"{value}\" is already offered on server \"{server}\" by {}", conflict.winner);
        match standing.lost.len() - 1 {
            0 => {}
            1 => message.push_str(", and on 1 more server"),
            more => {
                let _ = write!(message, ", and on {more} more servers");
            }
        }
        return Verdict::no(Reason::DuplicateName, message);
    }
    let message = match standing.servers.len() {
        0 => format!("no server selects this {}", standing.identity.kind.noun()),
        1 => "offered by 1 server".to_owned(),
        count if count <= MAX_SERVERS => format!("offered by {count} servers"),
        count => format!("offered by {count} servers, of which status.servers names {MAX_SERVERS}"),
    };
    Verdict::yes(Reason::Accepted, message)
}

fn is_of_schema(error: &FieldError) -> bool {
    let segments = error.field.segments();
    ["inputSchema", "outputSchema"]
        .iter()
        .any(|schema| segments.starts_with(FieldPath::of(["spec", schema]).segments()))
}

/// `None` for what calls no Service.
fn resolved(standing: &Standing) -> Option<Verdict> {
    if standing.services.is_empty() {
        return None;
    }
    let namespace = &standing.identity.namespace;
    Some(match standing.missing_services.as_slice() {
        [] => Verdict::yes(Reason::Resolved, "every Service that it calls exists"),
        [one] => Verdict::no(
            Reason::ServiceNotFound,
            format!("Service \"{one}\" does not exist in namespace \"{namespace}\""),
        ),
        missing => Verdict::no(
            Reason::ServiceNotFound,
            format!("Services \"{}\" do not exist in namespace \"{namespace}\"", missing.join("\", \"")),
        ),
    })
}

/// `None` for what sends no Secret.
fn credentials(standing: &Standing) -> Option<Verdict> {
    if standing.secrets.is_empty() {
        return None;
    }
    let namespace = &standing.identity.namespace;
    let labelled = format_args!("in namespace \"{namespace}\" with the label {TOOL_CREDENTIAL}: \"true\"");
    Some(match standing.withheld_secrets.as_slice() {
        [] => Verdict::yes(Reason::Resolved, "every Secret that its headers name may be sent"),
        [one] => Verdict::no(Reason::ConsentMissing, format!("there is no Secret \"{one}\" {labelled}")),
        withheld => Verdict::no(
            Reason::ConsentMissing,
            format!("there are no Secrets \"{}\" {labelled}", withheld.join("\", \"")),
        ),
    })
}

#[cfg(test)]
mod tests;
