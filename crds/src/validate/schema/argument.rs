//! What an `inputSchema` says about one argument: whether a call has it.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ptr;

use serde_json::{Map, Value};

use super::dialect::Dialect;
use super::reference::{self, Index, Resource};

/// How deep `allOf` and `$ref` are followed.
const MAX_COMPOSITION: usize = 64;

/// Whether a call has an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It is no property of the schema.
    Unknown,
    /// It is one, and may be left out.
    Optional,
    /// It is required, or has a default.
    Certain,
}

/// The arguments that a schema describes at its root: in `properties`, and in what `$ref` and `allOf` add to it.
///
/// This looks at any JSON, valid or not; references that lead nowhere add nothing.
#[derive(Debug)]
pub struct Arguments<'v> {
    document: &'v Value,
    index: OnceCell<Index<'v>>,
    properties: HashMap<&'v str, Vec<&'v Value>>,
    required: HashSet<&'v str>,
}

impl<'v> Arguments<'v> {
    /// Of the schema `document`.
    #[must_use]
    pub fn of(document: &'v Value) -> Self {
        let mut arguments =
            Self { document, index: OnceCell::new(), properties: HashMap::new(), required: HashSet::new() };
        arguments.add(document, MAX_COMPOSITION, &mut HashSet::new());
        arguments
    }

    fn add(&mut self, schema: &'v Value, depth: usize, seen: &mut HashSet<*const Value>) {
        let Some(members) = schema.as_object() else { return };
        let Some(depth) = depth.checked_sub(1).filter(|_| seen.insert(ptr::from_ref(schema))) else { return };
        let reference = self.follow(members);
        let stands_alone = members.contains_key("$ref") && Dialect::of(self.document).ref_stands_alone();
        if !stands_alone {
            for (name, schema) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                self.properties.entry(name).or_default().push(schema);
            }
            let required = members.get("required").and_then(Value::as_array).into_iter().flatten();
            self.required.extend(required.filter_map(Value::as_str));
            for schema in members.get("allOf").and_then(Value::as_array).into_iter().flatten() {
                self.add(schema, depth, seen);
            }
        }
        if let Some(schema) = reference {
            self.add(schema, depth, seen);
        }
    }

    /// What the `$ref` of a schema leads to.
    fn follow(&self, schema: &Map<String, Value>) -> Option<&'v Value> {
        let reference = schema.get("$ref")?.as_str()?;
        let root = Resource { root: self.document, dialect: Dialect::of(self.document), base: None };
        let base = reference::own_uri(self.document.as_object()?, root.dialect, root);
        let index = || self.index.get_or_init(|| Index::of(self.document));
        let lead = reference::follow(reference, Resource { base: base.as_ref(), ..root }, index).ok()?;
        Some(lead.value)
    }

    /// Whether a call has the argument `name`.
    #[must_use]
    pub fn presence(&self, name: &str) -> Presence {
        match self.properties.get(name) {
            None => Presence::Unknown,
            Some(_) if self.required.contains(name) => Presence::Certain,
            Some(schemas) if schemas.iter().any(|schema| self.has_default(schema)) => Presence::Certain,
            Some(_) => Presence::Optional,
        }
    }

    fn has_default(&self, schema: &'v Value) -> bool {
        let mut schema = schema.as_object();
        // References that go round in a circle have none.
        for _ in 0..MAX_COMPOSITION {
            let Some(members) = schema else { return false };
            if members.contains_key("default") {
                return true;
            }
            schema = self.follow(members).and_then(Value::as_object);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn presence(schema: &Value) -> Presence {
        Arguments::of(schema).presence("id")
    }

    #[test]
    fn from_the_root_itself() {
        assert_eq!(presence(&json!({})), Presence::Unknown);
        assert_eq!(presence(&json!({ "required": ["id"] })), Presence::Unknown);
        assert_eq!(presence(&json!({ "properties": { "id": true } })), Presence::Optional);
        assert_eq!(presence(&json!({ "properties": { "id": true }, "required": ["id"] })), Presence::Certain);
        assert_eq!(presence(&json!({ "properties": { "id": { "default": 1 } } })), Presence::Certain);
    }

    #[test]
    fn from_what_is_part_of_the_root() {
        for schema in [
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "properties": { "id": {} }, "required": ["id"] } } }),
            json!({ "allOf": [{ "properties": { "id": {} } }, { "required": ["id"] }] }),
            json!({ "allOf": [{ "$ref": "#a" }], "required": ["id"], "$defs": { "a": { "$anchor": "a", "properties": { "id": {} } } } }),
            json!({ "properties": { "id": { "$ref": "#/$defs/a" } }, "$defs": { "a": { "default": "x" } } }),
            json!({ "$id": "http://e.org/x", "$ref": "x#/$defs/a", "$defs": { "a": { "properties": { "id": { "default": 1 } } } } }),
        ] {
            assert_eq!(presence(&schema), Presence::Certain, "{schema}");
        }
    }

    #[test]
    fn what_is_only_possible_is_not_certain() {
        for schema in [
            json!({ "anyOf": [{ "properties": { "id": {} } }] }),
            json!({ "properties": { "a": { "properties": { "id": {} } } } }),
            // Before 2019-09, what is beside a reference is ignored.
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "$ref": "#/definitions/a", "definitions": { "a": {} }, "properties": { "id": {} },
            }),
            json!({ "$ref": "#/nowhere" }),
        ] {
            assert_eq!(presence(&schema), Presence::Unknown, "{schema}");
        }
    }

    #[test]
    fn circles_end() {
        let schema = json!({ "$ref": "#", "allOf": [{ "$ref": "#" }], "properties": { "id": { "$ref": "#/properties/id" } } });
        assert_eq!(presence(&schema), Presence::Optional);
    }
}
