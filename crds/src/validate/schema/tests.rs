use serde_json::json;

use super::*;
use crate::field::Reason;

fn findings(role: Role, schema: &Value) -> Findings {
    let object = json!({ "spec": { "schema": schema } });
    let mut findings = Findings::default();
    let root = Node::root(&object);
    let spec = root.get("spec").expect("a spec");
    check(&spec.get("schema").expect("a schema"), role, &mut findings);
    findings
}

fn errors(schema: &Value) -> Vec<FieldError> {
    findings(Role::Input, schema).errors
}

/// The paths of all errors, below the schema.
fn fields(schema: Value) -> Vec<String> {
    errors(&schema).iter().map(|error| error.field.to_string().replacen("spec.schema", "", 1)).collect()
}

/// The one error of a schema, without its path.
fn message(schema: Value) -> String {
    let [error] = errors(&schema).try_into().expect("one error");
    error.message
}

fn reasons(schema: Value) -> Vec<Reason> {
    errors(&schema).iter().map(|error| error.reason).collect()
}

const NONE: [&str; 0] = [];

fn uri(dialect: Dialect) -> &'static str {
    let uri = dialect::URIS.into_iter().find(|uri| Dialect::from_uri(uri) == Some(dialect));
    uri.expect("every dialect has a URI")
}

/// The schema in a dialect.
fn within(dialect: Dialect, mut schema: Value) -> Value {
    schema["$schema"] = uri(dialect).into();
    schema
}

use Dialect::{Draft4, Draft6, Draft7, Draft2019, Draft2020};

#[test]
fn an_error_stands_at_the_keyword_whose_value_is_wrong() {
    for (schema, field) in [
        (json!({ "properties": { "limit": { "minimum": "1" } } }), ".properties.limit.minimum"),
        (json!({ "properties": { "a": { "type": ["string", "nil"] } } }), ".properties.a.type"),
        (json!({ "required": ["a", 1] }), ".required"),
        (json!({ "dependentRequired": { "a": [1] } }), ".dependentRequired.a"),
        (json!({ "dependentRequired": [] }), ".dependentRequired"),
        (json!({ "dependencies": { "a b": ["x", "x"] } }), ".dependencies[a b]"),
        (json!({ "properties": { "a.b": { "enum": "x" } } }), ".properties[a.b].enum"),
        (json!({ "properties": { "$ref": { "type": "x" } } }), ".properties.$ref.type"),
        (json!({ "allOf": [{}, { "not": { "const": 1, "maxItems": -1 } }] }), ".allOf[1].not.maxItems"),
        (
            json!({ "items": { "prefixItems": [true, { "uniqueItems": "yes" }] } }),
            ".items.prefixItems[1].uniqueItems",
        ),
        (json!({ "$defs": { "x": { "multipleOf": 0 } } }), ".$defs.x.multipleOf"),
        (json!({ "definitions": { "x": { "title": 1 } } }), ".definitions.x.title"),
        (json!({ "patternProperties": { "^a": { "format": [] } } }), ".patternProperties[^a].format"),
        (json!({ "$vocabulary": { "http://e.org": "yes" } }), ".$vocabulary"),
        (json!({ "$anchor": "1a" }), ".$anchor"),
        (json!({ "$id": "x#y" }), ".$id"),
        (json!({ "minLength": 1.5 }), ".minLength"),
        (json!({ "type": "object", "anyOf": {} }), ".anyOf"),
        (json!({ "type": "object", "anyOf": [] }), ".anyOf"),
    ] {
        assert_eq!(fields(schema.clone()), [field], "{schema}");
    }
}

#[test]
fn what_is_no_schema_is_an_error_where_it_stands() {
    for (schema, field) in [
        (json!({ "properties": { "a": "string" } }), ".properties.a"),
        (json!({ "properties": { "a": null } }), ".properties.a"),
        (json!({ "anyOf": [true, 5] }), ".anyOf[1]"),
        (json!({ "items": 5 }), ".items"),
        (json!({ "items": [{}] }), ".items"),
        (json!({ "dependencies": { "a": 5 } }), ".dependencies.a"),
        (within(Draft7, json!({ "items": [{}, 5] })), ".items[1]"),
        (within(Draft4, json!({ "properties": { "a": true } })), ".properties.a"),
    ] {
        assert_eq!(fields(schema.clone()), [field], "{schema}");
    }
}

#[test]
fn every_error_is_told() {
    assert_eq!(
        fields(json!({
            "type": "array", "required": "a", "properties": { "a": { "type": "x", "minimum": "1" }, "b": 1 },
            "$schema": "x", "$defs": { "c": { "$ref": "#/$defs/d", "pattern": "(" } }, "patternProperties": { "[": 1 },
        })),
        [
            ".$defs.c.$ref",
            ".$defs.c.pattern",
            ".$schema",
            ".patternProperties",
            ".patternProperties[[]",
            ".properties.a.minimum",
            ".properties.a.type",
            ".properties.b",
            ".required",
            ".type",
        ]
    );
}

#[test]
fn so_many_errors_are_told_and_no_more() {
    let schemas: Vec<Value> = (0..20_000).map(Value::from).collect();
    assert_eq!(errors(&json!({ "allOf": schemas })).len(), 500);
}

#[test]
fn reasons_are_those_of_kubernetes() {
    for (schema, reason) in [
        (json!({ "type": "array" }), Reason::NotSupported),
        (json!({ "type": 5 }), Reason::NotSupported),
        (json!({ "not": { "type": "x" } }), Reason::NotSupported),
        (json!({ "not": { "type": ["string", "string"] } }), Reason::Duplicate),
        (json!({ "not": { "type": 5 } }), Reason::Invalid),
        (json!({ "required": ["a", "a"] }), Reason::Duplicate),
        (json!({ "$schema": "http://json-schema.org/draft-03/schema#" }), Reason::NotSupported),
        (json!({ "$schema": 7 }), Reason::Invalid),
        (json!({ "$ref": "http://e.org" }), Reason::Invalid),
        (json!({ "pattern": "(a{1000}){1000}" }), Reason::TooLong),
    ] {
        assert_eq!(reasons(schema.clone()), [reason], "{schema}");
    }
}

#[test]
fn only_the_root_of_arguments_is_an_object() {
    let array = json!({ "type": "array" });
    assert_eq!(fields(array.clone()), [".type"]);
    assert_eq!(findings(Role::Output, &array), Findings::default());
    assert_eq!(fields(json!({ "properties": { "a": array }, "items": array })), NONE);
}

#[test]
fn keywords_are_those_of_the_dialect() {
    let flag = json!({ "minimum": 0, "exclusiveMinimum": true });
    assert_eq!(fields(within(Draft4, flag.clone())), NONE);
    for dialect in [Draft6, Draft7, Draft2019, Draft2020] {
        assert_eq!(fields(within(dialect, flag.clone())), [".exclusiveMinimum"]);
    }
    let tuple = json!({ "items": [{}], "additionalItems": { "type": "x" } });
    for dialect in [Draft4, Draft6, Draft7, Draft2019] {
        assert_eq!(fields(within(dialect, tuple.clone())), [".additionalItems.type"]);
    }
    assert_eq!(fields(within(Draft2020, tuple)), [".items"]);
    for (first, keyword, value) in [
        (Draft6, "contains", json!(1)),
        (Draft7, "if", json!(1)),
        (Draft2019, "$defs", json!(1)),
        (Draft2019, "unevaluatedProperties", json!(1)),
        (Draft2020, "prefixItems", json!(1)),
    ] {
        for dialect in [Draft4, Draft6, Draft7, Draft2019, Draft2020] {
            let found = fields(within(dialect, json!({ keyword: value })));
            assert_eq!(found.len(), usize::from(dialect >= first), "{keyword} in {dialect:?}");
        }
    }
    assert_eq!(fields(within(Draft4, json!({ "required": [] }))), [".required"]);
    assert_eq!(fields(within(Draft4, json!({ "exclusiveMinimum": true }))), [".exclusiveMinimum"]);
    assert_eq!(fields(within(Draft4, json!({ "maxLength": 2.0 }))), [".maxLength"]);
    assert_eq!(fields(within(Draft6, json!({ "maxLength": 2.0, "required": [] }))), NONE);
}

#[test]
fn under_an_unknown_dialect_the_rest_is_still_read() {
    assert_eq!(
        fields(json!({ "$schema": "http://e.org/mine", "required": true })),
        [".$schema", ".required"]
    );
}

#[test]
fn an_embedded_resource_may_have_a_dialect_of_its_own() {
    let old = |id: bool| {
        let mut old = within(Draft4, json!({ "minimum": 1, "exclusiveMinimum": true }));
        if id {
            old["$id"] = json!("http://e.org/old");
        }
        json!({ "properties": { "a": old } })
    };
    assert_eq!(fields(old(true)), NONE);
    // Without an identifier it is part of the resource around it.
    assert_eq!(fields(old(false)), [".properties.a.exclusiveMinimum"]);
    let mut both = json!({ "properties": { "a": within(Draft4, json!({ "exclusiveMinimum": 1 })) } });
    assert_eq!(fields(both.clone()), [".properties.a.exclusiveMinimum"]);
    both["properties"]["a"]["exclusiveMinimum"].take();
    both["properties"]["a"] = within(Draft7, json!({ "if": { "type": "string" } }));
    assert_eq!(fields(both), NONE);
    assert_eq!(fields(json!({ "not": { "$schema": "x" } })), [".not.$schema"]);
}

#[test]
fn references_lead_to_schemas_of_the_document() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "$ref": "" }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
        json!({ "$ref": "#/$defs/a~1b%25~0c", "$defs": { "a/b%~c": true } }),
        json!({ "$ref": "#/$defs/%C3%A4%20%22", "$defs": { "ä \"": {} } }),
        json!({ "$ref": "#/prefixItems/1", "prefixItems": [true, {}] }),
        json!({ "$ref": "#x.y", "$defs": { "a": { "$anchor": "x.y" } } }),
        json!({ "$dynamicRef": "#x", "$defs": { "a": { "$dynamicAnchor": "x" } } }),
        json!({ "$id": "http://e.org/a/b", "$ref": "../c#/$defs/d", "items": { "$id": "http://e.org/c", "$defs": { "d": {} } } }),
        json!({ "$id": "http://e.org/a", "$ref": "http://e.org/a#/$defs/d", "$defs": { "d": {} } }),
        json!({ "$ref": "urn:a:b#c", "$defs": { "a": { "$id": "urn:a:b", "$anchor": "c" } } }),
        // Relative to its own resource, not to the document.
        json!({ "not": { "$id": "x", "$ref": "#/$defs/a", "$defs": { "a": {} } } }),
        within(Draft2019, json!({ "$recursiveRef": "#", "$recursiveAnchor": true })),
        within(Draft7, json!({ "$ref": "#a", "definitions": { "x": { "$id": "#a" } } })),
        within(Draft4, json!({ "not": { "$ref": "#a" }, "definitions": { "x": { "id": "#a" } } })),
        within(Draft4, json!({ "not": { "$ref": "x" }, "definitions": { "x": { "id": "x" } } })),
        // A keyword that nobody knows may hold schemas.
        json!({ "$ref": "#/components/schemas/a", "components": { "schemas": { "a": { "type": "string" } } } }),
        within(Draft7, json!({ "$ref": "#/$defs/a", "$defs": { "a": {} } })),
        // An author's property, and not a reference.
        json!({ "properties": { "$ref": { "type": "string" }, "$id": {}, "$schema": {} } }),
        json!({ "enum": [{ "$ref": "http://e.org" }], "default": { "$ref": "#/x" }, "x-any": { "$ref": "#/x" } }),
    ] {
        assert_eq!(fields(schema.clone()), NONE, "{schema}");
        compile(&schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
    }
}

#[test]
fn other_references_are_refused() {
    for (schema, field) in [
        (json!({ "$ref": "http://e.org/x" }), ".$ref"),
        (json!({ "$ref": "x.json" }), ".$ref"),
        (json!({ "$ref": "http://json-schema.org/draft-07/schema#" }), ".$ref"),
        (json!({ "$ref": "https://json-schema.org/draft/2020-12/schema" }), ".$ref"),
        (json!({ "$ref": "file:///etc/passwd" }), ".$ref"),
        (json!({ "$ref": "//e.org/x" }), ".$ref"),
        (json!({ "$ref": "#/$defs/a" }), ".$ref"),
        (json!({ "$ref": "#a" }), ".$ref"),
        (json!({ "$ref": "#/allOf/01", "allOf": [{}, {}] }), ".$ref"),
        (json!({ "$ref": "#/allOf/-1", "allOf": [{}, {}] }), ".$ref"),
        (json!({ "$ref": "#/required", "required": ["a"] }), ".$ref"),
        (json!({ "$ref": "#/required/0", "required": ["a"] }), ".$ref"),
        (json!({ "$ref": "#/$defs/a b", "$defs": { "a b": {} } }), ".$ref"),
        (json!({ "$ref": "#/%zz" }), ".$ref"),
        (json!({ "$ref": "#/%FF" }), ".$ref"),
        (json!({ "$ref": 5 }), ".$ref"),
        (within(Draft4, json!({ "not": { "$ref": 5 } })), ".not.$ref"),
        (json!({ "$dynamicRef": "#a" }), ".$dynamicRef"),
        (within(Draft2019, json!({ "$recursiveRef": "x" })), ".$recursiveRef"),
        // In another resource, which the pointer does not count from.
        (json!({ "not": { "$id": "x", "$ref": "#/$defs/a" }, "$defs": { "a": {} } }), ".not.$ref"),
        (json!({ "not": { "$id": "x", "$anchor": "a" }, "$ref": "#a" }), ".$ref"),
        // Before 2019-09 an identifier beside a reference names nothing.
        (
            within(Draft7, json!({ "allOf": [{ "$ref": "b" }, { "$id": "b", "$ref": "#" }] })),
            ".allOf[0].$ref",
        ),
        // What a reference makes a schema has to be one.
        (json!({ "$ref": "#/x-a/b", "x-a": { "b": { "type": "x" } } }), "[x-a].b.type"),
        (
            json!({ "$ref": "#/x-a", "x-a": { "$ref": "#/x-b" }, "x-b": { "properties": 1 } }),
            "[x-b].properties",
        ),
    ] {
        assert_eq!(fields(schema.clone()), [field], "{schema}");
    }
}

#[test]
fn a_pointer_into_another_dialect_reads_it_in_its_own() {
    let schema = |exclusive: Value| {
        json!({
            "properties": { "a": { "$ref": "#/$defs/old" } },
            "$defs": { "old": within(Draft4, json!({ "id": "http://e.org/old", "minimum": 1, "exclusiveMinimum": exclusive })) },
        })
    };
    assert_eq!(fields(schema(json!(true))), [".properties.a.$ref"]);
    let mut by_uri = schema(json!(true));
    by_uri["properties"]["a"]["$ref"] = json!("http://e.org/old");
    assert_eq!(fields(by_uri), NONE);
}

#[test]
fn one_uri_names_one_schema() {
    let twice = |second: Value| json!({ "$defs": { "a": { "$id": "x", "type": "string" }, "b": second } });
    assert_eq!(fields(twice(json!({ "$id": "x", "type": "string" }))), NONE);
    assert_eq!(reasons(twice(json!({ "$id": "x" }))), [Reason::Duplicate]);
    assert_eq!(fields(twice(json!({ "$id": "x" }))), [".$defs.b.$id"]);
}

#[test]
fn patterns_are_regular_expressions() {
    assert_eq!(fields(json!({ "pattern": "[" })), [".pattern"]);
    assert_eq!(fields(json!({ "patternProperties": { "[": {}, "^a$": {} } })), [".patternProperties"]);
    assert_eq!(
        message(json!({ "pattern": "(?P<a>b)" })),
        "Invalid value: \"(?P<a>b)\": must be a regular expression of ECMA 262"
    );
    assert_eq!(fields(json!({ "properties": { "pattern": { "type": "string" } } })), NONE);
}

#[test]
fn what_is_too_large_is_not_looked_into() {
    let wide = json!({ "type": "array", "description": "x".repeat(MAX_BYTES) });
    let deep = (0..MAX_DEPTH).fold(json!({ "type": "x" }), |schema, _| json!({ "not": schema }));
    assert_eq!(message(wide), "Too long: may not be more than 262144 bytes as compact JSON");
    assert_eq!(message(deep), "Too long: may not nest objects and arrays more than 64 deep");
}

#[test]
fn references_that_multiply_are_refused() {
    // Each schema refers to the next one twice.
    let doubling = |times: usize, more: Value| {
        let mut schema = json!({ "$ref": "#/$defs/0", "$defs": {} });
        for i in 0..times {
            let next = json!({ "$ref": format!("#/$defs/{}", i + 1) });
            schema["$defs"][i.to_string()] = json!({ "allOf": [next, next] });
        }
        schema["$defs"][times.to_string()] = more;
        schema
    };
    assert_eq!(fields(doubling(9, json!({}))), NONE);
    assert_eq!(reasons(doubling(40, json!({}))), [Reason::TooLong]);
    assert_eq!(fields(doubling(40, json!({}))), [""]);

    // Resources that all refer to each other.
    let mutual = |count: usize| {
        let mut schema = json!({ "$defs": {} });
        for i in 0..count {
            let others = (0..count).filter(|j| *j != i).map(|j| json!({ "$ref": format!("r{j}") }));
            let id = format!("r{i}");
            schema["$defs"][&id] =
                json!({ "$id": id, "properties": { "a": { "anyOf": others.collect::<Vec<_>>() } } });
        }
        schema
    };
    assert_eq!(fields(mutual(4)), NONE);
    assert_eq!(reasons(mutual(12)), [Reason::TooLong]);

    // A tree whose nodes refer to themselves below them grows only with its instances.
    let kinds: Vec<Value> = (0..30).map(|i| json!({ "$ref": format!("#/$defs/k{i}") })).collect();
    let mut tree = json!({ "properties": { "root": { "$ref": "#/$defs/node" } }, "$defs": { "node": { "anyOf": kinds } } });
    for i in 0..30 {
        tree["$defs"][format!("k{i}")] = json!({ "properties": { "children": { "items": { "$ref": "#/$defs/node" } } }, "unevaluatedProperties": false });
    }
    assert_eq!(fields(tree), NONE);
}

#[test]
fn headers_are_arguments_reached_through_properties() {
    let header = || json!({ "type": "string", "x-mcp-header": "A" });
    for (schema, field) in [
        (json!({ "x-mcp-header": "A", "type": "object" }), ".x-mcp-header"),
        (json!({ "items": header() }), ".items.x-mcp-header"),
        (json!({ "$ref": "#/$defs/a", "$defs": { "a": header() } }), ".$defs.a.x-mcp-header"),
        (
            json!({ "properties": { "a": { "items": { "properties": { "b": header() } } } } }),
            ".properties.a.items.properties.b.x-mcp-header",
        ),
        (
            json!({ "properties": { "a": { "type": ["string", "null"], "x-mcp-header": "A" } } }),
            ".properties.a.x-mcp-header",
        ),
        (json!({ "properties": { "a": { "x-mcp-header": "A" } } }), ".properties.a.x-mcp-header"),
        (
            json!({ "properties": { "a": { "type": "string", "x-mcp-header": "A\r\nB: c" } } }),
            ".properties.a.x-mcp-header",
        ),
        (
            json!({ "properties": { "a": { "type": "string", "x-mcp-header": null } } }),
            ".properties.a.x-mcp-header",
        ),
    ] {
        assert_eq!(fields(schema.clone()), [field], "{schema}");
        assert_eq!(findings(Role::Output, &schema).errors, [], "{schema}");
    }
    let nested = json!({ "properties": { "x-mcp-header": { "properties": { "a": header() } } }, "default": header(), "x-any": header() });
    assert_eq!(fields(nested), NONE);
    assert_eq!(
        fields(
            json!({ "properties": { "a": header(), "b": { "properties": { "c": { "type": "integer", "x-mcp-header": "a" } } } } })
        ),
        [".properties.b.properties.c.x-mcp-header"]
    );
}

/// Whether the one error of `new` is about what changed since `old`.
fn blames_change(old: &Value, new: &Value) -> bool {
    let [error] = errors(new).try_into().expect("one error");
    error.touches_change(&json!({ "spec": { "schema": old } }), &json!({ "spec": { "schema": new } }))
}

#[test]
fn an_update_is_blamed_for_what_it_changed() {
    let wrong = json!({ "properties": { "a": { "minimum": "1" } } });
    let mut described = wrong.clone();
    described["description"] = json!("more");
    assert!(!blames_change(&wrong, &described));
    assert!(blames_change(&json!({ "properties": { "a": { "minimum": 1 } } }), &wrong));
    // The dialect gives keywords their meaning, and the target is what a reference is about.
    let tuple = json!({ "items": [{}] });
    assert!(blames_change(&within(Draft7, tuple.clone()), &within(Draft2020, tuple)));
    let reference = json!({ "$ref": "#/$defs/a" });
    assert!(blames_change(&json!({ "$ref": "#/$defs/a", "$defs": { "a": {} } }), &reference));
    let header = |kind: &str| json!({ "properties": { "a": { "type": kind, "x-mcp-header": "A" } } });
    assert!(blames_change(&header("string"), &header("number")));
}

fn warnings(schema: Value) -> Vec<String> {
    let found = findings(Role::Input, &schema);
    assert_eq!(found.errors, [], "{schema}");
    found.warnings.into_iter().map(|warning| warning.replacen("spec.schema", "", 1)).collect()
}

#[test]
fn required_names_are_properties() {
    assert_eq!(warnings(json!({ "required": ["a"] })), [".required: \"a\" is no property"]);
    assert_eq!(
        warnings(json!({ "properties": { "o": { "properties": { "a": {} }, "required": ["a", "b"] } } })),
        [".properties.o.required: \"b\" is no property"]
    );
    for schema in [
        json!({ "properties": { "a": {} }, "anyOf": [{ "required": ["a"] }] }),
        json!({ "required": ["a"], "allOf": [{ "properties": { "a": {} } }] }),
        json!({ "required": ["a"], "oneOf": [{ "properties": { "a": {} } }, {}] }),
        json!({ "required": ["a"], "patternProperties": { "^a": {} } }),
        json!({ "required": ["a"], "$ref": "#/$defs/x", "$defs": { "x": { "properties": { "a": {} } } } }),
    ] {
        assert_eq!(warnings(schema.clone()), NONE, "{schema}");
    }
}

#[test]
fn defaults_and_enumerations_conform_to_their_schemas() {
    const REFUSED: &str = "its own schema refuses this value";
    for (schema, field) in [
        (json!({ "properties": { "a": { "type": "integer", "default": "1" } } }), ".properties.a.default"),
        (json!({ "properties": { "a": { "enum": ["x"], "default": "y" } } }), ".properties.a.default"),
        (
            json!({ "properties": { "a": { "type": "string", "enum": ["x", null] } } }),
            ".properties.a.enum[1]",
        ),
        // Only the validator can tell.
        (json!({ "properties": { "a": { "pattern": "^b", "default": "a" } } }), ".properties.a.default"),
        (
            json!({ "properties": { "a/b": { "$ref": "#/$defs/x", "default": "a" } }, "$defs": { "x": { "pattern": "^b" } } }),
            ".properties[a/b].default",
        ),
        (
            within(Draft7, json!({ "properties": { "a": { "format": "date", "default": "today" } } })),
            ".properties.a.default",
        ),
        (
            within(
                Draft7,
                json!({ "properties": { "a": { "$ref": "#/definitions/x", "default": 1 } }, "definitions": { "x": { "type": "string" } } }),
            ),
            ".properties.a.default",
        ),
    ] {
        assert_eq!(warnings(schema.clone()), [format!("{field}: {REFUSED}")], "{schema}");
    }
    for schema in [
        json!({ "properties": { "a": { "anyOf": [{ "type": "string" }, { "type": "null" }], "default": null } } }),
        json!({ "properties": { "a": { "type": "array", "items": { "type": "string" }, "default": [] } } }),
        json!({ "properties": { "a": { "pattern": "^b", "default": "bc" } } }),
        json!({ "properties": { "a": { "format": "date", "default": "today" } } }),
        json!({ "properties": { "default": { "type": "integer" }, "enum": { "type": "array" } } }),
        json!({ "$id": "http://e.org/x", "properties": { "a": { "$ref": "x#/$defs/b", "default": 1 } }, "$defs": { "b": { "type": "integer" } } }),
        within(
            Draft7,
            json!({ "properties": { "a": { "$ref": "#/definitions/x", "enum": [1] } }, "definitions": { "x": { "type": "string" } } }),
        ),
    ] {
        assert_eq!(warnings(schema.clone()), NONE, "{schema}");
    }
}

#[test]
fn what_is_no_object_is_left_to_the_structural_pass() {
    for schema in [json!(true), json!([]), json!("x"), json!(1)] {
        assert_eq!(findings(Role::Input, &schema), Findings::default());
    }
}
