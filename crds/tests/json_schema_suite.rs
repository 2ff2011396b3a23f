//! The schemas of the JSON Schema Test Suite: what its dialect's metaschema accepts and what does not refer out of the
//! document is accepted, and compiles.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_crds::validate::schema::{self, Dialect};
use serde_json::Value;
use support::{errors, mistake_by_metaschema, uri};

/// The suite's directory; it is fetched once.
fn suite() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/corpus/fetch.sh");
    let output = Command::new("bash").arg(script).output().expect("bash runs");
    assert!(output.status.success(), "the suite could not be fetched: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

#[derive(Debug)]
struct Case {
    dialect: Dialect,
    name: String,
    schema: Value,
}

fn cases() -> Vec<Case> {
    let suite = suite();
    let mut cases = Vec::new();
    for (dialect, directory) in [
        (Dialect::Draft4, "draft4"),
        (Dialect::Draft6, "draft6"),
        (Dialect::Draft7, "draft7"),
        (Dialect::Draft2019, "draft2019-09"),
        (Dialect::Draft2020, "draft2020-12"),
    ] {
        collect(&suite.join(directory), dialect, directory, &mut cases);
    }
    cases
}

fn collect(directory: &Path, dialect: Dialect, name: &str, cases: &mut Vec<Case>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(directory).expect("a directory of the suite").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = format!("{name}/{}", path.file_stem().expect("a name").to_string_lossy());
        if path.is_dir() {
            collect(&path, dialect, &name, cases);
            continue;
        }
        let groups: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a file")).expect("JSON");
        for group in groups.as_array().expect("groups of tests") {
            let mut schema = group["schema"].clone();
            if let Value::Object(members) = &mut schema {
                members.entry("$schema").or_insert_with(|| uri(dialect).into());
                let name = format!("{name}: {}", group["description"].as_str().expect("a description"));
                cases.push(Case { dialect, name, schema });
            }
        }
    }
}

#[test]
fn verdicts_on_the_whole_suite() {
    let cases = cases();
    for case in &cases {
        let meta = mistake_by_metaschema(case.dialect, &case.schema);
        let found = errors(&case.schema);
        let compiled = schema::compile(&case.schema);
        match (&meta, found.is_empty(), &compiled) {
            (None, true, Ok(_)) | (Some(_), false, Err(_)) => {}
            _ => println!("{}\n   meta {meta:?}\n   ours {:?}\n   compile {:?}\n   {}", case.name, found.iter().map(|e| e.to_string()).collect::<Vec<_>>(), compiled.err().map(|e| e.to_string()), case.schema),
        }
    }
    println!("{} cases", cases.len());
}
