//! YAML that remembers where in the file each value stands.

use std::fmt;

use mcp_crds::field::{FieldPath, Segment};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Position {
    fn from(location: Location, first_line: u64) -> Self {
        Self { line: location.line() + first_line - 1, column: location.column() }
    }
}

/// A value, and where it stands.
#[derive(Debug)]
pub(super) struct Located {
    at: Location,
    node: Node,
}

#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Located>),
    Map(Vec<(Spanned<String>, Located)>),
}

impl Located {
    /// Reads one YAML document.
    pub(super) fn parse(text: &str) -> Result<Self, serde_saphyr::Error> {
        let options = serde_saphyr::options! {
            // A key given twice is reported with everything else, and not as the end of the file.
            duplicate_keys: DuplicateKeyPolicy::LastWins,
            // kubectl reads YAML 1.1: 0644 is octal, and yes is true.
            legacy_octal_numbers: true,
            with_snippet: false,
            // The parser's own limits are below what the API server takes: a schema may be 64 deep, in a spec, in a list of objects.
            budget: serde_saphyr::budget! {
                max_depth: 72,
                simple_key_max_lookahead: 1 << 16,
                max_nodes: 1 << 24,
                max_events: 1 << 25,
            },
        };
        serde_saphyr::from_str_with_options(text, options)
    }

    /// The value without places; of a key given twice the last counts, as it does for kubectl.
    pub(super) fn to_json(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(list) => list.iter().map(Self::to_json).collect(),
            Node::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.value.clone(), value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// A member.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The elements, where this is a list.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.node {
            Node::List(list) => list,
            _ => &[],
        }
    }

    fn entry(&self, name: &str) -> Option<(&Spanned<String>, &Self)> {
        let Node::Map(entries) = &self.node else { return None };
        entries.iter().rev().find(|(key, _)| key.value == name).map(|(key, value)| (key, value))
    }

    /// Where a field stands: a scalar's own place, a list's or map's key, and of a field that is not there the nearest
    /// place above it. `first_line` is the line of the file at which the document begins.
    pub(super) fn position(&self, field: &FieldPath, first_line: u64) -> Position {
        let (mut at, mut here) = (self.at, self);
        for segment in field.segments() {
            let next = match segment {
                Segment::Field(name) | Segment::Key(name) | Segment::Name(name) => {
                    here.entry(name).map(|(key, value)| {
                        let scalar = matches!(value.node, Node::Scalar(_));
                        (if scalar { value.at } else { key.referenced }, value)
                    })
                }
                Segment::Index(index) => here.elements().get(*index).map(|value| (value.at, value)),
            };
            match next {
                Some((location, value)) => (at, here) = (location, value),
                None => break,
            }
        }
        Position::from(at, first_line)
    }

    /// Keys that are given twice, with the path of the map and the place of the second.
    pub(super) fn duplicate_keys(&self, first_line: u64) -> Vec<(FieldPath, Position)> {
        let mut found = Vec::new();
        self.find_duplicates(&FieldPath::default(), first_line, &mut found);
        found
    }

    fn find_duplicates(&self, path: &FieldPath, first_line: u64, found: &mut Vec<(FieldPath, Position)>) {
        match &self.node {
            Node::Scalar(_) => {}
            Node::List(list) => {
                for (index, value) in list.iter().enumerate() {
                    value.find_duplicates(&path.clone().join(Segment::Index(index)), first_line, found);
                }
            }
            Node::Map(entries) => {
                let mut seen = std::collections::HashSet::new();
                for (key, value) in entries {
                    let path = path.clone().join(Segment::Field(key.value.clone()));
                    if !seen.insert(key.value.as_str()) {
                        found.push((path.clone(), Position::from(key.referenced, first_line)));
                    }
                    value.find_duplicates(&path, first_line, found);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Node>::deserialize(deserializer)?;
        Ok(Self { at: referenced, node: value })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML that JSON can say")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("JSON has no such number"))?;
        Ok(Node::Scalar(Value::Number(number)))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Node, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Node, E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<Node>>()? {
            let text = match key.value {
                Node::Scalar(Value::String(text)) => text,
                Node::Scalar(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar.to_string(),
                _ => return Err(A::Error::custom("a key must be a string")),
            };
            entries.push((
                Spanned { value: text, referenced: key.referenced, defined: key.defined },
                map.next_value()?,
            ));
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
kind: MCPServer
spec:
  port: 80
  env:
  - name: A
  - name: B
  replicas: 1
  replicas: 2
";

    fn at(field: FieldPath) -> (u64, u64) {
        let position = Located::parse(TEXT).unwrap().position(&field, 1);
        (position.line, position.column)
    }

    #[test]
    fn scalars_stand_where_they_begin_and_the_rest_where_its_key_does() {
        assert_eq!(at(FieldPath::of(["spec", "port"])), (3, 9));
        assert_eq!(at(FieldPath::of(["spec", "env"])), (4, 3));
        let second = FieldPath::of(["spec", "env"]).join(Segment::Index(1));
        assert_eq!(at(second.clone()), (6, 5));
        assert_eq!(at(second.join(Segment::Field("name".to_owned()))), (6, 11));
    }

    #[test]
    fn what_is_not_there_has_its_parents_line() {
        assert_eq!(at(FieldPath::of(["spec", "image"])), (2, 1));
        assert_eq!(at(FieldPath::of(["metadata", "name"])), (1, 1));
    }

    #[test]
    fn keys_given_twice_are_found() {
        let found = Located::parse(TEXT).unwrap().duplicate_keys(1);
        assert_eq!(found, [(FieldPath::of(["spec", "replicas"]), Position { line: 8, column: 3 })]);
        assert_eq!(Located::parse(TEXT).unwrap().to_json()["spec"]["replicas"], json!(2));
    }

    #[test]
    fn scalars_have_the_types_that_kubectl_gives_them() {
        let text = "{a: yes, b: 'yes', c: 1, d: 1.5, e: null, f: 0644, 7: x}";
        let json = Located::parse(text).unwrap().to_json();
        assert_eq!(json, json!({"a": true, "b": "yes", "c": 1, "d": 1.5, "e": null, "f": 420, "7": "x"}));
    }

    #[test]
    fn what_the_api_server_takes_is_not_too_much_for_the_parser() {
        let deep = format!("{}1{}", r#"{"a": "#.repeat(70), "}".repeat(70));
        let long_name = format!(r#"{{"{}": 1}}"#, "k".repeat(5000));
        let wide = format!("[{}1]", "1, ".repeat(300_000));
        let parsed = move || {
            for text in [deep, long_name, wide] {
                let json = Located::parse(&text).unwrap().to_json().to_string();
                assert_eq!(json, text.replace(' ', ""));
            }
        };
        // The parser recurses; a command runs on the main thread, which has this much.
        std::thread::Builder::new().stack_size(8 << 20).spawn(parsed).unwrap().join().unwrap();
    }
}
