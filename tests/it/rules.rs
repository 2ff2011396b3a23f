//! Every example of `tests/rules`, on the pure functions: all errors and all warnings, and not one more.

use std::time::Instant;

use mcp_crds::catalog::{Catalog, Entry};
use mcp_crds::field::Findings;
use mcp_crds::kind::Kind;
use mcp_crds::{default, validate};
use serde_json::Value;

use crate::examples::{self, Cause, Example, Layer, NAMESPACE, Operation, Rule};

/// The rules that are promised, and who refuses what they are about when no webhook answers.
const RULES: [(&str, Layer); 42] = [
    ("S1", Layer::Schema),
    ("S2", Layer::Schema),
    ("S3", Layer::Cel),
    ("S4", Layer::Cel),
    ("S5", Layer::Cel),
    ("S6", Layer::Cel),
    ("S7", Layer::Webhook),
    ("S8", Layer::Webhook),
    ("S9", Layer::Webhook),
    ("S10", Layer::Webhook),
    ("S11", Layer::Webhook),
    ("S12", Layer::Webhook),
    ("S13", Layer::Webhook),
    ("S14", Layer::Webhook),
    ("S15", Layer::Webhook),
    ("S16", Layer::Webhook),
    ("S17", Layer::Cel),
    ("S18", Layer::Webhook),
    ("S19", Layer::Webhook),
    ("S20", Layer::Webhook),
    ("T1", Layer::Schema),
    ("T2", Layer::Schema),
    ("T3", Layer::Schema),
    ("T4", Layer::Schema),
    ("T5", Layer::Webhook),
    ("T6", Layer::Webhook),
    ("T7", Layer::Webhook),
    ("T8", Layer::Webhook),
    ("T9", Layer::Webhook),
    ("T10", Layer::Webhook),
    ("T11", Layer::Webhook),
    ("P1", Layer::Webhook),
    ("P2", Layer::Schema),
    ("P3", Layer::Webhook),
    ("P4", Layer::Webhook),
    ("P5", Layer::Webhook),
    ("P6", Layer::Cel),
    ("R1", Layer::Webhook),
    ("R2", Layer::Cel),
    ("R3", Layer::Webhook),
    ("R4", Layer::Webhook),
    ("R5", Layer::Webhook),
];

fn kind(manifest: &Value) -> Kind {
    let name = manifest["kind"].as_str().expect("a manifest has a kind");
    Kind::from_name(name).unwrap_or_else(|| panic!("{name} is none of our kinds"))
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The object as the cluster stores it.
pub(crate) fn stored(manifest: &Value) -> Value {
    let mut object = manifest.clone();
    default::apply(kind(manifest), &mut object, None);
    object
}

fn entry(object: &Value) -> Entry {
    Entry::read(kind(object), NAMESPACE, object)
}

/// What the cluster holds when an object of the example comes.
pub(crate) fn catalog(example: &Example) -> Catalog {
    let mut catalog = Catalog::default();
    for manifest in example.existing.iter().chain(&example.old) {
        let object = stored(manifest);
        catalog.apply(entry(&object));
    }
    for service in &example.services {
        catalog.apply_service(NAMESPACE, service);
    }
    catalog
}

/// The verdict of the rules on an object of the example.
fn judge(example: &Example, manifest: &Value) -> Findings {
    let catalog = catalog(example);
    if manifest["kind"] == "Scale" {
        let replicas = manifest["spec"]["replicas"].as_i64().expect("replicas");
        return catalog.check_scale(NAMESPACE, name(manifest), replicas);
    }
    let old = example.old.as_ref().map(stored);
    let mut object = manifest.clone();
    default::apply(example.kind, &mut object, old.as_ref());
    let operation = if old.is_some() { validate::Operation::Update } else { validate::Operation::Create };
    let mut findings = validate::object(example.kind, operation, &object);
    findings.extend(catalog.check(&entry(&object), Instant::now()));
    match old {
        Some(old) => findings.ratchet(&old, &object),
        None => findings,
    }
}

fn causes(findings: &Findings) -> Vec<Cause> {
    let cause = |error: &mcp_crds::field::FieldError| Cause {
        field: error.field.to_string(),
        reason: error.reason.as_str(),
        message: error.message.clone(),
    };
    findings.errors.iter().map(cause).collect()
}

fn lines(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{}: {} ({})", cause.field, cause.message, cause.reason)).collect()
}

/// Runs `test` on every example, and fails with all that failed.
pub(crate) async fn for_each_example(test: impl AsyncFn(&Rule, &Example) -> Result<(), String>) {
    let mut failures = Vec::new();
    for rule in &examples::rules() {
        for example in &rule.examples {
            if let Err(problem) = test(rule, example).await {
                failures.push(format!("{} ({}):\n{problem}", rule.id, example.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} examples failed\n\n{}", failures.len(), failures.join("\n\n"));
}

/// What is expected and not there, and what is there and not expected.
pub(crate) fn difference(expected: &[String], found: &[String]) -> Result<(), String> {
    let missing =
        expected.iter().filter(|line| !found.contains(line)).map(|line| format!("  missing    {line}"));
    let surplus =
        found.iter().filter(|line| !expected.contains(line)).map(|line| format!("  unexpected {line}"));
    let lines: Vec<String> = missing.chain(surplus).collect();
    match (lines.is_empty(), expected == found) {
        (false, _) => Err(lines.join("\n")),
        (true, false) => Err(format!("  in another order:\n    {}", found.join("\n    "))),
        (true, true) => Ok(()),
    }
}

#[tokio::test]
async fn every_rule_says_what_its_examples_say() {
    for_each_example(async |_, example| {
        let findings = judge(example, &example.object);
        difference(&lines(&example.causes), &lines(&causes(&findings)))
    })
    .await;
}

#[tokio::test]
async fn every_warning_is_one_that_its_example_says() {
    for_each_example(async |_, example| {
        let findings = judge(example, &example.object);
        difference(&example.warnings, &findings.warnings)
    })
    .await;
}

#[tokio::test]
async fn every_fix_is_accepted_without_a_warning() {
    for_each_example(async |_, example| {
        let Some(fix) = &example.fix else { return Ok(()) };
        let findings = judge(example, &fix.object);
        difference(&[], &lines(&causes(&findings)))?;
        difference(&[], &findings.warnings)
    })
    .await;
}

#[test]
fn every_rule_has_examples_of_both_verdicts() {
    let rules = examples::rules();
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).filter(|id| id.len() <= 3).collect();
    assert_eq!(ids, RULES.map(|(id, _)| id));
    for (rule, (id, layer)) in rules.iter().zip(RULES) {
        let (accepted, refused): (Vec<_>, Vec<_>) = rule.examples.iter().partition(|e| e.causes.is_empty());
        assert!(!accepted.is_empty(), "{id} accepts nothing");
        assert!(refused.iter().any(|example| example.fix.is_some()), "{id} shows no way out");
        assert!(refused.iter().any(|example| example.layer == layer), "{id} shows nothing for {layer:?}");
    }
}

#[test]
fn defaults_are_filled_in() {
    for example in examples::defaults() {
        let mut object = example.given.clone();
        default::apply(kind(&object), &mut object, example.old.as_ref());
        assert_eq!(object, example.stored, "{}", example.name);
    }
}

#[tokio::test]
async fn defaulting_twice_changes_nothing_more() {
    for example in examples::defaults() {
        let mut object = example.stored.clone();
        default::apply(kind(&object), &mut object, Some(&example.stored));
        assert_eq!(object, example.stored, "{}", example.name);
    }
    for_each_example(async |_, example| {
        if example.operation == Operation::Scale {
            return Ok(());
        }
        let old = example.old.as_ref().map(stored);
        let mut once = example.object.clone();
        default::apply(example.kind, &mut once, old.as_ref());
        let mut twice = once.clone();
        default::apply(example.kind, &mut twice, old.as_ref());
        if once == twice { Ok(()) } else { Err(format!("  {once}\n  {twice}")) }
    })
    .await;
}
