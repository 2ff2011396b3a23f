use serde_json::json;

use super::*;
use crate::field::Reason;

/// A tool with a description and a service, and `more`.
fn tool(more: Value) -> Value {
    let mut spec = json!({"description": "searches", "service": {"name": "backend", "port": 80, "path": "/"}, "inputSchema": {}});
    for (field, value) in more.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    json!({ "spec": spec })
}

fn findings(more: Value) -> Findings {
    let mut findings = Findings::default();
    check(&Node::root(&tool(more)), &mut findings);
    findings
}

fn errors(more: Value) -> Vec<String> {
    findings(more).errors.iter().map(ToString::to_string).collect()
}

fn fields(more: Value) -> Vec<(Reason, String)> {
    findings(more).errors.into_iter().map(|error| (error.reason, error.field.to_string())).collect()
}

fn at(reason: Reason, field: &str) -> Vec<(Reason, String)> {
    vec![(reason, field.to_owned())]
}

/// Whether the one error of `new` is about what changed since `old`.
fn blames_change(old: Value, new: Value) -> bool {
    let [error] = findings(new.clone()).errors.try_into().expect("one error");
    error.touches_change(&tool(old), &tool(new))
}

#[test]
fn what_is_a_tool() {
    for spec in [
        json!({}),
        json!({
            "service": {"name": "1st", "port": 8080, "path": "/users/{id}/{id}?full={full}", "scheme": "https"},
            "method": "GET",
            "inputSchema": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "full": {"type": "boolean", "default": false}},
                "required": ["id"],
            },
            "outputSchema": {"type": "array", "items": {"type": "string"}},
            "timeout": "1m30s", "cacheTTL": "500ms", "retries": 5, "maxResponseBytes": "10Mi",
            "rateLimit": {"requestsPerSecond": 0.5, "burst": 1},
            "headers": [
                {"name": "X-Api-Key", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
                {"name": "Accept", "value": ""},
            ],
        }),
        json!({"maxResponseBytes": 1024}),
        // Of the wrong types, which is for the CRD's schema to say.
        json!({
            "inputSchema": [], "outputSchema": 1, "service": {"path": "/{a}"}, "timeout": 5, "cacheTTL": {}, "rateLimit": [],
            "maxResponseBytes": true, "headers": {"a": 1}, "description": 5,
        }),
        json!({"headers": [1, "a", null], "rateLimit": {"requestsPerSecond": "1"}}),
    ] {
        assert_eq!(findings(spec.clone()), Findings::default(), "{spec}");
    }
    for object in [json!({}), json!({"spec": null}), json!({"spec": 1})] {
        let mut findings = Findings::default();
        check(&Node::root(&object), &mut findings);
        assert_eq!(findings, Findings::default(), "{object}");
    }
}

#[test]
fn t2_the_service() {
    assert_eq!(
        fields(json!({"service": {"name": "Back.end", "path": "a/{"}})),
        [
            (Reason::Invalid, "spec.service.name".to_owned()),
            (Reason::Invalid, "spec.service.path".to_owned()),
        ]
    );
}

#[test]
fn t4_to_t7_both_schemas() {
    assert_eq!(
        errors(json!({"inputSchema": {"type": "array"}, "outputSchema": {"type": "strng"}})),
        [
            "spec.inputSchema.type: Unsupported value: \"array\": supported values: \"object\"".to_owned(),
            "spec.outputSchema.type: Unsupported value: \"strng\": supported values: \"array\", \"boolean\", \
             \"integer\", \"null\", \"number\", \"object\", \"string\""
                .to_owned(),
        ]
    );
}

#[test]
fn t8_placeholders() {
    let with = |path: &str, schema: Value| json!({"service": {"name": "a", "port": 1, "path": path}, "inputSchema": schema});
    assert_eq!(
        errors(with("/{a}/{b}/{a}", json!({"properties": {"b": {}}}))),
        [
            "spec.service.path: Invalid value: \"/{a}/{b}/{a}\": placeholder \"a\" is no property of inputSchema",
            "spec.service.path: Invalid value: \"/{a}/{b}/{a}\": placeholder \"b\" may be absent: inputSchema neither \
             requires it nor has a default",
        ]
    );
    assert_eq!(
        errors(with("/{a}", json!({"properties": {"a": {}}, "required": ["a"]}))),
        Vec::<String>::new()
    );
    // The schema decides as well.
    let required = json!({"properties": {"a": {}}, "required": ["a"]});
    assert!(blames_change(with("/{a}", required), with("/{a}", json!({"properties": {"a": {}}}))));
    let optional = || json!({"properties": {"a": {}}});
    assert!(!blames_change(with("/{a}", optional()), with("/{a}", optional())));
}

#[test]
fn t9_durations() {
    for field in ["timeout", "cacheTTL"] {
        for text in ["", "5", "0s", "-1s", "1 s", "1d"] {
            assert_eq!(fields(json!({field: text})), at(Reason::Invalid, &format!("spec.{field}")), "{text}");
        }
    }
}

#[test]
fn t9_numbers() {
    for bound in [json!("0"), json!(0), json!("-1Ki"), json!("1 Mi"), json!("")] {
        let found = fields(json!({ "maxResponseBytes": bound }));
        assert_eq!(found, at(Reason::Invalid, "spec.maxResponseBytes"), "{bound}");
    }
    assert_eq!(
        errors(json!({"rateLimit": {"requestsPerSecond": 0, "burst": -1}})),
        [
            "spec.rateLimit.requestsPerSecond: Invalid value: 0: must be above zero",
            "spec.rateLimit.burst: Invalid value: -1: must be above zero",
        ]
    );
}

#[test]
fn t9_headers() {
    let source = json!({"secretKeyRef": {"name": "a", "key": "b"}});
    let one = |header: Value| fields(json!({ "headers": [header] }));
    assert_eq!(
        one(json!({"name": "A", "value": "", "valueFrom": source})),
        at(Reason::Forbidden, "spec.headers[0].valueFrom")
    );
    assert_eq!(one(json!({"name": "A"})), at(Reason::Required, "spec.headers[0]"));
    for name in ["", "A B", "A:", "Ä", "host", "Content-Length", "TRANSFER-encoding", "Connection"] {
        let found = one(json!({"name": name, "value": "a"}));
        assert_eq!(found, at(Reason::Invalid, "spec.headers[0].name"), "{name}");
    }
    for value in ["a\nb", " a", "a\r"] {
        let found = one(json!({"name": "A", "value": value}));
        assert_eq!(found, at(Reason::Invalid, "spec.headers[0].value"), "{value:?}");
    }
    assert_eq!(
        errors(json!({"headers": [{"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"}]})),
        ["spec.headers[1].name: Duplicate value: \"x-a\": is set by headers[0] already"]
    );
}

#[test]
fn t11_headers_from_arguments() {
    let schema = json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}});
    assert_eq!(
        fields(json!({ "inputSchema": schema })),
        at(Reason::Invalid, "spec.inputSchema.properties.a.x-mcp-header")
    );
    // Results are never sent as headers.
    assert_eq!(fields(json!({ "outputSchema": schema })), []);
}

#[test]
fn every_error_is_told_at_once() {
    let found = fields(json!({
        "service": {"name": "A", "path": "/{x}"},
        "inputSchema": {"type": 1, "required": "x"},
        "outputSchema": {"$ref": "http://e.org"},
        "timeout": "1", "cacheTTL": "0s", "maxResponseBytes": "x", "rateLimit": {"requestsPerSecond": 0},
        "headers": [{"name": "Host"}],
    }));
    let found: Vec<_> = found.iter().map(|(_, field)| field.trim_start_matches("spec.")).collect();
    assert_eq!(
        found,
        [
            "service.name",
            "service.path",
            "inputSchema.required",
            "inputSchema.type",
            "outputSchema.$ref",
            "timeout",
            "cacheTTL",
            "maxResponseBytes",
            "rateLimit.requestsPerSecond",
            "headers[0]",
            "headers[0].name",
        ]
    );
}

#[test]
fn what_is_suspicious() {
    let without = json!({"spec": {"inputSchema": {}}});
    let mut found = Findings::default();
    check(&Node::root(&without), &mut found);
    assert_eq!(found.warnings, ["spec.description: is missing; models choose tools by it"]);
    for description in [json!(null), json!(""), json!(" ")] {
        assert_eq!(findings(json!({ "description": description })).warnings.len(), 1);
    }
    let schema = json!({
        "properties": {"a": {"type": "integer", "default": "x", "enum": [1, "b"]}, "s": {"type": "string", "pattern": "^a", "default": "b"}},
        "required": ["c"],
    });
    let found = findings(json!({ "inputSchema": schema }));
    assert_eq!(found.errors, []);
    assert_eq!(
        found.warnings,
        [
            "spec.inputSchema.properties.a.default: its own schema refuses this value",
            "spec.inputSchema.properties.a.enum[1]: its own schema refuses this value",
            "spec.inputSchema.required: \"c\" is no property",
            "spec.inputSchema.properties.s.default: its own schema refuses this value",
        ]
    );
}
