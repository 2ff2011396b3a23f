//! Where a `$ref` leads.
//!
//! Most are `#/$defs/name` in a document that is one resource; they are followed on the spot. What is needed for the
//! others, an index of the resources and anchors within the document, is made when the first of them is met.

use std::borrow::Cow;
use std::collections::HashMap;

use jsonschema::{Uri, uri};
use serde_json::{Map, Value};

use super::dialect::Dialect;
use super::keyword::Shape;

/// A schema that is referred to as a whole: the document, or a subschema with an `$id` of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource<'s, 'v> {
    /// Its root.
    pub(super) root: &'v Value,
    /// Its dialect.
    pub(super) dialect: Dialect,
    /// Its URI; `None` for a document that has none.
    pub(super) base: Option<&'s Uri<String>>,
}

impl Resource<'_, '_> {
    /// What a reference or an `$id` within this resource means. `None` where it is no URI reference.
    pub(super) fn resolve(&self, reference: &str) -> Option<Uri<String>> {
        match self.base {
            Some(base) => uri::resolve_against(&base.borrow(), reference).ok(),
            None => uri::from_str(reference).ok(),
        }
    }
}

/// Why a reference is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no URI reference.
    Malformed,
    /// It leads out of the document.
    Outside,
    /// It leads nowhere.
    Nowhere,
}

/// Where a reference leads.
#[derive(Debug)]
pub(super) struct Lead<'v> {
    /// What stands there.
    pub(super) value: &'v Value,
    /// The root of the resource that the reference names, or else is in.
    pub(super) resource: &'v Value,
    /// How it has to be looked at, where a walk over the document does not meet it as a schema in the same dialect.
    pub(super) unmet: Option<Target<'v>>,
}

/// A place that the validator takes for a schema because a pointer leads there.
#[derive(Debug)]
pub(super) struct Target<'v> {
    /// What stands there.
    pub(super) value: &'v Value,
    /// The dialect in which the validator reads it: that of the resource the pointer counts from.
    pub(super) dialect: Dialect,
    /// Whether a walk over the document meets it too, as a schema in another dialect.
    pub(super) has_own_dialect: bool,
    /// The root of the resource around it, and that resource's dialect and URI.
    pub(super) root: &'v Value,
    pub(super) resource_dialect: Dialect,
    pub(super) base: Option<Uri<String>>,
}

/// The resources and anchors of a document.
#[derive(Debug, Default)]
pub(super) struct Index<'v> {
    resources: HashMap<String, (&'v Value, Dialect)>,
    anchors: HashMap<String, HashMap<&'v str, &'v Value>>,
}

/// What an anchor in a document without a URI is filed under.
const NAMELESS: &str = "";

impl<'v> Index<'v> {
    /// Of a document.
    pub(super) fn of(document: &'v Value) -> Self {
        let mut index = Self::default();
        let dialect = Dialect::of(document);
        index.add(document, Resource { root: document, dialect, base: None });
        if let Some(nameless) = uri::from_str("").ok().map(Uri::into_string) {
            index.resources.entry(nameless).or_insert((document, dialect));
        }
        index
    }

    fn add(&mut self, schema: &'v Value, around: Resource<'_, 'v>) {
        let Some(members) = schema.as_object() else { return };
        let dialect = own_dialect(members, around.dialect);
        let uri = own_uri(members, dialect, around);
        let resource = match &uri {
            Some(uri) => {
                self.resources.insert(uri.as_str().to_owned(), (schema, dialect));
                Resource { root: schema, dialect, base: Some(uri) }
            }
            None => Resource { dialect, ..around },
        };
        for anchor in dialect.anchors_of(members) {
            let resource = resource.base.map_or(NAMELESS, Uri::as_str);
            self.anchors.entry(resource.to_owned()).or_default().insert(anchor, schema);
        }
        for (keyword, value) in members {
            for subschema in subschemas(dialect, keyword, value) {
                self.add(subschema, resource);
            }
        }
    }
}

/// The dialect of a subschema: its own where it is a resource of its own and says so.
pub(super) fn own_dialect(schema: &Map<String, Value>, around: Dialect) -> Dialect {
    let named = schema.get("$schema").and_then(Value::as_str).and_then(Dialect::from_uri);
    named.filter(|named| around.id_of(schema).or_else(|| named.id_of(schema)).is_some()).unwrap_or(around)
}

/// The URI by which a schema is a resource of its own, other than the one `around` it.
pub(super) fn own_uri(
    schema: &Map<String, Value>,
    dialect: Dialect,
    around: Resource<'_, '_>,
) -> Option<Uri<String>> {
    let id = dialect.id_of(schema)?;
    let uri = around.resolve(id.strip_suffix('#').unwrap_or(id))?;
    (around.base != Some(&uri)).then_some(uri)
}

/// The subschemas in the value of a keyword.
fn subschemas<'v>(
    dialect: Dialect,
    keyword: &str,
    value: &'v Value,
) -> Box<dyn Iterator<Item = &'v Value> + 'v> {
    match (Shape::of(dialect, keyword), value) {
        (Some(Shape::Schema | Shape::SchemaOrBoolean | Shape::SchemaOrSchemas), Value::Object(_)) => {
            Box::new(std::iter::once(value))
        }
        (Some(Shape::Schemas | Shape::SchemaOrSchemas), Value::Array(schemas)) => Box::new(schemas.iter()),
        (
            Some(Shape::SchemasByName | Shape::SchemasByPattern | Shape::Dependencies),
            Value::Object(schemas),
        ) => Box::new(schemas.values()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Whether a keyword has schemas in its value.
pub(super) fn holds_schemas(dialect: Dialect, keyword: &str) -> bool {
    let shape = Shape::of(dialect, keyword);
    matches!(shape, Some(Shape::Schema | Shape::Schemas | Shape::SchemasByName))
}

/// Follows a reference from within `resource`.
pub(super) fn follow<'i, 'v: 'i>(
    reference: &str,
    resource: Resource<'_, 'v>,
    index: impl FnOnce() -> &'i Index<'v>,
) -> Result<Lead<'v>, Fault> {
    let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    if !is_fragment(fragment) {
        return Err(Fault::Malformed);
    }
    let is_pointer = fragment.is_empty() || fragment.starts_with('/');
    if uri.is_empty() {
        return if is_pointer {
            follow_pointer(fragment, resource)
        } else {
            index().anchor(resource.base.map_or(NAMELESS, Uri::as_str), fragment, resource.root)
        };
    }
    let named = resource.resolve(uri).ok_or(Fault::Malformed)?;
    let index = index();
    let &(root, dialect) = index.resources.get(named.as_str()).ok_or(Fault::Outside)?;
    if is_pointer {
        follow_pointer(fragment, Resource { root, dialect, base: Some(&named) })
    } else {
        index.anchor(named.as_str(), fragment, root)
    }
}

impl<'v> Index<'v> {
    fn anchor(&self, uri: &str, name: &str, resource: &'v Value) -> Result<Lead<'v>, Fault> {
        let value = self.anchors.get(uri).and_then(|names| names.get(name)).ok_or(Fault::Nowhere)?;
        Ok(Lead { value, resource, unmet: None })
    }

    /// The roots of all resources, and everything that an anchor of this name could mean.
    pub(super) fn anywhere(&self, name: &str) -> impl Iterator<Item = &'v Value> {
        let roots = self.resources.values().map(|(root, _)| *root).filter(move |_| name.is_empty());
        roots.chain(self.anchors.values().filter_map(move |names| names.get(name).copied()))
    }
}

/// What a place in a document is to the walk over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Schema,
    /// A list or a map of schemas.
    Schemas,
    Other,
}

fn follow_pointer<'v>(pointer: &str, start: Resource<'_, 'v>) -> Result<Lead<'v>, Fault> {
    let pointer = percent_decode(pointer).ok_or(Fault::Nowhere)?;
    let (mut value, mut place) = (start.root, Place::Schema);
    let (mut root, mut dialect, mut own_base) = (start.root, start.dialect, None);
    for token in pointer.split('/').skip(1) {
        let token = unescape(token);
        (value, place) = step(value, place, dialect, &token).ok_or(Fault::Nowhere)?;
        if place == Place::Schema
            && let Some(members) = value.as_object()
        {
            let around = Resource { root, dialect, base: own_base.as_ref().or(start.base) };
            dialect = own_dialect(members, dialect);
            if let Some(uri) = own_uri(members, dialect, around) {
                (root, own_base) = (value, Some(uri));
            }
        }
    }
    let is_met = place == Place::Schema && dialect == start.dialect;
    let unmet = (!is_met).then(|| Target {
        value,
        dialect: start.dialect,
        has_own_dialect: place == Place::Schema,
        root,
        resource_dialect: dialect,
        base: own_base.or_else(|| start.base.cloned()),
    });
    Ok(Lead { value, resource: start.root, unmet })
}

fn step<'v>(value: &'v Value, place: Place, dialect: Dialect, token: &str) -> Option<(&'v Value, Place)> {
    let next = match value {
        Value::Object(members) => members.get(token)?,
        // Without leading zeros or a sign, as RFC 6901 has it.
        Value::Array(elements) if token == "0" || !token.starts_with(['0', '+']) => {
            elements.get(token.parse::<usize>().ok()?)?
        }
        _ => return None,
    };
    let place = match place {
        Place::Schema => match (Shape::of(dialect, token), next) {
            (Some(Shape::SchemaOrSchemas), Value::Array(_)) => Place::Schemas,
            (Some(Shape::Schema | Shape::SchemaOrBoolean | Shape::SchemaOrSchemas), _) => Place::Schema,
            (
                Some(Shape::Schemas | Shape::SchemasByName | Shape::SchemasByPattern | Shape::Dependencies),
                _,
            ) => Place::Schemas,
            _ => Place::Other,
        },
        Place::Schemas if next.is_array() => Place::Other,
        Place::Schemas => Place::Schema,
        Place::Other => Place::Other,
    };
    Some((next, place))
}

/// Whether RFC 3986 allows this after a `#`.
fn is_fragment(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => {
                bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
                    && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            }
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
            | b';' | b'=' => true,
            b':' | b'@' | b'/' | b'?' => true,
            byte => byte.is_ascii_alphanumeric(),
        };
        if !allowed {
            return false;
        }
    }
    true
}

/// The text that a percent-encoded one stands for; `None` where that is no UTF-8.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The key that a token of a JSON pointer stands for.
fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
}
