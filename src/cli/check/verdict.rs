//! What the webhooks would say of each document.

use std::collections::HashMap;
use std::time::Instant;

use mcp_crds::catalog::{Catalog, Entry, ObjectKey};
use mcp_crds::default;
use mcp_crds::field::{FieldError, FieldPath, Findings, Segment, on_one_line};
use mcp_crds::kind::{API_VERSION, GROUP, Kind};
use mcp_crds::validate::{self, Operation, name, structural};
use serde::Serialize;
use serde_json::Value;

use super::load::Document;
use super::located::{Located, Position};

/// Whether a document would be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Accepted,
    Rejected,
    /// Not one of our kinds.
    Skipped,
}

/// An error, and where in the file it is.
#[derive(Debug, Serialize)]
pub(super) struct Complaint {
    pub(super) reason: &'static str,
    pub(super) field: String,
    pub(super) message: String,
    pub(super) line: u64,
    pub(super) column: u64,
}

/// What `--output json` prints of a document.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) document: usize,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) verdict: Verdict,
    pub(super) errors: Vec<Complaint>,
    pub(super) warnings: Vec<String>,
}

/// Checks documents one after the other, as if each were applied to a cluster that has those before it.
#[derive(Debug, Default)]
pub(super) struct Checker {
    catalog: Catalog,
    stored: HashMap<ObjectKey, Value>,
}

impl Checker {
    /// Checks a document, or each of its `items`: whatever its kind is called, what has them is a list to kubectl.
    pub(super) fn check(&mut self, file: &str, document: &Document<'_>) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut rest = vec![(FieldPath::default(), &document.content)];
        while let Some((path, object)) = rest.pop() {
            if let Some(items) = object.get("items").and_then(Located::elements) {
                let at = |i| path.clone().join(Segment::Field("items".to_owned())).join(Segment::Index(i));
                rest.extend(items.iter().enumerate().map(|(i, item)| (at(i), item)).rev());
            } else if object.is_map() {
                reports.push(self.check_object(file, document, object));
            } else {
                reports.push(no_object(file, document, path, object));
            }
        }
        reports
    }

    fn check_object(&mut self, file: &str, document: &Document<'_>, located: &Located) -> Report {
        let mut object = located.to_json();
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind_name) = (text("/apiVersion"), text("/kind"));
        let namespace = Some(text("/metadata/namespace")).filter(|own| !own.is_empty());
        let mut report = Report {
            file: file.to_owned(),
            document: document.index,
            kind: kind_name.clone(),
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            name: text("/metadata/name"),
            verdict: Verdict::Skipped,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        let kind = Kind::from_name(&kind_name);
        let in_group = api_version.split('/').next() == Some(GROUP);
        // Without a version it is nobody's; with the name of a kind of ours it was meant to be that.
        let is_ours = in_group || api_version.is_empty() && kind.is_some();
        let (findings, entry) = match kind.filter(|_| api_version == API_VERSION) {
            Some(kind) => {
                if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
                    metadata.insert("namespace".to_owned(), report.namespace.clone().into());
                }
                let (findings, entry) = self.judge(kind, &mut object, &report.namespace);
                (findings, Some(entry))
            }
            None if is_ours => (unknown_kind(&api_version, &kind_name), None),
            None => return report,
        };
        for (field, at) in located.duplicate_keys(document.begin) {
            let error = FieldError::duplicate(field.clone(), &field.to_string(), "this key is given twice");
            report.errors.push(complaint(&error, at));
        }
        report.errors.extend(
            findings
                .errors
                .iter()
                .map(|error| complaint(error, located.position(error, document.text, document.begin))),
        );
        report.errors.sort_by_key(|error| (error.line, error.column));
        report.warnings = findings.warnings.iter().map(|warning| on_one_line(warning)).collect();
        report.verdict = if report.errors.is_empty() { Verdict::Accepted } else { Verdict::Rejected };
        if let (Verdict::Accepted, Some(entry)) = (report.verdict, entry) {
            self.stored.insert(entry.key.clone(), object);
            self.catalog.apply(entry);
        }
        report
    }

    /// Everything that the API server and the webhooks would find, and what the catalog is to know of the object.
    fn judge(&mut self, kind: Kind, object: &mut Value, namespace: &str) -> (Findings, Entry) {
        let mut findings = Findings::default();
        findings.errors.extend(structural::unknown_fields(kind, object));
        check_metadata(object, &mut findings);
        let key = Entry::read(kind, namespace, object).key;
        let old = self.stored.get(&key);
        default::apply(kind, object, old);
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        let mut of_rules = validate::object(kind, operation, object);
        let entry = Entry::read(kind, namespace, object);
        for service in &entry.services {
            // Whether a Service exists, only a cluster knows.
            self.catalog.apply_service(namespace, service);
        }
        of_rules.extend(self.catalog.check(&entry, Instant::now()));
        findings.extend(match self.stored.get(&key) {
            Some(old) => of_rules.ratchet(old, object),
            None => of_rules,
        });
        (findings, entry)
    }
}

/// What kubectl would not even send.
fn no_object(file: &str, document: &Document<'_>, path: FieldPath, item: &Located) -> Report {
    let error = FieldError::invalid(path, &item.to_json(), "must be an object");
    Report {
        file: file.to_owned(),
        document: document.index,
        kind: String::new(),
        namespace: "default".to_owned(),
        name: String::new(),
        verdict: Verdict::Rejected,
        errors: vec![complaint(&error, item.start(document.begin))],
        warnings: Vec::new(),
    }
}

fn complaint(error: &FieldError, at: Position) -> Complaint {
    Complaint {
        reason: error.reason.as_str(),
        field: error.field.to_string(),
        message: error.message.clone(),
        line: at.line,
        column: at.column,
    }
}

fn unknown_kind(api_version: &str, kind: &str) -> Findings {
    let mut findings = Findings::default();
    if api_version.is_empty() {
        let detail = format_args!("must be \"{API_VERSION}\"");
        findings.error(FieldError::required(FieldPath::of(["apiVersion"]), detail));
    } else if api_version != API_VERSION {
        findings.error(FieldError::not_supported(
            FieldPath::of(["apiVersion"]),
            &api_version.into(),
            &[API_VERSION],
        ));
    }
    if Kind::from_name(kind).is_none() {
        let kinds = Kind::ALL.map(Kind::as_str);
        findings.error(FieldError::not_supported(FieldPath::of(["kind"]), &kind.into(), &kinds));
    }
    findings
}

/// What the API server itself asks of `metadata`.
fn check_metadata(object: &Value, findings: &mut Findings) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (own, prefix) = (text("/metadata/name"), text("/metadata/generateName"));
    let field = FieldPath::of(["metadata", "name"]);
    if own.is_empty() && prefix.is_empty() {
        findings.error(FieldError::required(field, "name or generateName is required"));
    } else if !own.is_empty() && !name::is_dns_subdomain(own) {
        let detail = "must consist of lower-case letters, digits, '-' and '.', and begin and end with a letter or digit";
        findings.error(FieldError::invalid_str(field, own, detail));
    }
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let field = FieldPath::of(["metadata", "labels"]).join(Segment::Key(key.clone()));
        if let Err(error) = name::label_key(key) {
            findings.error(FieldError::invalid_str(field.clone(), key, error));
        }
        match value.as_str().map(name::label_value) {
            Some(Ok(())) => {}
            Some(Err(error)) => findings.error(FieldError::invalid(field, value, error)),
            None => findings.error(FieldError::invalid(field, value, "must be a string")),
        }
    }
}
