//! The rules of an MCPTool.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::applied;
use super::duration::parse_positive_duration;
use super::name::{HEADER_VALUE, HTTP_TOKEN, is_header_value, is_http_token};
use super::path::PathTemplate;
use super::quantity::{Quantity, QuantityError};
use super::schema::{self, Arguments, Presence, Role};
use super::service;
use crate::field::{FieldError, Findings, on_one_line};
use crate::node::Node;

/// Headers that the gateway sets from the request that it makes.
const OWN_HEADERS: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// So many placeholders are reported; a webhook's answer holds no more.
const MAX_PLACEHOLDERS: usize = 100;

/// The rules of a tool that need nothing but the tool (T2, T4–T9, T11), and what is suspicious about one.
pub fn check(object: &Node<'_>, findings: &mut Findings) {
    let Some(spec) = object.get("spec").filter(|spec| spec.value.is_object()) else { return };
    if spec.get("description").is_none_or(|text| text.as_str().is_some_and(|text| text.trim().is_empty())) {
        findings.warn(&spec.path.field("description"), "is missing; models choose tools by it");
    }
    let input = spec.get("inputSchema");
    if let Some(service) = spec.get("service")
        && let Some(path) = service::check(&service, findings)
        && let Some(input) = &input
    {
        check_placeholders(&service, &path, input, findings);
    }
    if let Some(input) = &input {
        schema::check(input, Role::Input, findings);
    }
    if let Some(output) = spec.get("outputSchema") {
        schema::check(&output, Role::Output, findings);
    }
    check_durations(&spec, findings);
    check_response_bound(&spec, findings);
    check_rate_limit(&spec, findings);
    check_headers(&spec, findings);
    applied::check(object, &["inputSchema", "outputSchema"], findings);
}

/// T8: every call must have what the path is made of.
fn check_placeholders(
    service: &Node<'_>,
    template: &PathTemplate<'_>,
    input: &Node<'_>,
    findings: &mut Findings,
) {
    let Some(text) = service.get_str("path").filter(|_| input.value.is_object()) else { return };
    let mut names = template.placeholders().peekable();
    if names.peek().is_none() {
        return;
    }
    let arguments = Arguments::of(input.value);
    let mut seen = HashSet::new();
    let mistakes =
        names.filter(|name| seen.insert(*name)).filter_map(|name| match arguments.presence(name) {
            Presence::Certain => None,
            Presence::Unknown => Some(format!("placeholder \"{name}\" is no property of inputSchema")),
            Presence::Optional => Some(format!(
                "placeholder \"{name}\" may be absent: inputSchema neither requires it nor has a default"
            )),
        });
    for detail in mistakes.take(MAX_PLACEHOLDERS) {
        let error = FieldError::invalid_str(&service.path.field("path"), text, on_one_line(&detail));
        findings.error(error.depending_on([input.path.to_owned()]));
    }
}

/// T9: `timeout` and `cacheTTL`.
fn check_durations(spec: &Node<'_>, findings: &mut Findings) {
    for field in ["timeout", "cacheTTL"] {
        if let Some(text) = spec.get_str(field)
            && let Err(error) = parse_positive_duration(text)
        {
            findings.error(FieldError::invalid_str(&spec.path.field(field), text, error));
        }
    }
}

/// T9: `maxResponseBytes`.
fn check_response_bound(spec: &Node<'_>, findings: &mut Findings) {
    let Some(bound) = spec.get("maxResponseBytes") else { return };
    match Quantity::from_json(bound.value) {
        Ok(quantity) if quantity.is_negative() || quantity.is_zero() => {
            findings.error(FieldError::invalid(&bound.path, bound.value, "must be above zero"));
        }
        // A wrong type is for the schema to say.
        Ok(_) | Err(QuantityError::Type) => {}
        Err(error) => findings.error(FieldError::invalid(&bound.path, bound.value, error)),
    }
}

/// T9: `rateLimit`.
fn check_rate_limit(spec: &Node<'_>, findings: &mut Findings) {
    let Some(limit) = spec.get("rateLimit") else { return };
    for field in ["requestsPerSecond", "burst"] {
        if let Some(number) = limit.get(field)
            && number.value.as_f64().is_some_and(|number| number <= 0.0)
        {
            findings.error(FieldError::invalid(&number.path, number.value, "must be above zero"));
        }
    }
}

/// T9: `headers`.
fn check_headers(spec: &Node<'_>, findings: &mut Findings) {
    let Some(headers) = spec.get("headers") else { return };
    let mut places: HashMap<String, usize> = HashMap::new();
    for (i, value) in headers.value.as_array().into_iter().flatten().enumerate() {
        let header = Node { value, path: headers.path.index(i) };
        check_header_value(&header, findings);
        let Some(name) = value.get("name").and_then(Value::as_str) else { continue };
        let path = header.path.field("name");
        // HTTP does not tell upper from lower case here.
        let lower = name.to_ascii_lowercase();
        if !is_http_token(name) {
            findings.error(FieldError::invalid_str(&path, name, HTTP_TOKEN));
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            findings.error(FieldError::invalid_str(&path, name, "is a header that the gateway sets itself"));
        }
        let first = *places.entry(lower).or_insert(i);
        if first != i {
            let error =
                FieldError::duplicate(&path, name, format_args!("is set by headers[{first}] already"));
            findings.error(error.depending_on([headers.path.index(first).field("name").to_owned()]));
        }
    }
}

/// T9: a value, or a source of it.
fn check_header_value(header: &Node<'_>, findings: &mut Findings) {
    if !header.value.is_object() {
        return;
    }
    const ONE: &str = "give either value or valueFrom, and not both";
    let choice = match (header.has("value"), header.has("valueFrom")) {
        (true, true) => Some(FieldError::forbidden(
            &header.path.field("valueFrom"),
            "may not be given together with value",
        )),
        (false, false) => Some(FieldError::required(&header.path, ONE)),
        _ => None,
    };
    if let Some(error) = choice {
        findings.error(
            error.depending_on(["value", "valueFrom"].map(|field| header.path.field(field).to_owned())),
        );
    }
    if let Some(value) = header.get_str("value")
        && !is_header_value(value)
    {
        findings.error(FieldError::invalid_str(&header.path.field("value"), value, HEADER_VALUE));
    }
}

#[cfg(test)]
mod tests;
