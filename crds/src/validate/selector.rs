//! Label selectors.

use serde_json::Value;

use super::name::{label_key, label_value};
use crate::field::{FieldError, Findings};
use crate::node::Node;

const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// S13: whether a label selector is one.
pub fn check(selector: &Node<'_>, findings: &mut Findings) {
    if let Some(labels) = selector.get("matchLabels") {
        for (key, value) in labels.entries() {
            if let Err(error) = label_key(key) {
                findings.error(FieldError::invalid_str(&value.path, key, error));
            }
            check_value(&value, findings);
        }
    }
    if let Some(expressions) = selector.get("matchExpressions") {
        for expression in expressions.elements() {
            check_expression(&expression, findings);
        }
    }
}

fn check_expression(expression: &Node<'_>, findings: &mut Findings) {
    if let Some(node) = expression.get("key")
        && let Some(key) = node.as_str()
        && let Err(error) = label_key(key)
    {
        findings.error(FieldError::invalid_str(&node.path, key, error));
    }
    let values = expression.get("values");
    if let Some(operator) = expression.get("operator") {
        let path = expression.path.field("values");
        let given = values.and_then(|values| values.value.as_array()).filter(|values| !values.is_empty());
        match operator.as_str() {
            Some("In" | "NotIn")
                if given.is_none() && values.is_none_or(|values| values.value.is_array()) =>
            {
                let error = FieldError::required(&path, "must be given when operator is In or NotIn");
                findings.error(error.depending_on([operator.path.to_owned()]));
            }
            Some("Exists" | "DoesNotExist") if given.is_some() => {
                let value = values.map_or(&Value::Null, |values| values.value);
                let error = FieldError::invalid(
                    &path,
                    value,
                    "must be empty when operator is Exists or DoesNotExist",
                );
                findings.error(error.depending_on([operator.path.to_owned()]));
            }
            Some(known) if OPERATORS.contains(&known) => {}
            Some(_) => findings.error(FieldError::not_supported(&operator.path, operator.value, &OPERATORS)),
            None => {}
        }
    }
    for value in values.iter().flat_map(Node::elements) {
        check_value(&value, findings);
    }
}

fn check_value(node: &Node<'_>, findings: &mut Findings) {
    if let Some(value) = node.as_str()
        && let Err(error) = label_value(value)
    {
        findings.error(FieldError::invalid_str(&node.path, value, error));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::Reason;

    fn errors(selector: &Value) -> Vec<(Reason, String)> {
        let object = json!({"spec": {"toolSelector": selector}});
        let mut findings = Findings::default();
        let root = Node::root(&object);
        let spec = root.get("spec").expect("a spec");
        check(&spec.get("toolSelector").expect("a selector"), &mut findings);
        findings.errors.into_iter().map(|error| (error.reason, error.field.to_string())).collect()
    }

    #[test]
    fn what_is_a_selector() {
        for selector in [
            json!({}),
            json!({"matchLabels": {"mcp-server": "main", "example.com/a": ""}}),
            json!({"matchExpressions": [
                {"key": "a", "operator": "In", "values": ["b", ""]},
                {"key": "a", "operator": "NotIn", "values": ["b"]},
                {"key": "a", "operator": "Exists"},
                {"key": "a", "operator": "DoesNotExist", "values": []},
            ]}),
            // Of the wrong type, which is for the schema to say.
            json!([]),
            json!({"matchLabels": 1, "matchExpressions": [1, {"key": 1, "operator": 2, "values": 3}, {"operator": "In", "values": 3}]}),
        ] {
            assert_eq!(errors(&selector), [], "{selector}");
        }
    }

    #[test]
    fn errors_stand_at_what_is_wrong() {
        let at = |reason, path: &str| vec![(reason, format!("spec.toolSelector.{path}"))];
        for (selector, expected) in [
            (json!({"matchLabels": {"bad key": "a"}}), at(Reason::Invalid, "matchLabels[bad key]")),
            (json!({"matchLabels": {"a/b": "not ok"}}), at(Reason::Invalid, "matchLabels[a/b]")),
            (json!({"matchLabels": {"": "a"}}), at(Reason::Invalid, "matchLabels[]")),
            (
                json!({"matchExpressions": [{"key": "bad key", "operator": "Exists"}]}),
                at(Reason::Invalid, "matchExpressions[0].key"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "in"}]}),
                at(Reason::NotSupported, "matchExpressions[0].operator"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
                at(Reason::Required, "matchExpressions[0].values"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}),
                at(Reason::Required, "matchExpressions[0].values"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
                at(Reason::Invalid, "matchExpressions[0].values"),
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c d"]}]}),
                at(Reason::Invalid, "matchExpressions[0].values[1]"),
            ),
        ] {
            assert_eq!(errors(&selector), expected, "{selector}");
        }
    }
}
