//! A cursor over raw JSON that knows where it stands.
//!
//! Rules read objects through it, and not through the typed API: a value of the wrong type is one error among
//! the others (the structural pass reports it), and every rule over the rest of the object still runs.

use serde_json::{Map, Value};

use crate::field::Path;

/// A value and its place in the object.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The value; never `null` unless the root is.
    pub value: &'a Value,
    /// Its place.
    pub path: Path<'a>,
}

impl<'a> Node<'a> {
    /// The whole object.
    #[must_use]
    pub const fn root(value: &'a Value) -> Self {
        Self { value, path: Path::ROOT }
    }

    /// A declared field. `None` where it is absent or `null`, which the API server treats alike.
    #[must_use]
    pub fn get(&'a self, field: &'a str) -> Option<Node<'a>> {
        let value = self.value.get(field).filter(|value| !value.is_null())?;
        Some(Node { value, path: self.path.field(field) })
    }

    /// A declared field that is a string.
    #[must_use]
    pub fn get_str(&'a self, field: &'a str) -> Option<&'a str> {
        self.value.get(field)?.as_str()
    }

    /// A declared field that is an integer.
    #[must_use]
    pub fn get_i64(&'a self, field: &'a str) -> Option<i64> {
        self.value.get(field)?.as_i64()
    }

    /// A declared field that is a boolean.
    #[must_use]
    pub fn get_bool(&'a self, field: &'a str) -> Option<bool> {
        self.value.get(field)?.as_bool()
    }

    /// Whether a declared field is there, whatever its type.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.value.get(field).is_some_and(|value| !value.is_null())
    }

    /// The string, where the value is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// The members, where the value is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// The elements, where the value is a list; none where it is not.
    pub fn elements(&'a self) -> impl Iterator<Item = Node<'a>> {
        let elements = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        elements.iter().enumerate().map(|(i, value)| Node { value, path: self.path.index(i) })
    }

    /// The entries, where the value is a map; none where it is not.
    pub fn entries(&'a self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), Node { value, path: self.path.key(key) }))
    }
}
