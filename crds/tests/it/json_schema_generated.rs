//! Generated schemas, right and wrong, held against the metaschemas and the compiler of the validator.

use std::collections::BTreeSet;

use mcp_crds::validate::schema::{self, Dialect};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::support::{assert_agrees, errors, findings, uri};

const SCHEMAS: [&str; 22] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
    "allOf",
    "anyOf",
    "oneOf",
    "prefixItems",
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "dependentSchemas",
    "dependencies",
];

const VALUES: [&str; 40] = [
    "type",
    "enum",
    "const",
    "default",
    "examples",
    "required",
    "dependentRequired",
    "dependencies",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
    "uniqueItems",
    "pattern",
    "format",
    "title",
    "description",
    "$comment",
    "readOnly",
    "writeOnly",
    "deprecated",
    "contentMediaType",
    "contentEncoding",
    "$anchor",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$vocabulary",
    "x-extension",
    "items",
    "additionalItems",
    "id",
];

fn dialect() -> impl Strategy<Value = Dialect> + Clone {
    select(crate::support::DIALECTS.to_vec())
}

/// A value that some keyword takes, and others do not.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => select(vec!["string", "integer", "number", "object", "array", "boolean", "null"]).prop_map(Value::from),
        2 => select(vec!["", "a", "strng", "^a", "[", "(?=a)b", "date-time", "uri", "base64", "application/json", "_x", "9"])
            .prop_map(Value::from),
        2 => any::<bool>().prop_map(Value::from),
        2 => (-2_i64..5).prop_map(Value::from),
        1 => select(vec![0.0, -0.0, 1.0, 1.5, 2.0, -1.0, 1e300, 1e20, 5e-324]).prop_map(Value::from),
        1 => select(vec![u64::MAX, u64::MAX / 2]).prop_map(Value::from),
        1 => Just(Value::Null),
        2 => vec(select(vec!["string", "null", "a", "b", "a"]), 0..4).prop_map(|names| json!(names)),
        1 => vec(prop_oneof![Just(json!(1)), Just(json!("a")), Just(json!(null)), Just(json!({}))], 0..3).prop_map(Value::from),
        1 => btree_map(select(vec!["a", "b"]), vec(select(vec!["a", "b", "a"]), 0..3), 0..3).prop_map(|map| json!(map)),
        1 => btree_map(select(vec!["a", "b"]), any::<bool>(), 0..3).prop_map(|map| json!(map)),
        1 => Just(json!({})),
    ]
}

/// A schema that uses any keyword, mostly with a value of the right kind. `extra` gives it more members.
fn schema(extra: BoxedStrategy<Map<String, Value>>) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        6 => (btree_map(select(VALUES.to_vec()), value(), 0..4), extra.clone()).prop_map(|(members, extra)| object(members, extra)),
        1 => any::<bool>().prop_map(Value::from),
        1 => value(),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let by_name =
            btree_map(select(vec!["a", "b", "^x", "a.b", "a/b", "%", "not", "[", "id"]), inner.clone(), 0..3);
        let holding = prop_oneof![
            3 => inner.clone(),
            2 => vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => by_name.prop_map(|map| json!(map)),
        ];
        let members = btree_map(select(SCHEMAS.to_vec()), holding, 0..4);
        let plain = btree_map(select(VALUES.to_vec()), value(), 0..3);
        // Names above all, so that schemas under them are met.
        let named = btree_map(
            select(vec!["properties", "definitions", "$defs"]),
            btree_map(select(vec!["a", "b"]), inner, 0..3),
            0..2,
        );
        (members, plain, named, extra.clone()).prop_map(|(mut members, plain, named, extra)| {
            members.extend(plain);
            members.extend(named.into_iter().map(|(keyword, map)| (keyword, json!(map))));
            object(members, extra)
        })
    })
    .boxed()
}

fn object(members: std::collections::BTreeMap<&str, Value>, extra: Map<String, Value>) -> Value {
    let mut object: Map<String, Value> =
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    object.extend(extra);
    Value::Object(object)
}

fn nothing() -> BoxedStrategy<Map<String, Value>> {
    Just(Map::new()).boxed()
}

/// References, identifiers and anchors, of which some meet.
fn references() -> BoxedStrategy<Map<String, Value>> {
    let reference = select(vec![
        "#",
        "",
        "#/definitions/a",
        "#/$defs/a",
        "#/properties/a",
        "#/$defs/b/properties/a",
        "#/definitions/b",
        "#a",
        "#b",
        "x",
        "x#",
        "x#a",
        "x#/properties/a",
        "/x",
        "y",
        "y#b",
        "http://e.org/x",
        "urn:a:b",
        "urn:a:b#a",
        "#/x-extension",
        "#/not",
        "#/items/0",
        "#/items",
        "#/allOf/0",
        "#/properties/a.b",
        "#/properties/a~1b",
        "#/properties/%25",
        "#/properties",
        "#/%zz",
        "#/ ",
        "http://json-schema.org/draft-07/schema#",
        "#/dependencies/a",
        "#/dependencies/b",
        "#/else",
        "#/default",
    ]);
    let id = select(vec![
        "x",
        "y",
        "/x",
        "http://e.org/x",
        "http://e.org/y/",
        "urn:a:b",
        "#a",
        "#b",
        "x#a",
        "x#",
        "#",
        "",
        "?q",
        " ",
        "::",
    ]);
    let one = prop_oneof![
        4 => (select(vec!["$ref", "$ref", "$ref", "$dynamicRef", "$recursiveRef"]), reference),
        2 => (select(vec!["$id", "$id", "id"]), id),
        1 => (select(vec!["$anchor", "$dynamicAnchor"]), select(vec!["a", "b"])),
    ];
    vec(one, 0..2)
        .prop_map(|members| {
            members.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
        })
        .boxed()
}

/// The same, with a dialect named here and there.
fn references_and_dialects() -> BoxedStrategy<Map<String, Value>> {
    (references(), proptest::option::weighted(0.2, dialect()))
        .prop_map(|(mut members, dialect)| {
            members.extend(dialect.map(|dialect| ("$schema".to_owned(), uri(dialect).into())));
            members
        })
        .boxed()
}

/// Makes any value a document in a dialect.
fn document(dialect: Dialect, schema: Value) -> Option<Value> {
    let Value::Object(mut members) = schema else { return None };
    if dialect != Dialect::Draft2020 || members.len() % 2 == 0 {
        members.insert("$schema".to_owned(), uri(dialect).into());
    }
    Some(Value::Object(members))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keywords_are_judged_as_the_metaschemas_do(dialect in dialect(), schema in schema(nothing())) {
        if let Some(document) = document(dialect, schema) {
            assert_agrees(dialect, &document);
        }
    }

    #[test]
    fn what_is_accepted_compiles(dialect in dialect(), schema in schema(references())) {
        if let Some(document) = document(dialect, schema) {
            assert_agrees(dialect, &document);
        }
    }

    #[test]
    fn what_is_accepted_compiles_in_several_dialects_too(
        dialect in dialect(),
        schema in schema(references_and_dialects()),
    ) {
        if let Some(document) = document(dialect, schema)
            && errors(&document).is_empty()
        {
            let compiled = schema::compile(&document);
            prop_assert!(compiled.is_ok(), "{document}\n  {}", compiled.unwrap_err());
        }
    }

    #[test]
    fn a_default_is_judged_as_the_validator_does(
        dialect in dialect(),
        schema in schema(nothing()),
        default in prop_oneof![value(), vec(value(), 0..3).prop_map(Value::from), btree_map(select(vec!["a", "b"]), value(), 0..3).prop_map(|map| json!(map))],
    ) {
        let Some(mut document) = document(dialect, schema) else { return Ok(()) };
        document["default"] = default.clone();
        let found = findings(&document);
        if found.errors.is_empty() {
            let validator = schema::compile(&document).expect("what is accepted compiles");
            let warned = found.warnings.iter().any(|warning| warning.starts_with("spec.outputSchema.default:"));
            // A schema has only so many values left to the validator.
            let text = document.to_string();
            if warned || text.matches("\"default\"").count() + text.matches("\"enum\"").count() < 3 {
                prop_assert_eq!(warned, !validator.is_valid(&default), "{}", document);
            }
        }
    }

    #[test]
    fn any_json_has_a_verdict(json in any_json()) {
        if json.is_object() {
            findings(&json);
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        3 => select([SCHEMAS.as_slice(), VALUES.as_slice(), &["$ref", "$id", "$schema", "#/a", "x-mcp-header"]].concat()).prop_map(str::to_owned),
        1 => ".{0,8}",
    ];
    let leaf = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from)
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(text.clone(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

/// The generators are worth something only where both verdicts are common.
#[test]
fn generated_schemas_are_of_both_kinds() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for dialect in crate::support::DIALECTS {
        let mut verdicts = [0; 2];
        let mut keywords = BTreeSet::new();
        for _ in 0..400 {
            let schema = schema(references()).new_tree(&mut runner).expect("a schema").current();
            let Some(document) = document(dialect, schema) else { continue };
            keywords.extend(document.as_object().expect("an object").keys().cloned());
            verdicts[usize::from(errors(&document).is_empty())] += 1;
        }
        assert!(verdicts.iter().all(|count| *count > 30), "{dialect:?} {verdicts:?}");
        assert!(keywords.len() > 40, "{dialect:?} {keywords:?}");
    }
}
