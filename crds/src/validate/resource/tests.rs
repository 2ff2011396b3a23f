use serde_json::{Value, json};

use super::*;
use crate::field::Reason;

fn errors(spec: Value) -> Vec<(Reason, String)> {
    let mut findings = Findings::default();
    check(&Node::root(&json!({"spec": spec})), &mut findings);
    findings.errors.into_iter().map(|error| (error.reason, error.to_string())).collect()
}

fn fields(spec: Value) -> Vec<(Reason, String)> {
    let mut findings = Findings::default();
    check(&Node::root(&json!({"spec": spec})), &mut findings);
    findings.errors.into_iter().map(|error| (error.reason, error.field.to_string())).collect()
}

fn at(reason: Reason, field: &str) -> Vec<(Reason, String)> {
    vec![(reason, field.to_owned())]
}

fn content(content: Value) -> Vec<(Reason, String)> {
    fields(json!({"name": "docs", "content": content}))
}

fn operation(ingress_path: &str, path: &str, uri: Option<&str>) -> Value {
    let service = json!({"name": "docs-svc", "port": 8080, "path": path});
    json!({"method": "GET", "ingressPath": ingress_path, "service": service, "uri": uri})
}

fn operations(operations: &[Value]) -> Vec<(Reason, String)> {
    fields(json!({"name": "docs", "operations": operations}))
}

#[test]
fn what_is_a_resource() {
    for spec in [
        json!({"name": "a", "content": {"uri": "config://template", "mimeType": "text/yaml", "text": "key: value\n"}}),
        json!({"name": "a", "mimeType": "image/png", "content": {"uri": "a:b", "blob": "YQ=="}}),
        json!({"name": "a", "content": {"uri": "a:b", "text": ""}}),
        json!({"name": "docs", "operations": [operation("/resources/docs/{id}", "/api/docs/{id}", None)]}),
        json!({"name": "docs", "operations": [
            operation("/docs/{id}/{page}", "/{page}/of/{id}/{id}", Some("docs://{id}#{page}")),
            operation("/docs", "/", Some("docs://all")),
        ]}),
        // Of the wrong type, which is for the schema to say.
        json!({"name": 1, "content": "text"}),
        json!({"operations": [1, {"ingressPath": 1, "service": 2, "uri": 3, "method": 4}]}),
    ] {
        assert_eq!(errors(spec.clone()), [], "{spec}");
    }
}

#[test]
fn one_of_content_and_operations() {
    let text = json!({"uri": "a:b", "text": ""});
    assert_eq!(fields(json!({})), at(Reason::Required, "spec"));
    assert_eq!(fields(json!({"operations": []})), at(Reason::Required, "spec"));
    assert_eq!(fields(json!({"content": text, "operations": []})), at(Reason::Forbidden, "spec"));
    assert_eq!(
        errors(json!({})),
        [(
            Reason::Required,
            "spec: Required value: give either content or operations, and not both".to_owned()
        )]
    );
}

#[test]
fn one_of_text_and_blob() {
    assert_eq!(content(json!({"uri": "a:b"})), at(Reason::Required, "spec.content"));
    assert_eq!(content(json!({"uri": "a:b", "text": "", "blob": ""})), at(Reason::Forbidden, "spec.content"));
}

#[test]
fn what_is_wrong_with_a_content() {
    for (uri, expected) in [
        ("readme", "must be a URI with a scheme, such as docs://readme"),
        (
            "docs://{id}",
            "must be a URI: white space, control characters, non-ASCII and any of \"<>\\^`{|} stand percent-encoded",
        ),
    ] {
        let error = format!("spec.content.uri: Invalid value: \"{uri}\": {expected}");
        assert_eq!(errors(json!({"content": {"uri": uri, "text": ""}})), [(Reason::Invalid, error)]);
    }
    assert_eq!(
        content(json!({"uri": "", "blob": "YQ", "mimeType": "text"})),
        ["uri", "mimeType", "blob"].map(|field| (Reason::Invalid, format!("spec.content.{field}")))
    );
    assert_eq!(
        fields(json!({"mimeType": "", "content": {"uri": "a:b", "text": ""}})),
        at(Reason::Invalid, "spec.mimeType")
    );
}

#[test]
fn sizes_are_in_bytes() {
    assert_eq!(content(json!({"uri": "a:b", "text": "a".repeat(262_144)})), []);
    assert_eq!(
        content(json!({"uri": "a:b", "text": "é".repeat(131_073)})),
        at(Reason::TooLong, "spec.content.text")
    );
    assert_eq!(content(json!({"uri": "a:b", "blob": "AAAA".repeat(65_536)})), []);
    assert_eq!(
        content(json!({"uri": "a:b", "blob": "AAAA".repeat(65_537)})),
        at(Reason::TooLong, "spec.content.blob")
    );
}

#[test]
fn ingress_paths() {
    for path in ["", "docs", "/health", "/ready", "/{", "/{id", "/id}", "/{}", "/{a b}", "/{a}/{a}"] {
        let expected = at(Reason::Invalid, "spec.operations[0].ingressPath");
        assert_eq!(operations(&[operation(path, "/", None)]), expected, "{path}");
    }
}

#[test]
fn services_of_operations_are_those_of_tools() {
    let mut broken = operation("/docs", "docs", None);
    broken["service"]["name"] = json!("no.label");
    assert_eq!(
        operations(&[operation("/", "/", None), broken]),
        ["name", "path"].map(|field| (Reason::Invalid, format!("spec.operations[1].service.{field}")))
    );
}

#[test]
fn a_service_path_has_the_placeholders_of_the_ingress_path() {
    assert_eq!(
        errors(json!({"operations": [operation("/docs/{id}", "/{id}/{page}/{page}", None)]})),
        [(
            Reason::Invalid,
            "spec.operations[0].service.path: Invalid value: \"{page}\": stands nowhere in ingressPath"
                .to_owned()
        )]
    );
}

#[test]
fn a_uri_has_the_variables_of_the_ingress_path() {
    for uri in ["docs", "docs://{+id}", "docs://{id", "docs://{page}", "docs://{id}/{page}", "docs://all"] {
        let expected = at(Reason::Invalid, "spec.operations[0].uri");
        assert_eq!(operations(&[operation("/docs/{id}", "/{id}", Some(uri))]), expected, "{uri}");
    }
}

#[test]
fn one_method_and_path_once() {
    let mut post = operation("/docs/{id}", "/", None);
    post["method"] = json!("POST");
    let mut unnamed = operation("/docs/{id}", "/", None);
    unnamed["method"] = Value::Null;
    let first = operation("/docs/{name}", "/", None);
    assert_eq!(operations(&[first.clone(), post]), []);
    assert_eq!(
        operations(&[first.clone(), unnamed]),
        at(Reason::Duplicate, "spec.operations[1].ingressPath")
    );
    assert_eq!(
        errors(json!({"name": "docs", "operations": [first.clone(), first]})),
        [(
            Reason::Duplicate,
            "spec.operations[1].ingressPath: Duplicate value: \"/docs/{name}\": operations[0] has the same method and path".to_owned()
        )]
    );
}

#[test]
fn one_uri_once() {
    let given = operation("/a/{id}", "/", Some("docs://{id}"));
    let same = operation("/b/{name}", "/", Some("docs://{name}"));
    let mut posted = same.clone();
    posted["method"] = json!("POST");
    assert_eq!(operations(&[given.clone(), same]), at(Reason::Duplicate, "spec.operations[1].uri"));
    assert_eq!(operations(&[given, posted]), []);
    let made = operation("/a", "/", None);
    let given = operation("/b", "/", Some("resource://docs/a"));
    assert_eq!(operations(&[made.clone(), given.clone()]), at(Reason::Duplicate, "spec.operations[1].uri"));
    assert_eq!(operations(&[given, made]), at(Reason::Duplicate, "spec.operations[1].ingressPath"));
}

#[test]
fn a_second_operation_depends_on_the_first() {
    let object = |first: &str| json!({"spec": {"operations": [operation(first, "/", None), operation("/a", "/", None)]}});
    let (old, new) = (object("/b"), object("/a"));
    let mut findings = Findings::default();
    check(&Node::root(&new), &mut findings);
    let [error] = findings.errors.try_into().expect("one error");
    assert!(error.touches_change(&old, &new));
    assert!(!error.touches_change(&new, &new));
}
