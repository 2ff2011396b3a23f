//! One object, as the catalog knows it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::default;
use crate::field::{FieldPath, Segment};
use crate::kind::Kind;
use crate::selector::{Labels, Selector};
use crate::v1alpha1::Transport;
use crate::validate::name::is_dns_label;
use crate::validate::path;

/// Which object of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Its kind.
    pub kind: Kind,
    /// Its `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.kind, self.name)
    }
}

/// Which object of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its kind and name there.
    pub id: Id,
}

impl ObjectKey {
    /// The key of an object by its names.
    pub fn new(kind: Kind, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), id: Id { kind, name: name.into() } }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.id.kind, self.namespace, self.id.name)
    }
}

/// Something that only one object on a server may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// The name of a tool, prompt or resource.
    Name(Kind, Box<str>),
    /// The URI of a resource; placeholders are equal whatever their names.
    Uri(Box<str>),
    /// An HTTP method and a path; placeholders are equal whatever their names.
    Route(Box<str>, Box<str>),
}

impl Claim {
    /// What a sentence calls it: `tool "search"`.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Name(kind, _) => kind.noun(),
            Self::Uri(_) => "URI",
            Self::Route(..) => "operation",
        }
    }

    /// The value of which there is a second.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Name(_, name) => name.to_string(),
            Self::Uri(uri) => uri.to_string(),
            Self::Route(method, path) => format!("{method} {path}"),
        }
    }
}

/// A claim and the field that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// What is claimed.
    pub claim: Claim,
    /// By which field.
    pub field: FieldPath,
}

impl Claimed {
    /// Other fields that the claim is made from, or that decide on which servers it is made.
    pub(super) fn sources(&self) -> Vec<FieldPath> {
        let mut sources = vec![FieldPath::of(["spec", "name"]), FieldPath::of(["metadata", "labels"])];
        if let [.., Segment::Index(operation), Segment::Field(_)] = self.field.segments() {
            sources.extend(["method", "ingressPath", "uri"].map(|field| operation_field(*operation, field)));
        }
        sources
    }
}

/// Age, by which conflicts are settled: the oldest wins, and of equals the first by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// `metadata.creationTimestamp`, which sorts as text.
    created: Box<str>,
    name: Arc<str>,
    kind: Kind,
}

/// What the catalog keeps of an object, read leniently: a part of the wrong shape counts as absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which object.
    pub key: ObjectKey,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`, RFC 3339 in UTC.
    pub created: Option<Box<str>>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: Labels,
    /// Whether it keeps every rule that needs only itself. One that does not is neither served nor in anyone's way.
    pub valid: bool,
    /// What it claims on each server that offers it; nothing for a server.
    pub claims: Vec<Claimed>,
    /// Names of the Services that it calls, in their order.
    pub services: Vec<Box<str>>,
    /// For each of them the first operation that calls it; empty where it is `spec.service` that does.
    service_operations: Box<[usize]>,
    /// Names of the Secrets whose values it sends as headers.
    pub secrets: Vec<Box<str>>,
    /// What a server selects; `None` for nothing, and for other kinds.
    pub selector: Option<Selector>,
    /// How a server speaks.
    pub transport: Transport,
    /// The object as compact JSON, without `managedFields`; empty where the catalog is only used to check.
    pub document: Arc<str>,
}

impl Entry {
    /// Reads an object. `namespace` is used where the object does not name one, as before it is stored.
    #[must_use]
    pub fn read(kind: Kind, namespace: &str, object: &Value) -> Self {
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
        let labels = metadata.get("labels").and_then(Value::as_object).into_iter().flatten();
        let namespace = Some(text("namespace")).filter(|own| !own.is_empty()).unwrap_or(namespace);
        let transport = spec.get("transport").and_then(Value::as_str).and_then(Transport::from_name);
        let (services, service_operations) = services(spec);
        Self {
            key: ObjectKey::new(kind, namespace, text("name")),
            uid: text("uid").into(),
            generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
            created: metadata.get("creationTimestamp").and_then(Value::as_str).map(Into::into),
            deleting: metadata.get("deletionTimestamp").is_some_and(|time| !time.is_null()),
            labels: labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect(),
            valid: true,
            claims: claims(kind, text("name"), spec),
            services,
            service_operations,
            secrets: if kind == Kind::Tool { secrets(spec) } else { Vec::new() },
            selector: if kind == Kind::Server { Selector::read(spec.get("toolSelector")) } else { None },
            transport: transport.unwrap_or_default(),
            document: Arc::from(""),
        }
    }

    /// With the object's own text, for a catalog from which the controller reads.
    #[must_use]
    pub fn with_document(mut self, document: impl Into<Arc<str>>) -> Self {
        self.document = document.into();
        self
    }

    /// Marked as breaking a rule, where `valid` says so.
    #[must_use]
    pub const fn with_validity(mut self, valid: bool) -> Self {
        self.valid = valid;
        self
    }

    /// The Services that it calls, each with the field that names it first.
    pub(super) fn called(&self) -> impl Iterator<Item = (&str, FieldPath)> {
        self.services.iter().enumerate().map(|(i, name)| {
            let service = match self.service_operations.get(i) {
                Some(operation) => operation_field(*operation, "service"),
                None => FieldPath::of(["spec", "service"]),
            };
            (&**name, service.join(Segment::Field("name".to_owned())))
        })
    }

    /// Where it stands among those that claim the same.
    #[must_use]
    pub fn rank(&self) -> Rank {
        // What is not stored yet is younger than anything stored: `~` sorts after every digit.
        let created = self.created.clone().unwrap_or_else(|| "~".into());
        Rank { created, name: Arc::clone(&self.key.id.name), kind: self.key.id.kind }
    }

    /// Whether this and a later state of the same object mean the same for every other object.
    pub(super) fn concerns_as(&self, later: &Self) -> bool {
        let of = |entry: &Self| {
            (entry.uid.clone(), entry.created.clone(), entry.generation, entry.deleting, entry.valid)
        };
        of(self) == of(later) && self.claims_as(later)
    }

    /// Whether the two make the same claims to the same servers, so that one may stand for the other.
    pub(super) fn claims_as(&self, other: &Self) -> bool {
        self.labels == other.labels && self.claims == other.claims && self.selector == other.selector
    }
}

fn claims(kind: Kind, object_name: &str, spec: &Value) -> Vec<Claimed> {
    if kind == Kind::Server {
        return Vec::new();
    }
    let name = spec.get("name").and_then(Value::as_str).unwrap_or(object_name);
    let mut claims = Vec::new();
    if !name.is_empty() {
        claims
            .push(Claimed { claim: Claim::Name(kind, name.into()), field: FieldPath::of(["spec", "name"]) });
    }
    if kind != Kind::Resource {
        return claims;
    }
    if let Some(uri) = spec.pointer("/content/uri").and_then(Value::as_str) {
        claims.push(Claimed { claim: uri_claim(uri), field: FieldPath::of(["spec", "content", "uri"]) });
    }
    let operations = spec.get("operations").and_then(Value::as_array).into_iter().flatten();
    for (index, operation) in operations.enumerate() {
        let at = |field| operation_field(index, field);
        let method = operation.get("method").and_then(Value::as_str).unwrap_or("GET");
        let Some(path) = operation.get("ingressPath").and_then(Value::as_str) else { continue };
        let route = Claim::Route(method.into(), path::shape_of(path).into());
        claims.push(Claimed { claim: route, field: at("ingressPath") });
        let own = operation.get("uri").and_then(Value::as_str);
        match own {
            Some(uri) if method == "GET" => claims.push(Claimed { claim: uri_claim(uri), field: at("uri") }),
            None if method == "GET" => {
                let uri = default::operation_uri(name, path);
                claims.push(Claimed { claim: uri_claim(&uri), field: at("ingressPath") });
            }
            _ => {}
        }
    }
    claims
}

fn operation_field(index: usize, field: &str) -> FieldPath {
    let operations = FieldPath::of(["spec", "operations"]);
    operations.join(Segment::Index(index)).join(Segment::Field(field.to_owned()))
}

fn uri_claim(uri: &str) -> Claim {
    Claim::Uri(path::shape_of(uri).into())
}

/// The names of the Services, and for each the first operation with it, unless `spec.service` has it.
fn services(spec: &Value) -> (Vec<Box<str>>, Box<[usize]>) {
    // What can be no Service's name is an error of its own, and no Service that may come yet.
    let one = |holder: &Value| {
        let name = holder.pointer("/service/name").and_then(Value::as_str);
        name.filter(|name| is_dns_label(name)).map(Box::<str>::from)
    };
    if let Some(service) = one(spec) {
        return (vec![service], Box::default());
    }
    let mut first: BTreeMap<Box<str>, usize> = BTreeMap::new();
    let operations = spec.get("operations").and_then(Value::as_array).into_iter().flatten();
    for (index, operation) in operations.enumerate() {
        if let Some(service) = one(operation) {
            first.entry(service).or_insert(index);
        }
    }
    let (names, operations): (_, Vec<usize>) = first.into_iter().unzip();
    (names, operations.into())
}

fn secrets(spec: &Value) -> Vec<Box<str>> {
    let headers = spec.get("headers").and_then(Value::as_array).into_iter().flatten();
    let name =
        |header: &Value| header.pointer("/valueFrom/secretKeyRef/name")?.as_str().map(Box::<str>::from);
    let mut secrets: Vec<_> = headers.filter_map(name).filter(|name| !name.is_empty()).collect();
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}
