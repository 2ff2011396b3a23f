//! What the mutating webhook changed, as a JSON Patch (RFC 6902).

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A JSON Patch, of at least one step.
#[derive(Debug, PartialEq)]
pub(crate) struct Patch(Vec<Step>);

#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Step {
    Add { path: String, value: Value },
    Replace { path: String, value: Value },
    Remove { path: String },
}

/// The patch that makes `after` of `before`, or `None` where they are equal.
///
/// It has a step for each difference, at the highest place where one side has nothing: a value is never added
/// below a parent that is not there.
pub(crate) fn between(before: &Value, after: &Value) -> Option<Patch> {
    let mut walk = Walk { path: String::with_capacity(64), steps: Vec::new() };
    walk.compare(before, after);
    (!walk.steps.is_empty()).then_some(Patch(walk.steps))
}

impl Serialize for Patch {
    /// As base64: that is how Go writes and reads a `[]byte` in JSON.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = serde_json::to_vec(&self.0).map_err(S::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(json))
    }
}

/// Where in both values the comparison is, as a JSON Pointer, and what it has found.
struct Walk {
    path: String,
    steps: Vec<Step>,
}

impl Walk {
    fn compare(&mut self, before: &Value, after: &Value) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => {
                for (name, after) in after {
                    self.member(name, |walk| match before.get(name) {
                        Some(before) => walk.compare(before, after),
                        None => walk.add(after),
                    });
                }
                for name in before.keys().filter(|name| !after.contains_key(*name)) {
                    self.member(name, |walk| {
                        let path = walk.path.clone();
                        walk.steps.push(Step::Remove { path });
                    });
                }
            }
            // Defaults are filled into elements, or elements are appended; a list that shrank is written anew.
            (Value::Array(before), Value::Array(after)) if before.len() <= after.len() => {
                for (index, after) in after.iter().enumerate() {
                    self.element(index, |walk| match before.get(index) {
                        Some(before) => walk.compare(before, after),
                        None => walk.add(after),
                    });
                }
            }
            _ if before == after => {}
            _ => {
                let path = self.path.clone();
                self.steps.push(Step::Replace { path, value: after.clone() });
            }
        }
    }

    fn add(&mut self, value: &Value) {
        let path = self.path.clone();
        self.steps.push(Step::Add { path, value: value.clone() });
    }

    fn member(&mut self, name: &str, then: impl FnOnce(&mut Self)) {
        let parent = self.path.len();
        self.path.push('/');
        for c in name.chars() {
            match c {
                '~' => self.path.push_str("~0"),
                '/' => self.path.push_str("~1"),
                c => self.path.push(c),
            }
        }
        then(self);
        self.path.truncate(parent);
    }

    fn element(&mut self, index: usize, then: impl FnOnce(&mut Self)) {
        let parent = self.path.len();
        // Writing to a string does not fail.
        let _ = write!(self.path, "/{index}");
        then(self);
        self.path.truncate(parent);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_object() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), (0..3).prop_map(Value::from), "[a~/]{0,2}".prop_map(Value::from)];
        let value = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab~/\" ]{0,2}", inner, 0..4)
                    .prop_map(|m| m.into_iter().collect()),
            ]
        });
        prop::collection::btree_map("[ab~/]{0,2}", value, 0..4).prop_map(|m| m.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_patch_makes_after_of_before(before in any_object(), after in any_object()) {
            let mut patched = before.clone();
            match patch(&before, &after) {
                None => prop_assert_eq!(&before, &after),
                // Applying fails where a parent is missing.
                Some(patch) => json_patch::patch(&mut patched, &patch).unwrap(),
            }
            prop_assert_eq!(patched, after);
        }
    }

    /// The patch as the API server reads it.
    fn patch(before: &Value, after: &Value) -> Option<json_patch::Patch> {
        let wire = serde_json::to_value(between(before, after)?).unwrap();
        Some(serde_json::from_slice(&STANDARD.decode(wire.as_str().unwrap()).unwrap()).unwrap())
    }

    fn steps(before: &Value, after: &Value) -> Value {
        serde_json::to_value(patch(before, after)).unwrap()
    }

    #[test]
    fn a_missing_parent_is_added_whole() {
        let after = json!({"spec": {"resources": {"requests": {"cpu": "50m"}}, "port": 1}});
        assert_eq!(
            steps(&json!({"spec": {"port": 1}}), &after),
            json!([{"op": "add", "path": "/spec/resources", "value": {"requests": {"cpu": "50m"}}}])
        );
    }

    #[test]
    fn lists_are_patched_where_they_differ() {
        let before = json!({"a": [{"b": 1}, {"b": 2}]});
        let after = json!({"a": [{"b": 1}, {"b": 2, "c": 3}, 4]});
        assert_eq!(
            steps(&before, &after),
            json!([{"op": "add", "path": "/a/1/c", "value": 3}, {"op": "add", "path": "/a/2", "value": 4}])
        );
        assert_eq!(steps(&after, &before), json!([{"op": "replace", "path": "/a", "value": before["a"]}]));
    }

    #[test]
    fn names_are_escaped() {
        let added = json!([{"op": "add", "path": "/a~1b~0c", "value": 1}]);
        assert_eq!(steps(&json!({}), &json!({"a/b~c": 1})), added);
    }
}
