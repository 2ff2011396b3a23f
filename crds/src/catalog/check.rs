//! Rules that look across objects: S15 (on create), S16, T10, and the duplicates of P1 and R1.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::Catalog;
use super::entry::{Claim, Claimed, Entry, Id, ObjectKey};
use super::index::Index;
use crate::field::{FieldError, FieldPath, Findings};
use crate::kind::Kind;
use crate::selector::{Labels, Selector};
use crate::v1alpha1::Transport;

/// How many duplicates a server's selector is told of at once.
const MAX_DUPLICATES: usize = 100;

impl Catalog {
    /// Whether an object may stand beside the others, those included that were admitted a moment ago.
    #[must_use]
    pub fn check(&self, candidate: &Entry, now: Instant) -> Findings {
        let mut findings = Findings::default();
        let views = self.views(candidate, now);
        if candidate.key.id.kind == Kind::Server {
            check_selector(candidate, &views, &mut findings);
        } else {
            check_claims(candidate, &views, &mut findings);
            self.check_services(candidate, &mut findings);
        }
        findings
    }

    /// S3, for `kubectl scale`: the object under review is then an `autoscaling/v1` Scale.
    #[must_use]
    pub fn check_scale(&self, namespace: &str, name: &str, replicas: i64) -> Findings {
        let mut findings = Findings::default();
        let stdio = self.server(namespace, name).is_some_and(|server| server.transport == Transport::Stdio);
        if stdio && replicas > 1 {
            findings.error(stdio_replicas(replicas));
        }
        findings
    }

    fn views(&self, candidate: &Entry, now: Instant) -> Vec<View<'_>> {
        let namespace = &candidate.key.namespace;
        let observed = self.observed.get(namespace).map(|index| View { index, reserved: None });
        let reserved = self.reserved.by_namespace.get(namespace);
        let reserved = reserved.map(|index| View { index, reserved: Some((&self.reserved.until, now)) });
        observed.into_iter().chain(reserved).collect()
    }

    fn check_services(&self, candidate: &Entry, findings: &mut Findings) {
        let namespace = &candidate.key.namespace;
        for (service, field) in candidate.called().filter(|(name, _)| !self.has_service(namespace, name)) {
            let text =
                format_args!("Service \"{service}\" does not exist in namespace \"{namespace}\" (yet)");
            findings.warn(field, text);
        }
    }
}

/// S3.
#[must_use]
fn stdio_replicas(replicas: i64) -> FieldError {
    let field = FieldPath::of(["spec", "replicas"]);
    FieldError::invalid(field, &replicas.into(), "stdio transport does not support multiple replicas")
        .depending_on([FieldPath::of(["spec", "transport"])])
}

/// Objects that a candidate must stand beside.
struct View<'a> {
    index: &'a Index,
    /// Set where they were admitted and the watch has not shown them yet: until when each stands, and now.
    reserved: Option<(&'a HashMap<ObjectKey, Instant>, Instant)>,
}

impl View<'_> {
    fn claimants<'a>(&'a self, claim: &'a Claim) -> impl Iterator<Item = &'a Entry> {
        self.index.claimants(claim).filter(|entry| self.stands(entry))
    }

    fn selected<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a Entry> {
        self.index.selected(selector).filter(|entry| self.stands(entry))
    }

    /// Names of the servers that select an object with these labels.
    fn selecting(&self, labels: &Labels) -> impl Iterator<Item = Arc<str>> {
        let stands = |name: &Arc<str>| {
            let id = Id { kind: Kind::Server, name: Arc::clone(name) };
            self.index.get(&id).is_some_and(|server| self.stands(server))
        };
        self.index.selecting(labels).into_iter().filter(stands)
    }

    fn stands(&self, entry: &Entry) -> bool {
        entry.valid && !entry.deleting && self.is_reserved_still(entry)
    }

    fn is_reserved_still(&self, entry: &Entry) -> bool {
        self.reserved.is_none_or(|(until, now)| until.get(&entry.key).is_some_and(|until| *until > now))
    }
}

/// T10, P1, R1: nobody that a common server selects may have made the same claim.
fn check_claims(candidate: &Entry, views: &[View<'_>], findings: &mut Findings) {
    for claimed in &candidate.claims {
        let conflict = views.iter().find_map(|view| {
            view.claimants(&claimed.claim).filter(|rival| rival.key != candidate.key).find_map(|rival| {
                let server = common_server(candidate, rival, views)?;
                Some((rival, server, view.reserved.is_some()))
            })
        });
        let Some((rival, server, creating)) = conflict else { continue };
        let noun = claimed.claim.noun();
        let value = claimed.claim.value();
        let state = if creating { ", which is being created" } else { "" };
        let detail = format!(
            "{noun} \"{value}\" is already offered on server \"{server}\" by {}{state}",
            rival.key.id
        );
        findings.error(
            FieldError::duplicate(claimed.field.clone(), &value, detail).depending_on(claimed.sources()),
        );
    }
}

fn common_server(a: &Entry, b: &Entry, views: &[View<'_>]) -> Option<Arc<str>> {
    let selecting = |entry: &Entry| -> BTreeSet<Arc<str>> {
        views.iter().flat_map(|view| view.selecting(&entry.labels)).collect()
    };
    selecting(a).intersection(&selecting(b)).next().cloned()
}

/// S16: a selector must not bring two that claim the same.
fn check_selector(server: &Entry, views: &[View<'_>], findings: &mut Findings) {
    let Some(selector) = &server.selector else { return };
    let field = FieldPath::of(["spec", "toolSelector"]);
    // What is picked up is mostly little, however much there is beside it.
    let mut claimed_by: HashMap<&Claim, &ObjectKey> = HashMap::new();
    let mut contended: BTreeSet<&Claim> = BTreeSet::new();
    for entry in views.iter().flat_map(|view| view.selected(selector)) {
        for Claimed { claim, .. } in &entry.claims {
            if claimed_by.insert(claim, &entry.key).is_some_and(|other| *other != entry.key) {
                contended.insert(claim);
            }
        }
    }
    for claim in contended {
        if findings.errors.len() == MAX_DUPLICATES {
            break;
        }
        let mut holders: Vec<&Entry> = Vec::new();
        for entry in views.iter().flat_map(|view| view.claimants(claim)) {
            let known = holders.iter().any(|holder| holder.key == entry.key);
            if !known && selector.matches(&entry.labels) {
                holders.push(entry);
            }
        }
        if let [first, second, ..] = holders.as_slice() {
            let detail = format!(
                "the selector brings {} and {}, which both offer {} \"{}\"",
                first.key.id,
                second.key.id,
                claim.noun(),
                claim.value()
            );
            findings.error(FieldError::duplicate(field.clone(), &claim.value(), detail));
        }
    }
}
