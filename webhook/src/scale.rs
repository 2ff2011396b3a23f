//! `mcpservers/scale`: the object is an `autoscaling/v1` Scale, and the server comes from the catalog.

use mcp_crds::bounded;
use mcp_crds::catalog::Catalog;
use mcp_crds::field::FieldError;
use mcp_crds::kind::Kind;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::review::{Request, request_field};
use crate::subject::named;

/// Decides. The same for both webhooks: a Scale has no defaults.
pub(crate) fn decide(request: &Request<'_>, catalog: &Catalog) -> Answer {
    // A denial speaks of the server, which is what the user scales.
    let named = |scale: Option<&Value>| named(Kind::Server, request, scale);
    let Some(raw) = request.object else {
        let error = FieldError::required(request_field("object"), "the review carries no object");
        return Answer::refused(named(None), &[error]);
    };
    let scale = match bounded::object(raw) {
        Ok(scale) => scale,
        Err(error) => return Answer::refused(named(None), &[error]),
    };
    let (Some(replicas), old) = (replicas(&scale), request.old_object.and_then(old_replicas)) else {
        let error = FieldError::invalid(
            mcp_crds::field::FieldPath::of(["spec", "replicas"]),
            scale.get("spec").and_then(|spec| spec.get("replicas")).unwrap_or(&Value::Null),
            "must be an integer",
        );
        return Answer::refused(named(Some(&scale)), &[error]);
    };
    if old == Some(replicas) {
        return Answer::allowed();
    }
    let subject = named(Some(&scale));
    let findings = catalog.check_scale(&request.namespace, &subject.name, replicas);
    Answer::of(findings, || subject)
}

fn old_replicas(raw: &RawValue) -> Option<i64> {
    replicas(&bounded::object(raw).ok()?)
}

/// The replicas that a Scale asks for: none given is 0, which Go leaves out.
fn replicas(scale: &Value) -> Option<i64> {
    match scale.get("spec").and_then(|spec| spec.get("replicas")) {
        None | Some(Value::Null) => Some(0),
        Some(replicas) => replicas.as_i64(),
    }
}
