//! What the tests of the schema rules share.
#![allow(unreachable_pub, reason = "what tests share")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use mcp_crds::field::{FieldError, FieldPath, Findings, Segment};
use mcp_crds::node::Node;
use mcp_crds::validate::schema::{self, Dialect, Role};
use serde_json::{Value, json};

pub const DIALECTS: [Dialect; 5] =
    [Dialect::Draft4, Dialect::Draft6, Dialect::Draft7, Dialect::Draft2019, Dialect::Draft2020];

/// The `$schema` of a dialect.
pub fn uri(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Draft4 => "http://json-schema.org/draft-04/schema#",
        Dialect::Draft6 => "http://json-schema.org/draft-06/schema#",
        Dialect::Draft7 => "http://json-schema.org/draft-07/schema#",
        Dialect::Draft2019 => "https://json-schema.org/draft/2019-09/schema",
        Dialect::Draft2020 => "https://json-schema.org/draft/2020-12/schema",
    }
}

/// What the rules find in a schema at `spec.outputSchema`, where any root is allowed.
pub fn findings(schema: &Value) -> Findings {
    let object = json!({ "spec": { "outputSchema": schema } });
    let mut findings = Findings::default();
    let root = Node::root(&object);
    let spec = root.get("spec").expect("spec");
    let node = spec.get("outputSchema").expect("spec.outputSchema");
    schema::check(&node, Role::Output, &mut findings);
    for error in &findings.errors {
        assert_is_somewhere(&error.field, &object);
    }
    findings
}

/// An error stands at a value of the object, or at a field that its parent lacks.
fn assert_is_somewhere(path: &FieldPath, object: &Value) {
    let parent = path.segments().split_last().map(|(_, parent)| parent).unwrap_or_default();
    let parent = parent.iter().cloned().fold(FieldPath::default(), FieldPath::join);
    assert!(
        path.lookup(object).is_some() || parent.lookup(object).is_some(),
        "{path} is nowhere in {object}"
    );
}

pub fn errors(schema: &Value) -> Vec<FieldError> {
    findings(schema).errors
}

/// The JSON pointer of an error within the schema.
pub fn pointer(error: &FieldError) -> String {
    error.field.segments().iter().skip(2).fold(String::new(), |pointer, segment| match segment {
        Segment::Field(name) | Segment::Key(name) | Segment::Name(name) => {
            pointer + "/" + &name.replace('~', "~0").replace('/', "~1")
        }
        Segment::Index(index) => format!("{pointer}/{index}"),
    })
}

/// The first mistake that the metaschema of a dialect finds, as a JSON pointer.
pub fn mistake_by_metaschema(dialect: Dialect, schema: &Value) -> Option<(String, String)> {
    let result = match dialect {
        Dialect::Draft4 => jsonschema::draft4::meta::validate(schema),
        Dialect::Draft6 => jsonschema::draft6::meta::validate(schema),
        Dialect::Draft7 => jsonschema::draft7::meta::validate(schema),
        Dialect::Draft2019 => jsonschema::draft201909::meta::validate(schema),
        Dialect::Draft2020 => jsonschema::draft202012::meta::validate(schema),
    };
    result.err().map(|error| (error.instance_path().as_str().to_owned(), error.to_string()))
}

/// Holds the verdict on a schema that is in one dialect throughout against the library's: what the metaschema refuses is
/// refused, at the keyword or above it, and what is accepted compiles.
pub fn assert_agrees(dialect: Dialect, schema: &Value) {
    let found = errors(schema);
    let said = || found.iter().map(|error| format!("\n    {error}")).collect::<String>();
    if let Some((at, mistake)) = mistake_by_metaschema(dialect, schema) {
        let is_there = |error: &FieldError| {
            let ours = pointer(error);
            let above =
                at.strip_prefix(&ours).is_some_and(|below| below.is_empty() || below.starts_with('/'));
            // A metaschema says no more of a choice than that nothing in it fits, and draft-04's blames the schema for an
            // exclusiveMinimum without a minimum.
            let below = ours.strip_prefix(&at).is_some_and(|below| {
                let mut steps = at.rsplit('/');
                let is_choice =
                    matches!(steps.next(), Some("items" | "additionalItems" | "additionalProperties"))
                        || steps.next() == Some("dependencies");
                (is_choice && below.starts_with('/')) || below.starts_with("/exclusiveM")
            });
            above || below
        };
        assert!(found.iter().any(is_there), "{schema}\n  at {at}: {mistake}\n  found:{}", said());
        return;
    }
    // Rules that no metaschema has.
    const BEYOND: [&str; 9] = [
        "$schema",
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "$id",
        "id",
        "pattern",
        "patternProperties",
        "contentMediaType",
    ];
    let refers = schema.to_string().contains("ef\":");
    for error in &found {
        let at = pointer(error);
        let keyword = at.rsplit('/').next().unwrap_or_default();
        let beyond =
            BEYOND.contains(&keyword) || (dialect == Dialect::Draft6 && keyword == "contentEncoding");
        // What the validator cannot compile is refused as a whole, where it reads a dialect in its own way.
        assert!(beyond || refers || at.is_empty(), "{schema}\n  is valid, but found:{}", said());
    }
    if found.is_empty()
        && let Err(error) = schema::compile(schema)
    {
        panic!("{schema}\n  is accepted, but does not compile: {error}");
    }
}
