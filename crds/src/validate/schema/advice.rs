//! What is legal in a schema, but hardly meant.

use jsonschema::{Registry, Validator};
use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::instance::{Judge, Verdict};
use crate::field::{FieldPath, Findings, Path, Segment};

/// So many warnings about one schema are given; of all about an object, kubectl prints ten.
const MAX_WARNINGS: usize = 20;

/// So many values are left to the validator, for which a schema has to be compiled.
const MAX_COMPILED: usize = 8;

/// How far the properties of a schema are looked for in what it is composed of.
const MAX_COMPOSITION: usize = 8;

/// In so many schemas properties are looked for, and so many values are judged. What is beyond that is not warned of.
const MAX_STEPS: usize = 10_000;

/// A schema that is looked at.
pub(super) struct Subject<'p, 'v> {
    pub(super) value: &'v Value,
    pub(super) schema: &'v Map<String, Value>,
    pub(super) path: &'p Path<'p>,
    pub(super) dialect: Dialect,
    /// Whether it is the document.
    pub(super) is_root: bool,
}

/// The warnings about one document.
#[derive(Debug, Default)]
pub(super) struct Advice<'v> {
    given: usize,
    steps: usize,
    open: Vec<Open<'v>>,
}

/// A value that only the validator can judge.
#[derive(Debug)]
struct Open<'v> {
    schema: &'v Value,
    dialect: Dialect,
    at: FieldPath,
    instance: &'v Value,
    instance_at: FieldPath,
}

impl<'v> Advice<'v> {
    pub(super) fn look_at(
        &mut self,
        subject: &Subject<'_, 'v>,
        document: &'v Value,
        findings: &mut Findings,
    ) {
        let Subject { schema, path, .. } = subject;
        if let Some(Value::Array(required)) = schema.get("required")
            && (subject.is_root || schema.contains_key("properties"))
        {
            for name in required.iter().filter_map(Value::as_str) {
                if !self.declares(subject.schema, name, document, MAX_COMPOSITION) {
                    self.warn(&path.field("required"), &format!("{name:?} is no property"), findings);
                }
            }
        }
        if let Some(default) = schema.get("default") {
            self.conforms(subject, default, false, &path.field("default"), document, findings);
        }
        if let Some(Value::Array(entries)) = schema.get("enum")
            && !(subject.dialect.ref_stands_alone() && schema.contains_key("$ref"))
        {
            let entries_at = path.field("enum");
            for (i, entry) in entries.iter().enumerate() {
                self.conforms(subject, entry, true, &entries_at.index(i), document, findings);
            }
        }
    }

    /// Whether `name` is a property of `schema`, as far as that can be said: what is composed of other schemas has theirs.
    fn declares(&mut self, schema: &Map<String, Value>, name: &str, document: &Value, depth: usize) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return true;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        if properties.is_some_and(|properties| properties.contains_key(name)) {
            return true;
        }
        let mut composed = |schema: &Value| match schema {
            Value::Object(schema) => depth == 0 || self.declares(schema, name, document, depth - 1),
            _ => false,
        };
        schema.iter().any(|(keyword, value)| match (keyword.as_str(), value) {
            // A pattern may match the name.
            ("patternProperties", Value::Object(patterns)) => !patterns.is_empty(),
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => schemas.iter().any(&mut composed),
            ("if" | "then" | "else", schema) => composed(schema),
            ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                schemas.values().any(&mut composed)
            }
            ("$ref", Value::String(reference)) => local(document, reference).is_none_or(&mut composed),
            ("$dynamicRef" | "$recursiveRef", _) => true,
            _ => false,
        })
    }

    fn warn(&mut self, path: &Path<'_>, text: &str, findings: &mut Findings) {
        if self.given < MAX_WARNINGS {
            self.given += 1;
            findings.warn(path, text);
        }
    }

    fn conforms(
        &mut self,
        subject: &Subject<'_, 'v>,
        instance: &'v Value,
        is_entry: bool,
        path: &Path<'_>,
        document: &'v Value,
        findings: &mut Findings,
    ) {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return;
        }
        let judge = Judge::new(subject.dialect, |reference: &str| local(document, reference));
        let verdict = if is_entry {
            judge.judge_entry(subject.schema, instance)
        } else {
            judge.judge(subject.value, instance)
        };
        match verdict {
            Verdict::Conforms => {}
            Verdict::Refused => self.warn(path, REFUSED, findings),
            Verdict::Unknown if self.open.len() < MAX_COMPILED => self.open.push(Open {
                schema: subject.value,
                dialect: subject.dialect,
                at: subject.path.to_owned(),
                instance,
                instance_at: path.to_owned(),
            }),
            Verdict::Unknown => {}
        }
    }

    /// Asks the validator about what is left, once the document is known to be a schema.
    pub(super) fn finish(&mut self, document: &Value, origin: &Path<'_>, findings: &mut Findings) {
        let origin = origin.to_owned().segments().len();
        for open in std::mem::take(&mut self.open) {
            let validator = if refers(open.schema) {
                compile_within(document, open.at.segments().get(origin..).unwrap_or_default(), open.dialect)
            } else {
                jsonschema::options().with_draft(open.dialect.draft()).build(open.schema).ok()
            };
            if validator.is_some_and(|validator| !validator.is_valid(open.instance))
                && self.given < MAX_WARNINGS
            {
                self.given += 1;
                findings.warn(open.instance_at, REFUSED);
            }
        }
    }
}

const REFUSED: &str = "its own schema refuses this value";

/// What a `$ref` leads to, where that is a plain pointer in a document of one resource.
fn local<'v>(document: &'v Value, reference: &str) -> Option<&'v Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.contains('%') { None } else { document.pointer(pointer) }
}

/// Whether a schema refers to another.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(keyword, value)| {
            matches!(keyword.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") || refers(value)
        }),
        Value::Array(elements) => elements.iter().any(refers),
        _ => false,
    }
}

/// Compiles the part of `document` at `at`, with what it refers to elsewhere in the document.
fn compile_within(document: &Value, at: &[Segment<String>], dialect: Dialect) -> Option<Validator> {
    const NAME: &str = "urn:mcp:schema";
    if dialect != Dialect::of(document) {
        return None;
    }
    let registry = Registry::new().draft(dialect.draft()).add(NAME, document).ok()?.prepare().ok()?;
    let mut reference = format!("{NAME}#");
    for segment in at {
        reference.push('/');
        match segment {
            Segment::Index(index) => reference.push_str(&index.to_string()),
            Segment::Field(name) | Segment::Key(name) | Segment::Name(name) => {
                for byte in name.replace('~', "~0").replace('/', "~1").bytes() {
                    match byte {
                        b'~' | b'-' | b'.' | b'_' => reference.push(char::from(byte)),
                        byte if byte.is_ascii_alphanumeric() => reference.push(char::from(byte)),
                        byte => reference.push_str(&format!("%{byte:02X}")),
                    }
                }
            }
        }
    }
    let options = jsonschema::options().with_draft(dialect.draft()).with_registry(&registry);
    options.build(&json!({ "$ref": reference })).ok()
}
