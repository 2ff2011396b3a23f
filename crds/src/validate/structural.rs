//! What the CRD's own schema says about an object: types, required fields, enumerations, ranges.
//!
//! The API server says it too, but late and alone: the mutating webhook comes before it, and says it together with
//! every other error. Patterns and lengths are not here but in the rules, which know better words for them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::crd;
use crate::field::{FieldError, Findings, Path};
use crate::kind::Kind;

/// A CRD's schema, as this pass and defaulting read it.
#[derive(Debug)]
pub(crate) struct Schema {
    shape: Shape,
    /// The value of a field that is not given.
    default: Option<Value>,
}

#[derive(Debug)]
enum Shape {
    Object {
        fields: BTreeMap<String, Schema>,
        required: Vec<String>,
        preserves_unknown: bool,
    },
    Map(Box<Schema>),
    List(Box<Schema>),
    Text {
        one_of: Vec<String>,
    },
    Integer {
        minimum: Option<i64>,
        maximum: Option<i64>,
    },
    Number,
    Boolean,
    IntegerOrText,
    /// Anything at all: what the schema preserves without knowing it.
    Any,
}

impl Schema {
    /// The schema of a kind, compiled once.
    pub(crate) fn of(kind: Kind) -> &'static Self {
        static SCHEMAS: LazyLock<[Schema; 4]> =
            LazyLock::new(|| Kind::ALL.map(|kind| Schema::compile(&crd::schema(kind))));
        let [server, tool, prompt, resource] = &*SCHEMAS;
        match kind {
            Kind::Server => server,
            Kind::Tool => tool,
            Kind::Prompt => prompt,
            Kind::Resource => resource,
        }
    }

    fn compile(schema: &Value) -> Self {
        Self { shape: Shape::compile(schema), default: schema.get("default").cloned() }
    }

    /// The schema of a declared field.
    fn field(&self, name: &str) -> Option<&Self> {
        match &self.shape {
            Shape::Object { fields, .. } => fields.get(name),
            _ => None,
        }
    }
}

impl Shape {
    fn compile(schema: &Value) -> Self {
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or_default();
        if flag("x-kubernetes-int-or-string") {
            return Self::IntegerOrText;
        }
        let strings = |name: &str| -> Vec<String> {
            let list = schema.get(name).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let integer = |name: &str| schema.get(name).and_then(Value::as_f64).map(|bound| bound as i64);
        let part = |name: &str| {
            schema.get(name).filter(|part| part.is_object()).map(|part| Box::new(Schema::compile(part)))
        };
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => match part("additionalProperties") {
                Some(values) => Self::Map(values),
                None => {
                    let fields = schema.get("properties").and_then(Value::as_object);
                    let fields = fields.into_iter().flatten();
                    Self::Object {
                        fields: fields.map(|(name, field)| (name.clone(), Schema::compile(field))).collect(),
                        required: strings("required"),
                        preserves_unknown: flag("x-kubernetes-preserve-unknown-fields"),
                    }
                }
            },
            Some("array") => part("items").map_or(Self::Any, Self::List),
            Some("string") => Self::Text { one_of: strings("enum") },
            Some("integer") => Self::Integer { minimum: integer("minimum"), maximum: integer("maximum") },
            Some("number") => Self::Number,
            Some("boolean") => Self::Boolean,
            _ => Self::Any,
        }
    }
}

/// Checks `spec` of an object against its kind's schema.
pub(crate) fn check(kind: Kind, object: &Value, findings: &mut Findings) {
    let Some(schema) = Schema::of(kind).field("spec") else { return };
    let path = Path::ROOT.field("spec");
    match object.get("spec").filter(|spec| !spec.is_null()) {
        Some(spec) => check_value(schema, spec, &path, findings),
        None => findings.error(FieldError::required(&path, "")),
    }
}

fn check_value(schema: &Schema, value: &Value, path: &Path<'_>, findings: &mut Findings) {
    let mut wrong_type =
        |what: &str| findings.error(FieldError::invalid(path, value, format_args!("must be {what}")));
    match &schema.shape {
        Shape::Any => {}
        Shape::Object { fields, required, .. } => match value {
            Value::Object(object) => check_fields(fields, required, object, path, findings),
            _ => wrong_type("an object"),
        },
        Shape::Map(values) => match value {
            Value::Object(map) => {
                for (key, value) in map {
                    check_value(values, value, &path.key(key), findings);
                }
            }
            _ => wrong_type("a map"),
        },
        Shape::List(elements) => match value {
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    check_value(elements, value, &path.index(index), findings);
                }
            }
            _ => wrong_type("a list"),
        },
        Shape::Text { one_of } => match value {
            Value::String(text) if one_of.is_empty() || one_of.contains(text) => {}
            Value::String(_) => {
                let supported: Vec<&str> = one_of.iter().map(String::as_str).collect();
                findings.error(FieldError::not_supported(path, value, &supported));
            }
            _ => wrong_type("a string"),
        },
        Shape::Integer { minimum, maximum } => match whole_number(value) {
            Some(integer) => check_range(integer, *minimum, *maximum, value, path, findings),
            None => wrong_type("an integer"),
        },
        Shape::Number if !value.is_number() => wrong_type("a number"),
        Shape::Boolean if !value.is_boolean() => wrong_type("true or false"),
        Shape::IntegerOrText if !value.is_string() && whole_number(value).is_none() => {
            wrong_type("a string or an integer")
        }
        Shape::Number | Shape::Boolean | Shape::IntegerOrText => {}
    }
}

fn check_fields(
    fields: &BTreeMap<String, Schema>,
    required: &[String],
    object: &Map<String, Value>,
    path: &Path<'_>,
    findings: &mut Findings,
) {
    for name in required {
        if object.get(name).is_none_or(Value::is_null) {
            findings.error(FieldError::required(&path.field(name), ""));
        }
    }
    for (name, value) in object {
        if let Some(field) = fields.get(name).filter(|_| !value.is_null()) {
            check_value(field, value, &path.field(name), findings);
        }
    }
}

/// JSON knows one kind of number; `3.0` is an integer to the API server as well.
fn whole_number(value: &Value) -> Option<i128> {
    let number = value.as_number()?;
    number.as_i128().or_else(|| {
        number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e18).map(|float| float as i128)
    })
}

fn check_range(
    integer: i128,
    minimum: Option<i64>,
    maximum: Option<i64>,
    value: &Value,
    path: &Path<'_>,
    findings: &mut Findings,
) {
    let below = minimum.is_some_and(|minimum| integer < i128::from(minimum));
    // Without a bound of its own an integer of this API has 32 bits.
    let above = integer > i128::from(maximum.unwrap_or(i64::from(i32::MAX)));
    if !below && !above {
        return;
    }
    let detail = match (minimum, maximum) {
        (Some(minimum), Some(maximum)) => format!("must be between {minimum} and {maximum}, inclusive"),
        (Some(minimum), None) if below => format!("must be greater than or equal to {minimum}"),
        _ => format!("must be less than or equal to {}", maximum.unwrap_or(i64::from(i32::MAX))),
    };
    findings.error(FieldError::invalid(path, value, detail));
}

/// Fills in what the schema has a default for, and removes nulls, as the API server does before it asks a webhook.
pub(crate) fn fill_defaults(kind: Kind, object: &mut Value) {
    if let (Some(schema), Some(spec)) = (Schema::of(kind).field("spec"), object.get_mut("spec")) {
        fill(schema, spec);
    }
}

fn fill(schema: &Schema, value: &mut Value) {
    match (&schema.shape, value) {
        (Shape::Object { fields, preserves_unknown: false, .. }, Value::Object(object)) => {
            object.retain(|name, value| !(value.is_null() && fields.contains_key(name)));
            for (name, field) in fields {
                match object.get_mut(name) {
                    Some(value) => fill(field, value),
                    None => {
                        if let Some(default) = &field.default {
                            object.insert(name.clone(), default.clone());
                        }
                    }
                }
            }
        }
        (Shape::Map(values), Value::Object(map)) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(|value| fill(values, value));
        }
        (Shape::List(elements), Value::Array(list)) => {
            list.iter_mut().for_each(|value| fill(elements, value))
        }
        _ => {}
    }
}

/// Paths of fields that the kind does not declare. The API server refuses them under `kubectl`'s strict validation,
/// or drops them, before a webhook sees the object; only a check of files has to look.
#[must_use]
pub fn unknown_fields(kind: Kind, object: &Value) -> Vec<FieldError> {
    let mut unknown = Vec::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let path = Path::ROOT.field(name);
        match name.as_str() {
            "apiVersion" | "kind" | "metadata" | "status" => {}
            "spec" => {
                if let Some(schema) = Schema::of(kind).field("spec") {
                    find_unknown(schema, value, &path, &mut unknown);
                }
            }
            _ => unknown.push(FieldError::invalid_str(&path, name, "unknown field")),
        }
    }
    unknown
}

fn find_unknown(schema: &Schema, value: &Value, path: &Path<'_>, unknown: &mut Vec<FieldError>) {
    match (&schema.shape, value) {
        (Shape::Object { fields, preserves_unknown: false, .. }, Value::Object(object)) => {
            for (name, value) in object {
                let path = path.field(name);
                match fields.get(name) {
                    Some(field) => find_unknown(field, value, &path, unknown),
                    None => unknown.push(FieldError::invalid_str(&path, name, "unknown field")),
                }
            }
        }
        (Shape::Map(values), Value::Object(map)) => {
            for (key, value) in map {
                find_unknown(values, value, &path.key(key), unknown);
            }
        }
        (Shape::List(elements), Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                find_unknown(elements, value, &path.index(index), unknown);
            }
        }
        _ => {}
    }
}
