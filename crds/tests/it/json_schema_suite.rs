//! The schemas of the JSON Schema Test Suite, and the other JSON in it taken for schemas.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_crds::field::{FieldError, Reason};
use mcp_crds::validate::schema::{self, Dialect};
use serde_json::{Value, json};

use crate::support::{assert_agrees, errors, pointer, uri};

/// The suite's directory; it is fetched once.
fn suite() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/corpus/fetch.sh");
    let output = Command::new("bash").arg(script).output().expect("bash runs");
    assert!(
        output.status.success(),
        "the suite was not fetched: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

/// A schema of the suite, with its dialect's `$schema`, and the instances that are validated by it.
struct Group {
    dialect: Dialect,
    name: String,
    schema: Value,
    tests: Vec<(Value, bool)>,
}

fn groups() -> Vec<Group> {
    let suite = suite();
    let mut groups = Vec::new();
    for (dialect, directory) in [
        (Dialect::Draft4, "draft4"),
        (Dialect::Draft6, "draft6"),
        (Dialect::Draft7, "draft7"),
        (Dialect::Draft2019, "draft2019-09"),
        (Dialect::Draft2020, "draft2020-12"),
    ] {
        collect(&suite.join(directory), dialect, directory, &mut groups);
    }
    groups
}

fn collect(directory: &Path, dialect: Dialect, name: &str, groups: &mut Vec<Group>) {
    for entry in std::fs::read_dir(directory).expect("a directory of the suite") {
        let path = entry.expect("an entry").path();
        let name = format!("{name}/{}", path.file_stem().expect("a name").to_string_lossy());
        if path.is_dir() {
            collect(&path, dialect, &name, groups);
            continue;
        }
        let file: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).expect("a file")).expect("a JSON file");
        for group in file.as_array().expect("groups of tests") {
            let tests = group["tests"].as_array().expect("tests").iter();
            groups.push(Group {
                dialect,
                name: format!("{name}: {}", group["description"].as_str().expect("a description")),
                schema: with_dialect(&group["schema"], dialect),
                tests: tests.map(|test| (test["data"].clone(), test["valid"] == true)).collect(),
            });
        }
    }
}

/// The schema with the `$schema` of its dialect, where it has none. Boolean schemas are left out by whoever asks.
fn with_dialect(schema: &Value, dialect: Dialect) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        members.entry("$schema").or_insert_with(|| uri(dialect).into());
    }
    schema
}

fn is_metaschema(reference: &str) -> bool {
    Dialect::from_uri(reference).is_some()
}

/// Every schema of the suite is valid. So all that can be wrong with one is that it refers out of its document, or is in a
/// dialect of its own making; and the validator agrees that it cannot be compiled, unless it brings the metaschema along.
#[test]
fn only_what_refers_elsewhere_is_refused() {
    let (mut accepted, mut refused) = (0, 0);
    for group in groups().iter().filter(|group| group.schema.is_object()) {
        let Group { name, schema, .. } = group;
        let found = errors(schema);
        let is_elsewhere = |error: &FieldError| {
            let value = schema.pointer(&pointer(error)).and_then(Value::as_str).expect("a string");
            match pointer(error).rsplit('/').next() {
                Some("$schema") => error.reason == Reason::NotSupported && !is_metaschema(value),
                Some("$ref") => is_metaschema(value) || schema::compile(schema).is_err(),
                _ => false,
            }
        };
        assert!(found.iter().all(is_elsewhere), "{name}: {schema}\n{found:#?}");
        if found.is_empty() {
            schema::compile(schema).unwrap_or_else(|error| panic!("{name}: {schema}\n{error}"));
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    assert!(accepted > 1_400 && refused < 100, "{accepted} accepted, {refused} refused");
}

/// The suite validates schemas, right and wrong, by the metaschemas.
#[test]
fn verdicts_are_those_of_the_suite() {
    let mut count = 0;
    for group in groups() {
        if !group.schema["$ref"].as_str().is_some_and(is_metaschema) {
            continue;
        }
        for (schema, is_valid) in group.tests.iter().filter(|(schema, _)| schema.is_object()) {
            let schema = with_dialect(schema, group.dialect);
            assert_eq!(errors(&schema).is_empty(), *is_valid, "{}: {schema}", group.name);
            count += 1;
        }
    }
    assert!(count >= 16, "{count}");
}

/// Any JSON may be meant as a schema, so the suite's schemas in every dialect but their own, and its instances, are held
/// against the metaschemas as well.
#[test]
fn anything_in_the_suite_is_judged_as_the_metaschemas_do() {
    for group in groups() {
        for dialect in crate::support::DIALECTS {
            let mut schema = group.schema.clone();
            if has_nested_dialect(&schema) {
                continue;
            }
            if let Value::Object(members) = &mut schema {
                members.insert("$schema".to_owned(), uri(dialect).into());
                assert_agrees(dialect, &schema);
            }
        }
        for (instance, _) in &group.tests {
            if instance.is_object() && !has_nested_dialect(instance) {
                assert_agrees(group.dialect, &with_dialect(instance, group.dialect));
            }
            let name = group.name.split(": ").next().unwrap_or_default();
            let keyword = name.rsplit('/').next().unwrap_or_default();
            if !has_nested_dialect(instance) {
                assert_agrees(group.dialect, &json!({ "$schema": uri(group.dialect), keyword: instance }));
            }
        }
    }
}

/// Whether `$schema` is anywhere but at the root, where the metaschema of the document no longer decides alone.
fn has_nested_dialect(schema: &Value) -> bool {
    fn is_within(value: &Value) -> bool {
        match value {
            Value::Object(members) => {
                members.iter().any(|(name, value)| name == "$schema" || is_within(value))
            }
            Value::Array(elements) => elements.iter().any(is_within),
            _ => false,
        }
    }
    match schema {
        Value::Object(members) => members.values().any(is_within),
        _ => is_within(schema),
    }
}
