//! Whether a value conforms to a schema, as far as that can be told without compiling the schema.
//!
//! A `default` and the entries of an `enum` are mostly strings and numbers beside a `type` and a bound or two. Those are
//! judged here in well under a microsecond; what is more than that is left to the validator.

use std::cell::Cell;

use serde_json::{Map, Number, Value};

use super::dialect::Dialect;

/// How many schemas are looked into for one value.
const MAX_SCHEMAS: u32 = 100;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Conforms,
    Refused,
    /// It takes the validator to tell.
    Unknown,
}

use Verdict::{Conforms, Refused, Unknown};

impl Verdict {
    fn of(conforms: bool) -> Self {
        if conforms { Conforms } else { Refused }
    }

    /// Of all of these: one refusal is enough.
    fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut together = Conforms;
        for verdict in verdicts {
            match verdict {
                Refused => return Refused,
                Unknown => together = Unknown,
                Conforms => {}
            }
        }
        together
    }

    /// Of any of these: one is enough to conform.
    fn any(verdicts: impl IntoIterator<Item = Self>) -> Self {
        !Self::all(verdicts.into_iter().map(|verdict| !verdict))
    }
}

impl std::ops::Not for Verdict {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Conforms => Refused,
            Refused => Conforms,
            Unknown => Unknown,
        }
    }
}

/// Judges values in one dialect.
pub(super) struct Judge<F> {
    dialect: Dialect,
    /// Follows a `$ref`, where that needs no more than the document.
    follow: F,
    /// How many more schemas may be looked into.
    room: Cell<u32>,
}

impl<'v, F: Fn(&str) -> Option<&'v Value>> Judge<F> {
    pub(super) fn new(dialect: Dialect, follow: F) -> Self {
        Self { dialect, follow, room: Cell::new(0) }
    }

    /// Judges `instance` by `schema`, which conforms to its dialect.
    pub(super) fn judge(&self, schema: &Value, instance: &Value) -> Verdict {
        self.room.set(MAX_SCHEMAS);
        self.schema(schema, instance)
    }

    /// Judges an entry of the schema's own `enum` by the rest of it.
    pub(super) fn judge_entry(&self, schema: &Map<String, Value>, entry: &Value) -> Verdict {
        self.room.set(MAX_SCHEMAS);
        let rest = schema.iter().filter(|(keyword, _)| *keyword != "enum");
        Verdict::all(rest.map(|(keyword, value)| self.keyword(keyword, value, schema, entry)))
    }

    fn schema(&self, schema: &Value, instance: &Value) -> Verdict {
        let Some(room) = self.room.get().checked_sub(1) else { return Unknown };
        self.room.set(room);
        match schema {
            Value::Bool(allowed) => Verdict::of(*allowed),
            Value::Object(schema) => match schema.get("$ref") {
                Some(reference) if self.dialect.ref_stands_alone() => self.reference(reference, instance),
                _ => Verdict::all(
                    schema.iter().map(|(keyword, value)| self.keyword(keyword, value, schema, instance)),
                ),
            },
            _ => Unknown,
        }
    }

    fn reference(&self, reference: &Value, instance: &Value) -> Verdict {
        match reference.as_str().and_then(&self.follow) {
            Some(target) => self.schema(target, instance),
            None => Unknown,
        }
    }

    fn keyword(
        &self,
        keyword: &str,
        value: &Value,
        schema: &Map<String, Value>,
        instance: &Value,
    ) -> Verdict {
        match keyword {
            "title" | "description" | "default" | "examples" | "$schema" | "$comment" | "$defs"
            | "definitions" => Conforms,
            "type" => self.types(value, instance),
            "enum" => match value {
                Value::Array(allowed) => Verdict::any(allowed.iter().map(|allowed| equal(allowed, instance))),
                _ => Unknown,
            },
            "const" if self.dialect > Dialect::Draft4 => equal(value, instance),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                self.bound(keyword, value, schema, instance)
            }
            "minLength" => size(value, text_length(instance), |bound, length| length >= bound),
            "maxLength" => size(value, text_length(instance), |bound, length| length <= bound),
            "minItems" => size(value, instance.as_array().map(Vec::len), |bound, length| length >= bound),
            "maxItems" => size(value, instance.as_array().map(Vec::len), |bound, length| length <= bound),
            "minProperties" => {
                size(value, instance.as_object().map(Map::len), |bound, length| length >= bound)
            }
            "maxProperties" => {
                size(value, instance.as_object().map(Map::len), |bound, length| length <= bound)
            }
            "required" => match (instance, value) {
                (Value::Object(members), Value::Array(names)) => {
                    Verdict::of(names.iter().filter_map(Value::as_str).all(|name| members.contains_key(name)))
                }
                _ => Conforms,
            },
            "properties" => match (instance, value) {
                (Value::Object(members), Value::Object(schemas)) => {
                    Verdict::all(members.iter().filter_map(|(name, member)| {
                        schemas.get(name).map(|schema| self.schema(schema, member))
                    }))
                }
                _ => Conforms,
            },
            "additionalProperties" => match instance {
                Value::Object(members) if !schema.contains_key("patternProperties") => {
                    let declared = schema.get("properties").and_then(Value::as_object);
                    let more =
                        members.iter().filter(|(name, _)| !declared.is_some_and(|d| d.contains_key(*name)));
                    Verdict::all(more.map(|(_, member)| self.schema(value, member)))
                }
                Value::Object(_) => Unknown,
                _ => Conforms,
            },
            "items" => match (instance, value) {
                (Value::Array(elements), Value::Object(_) | Value::Bool(_))
                    if !schema.contains_key("prefixItems") =>
                {
                    Verdict::all(elements.iter().map(|element| self.schema(value, element)))
                }
                (Value::Array(elements), _) if !elements.is_empty() => Unknown,
                _ => Conforms,
            },
            "uniqueItems" => Verdict::unless(instance.as_array().is_some_and(|elements| elements.len() > 1)),
            "allOf" => self.schemas(value, instance, Verdict::all),
            "anyOf" => self.schemas(value, instance, Verdict::any),
            "oneOf" => self.schemas(value, instance, exactly_one),
            "not" => !self.schema(value, instance),
            "$ref" => self.reference(value, instance),
            "pattern" => Verdict::unless(instance.is_string()),
            // An assertion before 2019-09, an annotation since.
            "format" => Verdict::unless(instance.is_string() && self.dialect <= Dialect::Draft7),
            "multipleOf" => Verdict::unless(instance.is_number()),
            "contentMediaType" | "contentEncoding" => {
                Verdict::unless(instance.is_string() && self.dialect <= Dialect::Draft7)
            }
            "patternProperties"
            | "propertyNames"
            | "dependencies"
            | "dependentRequired"
            | "dependentSchemas"
            | "unevaluatedProperties" => Verdict::unless(instance.is_object()),
            "additionalItems" | "contains" | "prefixItems" | "unevaluatedItems" => {
                Verdict::unless(instance.is_array())
            }
            "if" | "$dynamicRef" | "$recursiveRef" | "$id" | "id" => Unknown,
            _ => Conforms,
        }
    }

    fn types(&self, types: &Value, instance: &Value) -> Verdict {
        match types {
            Value::String(name) => self.is_of_type(name, instance),
            Value::Array(names) => Verdict::any(
                names.iter().filter_map(Value::as_str).map(|name| self.is_of_type(name, instance)),
            ),
            _ => Unknown,
        }
    }

    fn is_of_type(&self, name: &str, instance: &Value) -> Verdict {
        match (name, instance) {
            ("integer", Value::Number(number)) => {
                let is_whole = number.as_f64().is_some_and(|number| number.fract() == 0.0);
                // In draft-04 it depends on how a whole float was written.
                if is_whole && number.is_f64() && self.dialect == Dialect::Draft4 {
                    Unknown
                } else {
                    Verdict::of(is_whole)
                }
            }
            ("null", Value::Null)
            | ("boolean", Value::Bool(_))
            | ("number", Value::Number(_))
            | ("string", Value::String(_))
            | ("array", Value::Array(_))
            | ("object", Value::Object(_)) => Conforms,
            _ => Refused,
        }
    }

    fn bound(&self, keyword: &str, value: &Value, schema: &Map<String, Value>, instance: &Value) -> Verdict {
        let Value::Number(number) = instance else { return Conforms };
        let Value::Number(bound) = value else {
            // draft-04's modifiers: told with the bound they modify.
            return Conforms;
        };
        let (Some(number), Some(bound)) = (exactly(number), exactly(bound)) else { return Unknown };
        let exclusive = |modifier: &str| schema.get(modifier).and_then(Value::as_bool).unwrap_or_default();
        Verdict::of(match keyword {
            "minimum" if self.dialect == Dialect::Draft4 && exclusive("exclusiveMinimum") => number > bound,
            "maximum" if self.dialect == Dialect::Draft4 && exclusive("exclusiveMaximum") => number < bound,
            "minimum" => number >= bound,
            "maximum" => number <= bound,
            "exclusiveMinimum" => number > bound,
            _ => number < bound,
        })
    }

    fn schemas(
        &self,
        schemas: &Value,
        instance: &Value,
        together: impl Fn(Vec<Verdict>) -> Verdict,
    ) -> Verdict {
        match schemas {
            Value::Array(schemas) => {
                together(schemas.iter().map(|schema| self.schema(schema, instance)).collect())
            }
            _ => Unknown,
        }
    }
}

impl Verdict {
    /// Conforms where a keyword does not apply.
    fn unless(applies: bool) -> Self {
        if applies { Unknown } else { Conforms }
    }
}

fn exactly_one(verdicts: Vec<Verdict>) -> Verdict {
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    match (count(Conforms), count(Unknown)) {
        (2.., _) | (0, 0) => Refused,
        (1, 0) => Conforms,
        _ => Unknown,
    }
}

/// Whether two values are equal to JSON Schema, which compares numbers by value.
fn equal(left: &Value, right: &Value) -> Verdict {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (exactly(left), exactly(right)) {
            (Some(left), Some(right)) => Verdict::of(left == right),
            _ => Unknown,
        },
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) if left != right => Unknown,
        _ => Verdict::of(left == right),
    }
}

/// The number as a float, where it is not so large that this would round it.
fn exactly(number: &Number) -> Option<f64> {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    number.as_f64().filter(|number| number.abs() <= LARGEST)
}

fn text_length(instance: &Value) -> Option<usize> {
    instance.as_str().map(|text| text.chars().count())
}

fn size(bound: &Value, actual: Option<usize>, holds: impl Fn(u64, u64) -> bool) -> Verdict {
    match (actual.and_then(|actual| u64::try_from(actual).ok()), bound.as_u64()) {
        (None, _) => Conforms,
        (Some(actual), Some(bound)) => Verdict::of(holds(bound, actual)),
        (Some(_), None) => Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judge(schema: &Value, instance: &Value) -> Verdict {
        Judge::new(Dialect::of(schema), |reference| schema.pointer(reference.strip_prefix('#')?))
            .judge(schema, instance)
    }

    #[test]
    fn tells_plain_cases() {
        for (schema, conforming, refused) in [
            (json!({ "type": "integer" }), json!(3.0), json!("3")),
            (json!({ "type": ["string", "null"] }), json!(null), json!(1)),
            (json!({ "enum": ["a", 1.0] }), json!(1), json!("b")),
            (json!({ "const": {} }), json!({}), json!([])),
            (json!({ "minimum": 1, "exclusiveMaximum": 5 }), json!(1), json!(5)),
            (json!({ "minLength": 2, "maxLength": 3 }), json!("äöü"), json!("a")),
            (json!({ "items": { "type": "string" } }), json!(["a"]), json!(["a", 1])),
            (json!({ "maxItems": 1 }), json!([1]), json!([1, 2])),
            (
                json!({ "properties": { "a": { "type": "null" } }, "additionalProperties": false }),
                json!({ "a": null }),
                json!({ "b": 1 }),
            ),
            (json!({ "required": ["a"] }), json!({ "a": 1 }), json!({})),
            (json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }), json!(null), json!(0)),
            (json!({ "oneOf": [{ "type": "number" }, { "type": "integer" }] }), json!(1.5), json!(1)),
            (json!({ "not": { "type": "string" } }), json!(1), json!("")),
            (json!({ "$ref": "#/$defs/a", "$defs": { "a": { "enum": ["x"] } } }), json!("x"), json!("y")),
            (
                json!({ "$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true }),
                json!(2),
                json!(1),
            ),
        ] {
            assert_eq!(judge(&schema, &conforming), Conforms, "{conforming} by {schema}");
            assert_eq!(judge(&schema, &refused), Refused, "{refused} by {schema}");
        }
    }

    #[test]
    fn leaves_the_rest_to_the_validator() {
        assert_eq!(judge(&json!({ "pattern": "^a" }), &json!("b")), Unknown);
        assert_eq!(judge(&json!({ "multipleOf": 0.1 }), &json!(0.3)), Unknown);
        assert_eq!(judge(&json!({ "$ref": "#" }), &json!(1)), Unknown);
        assert_eq!(judge(&json!({ "pattern": "^a", "type": "integer" }), &json!("b")), Refused);
    }
}
