//! What a review is about, and the steps that both webhooks take before they differ.

use std::borrow::Cow;
use std::time::Instant;

use mcp_crds::catalog::{Catalog, Entry};
use mcp_crds::field::{FieldError, Findings};
use mcp_crds::kind::{GROUP, Kind, VERSION};
use mcp_crds::{bounded, default, validate};
use serde_json::Value;

use crate::answer::Answer;
use crate::review::{Gvk, Request, request_field};
use crate::status::Named;

/// Which rules a review calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The rules of one of our kinds.
    Object(Kind),
    /// The rule about an MCPServer's replicas, on a `Scale`.
    Scale,
    /// None: not ours, or a subresource that users do not write.
    None,
}

impl Target {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        let Gvk { group, version, kind } = &request.kind;
        match request.sub_resource.as_ref() {
            "" if group == GROUP && version == VERSION => {
                Kind::from_name(kind).map_or(Self::None, Self::Object)
            }
            "scale" if request.resource.group == GROUP && request.resource.kind == Kind::Server.plural() => {
                Self::Scale
            }
            _ => Self::None,
        }
    }

    /// How answers and metrics call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Object(kind) => kind.as_str(),
            Self::Scale => "Scale",
            Self::None => "other",
        }
    }
}

/// An object under review, and the stored one where there is one.
#[derive(Debug)]
pub(crate) struct Subject<'r> {
    pub(crate) kind: Kind,
    pub(crate) operation: validate::Operation,
    pub(crate) namespace: &'r str,
    pub(crate) dry_run: bool,
    pub(crate) object: Value,
    pub(crate) old: Option<Value>,
}

/// What reading a subject comes to.
pub(crate) enum Reading<'r> {
    /// The rules have to be asked.
    Subject(Subject<'r>),
    /// The answer is clear without them.
    Answer(Answer),
}

impl<'r> Subject<'r> {
    /// Parses the objects of a review of one of our kinds.
    pub(crate) fn read(kind: Kind, operation: validate::Operation, request: &'r Request<'_>) -> Reading<'r> {
        let refused = |error| Reading::Answer(Answer::refused(named(kind, request, None), &[error]));
        let Some(raw) = request.object else {
            return refused(FieldError::required(request_field("object"), "the review carries no object"));
        };
        let object = match bounded::object(raw) {
            Ok(object) => object,
            Err(error) => return refused(error),
        };
        // A stored object that cannot be read has nothing unchanged that the new one could be forgiven.
        let old = request.old_object.and_then(|raw| bounded::object(raw).ok());
        if is_being_deleted(&object) || old.as_ref().is_some_and(|old| !is_judged(kind, old, &object)) {
            return Reading::Answer(Answer::allowed());
        }
        let (namespace, dry_run) = (request.namespace.as_ref(), request.dry_run);
        Reading::Subject(Self { kind, operation, namespace, dry_run, object, old })
    }

    /// Every rule that needs only the object.
    pub(crate) fn check(&mut self) -> Findings {
        let findings = validate::object(self.kind, self.operation, &self.object);
        self.forgive(findings)
    }

    /// Every rule that looks across objects.
    pub(crate) fn check_beside(&mut self, entry: &Entry, catalog: &Catalog, now: Instant) -> Findings {
        self.forgive(catalog.check(entry, now))
    }

    /// What the catalog has to know of the object.
    pub(crate) fn entry(&self) -> Entry {
        Entry::read(self.kind, self.namespace, &self.object)
    }

    /// Forgives an update what it did not change.
    fn forgive(&mut self, findings: Findings) -> Findings {
        match &mut self.old {
            Some(old) if !findings.errors.is_empty() => {
                // The new object has its defaults; the old one may be from a time without webhooks.
                default::apply(self.kind, old, None);
                findings.ratchet(old, &self.object)
            }
            _ => findings,
        }
    }
}

/// The object as a denial calls it: by its own name, else the request's, else by what a name is to be made from.
pub(crate) fn named(kind: Kind, request: &Request<'_>, object: Option<&Value>) -> Named {
    let metadata =
        |field: &str| object?.get("metadata")?.get(field)?.as_str().filter(|name| !name.is_empty());
    let name = metadata("name")
        .or(Some(request.name.as_ref()).filter(|name| !name.is_empty()))
        .or_else(|| metadata("generateName"))
        .unwrap_or_default()
        .to_owned();
    Named { group: Cow::Borrowed(GROUP), kind: Cow::Borrowed(kind.as_str()), name }
}

/// What is being deleted is let go, whatever it holds: nothing may stop the removal of a finalizer.
fn is_being_deleted(object: &Value) -> bool {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get("deletionTimestamp"))
        .is_some_and(|time| !time.is_null())
}

/// Whether an update changed anything that a rule reads: the spec, or labels that a server selects by.
fn is_judged(kind: Kind, old: &Value, new: &Value) -> bool {
    old.get("spec") != new.get("spec") || (kind != Kind::Server && labels(old) != labels(new))
}

fn labels(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("labels")
}
