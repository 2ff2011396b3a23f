//! The examples of `tests/rules`, read. `tests/rules/README.md` says what the fields mean.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mcp_crds::kind::{API_VERSION, Kind};
use mcp_crds::validate::name::is_dns_label;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The namespace of every object that names none.
pub(crate) const NAMESPACE: &str = "default";

/// A file: a rule and its examples.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its id, or what the file is about.
    pub(crate) id: String,
    /// What holds where the rule is kept.
    pub(crate) title: String,
    /// Why there is such a rule.
    pub(crate) why: String,
    /// In the file's order.
    pub(crate) examples: Vec<Example>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It is created.
    Create,
    /// It replaces [`Example::old`].
    Update,
    /// It is an `autoscaling/v1` Scale of [`Example::old`].
    Scale,
}

/// Who refuses, beside the webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layer {
    /// Nobody; or it is not promised.
    #[default]
    Webhook,
    /// The CRD's schema.
    Schema,
    /// The CRD's CEL rules.
    Cel,
}

/// An object, and the verdict on it.
#[derive(Debug)]
pub(crate) struct Example {
    /// What it shows.
    pub(crate) name: String,
    /// The kind under review; for a scale the server's.
    pub(crate) kind: Kind,
    /// What is done.
    pub(crate) operation: Operation,
    /// Who else refuses it.
    pub(crate) layer: Layer,
    /// The object, whole, before defaulting.
    pub(crate) object: Value,
    /// What of it the example is about.
    pub(crate) excerpt: Value,
    /// The stored object before an update, before defaulting.
    pub(crate) old: Option<Value>,
    /// Other objects of the cluster, before defaulting.
    pub(crate) existing: Vec<Value>,
    /// Names of the Services of the namespace.
    pub(crate) services: BTreeSet<String>,
    /// Why it is refused; empty where it is accepted.
    pub(crate) causes: Vec<Cause>,
    /// What is warned of.
    pub(crate) warnings: Vec<String>,
    /// What its author should have written.
    pub(crate) fix: Option<Fix>,
}

/// A manifest that is accepted instead of a refused one.
#[derive(Debug)]
pub(crate) struct Fix {
    /// The object, whole.
    pub(crate) object: Value,
    /// What of it the fix is about.
    pub(crate) excerpt: Value,
}

/// An error, as a `Status` holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cause {
    /// Where.
    pub(crate) field: String,
    /// What kind of mistake, on the wire.
    pub(crate) reason: &'static str,
    /// In words.
    pub(crate) message: String,
}

/// The first words of a message, by its reason.
const REASONS: [(&str, &str); 6] = [
    ("Required value", "FieldValueRequired"),
    ("Invalid value", "FieldValueInvalid"),
    ("Duplicate value", "FieldValueDuplicate"),
    ("Unsupported value", "FieldValueNotSupported"),
    ("Too long", "FieldValueTooLong"),
    ("Forbidden", "FieldValueForbidden"),
];

impl Cause {
    /// Reads `FIELD: TEXT`.
    #[must_use]
    pub(crate) fn read(line: &str) -> Option<Self> {
        let split = |(words, reason): &(&str, &'static str)| {
            let (field, _) = line.split_once(&format!(": {words}"))?;
            let message = line.get(field.len() + 2..)?.to_owned();
            Some(Self { field: field.to_owned(), reason, message })
        };
        REASONS.iter().filter_map(split).min_by_key(|cause| cause.field.len())
    }
}

/// A warning as the webhook sends it: the API server takes no longer ones.
#[must_use]
pub(crate) fn cut(warning: &str) -> String {
    const MAX_CHARS: usize = 120;
    match warning.chars().nth(MAX_CHARS) {
        None => warning.to_owned(),
        Some(_) => warning.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
    }
}

/// An object as it is given, and as it is stored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Default {
    /// What it shows.
    pub(crate) name: String,
    /// What was stored before an update.
    pub(crate) old: Option<Value>,
    /// What is given.
    pub(crate) given: Value,
    /// What is stored.
    pub(crate) stored: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: String,
    title: String,
    why: String,
    base: Value,
    #[serde(default)]
    existing: Vec<Value>,
    examples: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    layer: Layer,
    operation: Option<String>,
    base: Option<Value>,
    existing: Option<Vec<Value>>,
    services: Option<BTreeSet<String>>,
    old: Option<Value>,
    refused: Option<Value>,
    accepted: Option<Value>,
    #[serde(default)]
    causes: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
    fix: Option<Value>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules")
}

fn parse<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every rule, S before T before P before R, and then what is no rule.
#[must_use]
pub(crate) fn rules() -> Vec<Rule> {
    let files = fs::read_dir(folder()).expect("tests/rules").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "defaults"))
        .collect();
    files.sort_by_cached_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ("STPR".find(|c| name.starts_with(c)).unwrap_or(usize::MAX), name)
    });
    files.iter().map(|path| read(path)).collect()
}

/// The examples of defaulting.
#[must_use]
pub(crate) fn defaults() -> Vec<Default> {
    let mut defaults: Vec<Default> = parse(&folder().join("defaults.yaml"));
    for default in &mut defaults {
        for manifest in [&mut default.given, &mut default.stored].into_iter().chain(&mut default.old) {
            *manifest = complete(manifest.take());
        }
    }
    defaults
}

fn read(path: &Path) -> Rule {
    let File { rule, title, why, base, existing, examples } = parse(path);
    let examples = examples.into_iter().map(|written| {
        let name = format!("{rule} ({}): {}", path.display(), written.name);
        example(written, &base, &existing).unwrap_or_else(|problem| panic!("{name}: {problem}"))
    });
    Rule { examples: examples.collect(), id: rule, title, why }
}

fn example(written: Written, base: &Value, existing: &[Value]) -> Result<Example, String> {
    let base = complete(written.base.unwrap_or_else(|| base.clone()));
    let kind =
        base.get("kind").and_then(Value::as_str).and_then(Kind::from_name).ok_or("base has no kind")?;
    let existing = written.existing.unwrap_or_else(|| existing.to_vec());
    let over = |excerpt: &Value| overlay(&base, excerpt);
    let mut old = written.old.as_ref().map(over);
    let operation = match (written.operation.as_deref(), &old) {
        (None, None) => Operation::Create,
        (None, Some(_)) => Operation::Update,
        (Some("scale"), _) => Operation::Scale,
        (Some(other), _) => return Err(format!("unknown operation {other}")),
    };
    let (excerpt, refused) = match (written.refused, written.accepted) {
        (Some(excerpt), None) => (excerpt, true),
        (None, Some(excerpt)) => (excerpt, false),
        _ => return Err("give either refused or accepted".to_owned()),
    };
    if refused == written.causes.is_empty() {
        return Err("what is refused has causes, and what is accepted has none".to_owned());
    }
    let object = if operation == Operation::Scale {
        let server = old.get_or_insert_with(|| base.clone());
        scale(server, &excerpt)
    } else {
        over(&excerpt)
    };
    let causes =
        written.causes.iter().map(|line| Cause::read(line).ok_or_else(|| format!("no cause: {line}")));
    let causes = causes.collect::<Result<_, _>>()?;
    let fix = written.fix.map(|excerpt| Fix { object: over(&excerpt), excerpt: expand(excerpt) });
    let existing: Vec<Value> = existing.into_iter().map(complete).collect();
    let services = written.services.unwrap_or_else(|| {
        let fixed = fix.as_ref().map(|fix| &fix.object);
        let mut names = BTreeSet::new();
        for manifest in existing.iter().chain([&object]).chain(&old).chain(fixed) {
            find_services(manifest, &mut names);
        }
        names
    });
    Ok(Example {
        name: written.name,
        kind,
        operation,
        layer: written.layer,
        object,
        excerpt: expand(excerpt),
        old,
        existing,
        services,
        causes,
        warnings: written.warnings,
        fix,
    })
}

/// The manifest with what every manifest has.
fn complete(manifest: Value) -> Value {
    let mut manifest = expand(manifest);
    if let Some(object) = manifest.as_object_mut() {
        object.entry("apiVersion").or_insert_with(|| json!(API_VERSION));
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.entry("namespace").or_insert_with(|| json!(NAMESPACE));
        }
    }
    manifest
}

/// `base`, with the `metadata` and each field of `spec` that `excerpt` gives.
fn overlay(base: &Value, excerpt: &Value) -> Value {
    let mut object = base.clone();
    if let Some(metadata) = excerpt.get("metadata") {
        object["metadata"] = metadata.clone();
    }
    match (object.get_mut("spec").and_then(Value::as_object_mut), excerpt.get("spec")) {
        (Some(spec), Some(Value::Object(given))) => {
            spec.extend(given.clone());
            spec.retain(|_, value| !value.is_null());
        }
        (_, Some(given)) => object["spec"] = given.clone(),
        (_, None) => {}
    }
    complete(object)
}

fn scale(server: &Value, excerpt: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": { "name": server["metadata"]["name"], "namespace": server["metadata"]["namespace"] },
        "spec": excerpt["spec"],
    })
}

/// Writes out what is too long to be written.
fn expand(value: Value) -> Value {
    let times = |object: &Map<String, Value>| {
        object.get("times").and_then(Value::as_u64).and_then(|times| usize::try_from(times).ok())
    };
    match value {
        Value::Object(object) => match (object.get("$repeat"), object.get("$nest"), times(&object)) {
            (Some(Value::String(text)), None, Some(times)) => Value::String(text.repeat(times)),
            (None, Some(Value::String(key)), Some(times)) => {
                (1..times).fold(json!({}), |inner, _| json!({ key: inner }))
            }
            _ => Value::Object(object.into_iter().map(|(key, value)| (key, expand(value))).collect()),
        },
        Value::Array(list) => Value::Array(list.into_iter().map(expand).collect()),
        scalar => scalar,
    }
}

/// Names of the Services that an object calls.
fn find_services(manifest: &Value, names: &mut BTreeSet<String>) {
    let operations = manifest.pointer("/spec/operations").and_then(Value::as_array).into_iter().flatten();
    let holders = operations.chain(manifest.get("spec"));
    let found = holders.filter_map(|holder| holder.pointer("/service/name")?.as_str());
    names.extend(found.filter(|name| is_dns_label(name)).map(str::to_owned));
}
