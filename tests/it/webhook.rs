//! Every example of `tests/rules` as the API server asks it: an `AdmissionReview` to the mutating webhook, and what came of
//! it to the validating one.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, header};
use http_body_util::BodyExt as _;
use mcp_crds::default;
use mcp_crds::kind::{GROUP, Kind, VERSION};
use mcp_webhook::{Admission, MUTATE_PATH, Metrics, VALIDATE_PATH, router};
use parking_lot::RwLock;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::examples::{Cause, Example, NAMESPACE, Operation, cut};
use crate::rules::{catalog, difference, for_each_example, stored};

fn webhooks(example: &Example) -> Router {
    let clock = Arc::new(Instant::now);
    router(Admission::new(Arc::new(RwLock::new(catalog(example))), Metrics::default(), clock))
}

/// The question that the API server would ask about an object.
fn review(example: &Example, object: &Value) -> Value {
    let scale = example.operation == Operation::Scale;
    let kind = if scale {
        json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
    } else {
        json!({"group": GROUP, "version": VERSION, "kind": example.kind.as_str()})
    };
    let resource = if scale { Kind::Server.plural() } else { example.kind.plural() };
    let old = example.old.as_ref().map(|old| {
        let mut old = stored(old);
        if scale {
            old = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": old["metadata"],
                         "spec": {"replicas": old["spec"]["replicas"]}});
        }
        old
    });
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "e911857d-c318-11e8-bbad-025000000001",
            "kind": kind,
            "resource": {"group": GROUP, "version": VERSION, "resource": resource},
            "subResource": if scale { "scale" } else { "" },
            "name": object["metadata"]["name"],
            "namespace": NAMESPACE,
            "operation": if example.operation == Operation::Create { "CREATE" } else { "UPDATE" },
            "userInfo": {"username": "ada"},
            "object": object,
            "oldObject": old,
            "dryRun": false,
        }
    })
}

async fn ask(webhooks: &Router, path: &str, review: &Value) -> Value {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(review.to_string())).expect("a request");
    let response = webhooks.clone().oneshot(request).await.expect("a response");
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    answer["response"].clone()
}

/// An answer in one form: a line a cause, as `FIELD: TEXT (REASON)`.
fn causes(response: &Value) -> Vec<String> {
    let causes = response.pointer("/status/details/causes").and_then(Value::as_array);
    let line = |cause: &Value| {
        let text = |member: &str| cause[member].as_str().expect("a string").to_owned();
        format!("{}: {} ({})", text("field"), text("message"), text("reason"))
    };
    causes.into_iter().flatten().map(line).collect()
}

fn warnings(response: &Value) -> Vec<String> {
    let warnings = response["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| warning.as_str().expect("a string").to_owned()).collect()
}

fn expect(example: &Example, response: &Value) -> Result<(), String> {
    let line = |cause: &Cause| format!("{}: {} ({})", cause.field, cause.message, cause.reason);
    difference(&example.causes.iter().map(line).collect::<Vec<_>>(), &causes(response))?;
    difference(
        &example.warnings.iter().map(|warning| cut(warning)).collect::<Vec<_>>(),
        &warnings(response),
    )?;
    let refused = !example.causes.is_empty();
    if response["allowed"] == refused {
        return Err(format!("  allowed: {}", response["allowed"]));
    }
    if refused { expect_status(example, &response["status"]) } else { Ok(()) }
}

/// What API clients read beside the causes.
fn expect_status(example: &Example, status: &Value) -> Result<(), String> {
    let metadata = &example.object["metadata"];
    let name = metadata.get("name").unwrap_or(&metadata["generateName"]);
    let lines: Vec<String> =
        example.causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let message = match lines.as_slice() {
        [line] => line.clone(),
        lines => format!("[{}]", lines.join(", ")),
    };
    let mut head = status.clone();
    head["details"]["causes"].take();
    let expected = json!({
        "status": "Failure", "code": 422, "reason": "Invalid", "message": message,
        "details": {"group": GROUP, "kind": example.kind.as_str(), "name": name, "causes": null}
    });
    if head == expected { Ok(()) } else { Err(format!("  {head}\n  {expected}")) }
}

/// The object after the webhook's patch.
fn patched(object: &Value, response: &Value) -> Value {
    let mut object = object.clone();
    if let Some(patch) = response["patch"].as_str() {
        let patch = STANDARD.decode(patch).expect("base64");
        let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("a JSON Patch");
        json_patch::patch(&mut object, &patch).expect("a patch that applies");
    }
    object
}

#[tokio::test]
async fn both_webhooks_say_what_the_examples_say() {
    for_each_example(async |_, example| {
        let webhooks = webhooks(example);
        let asked = review(example, &example.object);
        let response = ask(&webhooks, MUTATE_PATH, &asked).await;
        expect(example, &response)?;

        // What would be stored: by the patch, or by the schema's defaults where the mutating webhook was not there.
        let mut object = example.object.clone();
        if example.operation != Operation::Scale {
            default::apply(example.kind, &mut object, example.old.as_ref().map(stored).as_ref());
        }
        let allowed = response["allowed"] == true;
        if allowed && patched(&example.object, &response) != object {
            return Err(format!("  the patch makes {}", patched(&example.object, &response)));
        }
        let response = ask(&webhooks, VALIDATE_PATH, &review(example, &object)).await;
        expect(example, &response)?;
        if response.get("patch").is_some() {
            Err("  the validating webhook patches".to_owned())
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_in_a_dry_run_is_refused() {
    for_each_example(async |_, example| {
        let mut asked = review(example, &example.object);
        asked["request"]["dryRun"] = true.into();
        expect(example, &ask(&webhooks(example), MUTATE_PATH, &asked).await)
    })
    .await;
}
