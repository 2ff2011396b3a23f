//! What client-side `kubectl apply` loses: it takes `null` for "no such member", so a schema's `default: null` never
//! reaches the API server. What was written is still in the annotation that it leaves.

use serde_json::Value;

use crate::field::{Findings, Path};
use crate::node::Node;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

const LOST: &str = "null was dropped by kubectl apply; use kubectl apply --server-side";

/// Of more than these, none is shown anyway.
const MAX_WARNINGS: usize = 20;

/// Warns about members of `spec`'s `fields` that were written as `null` and are not there.
pub(super) fn check(object: &Node<'_>, fields: &[&str], findings: &mut Findings) {
    let annotations = object.value.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let written = annotations.and_then(|annotations| annotations.get(ANNOTATION)).and_then(Value::as_str);
    let Some(written) = written.filter(|written| written.contains("null")) else { return };
    let Ok(written) = serde_json::from_str::<Value>(written) else { return };
    let Some(spec) = object.get("spec") else { return };
    let mut room = MAX_WARNINGS;
    for field in fields {
        if let (Some(stored), Some(written)) =
            (spec.get(field), written.get("spec").and_then(|spec| spec.get(field)))
        {
            compare(stored.value, written, &stored.path, &mut room, findings);
        }
    }
}

fn compare(stored: &Value, written: &Value, path: &Path<'_>, room: &mut usize, findings: &mut Findings) {
    match (stored, written) {
        (Value::Object(stored), Value::Object(written)) => {
            for (name, written) in written {
                let path = path.name(name);
                match stored.get(name) {
                    Some(stored) => compare(stored, written, &path, room, findings),
                    None if written.is_null() && *room > 0 => {
                        *room -= 1;
                        findings.warn(&path, LOST);
                    }
                    None => {}
                }
            }
        }
        (Value::Array(stored), Value::Array(written)) if stored.len() == written.len() => {
            for (i, (stored, written)) in stored.iter().zip(written).enumerate() {
                compare(stored, written, &path.index(i), room, findings);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn warnings(stored: &Value, written: &str) -> Vec<String> {
        let object = json!({
            "metadata": { "annotations": { ANNOTATION: written } },
            "spec": { "inputSchema": stored },
        });
        let mut findings = Findings::default();
        check(&Node::root(&object), &["inputSchema", "outputSchema"], &mut findings);
        assert_eq!(findings.errors, []);
        findings.warnings
    }

    #[test]
    fn a_lost_null_is_told() {
        let written = r#"{"spec":{"inputSchema":{"properties":{"a.b":{"default":null},"c":{"anyOf":[{"const":null},{}]}}}}}"#;
        let stored = json!({ "properties": { "a.b": {}, "c": { "anyOf": [{}, {}] } } });
        assert_eq!(
            warnings(&stored, written),
            [
                format!("spec.inputSchema.properties[a.b].default: {LOST}"),
                format!("spec.inputSchema.properties.c.anyOf[0].const: {LOST}"),
            ]
        );
    }

    #[test]
    fn what_is_there_or_was_changed_since_is_not() {
        let written = r#"{"spec":{"inputSchema":{"default":null,"properties":{"a":{"default":null}},"enum":[null,null]}}}"#;
        assert_eq!(warnings(&json!({ "default": null, "enum": [null] }), written), Vec::<String>::new());
        assert_eq!(warnings(&json!({}), "null, and no JSON"), Vec::<String>::new());
    }
}
