//! The question: an `AdmissionReview` of `admission.k8s.io/v1`, read without copying it.
//!
//! Only a body that is no review at all is an error here. Everything that a review can have wrong inside is
//! kept in [`Request::malformed`], to be answered with a denial: an HTTP error would leave the decision to the
//! webhook's `failurePolicy`, and say nothing useful to who asked.

use std::borrow::Cow;
use std::fmt;

use mcp_crds::field::{FieldError, FieldPath};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The version of the envelope, both ways.
pub(crate) const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of the envelope, both ways.
pub(crate) const KIND: &str = "AdmissionReview";

/// Why a body was not answered with a review.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// It is not JSON, or its outermost value or `request` is no object.
    #[error("the body is no admission review in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is not UTF-8, which JSON is.
    #[error("the body is no admission review in JSON: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// There is nothing to say whose answer this is.
    #[error("the admission review has no request.uid")]
    Uid,
    /// The answer could not be written; a bug.
    #[error("the answer cannot be written as JSON: {0}")]
    Answer(#[source] serde_json::Error),
}

/// What is being done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

impl Operation {
    const NAMES: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "CREATE" => Some(Self::Create),
            "UPDATE" => Some(Self::Update),
            "DELETE" => Some(Self::Delete),
            "CONNECT" => Some(Self::Connect),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// A group, a version, and a kind or resource.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gvk<'a> {
    pub(crate) group: Cow<'a, str>,
    pub(crate) version: Cow<'a, str>,
    pub(crate) kind: Cow<'a, str>,
}

/// What the API server asks. Borrowed from the body; the objects in it are not parsed yet.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) uid: Cow<'a, str>,
    /// The kind that the objects are in: after a conversion, not what the user sent.
    pub(crate) kind: Gvk<'a>,
    /// As `kind`, with the plural name.
    pub(crate) resource: Gvk<'a>,
    pub(crate) sub_resource: Cow<'a, str>,
    /// Empty on a create with `generateName`.
    pub(crate) name: Cow<'a, str>,
    pub(crate) namespace: Cow<'a, str>,
    /// `None` only where `malformed` says why.
    pub(crate) operation: Option<Operation>,
    pub(crate) dry_run: bool,
    pub(crate) object: Option<&'a RawValue>,
    pub(crate) old_object: Option<&'a RawValue>,
    /// What the envelope has wrong.
    pub(crate) malformed: Vec<FieldError>,
}

impl<'a> Request<'a> {
    /// Reads the envelope.
    ///
    /// # Errors
    /// Where the body is no JSON object with a `request` that has a `uid`.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, ReviewError> {
        let mut document = serde_json::Deserializer::from_str(std::str::from_utf8(body)?);
        let envelope = document.deserialize_map(Envelope)?;
        document.end()?;

        let [uid, kind, resource, sub_resource, name, namespace, operation, dry_run, object, old_object] =
            envelope.request;
        let uid = uid.and_then(text).filter(|uid| !uid.is_empty()).ok_or(ReviewError::Uid)?;

        let mut reader = Reader { malformed: Vec::new() };
        reader.constant("apiVersion", envelope.api_version, API_VERSION);
        reader.constant("kind", envelope.kind, KIND);
        let kind = reader.gvk("kind", kind, "kind");
        let resource = reader.gvk("resource", resource, "resource");
        let operation = reader.operation(operation);
        let dry_run = reader.boolean("dryRun", dry_run);
        let [sub_resource, name, namespace] =
            [("subResource", sub_resource), ("name", name), ("namespace", namespace)]
                .map(|(field, raw)| reader.text(request_field(field), raw));
        let malformed = reader.malformed;
        Ok(Self {
            uid,
            kind,
            resource,
            sub_resource,
            name,
            namespace,
            operation,
            dry_run,
            object,
            old_object,
            malformed,
        })
    }
}

/// A path to a field of the review's `request`.
pub(crate) fn request_field(name: &str) -> FieldPath {
    FieldPath::of(["request", name])
}

/// Reads fields leniently: what is of the wrong type is noted, and read as if it were absent.
struct Reader {
    malformed: Vec<FieldError>,
}

impl Reader {
    fn wrong(&mut self, field: FieldPath, raw: &RawValue, detail: impl fmt::Display) {
        // A value that cannot be parsed either is at least named.
        let value = serde_json::from_str(raw.get()).unwrap_or_else(|_| json!("(not readable)"));
        self.malformed.push(FieldError::invalid(field, &value, detail));
    }

    fn text<'a>(&mut self, field: FieldPath, raw: Option<&'a RawValue>) -> Cow<'a, str> {
        let Some(raw) = raw else { return Cow::default() };
        text(raw).unwrap_or_else(|| {
            self.wrong(field, raw, "must be a string");
            Cow::default()
        })
    }

    fn boolean(&mut self, field: &str, raw: Option<&RawValue>) -> bool {
        match raw.map(|raw| (raw, raw.get())) {
            None | Some((_, "false")) => false,
            Some((_, "true")) => true,
            Some((raw, _)) => {
                self.wrong(request_field(field), raw, "must be a boolean");
                false
            }
        }
    }

    fn constant(&mut self, field: &str, raw: Option<&RawValue>, expected: &str) {
        let field = || FieldPath::of([field]);
        let Some(raw) = raw else {
            return self
                .malformed
                .push(FieldError::required(field(), format_args!("must be \"{expected}\"")));
        };
        if text(raw).is_none_or(|found| found != expected) {
            self.wrong(field(), raw, format_args!("must be \"{expected}\""));
        }
    }

    fn operation(&mut self, raw: Option<&RawValue>) -> Option<Operation> {
        let field = || request_field("operation");
        let Some(raw) = raw else {
            self.malformed.push(FieldError::required(field(), ""));
            return None;
        };
        let name = self.text(field(), Some(raw));
        let operation = Operation::from_name(&name);
        if operation.is_none() && text(raw).is_some() {
            let value = Value::from(name.as_ref());
            self.malformed.push(FieldError::not_supported(field(), &value, &Operation::NAMES));
        }
        operation
    }

    fn gvk<'a>(&mut self, field: &str, raw: Option<&'a RawValue>, last: &'static str) -> Gvk<'a> {
        let Some(raw) = raw else { return Gvk::default() };
        let names = ["group", "version", last];
        let Ok(members) = serde_json::Deserializer::from_str(raw.get()).deserialize_map(Members(&names))
        else {
            self.wrong(request_field(field), raw, "must be an object");
            return Gvk::default();
        };
        let mut member = 0;
        let [group, version, kind] = members.map(|raw| {
            let name = names.get(member).copied().unwrap_or_default();
            member += 1;
            self.text(FieldPath::of(["request", field, name]), raw)
        });
        Gvk { group, version, kind }
    }
}

/// The text of a JSON string; borrowed unless it holds an escape. `None` where the value is no string.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

const REQUEST_FIELDS: [&str; 10] = [
    "uid",
    "kind",
    "resource",
    "subResource",
    "name",
    "namespace",
    "operation",
    "dryRun",
    "object",
    "oldObject",
];

/// The outermost object. Of a member given twice the last counts, as in Go.
struct Envelope;

#[derive(Default)]
struct EnvelopeMembers<'de> {
    api_version: Option<&'de RawValue>,
    kind: Option<&'de RawValue>,
    request: [Option<&'de RawValue>; REQUEST_FIELDS.len()],
}

impl<'de> Visitor<'de> for Envelope {
    type Value = EnvelopeMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an AdmissionReview")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = EnvelopeMembers::default();
        while let Some(name) = map.next_key_seed(Name(&["apiVersion", "kind", "request"]))? {
            match name {
                Some(0) => members.api_version = map.next_value()?,
                Some(1) => members.kind = map.next_value()?,
                Some(_) => members.request = map.next_value_seed(Members(&REQUEST_FIELDS))?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// The named members of an object, unparsed; `null` is as good as absent. All others are skipped.
struct Members<'n, const N: usize>(&'n [&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [None; N];
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            match name.and_then(|index| members.get_mut(index)) {
                Some(member) => *member = map.next_value()?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// A member's name, as its index in the list of those that are wanted.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == name))
    }
}
