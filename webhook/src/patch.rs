//! What the mutating webhook changed, as a JSON Patch (RFC 6902).

use json_patch::Patch;
use serde_json::Value;

/// The patch that makes `after` of `before`, or `None` where they are equal.
///
/// It has one operation a difference, at the highest place where one side has nothing: a value is never added
/// below a parent that is not there.
pub(crate) fn between(before: &Value, after: &Value) -> Option<Patch> {
    let patch = json_patch::diff(before, after);
    (!patch.is_empty()).then_some(patch)
}

#[cfg(test)]
mod tests {
    use json_patch::PatchOperation;
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
            match between(&before, &after) {
                None => prop_assert_eq!(&before, &after),
                // Applying fails where a parent is missing.
                Some(patch) => json_patch::patch(&mut patched, &patch).unwrap(),
            }
            prop_assert_eq!(patched, after);
        }
    }

    #[test]
    fn a_missing_parent_is_added_whole() {
        let after = json!({"spec": {"resources": {"requests": {"cpu": "50m"}}, "port": 1}});
        let patch = between(&json!({"spec": {"port": 1}}), &after).unwrap();
        let [PatchOperation::Add(added)] = &patch.0[..] else { panic!("{patch}") };
        assert_eq!(added.path.as_str(), "/spec/resources");
    }
}
