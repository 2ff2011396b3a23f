use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn holds(intent: &Value, observed: &Value) -> bool {
    differing(ChildKind::Deployment, intent, observed).is_empty()
}

#[test]
fn what_the_api_server_fills_in_is_no_drift() {
    let intent = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "mcp"}]}});
    let observed = json!({
        "spec": {
            "clusterIP": "10.0.0.1",
            "ports": [{"port": 80, "protocol": "TCP", "name": "mcp", "targetPort": 80}],
        },
        "status": {},
    });
    assert!(holds(&intent, &observed));
}

#[test]
fn a_changed_or_missing_field_is_drift_and_is_named() {
    let intent = json!({"spec": {"replicas": 2, "paused": true}, "metadata": {"labels": {"a": "1"}}});
    let observed = json!({"spec": {"replicas": 3}, "metadata": {"labels": {"a": "1", "b": "2"}}});
    assert!(!holds(&intent, &observed));
    let names: Vec<_> = differing(ChildKind::Deployment, &intent, &observed).into_iter().collect();
    assert_eq!(names, ["spec.paused", "spec.replicas"]);
}

#[test]
fn a_normalised_quantity_is_the_same() {
    let intent = json!({"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi", "nvidia.com/gpu": 1}}});
    let observed = json!({"resources": {"limits": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1"}}});
    assert!(holds(&intent, &observed));
    let less = json!({"resources": {"limits": {"cpu": "400m", "memory": "1Gi", "nvidia.com/gpu": "1"}}});
    assert!(!holds(&intent, &less));
    assert!(holds(&json!({"emptyDir": {"sizeLimit": "1024Mi"}}), &json!({"emptyDir": {"sizeLimit": "1Gi"}})));
}

#[test]
fn only_quantities_are_compared_as_quantities() {
    let intent = json!({"env": [{"name": "LIMIT", "value": "1024Mi"}]});
    assert!(!holds(&intent, &json!({"env": [{"name": "LIMIT", "value": "1Gi"}]})));
}

#[test]
fn a_list_that_is_merged_by_key_may_hold_what_others_added_in_any_order() {
    let intent = json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}]});
    assert!(holds(&intent, &json!({"env": [{"name": "B"}, {"name": "C"}, {"name": "A", "value": "1"}]})));
    assert!(!holds(&intent, &json!({"env": [{"name": "A", "value": "1"}]})));
}

#[test]
fn of_any_other_list_every_element_counts() {
    let intent = json!({"args": ["--verbose"]});
    assert!(holds(&intent, &json!({"args": ["--verbose"]})));
    assert!(!holds(&intent, &json!({"args": ["--verbose", "--evil"]})));
    assert!(!holds(&intent, &json!({"args": []})));
}

#[test]
fn a_selector_to_which_somebody_adds_selects_something_else() {
    let intent = json!({"spec": {"selector": {"app": "a"}}, "labels": {"app": "a"}});
    assert!(holds(&intent, &json!({"spec": {"selector": {"app": "a"}}, "labels": {"app": "a", "b": "c"}})));
    let more = json!({"spec": {"selector": {"app": "a", "b": "c"}}, "labels": {"app": "a"}});
    assert!(!holds(&intent, &more));
    assert_eq!(
        differing(ChildKind::Deployment, &intent, &more).into_iter().collect::<Vec<_>>(),
        ["spec.selector"]
    );
}

#[test]
fn what_the_api_server_leaves_out_need_not_be_there() {
    let intent = json!({"hostNetwork": false, "labels": {}, "path": "", "items": [], "delay": 0, "x": null});
    assert!(holds(&intent, &json!({})));
    assert!(!holds(&json!({"hostNetwork": true}), &json!({})));
}

#[test]
fn where_absence_means_something_else_a_zero_value_has_to_be_there() {
    for intent in [
        json!({"securityContext": {"allowPrivilegeEscalation": false}}),
        json!({"securityContext": {"runAsUser": 0, "runAsNonRoot": false}}),
        json!({"spec": {"minAvailable": 0}}),
        json!({"spec": {"maxUnavailable": 0}}),
        json!({"volumes": [{"name": "mcp-tmp", "emptyDir": {}}]}),
        json!({"tolerations": [{"key": "a", "tolerationSeconds": 0}]}),
    ] {
        assert!(holds(&intent, &intent));
        let mut observed = intent.clone();
        strip(&mut observed);
        assert_ne!(observed, intent);
        assert!(!holds(&intent, &observed), "{intent} {observed}");
    }
    // Also where all that is around it has gone.
    let context = json!({"securityContext": {"allowPrivilegeEscalation": false}, "stdin": false});
    assert!(!holds(&context, &json!({})));
}

/// Takes away what is false, zero or empty.
fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(strip);
            members
                .retain(|_, member| *member != json!(false) && *member != json!(0) && *member != json!({}));
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        _ => {}
    }
}

#[test]
fn a_peer_that_becomes_another_is_drift() {
    let peers = |peer: Value| json!({"spec": {"podSelector": {}, "ingress": [{"from": [peer]}]}});
    let same = |a: &Value, b: &Value| differing(ChildKind::NetworkPolicy, a, b).is_empty();
    let (pods, namespaces) = (peers(json!({"podSelector": {}})), peers(json!({"namespaceSelector": {}})));
    assert!(same(&pods, &pods));
    assert!(!same(&pods, &namespaces));
    assert!(!same(&namespaces, &pods));
    // Both together are the pods of all namespaces.
    assert!(!same(&pods, &peers(json!({"podSelector": {}, "namespaceSelector": {}}))));
}

/// Objects such as an intent holds: no nulls, and lists of scalars or of elements with a name each.
fn intents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (1..100_i32).prop_map(Value::from),
        "[a-z]{1,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let env = prop::collection::btree_map("[a-c]", inner.clone(), 0..3).prop_map(|named| {
            let elements = named.into_iter().map(|(name, value)| json!({"name": name, "value": value}));
            json!({ "env": elements.collect::<Vec<_>>() })
        });
        prop_oneof![
            prop::collection::btree_map("[a-d]", inner.clone(), 1..4).prop_map(|members| json!(members)),
            prop::collection::vec(inner, 1..3).prop_map(|elements| json!({ "args": elements })),
            env,
        ]
    })
}

/// Adds a member to every object, as the API server's defaulting does, and turns lists with keys around.
fn fill_in(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(fill_in);
            if let Some(Value::Array(env)) = members.get_mut("env") {
                env.reverse();
                env.push(json!({"name": "added"}));
            }
            members.insert("filled-in".to_owned(), json!("by the API server"));
        }
        Value::Array(elements) => elements.iter_mut().for_each(fill_in),
        _ => {}
    }
}

/// Changes the first scalar to another one of its type. Whether there was one.
fn change_one(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => {
            // A name is what an element is found by; without it there is another element.
            members.iter_mut().filter(|(key, _)| *key != "name").any(|(_, member)| change_one(member))
        }
        Value::Array(elements) => elements.iter_mut().any(change_one),
        Value::Bool(scalar) => {
            *scalar = !*scalar;
            true
        }
        Value::Number(scalar) => {
            *scalar = (scalar.as_i64().unwrap() + 1).into();
            true
        }
        Value::String(scalar) => {
            scalar.push('!');
            true
        }
        Value::Null => false,
    }
}

proptest! {
    #[test]
    fn an_intent_holds_in_itself_and_in_what_the_api_server_makes_of_it(intent in intents()) {
        prop_assert!(holds(&intent, &intent));
        let mut observed = intent.clone();
        fill_in(&mut observed);
        prop_assert!(holds(&intent, &observed));
        prop_assert!(differing(ChildKind::Deployment, &intent, &observed).is_empty());
    }

    #[test]
    fn one_changed_scalar_is_drift(intent in intents()) {
        let mut observed = intent.clone();
        // `false` in an intent is held by nothing at all, but not by `true`.
        if change_one(&mut observed) {
            fill_in(&mut observed);
            prop_assert!(!holds(&intent, &observed));
            prop_assert!(!differing(ChildKind::Deployment, &intent, &observed).is_empty());
        }
    }
}
