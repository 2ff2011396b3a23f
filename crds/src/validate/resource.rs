//! The rules of an MCPResource.

use std::collections::{HashMap, HashSet};

use super::path::{PROBES, PathTemplate};
use super::service;
use super::uri::{self, MEDIA_TYPE, UriTemplate, is_media_type, is_padded_base64};
use crate::default;
use crate::field::{FieldError, FieldPath, Findings, Segment};
use crate::node::Node;

/// The greatest size of an inline content, in bytes, as it is written.
pub const MAX_CONTENT_BYTES: usize = 256 * 1024;

/// The rules of a resource that need nothing but the resource: R2–R5, and what R1 says within one object.
pub fn check(object: &Node<'_>, findings: &mut Findings) {
    let Some(spec) = object.get("spec").filter(|spec| spec.value.is_object()) else { return };
    check_choice(&spec, findings);
    check_media_type(&spec, findings);
    if let Some(content) = spec.get("content").filter(|content| content.value.is_object()) {
        check_content(&content, findings);
    }
    if let Some(operations) = spec.get("operations") {
        let mut seen = Seen { resource: spec.get_str("name"), ..Seen::default() };
        for (i, operation) in operations.elements().enumerate() {
            check_operation(i, &operation, &mut seen, findings);
        }
    }
}

/// R2: inline content, or who answers instead.
fn check_choice(spec: &Node<'_>, findings: &mut Findings) {
    let is_empty =
        spec.get("operations").is_some_and(|list| list.value.as_array().is_some_and(Vec::is_empty));
    const ONE: &str = "give either content or operations, and not both";
    let error = match (spec.has("content"), spec.has("operations")) {
        (true, true) => FieldError::forbidden(&spec.path, ONE),
        (false, false) => FieldError::required(&spec.path, ONE),
        (false, true) if is_empty => {
            FieldError::required(&spec.path, "give at least one operation, or content")
        }
        _ => return,
    };
    findings
        .error(error.depending_on(["content", "operations"].map(|field| spec.path.field(field).to_owned())));
}

/// R3 and R5.
fn check_content(content: &Node<'_>, findings: &mut Findings) {
    if let Some(uri) = content.get_str("uri")
        && let Err(error) = uri::check_uri(uri)
    {
        findings.error(FieldError::invalid_str(&content.path.field("uri"), uri, error));
    }
    check_media_type(content, findings);
    const ONE: &str = "give either text or blob, and not both";
    let choice = match (content.has("text"), content.has("blob")) {
        (true, true) => Some(FieldError::forbidden(&content.path, ONE)),
        (false, false) => Some(FieldError::required(&content.path, ONE)),
        _ => None,
    };
    if let Some(error) = choice {
        findings
            .error(error.depending_on(["text", "blob"].map(|field| content.path.field(field).to_owned())));
    }
    for field in ["text", "blob"] {
        if content.get_str(field).is_some_and(|value| value.len() > MAX_CONTENT_BYTES) {
            let detail = format_args!("may not be more than {MAX_CONTENT_BYTES} bytes");
            findings.error(FieldError::too_long(&content.path.field(field), detail));
        }
    }
    if let Some(blob) = content.get_str("blob")
        && !is_padded_base64(blob)
    {
        let detail = "must be base64 of the standard alphabet, padded with = and without line breaks";
        findings.error(FieldError::invalid_str(&content.path.field("blob"), blob, detail));
    }
}

/// R3: the type of a content, or of the resource.
fn check_media_type(node: &Node<'_>, findings: &mut Findings) {
    if let Some(media_type) = node.get_str("mimeType")
        && !is_media_type(media_type)
    {
        findings.error(FieldError::invalid_str(&node.path.field("mimeType"), media_type, MEDIA_TYPE));
    }
}

/// What the operations before one have taken, and which of them has.
#[derive(Default)]
struct Seen<'a> {
    /// The resource's name.
    resource: Option<&'a str>,
    /// Methods with the shapes of their paths.
    requests: HashMap<(String, String), usize>,
    /// Shapes of URIs, and whether they are given or made from the path.
    uris: HashMap<String, (usize, bool)>,
}

/// R4, and the URIs of one object that R1 is about.
fn check_operation(i: usize, operation: &Node<'_>, seen: &mut Seen<'_>, findings: &mut Findings) {
    let ingress =
        operation.get_str("ingressPath").and_then(|text| check_ingress_path(operation, text, findings));
    let service = operation.get("service");
    let service_path = service.as_ref().and_then(|service| service::check(service, findings));
    if let (Some(ingress), Some(service_path)) = (&ingress, &service_path) {
        check_service_placeholders(operation, ingress, service_path, findings);
    }
    let uri =
        operation.get_str("uri").and_then(|text| check_uri(operation, text, ingress.as_ref(), findings));
    let Some(ingress) = ingress else { return };
    check_request(i, operation, &ingress, seen, findings);
    let is_resource = operation.get_str("method").is_none_or(|method| method == "GET");
    if is_resource && (uri.is_some() || !operation.has("uri")) {
        check_resource_uri(i, operation, uri.as_ref(), &ingress, seen, findings);
    }
}

fn check_ingress_path<'a>(
    operation: &Node<'a>,
    text: &'a str,
    findings: &mut Findings,
) -> Option<PathTemplate<'a>> {
    let path = operation.path.field("ingressPath");
    if PROBES.contains(&text) {
        findings.error(FieldError::invalid_str(&path, text, "is taken by the server's own probes"));
    }
    PathTemplate::parse_ingress(text)
        .inspect_err(|error| findings.error(FieldError::invalid_str(&path, text, error)))
        .ok()
}

fn check_service_placeholders(
    operation: &Node<'_>,
    ingress: &PathTemplate<'_>,
    service_path: &PathTemplate<'_>,
    findings: &mut Findings,
) {
    let service = operation.path.field("service");
    let mut known: HashSet<&str> = ingress.placeholders().collect();
    for name in service_path.placeholders() {
        // Told once, however often it stands.
        if known.insert(name) {
            let detail = "stands nowhere in ingressPath";
            let error = FieldError::invalid_str(&service.field("path"), &format!("{{{name}}}"), detail);
            findings.error(error.depending_on([operation.path.field("ingressPath").to_owned()]));
        }
    }
}

fn check_uri<'a>(
    operation: &Node<'a>,
    text: &'a str,
    ingress: Option<&PathTemplate<'_>>,
    findings: &mut Findings,
) -> Option<UriTemplate<'a>> {
    let path = operation.path.field("uri");
    let template = UriTemplate::parse(text)
        .inspect_err(|error| findings.error(FieldError::invalid_str(&path, text, error)))
        .ok()?;
    let same_variables = |ingress: &PathTemplate<'_>| {
        let variables: HashSet<&str> = template.variables().collect();
        variables == ingress.placeholders().collect()
    };
    if !ingress.is_none_or(same_variables) {
        let error =
            FieldError::invalid_str(&path, text, "must have the variables of ingressPath, and no others");
        findings.error(error.depending_on([operation.path.field("ingressPath").to_owned()]));
    }
    Some(template)
}

/// One method and path, once.
fn check_request(
    i: usize,
    operation: &Node<'_>,
    ingress: &PathTemplate<'_>,
    seen: &mut Seen<'_>,
    findings: &mut Findings,
) {
    let method = operation.get_str("method").unwrap_or("GET");
    let first = *seen.requests.entry((method.to_owned(), ingress.shape())).or_insert(i);
    if first != i {
        let text = operation.get_str("ingressPath").unwrap_or_default();
        let detail = format_args!("operations[{first}] has the same method and path");
        let error = FieldError::duplicate(&operation.path.field("ingressPath"), text, detail);
        findings.error(error.depending_on(both(first, operation, ["method", "ingressPath"])));
    }
}

/// One URI, once, whether it is given or made from the path.
fn check_resource_uri(
    i: usize,
    operation: &Node<'_>,
    uri: Option<&UriTemplate<'_>>,
    ingress: &PathTemplate<'_>,
    seen: &mut Seen<'_>,
    findings: &mut Findings,
) {
    let shape = match (uri, seen.resource) {
        (Some(uri), _) => uri.shape(),
        (None, Some(name)) => default::operation_uri(name, &ingress.shape()),
        (None, None) => return,
    };
    let (first, given) = *seen.uris.entry(shape).or_insert((i, uri.is_some()));
    // Two that are made from their paths are equal where those are, which is told already.
    if first != i && (given || uri.is_some()) {
        let field = if uri.is_some() { "uri" } else { "ingressPath" };
        let text = operation.get_str(field).unwrap_or_default();
        let detail = format_args!("operations[{first}] has the same URI");
        let error = FieldError::duplicate(&operation.path.field(field), text, detail);
        findings.error(error.depending_on(both(first, operation, ["method", "ingressPath", "uri"])));
    }
}

/// The same fields of an earlier operation and of this one.
fn both<const N: usize>(
    first: usize,
    operation: &Node<'_>,
    fields: [&str; N],
) -> impl Iterator<Item = FieldPath> {
    let earlier = FieldPath::of(["spec", "operations"]).join(Segment::Index(first));
    let this = operation.path.to_owned();
    [earlier, this]
        .into_iter()
        .flat_map(move |path| fields.map(|field| path.clone().join(Segment::Field(field.to_owned()))))
}

#[cfg(test)]
mod tests;
