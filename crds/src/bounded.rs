//! Objects read from JSON within bounds that a hostile one cannot leave.
//!
//! A parser that gives up at some depth gives up a whole list for one object in it. What is nested over [`MAX_DEPTH`] is kept as
//! text here instead: reading that does not recurse, and a rule says that it is too deep.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::field::{FieldError, FieldPath, Segment};
use crate::validate::depth::{MAX_DEPTH, cut};

/// How many values an object may hold. More would not fit where objects are stored, and would take a hundred
/// times their size in memory.
const MAX_VALUES: usize = 1 << 20;

/// Parses an object that somebody sends. `metadata.managedFields` is left out, which no rule reads and which is often the larger
/// half.
///
/// # Errors
/// Where it is no object, or holds something that is no JSON value, or more values than could be stored: the error names the
/// field.
pub fn object(raw: &RawValue) -> Result<Value, FieldError> {
    let progress = Progress::default();
    let seed = Seed { progress: &progress, depth: 0, most: MAX_VALUES, place: Place::Object };
    match seed.deserialize(&mut serde_json::Deserializer::from_str(raw.get())) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(value) => Err(FieldError::invalid(FieldPath::of(["object"]), &value, "must be an object")),
        Err(error) => Err(progress.unreadable(&error)),
    }
}

/// Reads a member of a stored object, such as its `spec`. How much it holds is bounded by where it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Member;

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let progress = Progress::default();
        let seed = Seed { progress: &progress, depth: 1, most: usize::MAX, place: Place::Other };
        seed.deserialize(deserializer)
    }
}

/// What is known while an object is being parsed.
#[derive(Default)]
struct Progress {
    values: Cell<usize>,
    /// The steps from where parsing failed up to the object's root.
    failed_at: RefCell<Vec<Segment<String>>>,
}

impl Progress {
    fn unreadable(&self, error: &serde_json::Error) -> FieldError {
        let path = self.failed_at.take().into_iter().rev().fold(FieldPath::default(), FieldPath::join);
        let path = if path.segments().is_empty() { FieldPath::of(["object"]) } else { path };
        let text = error.to_string();
        let sentence = text.split_once(" at line ").map_or(text.as_str(), |(sentence, _)| sentence);
        FieldError::invalid(path, &Value::from("(not readable)"), sentence)
    }
}

/// Where a value stands, as far as that decides what is kept of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Object,
    Metadata,
    Other,
}

#[derive(Clone, Copy)]
struct Seed<'p> {
    progress: &'p Progress,
    depth: usize,
    /// How many values there may be.
    most: usize,
    place: Place,
}

impl Seed<'_> {
    fn member(self, name: &str) -> Self {
        let place =
            if self.place == Place::Object && name == "metadata" { Place::Metadata } else { Place::Other };
        Self { depth: self.depth + 1, place, ..self }
    }

    fn failed(self, step: Segment<String>) {
        self.progress.failed_at.borrow_mut().push(step);
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = self.progress.values.get() + 1;
        self.progress.values.set(values);
        if values > self.most {
            return Err(D::Error::custom(format_args!("the object holds more than {} values", self.most)));
        }
        if self.depth < MAX_DEPTH {
            return deserializer.deserialize_any(self);
        }
        let raw = <Box<RawValue> as serde::Deserialize>::deserialize(deserializer)?;
        if raw.get().starts_with(['{', '[']) {
            return Ok(cut(raw.get()));
        }
        serde_json::from_str(raw.get()).map_err(D::Error::custom)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        let seed = Seed { depth: self.depth + 1, place: Place::Other, ..self };
        while let Some(element) =
            seq.next_element_seed(seed).inspect_err(|_| self.failed(Segment::Index(elements.len())))?
        {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.place == Place::Metadata && name == "managedFields" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match map.next_value_seed(self.member(&name)) {
                Ok(member) => members.insert(name, member),
                Err(error) => {
                    self.failed(if self.place == Place::Object {
                        Segment::Field(name)
                    } else {
                        Segment::Name(name)
                    });
                    return Err(error);
                }
            };
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::field::Findings;
    use crate::validate::depth;

    fn parse(json: &str) -> Result<Value, FieldError> {
        object(serde_json::from_str(json).unwrap())
    }

    fn nested(depth: usize) -> String {
        format!("{}7{}", "[".repeat(depth), "]".repeat(depth))
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..8).prop_map(|m| m.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_object_is_what_serde_json_makes_of_it(value in any_json()) {
            let json = json!({"spec": value}).to_string();
            let expected: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(parse(&json).unwrap(), expected);
        }
    }

    #[test]
    fn managed_fields_are_dropped_where_the_api_server_puts_them() {
        let json = r#"{"metadata": {"managedFields": [{}], "name": "a"}, "spec": {"managedFields": 1, "metadata": {"managedFields": 2}}}"#;
        let expected = json!({
            "metadata": {"name": "a"},
            "spec": {"managedFields": 1, "metadata": {"managedFields": 2}}
        });
        assert_eq!(parse(json).unwrap(), expected);
    }

    #[test]
    fn of_a_member_given_twice_the_last_counts() {
        assert_eq!(parse(r#"{"spec": 1, "spec": 2}"#).unwrap(), json!({"spec": 2}));
    }

    #[test]
    fn what_is_too_deep_is_kept_as_text_and_reported_once_a_field() {
        let json = |depth| format!(r#"{{"spec": {{"a": {}, "b": {}}}}}"#, nested(depth), nested(3));
        let fields = |object: &Value| -> Vec<String> {
            let mut findings = Findings::default();
            depth::check(object, &mut findings);
            findings.errors.iter().map(|error| error.field.to_string()).collect()
        };
        assert!(fields(&parse(&json(MAX_DEPTH - 2)).unwrap()).is_empty());
        for depth in [MAX_DEPTH - 1, MAX_DEPTH, 5000] {
            let object = parse(&json(depth)).unwrap();
            assert_eq!(fields(&object), ["spec.a"]);
            // Two that differ only below still differ.
            assert_ne!(object, parse(&json(depth).replace('7', "8")).unwrap());
            // What is made of it can be read by anybody, and says the same.
            let again: Value = serde_json::from_str(&object.to_string()).unwrap();
            assert_eq!(fields(&again), ["spec.a"]);
        }
    }

    #[test]
    fn an_object_that_is_too_deep_stops_no_list() {
        struct Members(Value);
        impl<'de> serde::Deserialize<'de> for Members {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Spec;
                impl<'de> Visitor<'de> for Spec {
                    type Value = Members;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                        map.next_key::<String>()?;
                        map.next_value_seed(Member).map(Members)
                    }
                }
                deserializer.deserialize_map(Spec)
            }
        }
        let list = |depth| format!(r#"{{"items": [{{"spec": 1}}, {{"spec": {}}}]}}"#, nested(depth));
        for depth in [MAX_DEPTH - 1, 200, 200_000] {
            let read: std::collections::HashMap<String, Vec<Members>> =
                serde_json::from_str(&list(depth)).unwrap();
            assert_eq!(read["items"][0].0, 1);
            assert!(read["items"][1].0.is_array());
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (json, field) in [
            (r#"{"metadata": {"annotations": {"a.b/c": 1e999}}}"#, "metadata.annotations[a.b/c]"),
            (r#"{"spec": {"env": [{}, {"value": "\udead"}]}}"#, "spec.env[1].value"),
            (r#"{"spec": 1e999}"#, "spec"),
            (r#"{"\ud800": 1}"#, "object"),
            ("[1e999]", "[0]"),
        ] {
            assert_eq!(parse(json).unwrap_err().field.to_string(), field);
        }
    }
}
