use mcp_crds::kind::Kind;
use serde_json::{Value, json};

use super::*;
use crate::reconcile::fixture::sight;

/// A Service of the server `main`, in this version.
fn mk_service(version: u64) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "main",
            "namespace": "team",
            "uid": "uid-of-service",
            "resourceVersion": version.to_string(),
            "ownerReferences": [{
                "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPServer", "name": "main", "uid": "uid-of-main",
                "controller": true,
            }],
        },
        "spec": {"ports": [{"port": 80}]},
    })
}

fn main() -> ObjectKey {
    ObjectKey::new(Kind::Server, "team", "main")
}

fn key() -> ChildKey {
    ChildKey { kind: ChildKind::Service, namespace: "team".into(), name: "main".into() }
}

fn with(mut object: Value, pointer: &str, value: impl Into<Value>) -> Value {
    *object.pointer_mut(pointer).expect("a field") = value.into();
    object
}

#[test]
fn a_new_child_and_a_changed_one_are_news_to_their_server() {
    let children = Children::default();
    assert_eq!(children.apply(sight(&mk_service(5))), Some(main()));
    assert_eq!(children.apply(sight(&with(mk_service(6), "/spec/ports/0/port", 81))), Some(main()));
    assert_eq!(children.of(&main()).len(), 1);
}

#[test]
fn what_no_intent_speaks_of_is_no_news() {
    let children = Children::default();
    children.apply(sight(&mk_service(5)));
    let mut touched = mk_service(6);
    touched["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    touched["status"] = json!({"loadBalancer": {}});
    assert_eq!(children.apply(sight(&touched)), None);
}

#[test]
fn an_older_sight_than_the_one_that_is_held_changes_nothing() {
    let children = Children::default();
    children.apply(sight(&with(mk_service(9), "/spec/ports/0/port", 81)));
    assert_eq!(children.apply(sight(&mk_service(5))), None);
    let body = children.find(&key()).unwrap().body.unwrap();
    assert!(body.contains("81"), "{body}");
}

#[test]
fn the_text_goes_when_it_agrees_and_comes_back_when_it_changes() {
    let children = Children::default();
    children.apply(sight(&mk_service(5)));
    let seen = children.find(&key()).unwrap().observed;
    children.agrees(&key(), &seen);
    assert_eq!(children.find(&key()).unwrap().body, None);
    // A later version with the same text agrees as well; another text has to be compared.
    children.apply(sight(&mk_service(6)));
    assert_eq!(children.find(&key()).unwrap().body, None);
    children.apply(sight(&with(mk_service(7), "/spec/ports/0/port", 81)));
    assert!(children.find(&key()).unwrap().body.is_some());
    // What was looked at before that says nothing about it.
    children.agrees(&key(), &seen);
    assert!(children.find(&key()).unwrap().body.is_some());
}

#[test]
fn an_object_made_anew_has_to_be_compared() {
    let children = Children::default();
    children.apply(sight(&mk_service(5)));
    children.agrees(&key(), &children.find(&key()).unwrap().observed);
    let anew = with(mk_service(6), "/metadata/uid", "another");
    assert_eq!(children.apply(sight(&anew)), Some(main()));
    assert!(children.find(&key()).unwrap().body.is_some());
}

#[test]
fn an_own_write_is_known_at_once_and_no_news_when_the_watch_shows_it() {
    let children = Children::default();
    let writing = children.writing(key());
    let _ = writing.done(sight(&mk_service(5)));
    assert_eq!(children.find(&key()).unwrap().body, None);
    assert_eq!(children.apply(sight(&mk_service(5))), None);
    assert_eq!(children.of(&main()).len(), 1);
}

#[test]
fn a_write_whose_object_was_deleted_meanwhile_is_not_remembered() {
    let children = Children::default();
    let writing = children.writing(key());
    children.apply(sight(&mk_service(5)));
    assert_eq!(children.delete(&sight(&mk_service(6))), Some(main()));
    let _ = writing.done(sight(&mk_service(5)));
    assert!(children.find(&key()).is_none());
}

#[test]
fn a_deletion_that_is_older_than_our_own_write_is_none() {
    let children = Children::default();
    let _ = children.writing(key()).done(sight(&with(mk_service(9), "/metadata/uid", "anew")));
    assert_eq!(children.delete(&sight(&mk_service(6))), None);
    assert!(children.find(&key()).is_some());
}

#[test]
fn a_list_takes_away_what_it_does_not_hold_of_its_kind() {
    let children = Children::default();
    children.apply(sight(&mk_service(5)));
    let policy = with(with(mk_service(5), "/kind", "NetworkPolicy"), "/apiVersion", "networking.k8s.io/v1");
    children.apply(sight(&policy));
    let other = with(mk_service(7), "/metadata/name", "other");
    let concerned = children.reset(ChildKind::Service, vec![sight(&other)]);
    assert_eq!(concerned, HashSet::from([main()]));
    let left: Vec<_> = children.of(&main()).into_iter().map(|(key, _)| (key.kind, key.name)).collect();
    assert_eq!(left, [(ChildKind::NetworkPolicy, "main".into()), (ChildKind::Service, "other".into())]);
    assert!(children.reset(ChildKind::Service, vec![sight(&other)]).is_empty(), "nothing is new in it");
}

#[test]
fn a_child_that_changes_hands_leaves_its_server() {
    let children = Children::default();
    children.apply(sight(&mk_service(5)));
    let other = with(mk_service(6), "/metadata/ownerReferences/0/name", "other");
    children.apply(sight(&other));
    assert!(children.of(&main()).is_empty());
    assert_eq!(children.of(&ObjectKey::new(Kind::Server, "team", "other")).len(), 1);
}
