//! The walk over a schema that finds what is wrong with it.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ptr;

use jsonschema::Uri;
use serde_json::{Map, Value};

use super::Role;
use super::advice::{Advice, Subject};
use super::dialect::{Dialect, URIS};
use super::expansion::References;
use super::header::{self, Headers, Way};
use super::keyword::Shape;
use super::pattern::{Flaw, Patterns};
use super::reference::{self, Fault, Index, Lead, Resource, Target};
use super::value;
use crate::field::{FieldError, FieldPath, Findings, Path, Segment, on_one_line};

/// So many mistakes of one schema are looked for.
const MAX_ERRORS: usize = 500;

/// No schema is compiled for the sake of a warning in a document larger than this.
const MAX_BYTES_FOR_ADVICE: usize = 32 * 1024;

/// What a walk carries from a schema to its subschemas.
#[derive(Debug, Clone, Copy)]
struct Scope<'s, 'v> {
    dialect: Dialect,
    resource: Resource<'s, 'v>,
    way: Way,
}

/// A keyword with its value, and the schema that it is in.
#[derive(Clone, Copy)]
struct Member<'w, 'v> {
    /// The schema, as a value and as its members.
    whole: &'v Value,
    schema: &'v Map<String, Value>,
    /// Where the schema stands.
    at: &'w Path<'w>,
    keyword: &'v str,
    value: &'v Value,
}

/// A reference, and where it stands.
type Blamed<'v> = (FieldPath, &'v Value);

const NO_URI_REFERENCE: &str = "must be a URI reference: percent-encode what RFC 3986 does not allow in one";

/// One walk over one document.
pub(super) struct Walk<'v, 'f> {
    document: &'v Value,
    /// As compact JSON.
    bytes: usize,
    /// Where the document stands in the object.
    origin: &'f Path<'f>,
    role: Role,
    findings: &'f mut Findings,
    /// Mistakes that have been found in the document before.
    errors_before: usize,
    index: OnceCell<Index<'v>>,
    patterns: Patterns<'v>,
    headers: Headers,
    advice: Advice<'v>,
    references: References<'v>,
    /// Resources by URI.
    resources: HashMap<String, &'v Value>,
    /// Places that are schemas only because of a reference, and where that is if they are to be blamed on it.
    targets: Vec<(Target<'v>, Option<Blamed<'v>>)>,
    known_targets: HashSet<(*const Value, Dialect)>,
    /// Whether the document has parts that validators do not all read alike.
    is_unusual: bool,
    /// Whether the walk is over a target now.
    in_target: bool,
}

impl<'v, 'f> Walk<'v, 'f> {
    pub(super) fn new(
        document: &'v Value,
        bytes: usize,
        origin: &'f Path<'f>,
        role: Role,
        findings: &'f mut Findings,
    ) -> Self {
        Self {
            document,
            bytes,
            origin,
            role,
            errors_before: findings.errors.len(),
            findings,
            index: OnceCell::new(),
            patterns: Patterns::default(),
            headers: Headers::default(),
            advice: Advice::default(),
            references: References::default(),
            is_unusual: false,
            resources: HashMap::new(),
            targets: Vec::new(),
            known_targets: HashSet::new(),
            in_target: false,
        }
    }

    /// Walks over the document, and then over what only references make a schema.
    pub(super) fn run(mut self) {
        let dialect = Dialect::of(self.document);
        let resource = Resource { root: self.document, dialect, base: None };
        self.schema(self.document, self.origin, Scope { dialect, resource, way: Way::Root });
        self.in_target = true;
        while let Some((target, blamed)) = self.targets.pop() {
            self.target(&target, blamed);
        }
        if self.errors() > 0 {
            return;
        }
        if self.references.check(self.document).is_err() {
            let must =
                "has references that multiply: one value would have to be checked by thousands of schemas";
            return self.findings.error(FieldError::too_long(self.origin, must));
        }
        if self.is_unusual
            && let Err(error) = super::compile(self.document)
        {
            let must = format_args!("cannot be compiled: {}", on_one_line(&error.masked().to_string()));
            return self.findings.error(FieldError::invalid(self.origin, self.document, must));
        }
        if self.bytes <= MAX_BYTES_FOR_ADVICE {
            self.advice.finish(self.document, self.origin, self.findings);
        }
    }

    fn errors(&self) -> usize {
        self.findings.errors.len() - self.errors_before
    }

    /// Adds a mistake, whose verdict depends on the dialect.
    fn refuse(&mut self, error: FieldError) {
        self.findings.error(error.depending_on([self.origin.field("$schema").to_owned()]));
    }

    /// The same, where it depends on all of the document.
    fn refuse_for_document(&mut self, error: FieldError) {
        self.findings.error(error.depending_on([self.origin.to_owned()]));
    }

    fn invalid(&mut self, path: &Path<'_>, value: &Value, must: &str) {
        self.refuse(FieldError::invalid(path, value, must));
    }

    fn schema(&mut self, value: &'v Value, path: &Path<'_>, scope: Scope<'_, 'v>) {
        if self.errors() >= MAX_ERRORS {
            return;
        }
        match value {
            Value::Object(schema) => {
                let dialect = reference::own_dialect(schema, scope.dialect);
                self.members(value, schema, path, Scope { dialect, ..scope });
            }
            Value::Bool(_) if scope.dialect > Dialect::Draft4 => {}
            _ if scope.dialect > Dialect::Draft4 => {
                self.invalid(path, value, "must be a schema: an object or a boolean");
            }
            _ => self.invalid(path, value, "must be a schema: an object"),
        }
    }

    /// Checks a schema in the dialect of its scope.
    fn members(
        &mut self,
        value: &'v Value,
        schema: &'v Map<String, Value>,
        path: &Path<'_>,
        scope: Scope<'_, 'v>,
    ) {
        let dialect = scope.dialect;
        let uri = reference::own_uri(schema, dialect, scope.resource);
        let resource = match &uri {
            Some(uri) => {
                self.is_unusual |= !ptr::eq(value, self.document);
                self.enter_resource(uri, value, &path.field(dialect.id_keyword()));
                Resource { root: value, dialect, base: Some(uri) }
            }
            None => scope.resource,
        };
        let inner = Scope { resource, ..scope };
        for (keyword, member) in schema {
            if self.errors() >= MAX_ERRORS {
                return;
            }
            let member = Member { whole: value, schema, at: path, keyword, value: member };
            match Shape::of(dialect, keyword) {
                Some(shape) => self.member(shape, member, inner),
                None if keyword == header::KEYWORD => self.header(member, inner.way),
                // The validator looks for references in these, though the dialect does not know them.
                None if dialect == Dialect::Draft4
                    && reference::holds_schemas(Dialect::Draft2020, keyword) =>
                {
                    self.is_unusual = true;
                }
                None if dialect == Dialect::Draft2019 && keyword == "$dynamicRef" => self.is_unusual = true,
                None => {}
            }
        }
        if !self.in_target {
            let subject = Subject { value, schema, path, dialect, is_root: scope.way == Way::Root };
            self.advice.look_at(&subject, self.document, self.findings);
        }
    }

    /// A URI can name one resource only, though the same one may be written out twice.
    fn enter_resource(&mut self, uri: &Uri<String>, schema: &'v Value, path: &Path<'_>) {
        if self.in_target {
            return;
        }
        match self.resources.get(uri.as_str()) {
            Some(first) if *first != schema => {
                let error =
                    FieldError::duplicate(path, uri.as_str(), "another schema in this document has this URI");
                self.refuse_for_document(error);
            }
            Some(_) => {}
            None => _ = self.resources.insert(uri.as_str().to_owned(), schema),
        }
    }

    fn member(&mut self, shape: Shape, member: Member<'_, 'v>, scope: Scope<'_, 'v>) {
        let Member { schema, at, keyword, value, .. } = member;
        let path = &at.field(keyword);
        let below = Scope { way: Way::Other, ..scope };
        match shape {
            Shape::SchemaOrBoolean if value.is_boolean() => {}
            Shape::Schema | Shape::SchemaOrBoolean => self.schema(value, path, below),
            Shape::SchemaOrSchemas if !value.is_array() => self.schema(value, path, below),
            Shape::Schemas | Shape::SchemaOrSchemas => match value.as_array().filter(|list| !list.is_empty())
            {
                Some(list) => {
                    for (i, schema) in list.iter().enumerate() {
                        self.schema(schema, &path.index(i), below);
                    }
                }
                None => self.invalid(path, value, "must be a list of at least one schema"),
            },
            Shape::SchemasByName | Shape::SchemasByPattern => {
                let Value::Object(schemas) = value else {
                    return self.invalid(path, value, "must map names to schemas");
                };
                let is_argument = keyword == "properties" && scope.way != Way::Other;
                let below = Scope { way: if is_argument { Way::Properties } else { Way::Other }, ..scope };
                for (name, schema) in schemas {
                    if shape == Shape::SchemasByPattern {
                        self.pattern(name, path);
                    }
                    self.schema(schema, &path.name(name), below);
                }
            }
            Shape::Dependencies => {
                let Value::Object(dependencies) = value else {
                    return self.invalid(path, value, "must map names to schemas or to lists of names");
                };
                for (name, dependency) in dependencies {
                    let path = &path.name(name);
                    match dependency {
                        Value::Array(_) => self.judge(value::names(dependency, path, scope.dialect)),
                        _ => self.schema(dependency, path, below),
                    }
                }
            }
            Shape::NamesByName => {
                let Value::Object(lists) = value else {
                    return self.invalid(path, value, "must map names to lists of names");
                };
                for (name, names) in lists {
                    self.judge(value::names(names, &path.name(name), scope.dialect));
                }
            }
            Shape::Types if scope.way == Way::Root && self.role == Role::Input && !self.in_target => {
                if value != "object" {
                    self.refuse(FieldError::not_supported(path, value, &["object"]));
                }
            }
            Shape::Reference => self.reference(member, scope.resource),
            Shape::Pattern => match value {
                Value::String(pattern) => self.pattern(pattern, path),
                _ => self.invalid(path, value, "must be a string"),
            },
            Shape::Dialect => self.dialect(member, scope),
            Shape::Id => {
                self.judge(value::plain(shape, value, path, scope.dialect));
                if value.as_str().is_some_and(|id| !names_something(id, schema, scope)) {
                    self.invalid(path, value, NO_URI_REFERENCE);
                }
            }
            Shape::BooleanBeside(bound) if value.is_boolean() => {
                if !schema.contains_key(bound) {
                    let error =
                        FieldError::invalid(path, value, format_args!("needs {bound} beside it in draft-04"));
                    self.refuse(error.depending_on([at.field(bound).to_owned()]));
                }
            }
            _ => self.judge(value::plain(shape, value, path, scope.dialect)),
        }
    }

    fn header(&mut self, member: Member<'_, 'v>, way: Way) {
        if self.role == Role::Input && !self.in_target {
            let Member { schema, at, keyword, value, .. } = member;
            if let Err(error) = self.headers.check(value, schema, way, &at.field(keyword)) {
                self.findings.error(error.depending_on([at.field("type").to_owned()]));
            }
        }
    }

    fn judge(&mut self, verdict: Result<(), FieldError>) {
        if let Err(error) = verdict {
            self.refuse(error);
        }
    }

    fn pattern(&mut self, pattern: &'v str, path: &Path<'_>) {
        let Err(flaw) = self.patterns.check(pattern) else { return };
        self.refuse(match flaw {
            Flaw::Grammar => {
                FieldError::invalid_str(path, pattern, "must be a regular expression of ECMA 262")
            }
            Flaw::Unsupported => {
                FieldError::invalid_str(path, pattern, "is a regular expression that cannot be run here")
            }
            Flaw::Size => FieldError::too_long(path, "is too large with its repetitions written out"),
        });
    }

    fn dialect(&mut self, member: Member<'_, 'v>, scope: Scope<'_, 'v>) {
        let path = &member.at.field(member.keyword);
        let value = member.value;
        let Some(uri) = value.as_str() else { return self.invalid(path, value, "must be a string") };
        match Dialect::from_uri(uri) {
            None => self.refuse(FieldError::not_supported(path, value, &URIS)),
            // Only the root of a resource may change the dialect. The validator does not mind where that happens, so
            // the schema has to conform to both.
            Some(named) if named != scope.dialect => {
                let Resource { root, dialect, base } = scope.resource;
                let target = Target {
                    value: member.whole,
                    dialect: named,
                    has_own_dialect: false,
                    root,
                    resource_dialect: dialect,
                    base: base.cloned(),
                };
                self.look_at_later(target, None);
            }
            Some(_) => {}
        }
    }

    fn reference(&mut self, member: Member<'_, 'v>, resource: Resource<'_, 'v>) {
        let Member { whole, at, keyword, value, .. } = member;
        let path = &at.field(keyword);
        let Some(reference) = value.as_str() else { return self.invalid(path, value, "must be a string") };
        let index = || self.index.get_or_init(|| Index::of(self.document));
        let must = match reference::follow(reference, resource, index) {
            Ok(Lead { value, .. }) if !(value.is_object() || value.is_boolean()) => {
                "must lead to a schema: an object or a boolean"
            }
            Ok(lead) => {
                self.references.between_schemas.push((ptr::from_ref(whole), lead.value));
                if keyword != "$ref" {
                    // What it means depends on how the validator came here.
                    let (_, name) = reference.split_once('#').unwrap_or_default();
                    for target in self.index.get_or_init(|| Index::of(self.document)).anywhere(name) {
                        self.references.between_schemas.push((ptr::from_ref(whole), target));
                        self.references.between_resources.push((ptr::from_ref(resource.root), target));
                    }
                } else if !ptr::eq(lead.resource, resource.root) {
                    self.references.between_resources.push((ptr::from_ref(resource.root), lead.resource));
                }
                if let Some(target) = lead.unmet {
                    let blamed = target.has_own_dialect.then(|| (path.to_owned(), value));
                    self.look_at_later(target, blamed);
                }
                return;
            }
            Err(Fault::Malformed) => NO_URI_REFERENCE,
            Err(Fault::Outside) => "must lead to a schema within this document: nothing is fetched",
            Err(Fault::Nowhere) => "leads nowhere",
        };
        self.refuse_for_document(FieldError::invalid(path, value, must));
    }

    fn look_at_later(&mut self, target: Target<'v>, blamed: Option<Blamed<'v>>) {
        self.is_unusual = true;
        if self.known_targets.insert((ptr::from_ref(target.value), target.dialect)) {
            self.targets.push((target, blamed));
        }
    }

    /// Walks over a place that a reference makes a schema. Its mistakes are mistakes at their own place, or one of the
    /// reference where they are none in the dialect of that place.
    fn target(&mut self, target: &Target<'v>, blamed: Option<Blamed<'v>>) {
        let before = self.findings.errors.len();
        let resource =
            Resource { root: target.root, dialect: target.resource_dialect, base: target.base.as_ref() };
        let scope = Scope { dialect: target.dialect, resource, way: Way::Other };
        // The validator does not ask such a place for its own dialect.
        if let Value::Object(schema) = target.value {
            self.members(target.value, schema, &Path::ROOT, scope);
        }
        let found = self.findings.errors.split_off(before);
        if found.is_empty() {
            return;
        }
        match blamed {
            Some((path, reference)) => {
                let must = "leads to a schema that is not valid in the dialect of this one";
                self.refuse_for_document(FieldError::invalid(path, reference, must));
            }
            None => {
                let trail = trail(self.document, target.value).unwrap_or_default();
                let place = trail.into_iter().rev().fold(self.origin.to_owned(), FieldPath::join);
                for mut error in found {
                    error.field = error.field.segments().iter().cloned().fold(place.clone(), FieldPath::join);
                    self.refuse_for_document(error);
                }
            }
        }
    }
}

/// Whether an `$id` is a URI reference, where its dialect asks for one.
fn names_something(id: &str, schema: &Map<String, Value>, scope: Scope<'_, '_>) -> bool {
    let is_ignored = id.starts_with('#') || schema.contains_key("$ref");
    (scope.dialect == Dialect::Draft4 && is_ignored) || scope.resource.resolve(id).is_some()
}

/// The way from `value` down to `part`, which is part of it as this very place in memory; the last step comes first.
fn trail(value: &Value, part: &Value) -> Option<Vec<Segment<String>>> {
    if ptr::eq(value, part) {
        return Some(Vec::new());
    }
    let (mut trail, step) = match value {
        Value::Object(members) => members
            .iter()
            .find_map(|(name, member)| Some((trail(member, part)?, Segment::Name(name.clone()))))?,
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .find_map(|(i, element)| Some((trail(element, part)?, Segment::Index(i))))?,
        _ => return None,
    };
    trail.push(step);
    Some(trail)
}
