//! Whether a child is still what was last applied, decided from what the watch shows.
//!
//! An intent holds where each of its fields stands in the object with the same meaning. The object may have more: what the
//! API server fills in, and what others own. What the API server writes in another way is the same thing here: a zero value
//! that it leaves out, where leaving it out means the same, and a quantity that it normalises. Lists that server-side apply
//! merges by key are looked up by that key; of other lists every element counts.
//!
//! Fields that have left an intent do not show in this; its fingerprint, an annotation within the intent, tells of them.

use std::collections::BTreeSet;

use mcp_crds::validate::quantity::Quantity;
use serde_json::Value;

use crate::children::{ChildKind, comparable};

/// Fields of `intent`, from the root, that do not stand in `observed`, of which there is only what [`comparable`] leaves.
/// None where everything does.
pub(super) fn differing(kind: ChildKind, intent: &Value, observed: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let intent = comparable(kind, intent.clone());
    collect(kind, String::new(), "", &intent, Some(observed), &mut found);
    found
}

fn collect(
    kind: ChildKind,
    path: String,
    field: &str,
    intent: &Value,
    observed: Option<&Value>,
    found: &mut BTreeSet<String>,
) {
    match (intent, observed) {
        (Value::Object(intent), Some(Value::Object(observed)))
            if !has_quantities(field) && !is_whole(field) =>
        {
            for (key, value) in intent {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(kind, path, key, value, observed.get(key), found);
            }
        }
        _ if within(kind, field, intent, observed) => {}
        _ => {
            found.insert(path);
        }
    }
}

fn within(kind: ChildKind, field: &str, intent: &Value, observed: Option<&Value>) -> bool {
    match (intent, observed) {
        (intent, None | Some(Value::Null)) => may_be_absent(field, intent),
        (Value::Object(intent), Some(Value::Object(observed))) => {
            let added = || {
                observed.iter().any(|(key, value)| !intent.contains_key(key) && !may_be_absent(key, value))
            };
            let hold = intent.iter().all(|(key, value)| {
                let at = if has_quantities(field) { field } else { key };
                within(kind, at, value, observed.get(key))
            });
            hold && !(is_whole(field) && added())
        }
        (Value::Array(intent), Some(Value::Array(observed))) => match merge_keys(kind, field) {
            Some(keys) => intent.iter().all(|wanted| {
                let same = |other: &&Value| keys.iter().all(|key| wanted.get(key) == other.get(key));
                observed.iter().find(same).is_some_and(|found| within(kind, "", wanted, Some(found)))
            }),
            None => {
                let same = |wanted: &Value, found: &Value| {
                    within(kind, "", wanted, Some(found))
                        && (may_have_more(kind) || within(kind, "", found, Some(wanted)))
                };
                intent.len() == observed.len() && intent.iter().zip(observed).all(|(a, b)| same(a, b))
            }
        },
        (intent, Some(observed)) => {
            intent == observed || (is_quantity(field) && equal_quantities(intent, observed))
        }
    }
}

/// What the API server leaves out of an object rather than store it.
fn may_be_absent(field: &str, value: &Value) -> bool {
    match value {
        _ if means_something_when_absent(field) => value.is_null(),
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.iter().all(|(field, value)| may_be_absent(field, value)),
    }
}

/// Fields that are stored also where they are false, zero or empty, since without them something else holds: privileges may be
/// escalated, the image says who runs, a budget is another one, a peer is another set of pods, a volume is of another kind.
fn means_something_when_absent(field: &str) -> bool {
    matches!(
        field,
        "allowPrivilegeEscalation"
            | "automountServiceAccountToken"
            | "emptyDir"
            | "labelSelector"
            | "maxUnavailable"
            | "minAvailable"
            | "namespaceSelector"
            | "podSelector"
            | "runAsGroup"
            | "runAsNonRoot"
            | "runAsUser"
            | "tolerationSeconds"
    )
}

/// By what server-side apply merges the lists of this name (`x-kubernetes-list-map-keys` in the kinds that the operator
/// makes). A key that an element lacks must be lacking in the other too.
fn merge_keys(kind: ChildKind, field: &str) -> Option<&'static [&'static str]> {
    Some(match field {
        "ports" if kind == ChildKind::NetworkPolicy => return None,
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        // Of a container the first, of a Service the second.
        "ports" => &["containerPort", "port", "protocol"],
        "ownerReferences" => &["uid"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        _ => return None,
    })
}

/// Whether the API server fills in fields of elements of lists that have one owner as a whole. In the kinds where it does not,
/// a field that such an element has beyond the intent changes what the operator says.
fn may_have_more(kind: ChildKind) -> bool {
    use ChildKind::{HorizontalPodAutoscaler, Ingress, NetworkPolicy, Role, RoleBinding};
    !matches!(kind, NetworkPolicy | Ingress | HorizontalPodAutoscaler | Role | RoleBinding)
}

/// Maps that have one owner as a whole (`x-kubernetes-map-type: atomic`): there a member that somebody added changes what
/// the operator says.
fn is_whole(field: &str) -> bool {
    matches!(
        field,
        "selector" | "labelSelector" | "podSelector" | "namespaceSelector" | "matchLabels" | "nodeSelector"
    )
}

/// Maps whose values are quantities.
fn has_quantities(field: &str) -> bool {
    matches!(field, "requests" | "limits")
}

fn is_quantity(field: &str) -> bool {
    has_quantities(field) || matches!(field, "sizeLimit" | "divisor")
}

fn equal_quantities(a: &Value, b: &Value) -> bool {
    matches!((Quantity::from_json(a), Quantity::from_json(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests;
