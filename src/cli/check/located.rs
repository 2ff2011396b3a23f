//! YAML that remembers where in the file each value stands.

use std::fmt;

use mcp_crds::field::{self, FieldError, FieldPath, Segment};
use mcp_crds::validate::depth::{MAX_DEPTH, cut};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

/// How deep a document may be nested to be read at all. Rules see less of it, see [`MAX_DEPTH`].
const MAX_PARSED_DEPTH: usize = 1000;

/// How large a stack has to be for a document that is so deep: the parser recurses.
pub(super) const STACK_BYTES: usize = 256 << 20;

/// What rules see in the place of what is too deep for them.
const TOO_DEEP: &str = "(nested too deep)";

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Position {
    /// A place in a document, in a file in which the document begins here.
    fn plus(self, location: Location) -> Self {
        let column = if location.line() == 1 { self.column - 1 } else { 0 };
        Self { line: self.line + location.line() - 1, column: column + location.column() }
    }

    /// The place at the end of a text that begins here.
    pub(super) fn after(self, text: &str) -> Self {
        let count = |text: &str| text.chars().count() as u64;
        match text.rsplit_once('\n') {
            None => Self { column: self.column + count(text), ..self },
            Some((lines, last)) => {
                let lines = 1 + lines.matches('\n').count() as u64;
                Self { line: self.line + lines, column: 1 + count(last) }
            }
        }
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
            // The parser's own limits are below what the API server takes.
            budget: serde_saphyr::budget! {
                max_depth: MAX_PARSED_DEPTH,
                flow_nesting_limit: MAX_PARSED_DEPTH,
                simple_key_max_lookahead: 1 << 16,
                max_nodes: 1 << 24,
                max_events: 1 << 25,
            },
        };
        serde_saphyr::from_str_with_options(text, options)
    }

    /// The value without places; of a key given twice the last counts, as it does for kubectl. What is nested deeper than
    /// [`MAX_DEPTH`] is left out.
    pub(super) fn to_json(&self) -> Value {
        self.to_json_at(0)
    }

    fn to_json_at(&self, depth: usize) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            _ if depth == MAX_DEPTH => cut(TOO_DEEP),
            Node::List(list) => list.iter().map(|value| value.to_json_at(depth + 1)).collect(),
            Node::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.value.clone(), value.to_json_at(depth + 1)))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node, Node::Scalar(Value::Null))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    /// A member.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The elements, where this is a list.
    pub(super) fn elements(&self) -> Option<&[Self]> {
        match &self.node {
            Node::List(list) => Some(list),
            _ => None,
        }
    }

    fn entry(&self, name: &str) -> Option<(&Spanned<String>, &Self)> {
        let Node::Map(entries) = &self.node else { return None };
        entries.iter().rev().find(|(key, _)| key.value == name).map(|(key, value)| (key, value))
    }

    /// Where it stands.
    pub(super) fn start(&self, begin: Position) -> Position {
        begin.plus(self.at)
    }

    /// Where an error is: in a text, if the error says where and the document's text shows it there; else where the field
    /// stands. That is a scalar's own place, a list's or map's key, and of a field that is not there the nearest place
    /// above it. `begin` is where in the file the document does.
    pub(super) fn position(&self, error: &FieldError, document: &str, begin: Position) -> Position {
        let (at, value) = self.find(&error.field);
        let within = match (&error.within, value.map(|value| &value.node)) {
            (Some(place), Some(Node::Scalar(Value::String(text)))) => within(document, at, text, *place),
            _ => None,
        };
        within.map_or_else(
            || begin.plus(at),
            |(line, column)| {
                let first = if line == 1 { begin.column - 1 } else { 0 };
                Position { line: begin.line + line - 1, column: first + column }
            },
        )
    }

    /// The place of a field, and what stands there, if it is there.
    fn find(&self, field: &FieldPath) -> (Location, Option<&Self>) {
        let (mut at, mut here) = (self.at, self);
        for segment in field.segments() {
            let next = match segment {
                Segment::Field(name) | Segment::Key(name) | Segment::Name(name) => {
                    here.entry(name).map(|(key, value)| {
                        let scalar = matches!(value.node, Node::Scalar(_));
                        (if scalar { value.at } else { key.referenced }, value)
                    })
                }
                Segment::Index(index) => {
                    here.elements().and_then(|list| list.get(*index)).map(|value| (value.at, value))
                }
            };
            match next {
                Some((location, value)) => (at, here) = (location, value),
                None => return (at, None),
            }
        }
        (at, Some(here))
    }

    /// Keys that are given twice, with the path of the map and the place of the second.
    pub(super) fn duplicate_keys(&self, begin: Position) -> Vec<(FieldPath, Position)> {
        let mut found = Vec::new();
        self.find_duplicates(&FieldPath::default(), begin, &mut found);
        found
    }

    fn find_duplicates(&self, path: &FieldPath, begin: Position, found: &mut Vec<(FieldPath, Position)>) {
        match &self.node {
            Node::Scalar(_) => {}
            Node::List(list) => {
                for (index, value) in list.iter().enumerate() {
                    value.find_duplicates(&path.clone().join(Segment::Index(index)), begin, found);
                }
            }
            Node::Map(entries) => {
                let mut seen = std::collections::HashSet::new();
                for (key, value) in entries {
                    let path = path.clone().join(Segment::Field(key.value.clone()));
                    if !seen.insert(key.value.as_str()) {
                        found.push((path.clone(), begin.plus(key.referenced)));
                    }
                    value.find_duplicates(&path, begin, found);
                }
            }
        }
    }
}

/// The line and column of a place in a scalar's text that begins at `start`: where it is written as it is, in a block or on
/// one line. Folding and escapes make it unknown.
fn within(document: &str, start: Location, text: &str, place: field::Position) -> Option<(u64, u64)> {
    let written = text.lines().nth(place.line.checked_sub(1)?)?;
    let column = start.column().checked_sub(1)?;
    let line = start.line().checked_sub(1)?;
    let is_escaped = |c: char| matches!(c, '\\' | '"' | '\'');
    let mut lines = document.lines();
    if place.line == 1
        && let Some(rest) = skip(lines.clone().nth(usize::try_from(line).ok()?)?, column)
    {
        let quote = u64::from(rest.starts_with(['"', '\'']));
        let before: String = written.chars().take(place.column.checked_sub(1)?).collect();
        if skip(rest, quote)?.starts_with(&before) && (quote == 0 || !before.contains(is_escaped)) {
            return Some((start.line(), start.column() + quote + place.column as u64 - 1));
        }
    }
    // A block begins at its first line that is not empty.
    let empty = text.lines().take_while(|line| line.is_empty()).count();
    let below = place.line.checked_sub(1 + empty)?;
    let shown = lines.nth(usize::try_from(line).ok()?.checked_add(below)?)?;
    let is_same = skip(shown, column).is_some_and(|shown| shown == written);
    is_same.then(|| (start.line() + below as u64, start.column() + place.column as u64 - 1))
}

/// What stands after so many characters.
fn skip(line: &str, chars: u64) -> Option<&str> {
    let mut rest = line.chars();
    (0..chars).all(|_| rest.next().is_some()).then_some(rest.as_str())
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
    use mcp_crds::field::Findings;
    use mcp_crds::validate::depth;
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

    const BEGIN: Position = Position { line: 1, column: 1 };

    fn at(field: FieldPath) -> (u64, u64) {
        let position = Located::parse(TEXT).unwrap().position(&FieldError::required(field, ""), TEXT, BEGIN);
        (position.line, position.column)
    }

    /// Where the text of the field `a` has its first `{{`.
    fn braces(document: &str) -> (u64, u64) {
        let located = Located::parse(document).unwrap();
        let json = located.to_json();
        let before = json["a"].as_str().unwrap().split_once("{{").unwrap().0;
        let (lines, last) = before.rsplit_once('\n').unwrap_or(("", before));
        let line = 1 + before.matches('\n').count();
        assert!(line == 1 + lines.matches('\n').count() + usize::from(before.contains('\n')));
        let place = field::Position { line, column: 1 + last.chars().count() };
        let error = FieldError::required(FieldPath::of(["a"]), "").within(place);
        let position = located.position(&error, document, Position { line: 11, column: 5 });
        (position.line, position.column)
    }

    #[test]
    fn a_place_in_a_text_is_found_where_the_text_is_written_as_it_is() {
        // As it is: in a block, whose own indentation may be anything, and on a line.
        assert_eq!(braces("a: |\n  x\n\n    é {{b\n"), (14, 7));
        assert_eq!(braces("a: |2-\n\n    x\n  y {{b\n"), (14, 5));
        assert_eq!(braces("b: 1\na: |\r\n  x\r\n  y {{b\r\n"), (14, 5));
        assert_eq!(braces("b: 1\na: é {{b\n"), (12, 6));
        assert_eq!(braces("b: 1\na: 'é {{b'\n"), (12, 7));
        assert_eq!(braces("{\"a\": \"é {{b\"}"), (11, 14));
        // Not as it is: the text's own place.
        assert_eq!(braces("b: 1\na: \"\\t {{b\"\n"), (12, 4));
        assert_eq!(braces("b: 1\na: 'it''s {{b'\n"), (12, 4));
        assert_eq!(braces("b: 1\na: >\n  x\n  y {{b\n"), (13, 3));
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
        let found = Located::parse(TEXT).unwrap().duplicate_keys(BEGIN);
        assert_eq!(found, [(FieldPath::of(["spec", "replicas"]), Position { line: 8, column: 3 })]);
        assert_eq!(Located::parse(TEXT).unwrap().to_json()["spec"]["replicas"], json!(2));
    }

    #[test]
    fn scalars_have_the_types_that_kubectl_gives_them() {
        let text = "{a: yes, b: 'yes', c: 1, d: 1.5, e: null, f: 0644, 7: x}";
        let json = Located::parse(text).unwrap().to_json();
        assert_eq!(json, json!({"a": true, "b": "yes", "c": 1, "d": 1.5, "e": null, "f": 420, "7": "x"}));
    }

    /// On a stack as a command has it.
    fn on_its_stack(read: impl FnOnce() + Send + 'static) {
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn(read).unwrap().join().unwrap();
    }

    #[test]
    fn what_the_api_server_takes_is_not_too_much_for_the_parser() {
        let deep = format!("{}1{}", r#"{"a": "#.repeat(99), "}".repeat(99));
        let long_name = format!(r#"{{"{}": 1}}"#, "k".repeat(5000));
        let wide = format!("[{}1]", "1, ".repeat(300_000));
        on_its_stack(move || {
            for text in [deep, long_name, wide] {
                let json = Located::parse(&text).unwrap().to_json().to_string();
                assert_eq!(json, text.replace(' ', ""));
            }
        });
    }

    #[test]
    fn what_is_too_deep_is_told_by_field_and_left_out() {
        on_its_stack(|| {
            let nested =
                |open: &str, close: &str, depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for (depth, expected) in [
                (98, vec![]),
                (99, vec![FieldPath::of(["spec", "a"])]),
                (990, vec![FieldPath::of(["spec", "a"])]),
            ] {
                let flow = nested("[", "]", depth);
                let block = nested("- ", "", depth);
                for text in
                    [format!("{{spec: {{a: {flow}, b: 1}}}}"), format!("spec:\n  a:\n    {block}\n  b: 1\n")]
                {
                    let located = Located::parse(&text).unwrap();
                    let (json, mut findings) = (located.to_json(), Findings::default());
                    depth::check(&json, &mut findings);
                    let fields: Vec<_> = findings.errors.into_iter().map(|error| error.field).collect();
                    assert_eq!(fields, expected, "{depth}");
                    assert_eq!(json.to_string().contains(TOO_DEEP), !expected.is_empty(), "{depth}");
                }
            }
            assert!(Located::parse(&nested("[", "]", 5000)).is_err());
        });
    }
}
