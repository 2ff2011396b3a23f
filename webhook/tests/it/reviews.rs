//! The verdicts, and the form in which they are said.

use http::StatusCode;
use mcp_crds::kind::Kind;
use serde_json::{Value, json};

use crate::support::{
    MUTATE, UID, VALIDATE, Webhooks, mk_create, mk_review, mk_scale, mk_server, mk_stdio, mk_tool, mk_update,
    mk_wrong,
};

#[tokio::test]
async fn an_allowed_review_says_no_more_than_that() {
    let webhooks = Webhooks::new();
    let object = webhooks.admit(&mk_create(Kind::Tool, mk_tool("search"))).await.unwrap();
    let (status, body) = webhooks.post(VALIDATE, mk_create(Kind::Tool, object).to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let expected = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{UID}","allowed":true"#
    );
    let body = String::from_utf8(body).unwrap();
    assert!(body.starts_with(&expected), "{body}");
}

#[tokio::test]
async fn answers_are_json_by_their_header() {
    use tower::ServiceExt;
    let review = mk_create(Kind::Tool, mk_tool("search")).to_string();
    let request = http::Request::post(MUTATE).body(axum::body::Body::from(review)).unwrap();
    let response = Webhooks::new().router.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn the_mutating_webhook_patches_in_only_what_is_missing() {
    let webhooks = Webhooks::new();
    let tool = mk_tool("search");
    let answer = webhooks.ask(MUTATE, &mk_create(Kind::Tool, tool.clone())).await;
    assert!(answer.allowed());
    let patched = answer.patched(&tool);
    assert_eq!(patched["spec"]["name"], "search");
    // What was given stands.
    assert_eq!(patched["spec"]["inputSchema"], tool["spec"]["inputSchema"]);
    assert_eq!(patched["metadata"], tool["metadata"]);
    for operation in answer.patch().unwrap().0 {
        assert!(matches!(operation, json_patch::PatchOperation::Add(_)), "{operation:?}");
    }
}

#[tokio::test]
async fn a_second_pass_patches_nothing() {
    let webhooks = Webhooks::new();
    for (kind, object) in [
        (Kind::Tool, mk_tool("search")),
        (Kind::Server, mk_server("main")),
        (Kind::Server, mk_stdio("one", 1)),
    ] {
        let first = webhooks.ask(MUTATE, &mk_create(kind, object.clone())).await;
        let second = webhooks.ask(MUTATE, &mk_create(kind, first.patched(&object))).await;
        assert!(second.allowed() && second.patch().is_none(), "{second:?}");
    }
}

#[tokio::test]
async fn managed_fields_are_left_alone() {
    let webhooks = Webhooks::new();
    let mut tool = mk_tool("search");
    tool["metadata"]["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]);
    let answer = webhooks.ask(MUTATE, &mk_create(Kind::Tool, tool.clone())).await;
    assert_eq!(answer.patched(&tool)["metadata"], tool["metadata"]);
}

#[tokio::test]
async fn a_refusal_is_a_status_as_kubernetes_says_it() {
    let webhooks = Webhooks::new();
    for path in [MUTATE, VALIDATE] {
        let answer = webhooks.ask(path, &mk_create(Kind::Server, mk_wrong("one"))).await;
        let message = "Invalid value: 0: must be between 1 and 65535, inclusive";
        assert_eq!(
            answer.status(),
            &json!({
                "status": "Failure",
                "code": 422,
                "reason": "Invalid",
                "message": format!("spec.port: {message}"),
                "details": {
                    "group": "mcp.example.com",
                    "kind": "MCPServer",
                    "name": "one",
                    "causes": [{"reason": "FieldValueInvalid", "field": "spec.port", "message": message}]
                }
            })
        );
    }
}

#[tokio::test]
async fn every_error_is_said_at_once() {
    let mut server = mk_wrong("one");
    server["spec"]["replicas"] = json!("three");
    let answer = Webhooks::new().ask(MUTATE, &mk_create(Kind::Server, server)).await;
    let mut fields = answer.fields();
    fields.sort_unstable();
    assert_eq!(fields, ["spec.port", "spec.replicas"]);
    assert!(
        answer.message().starts_with("[spec.") && answer.message().ends_with(']'),
        "{}",
        answer.message()
    );
    for (_, field, message) in answer.causes() {
        assert!(answer.message().contains(&format!("{field}: {message}")));
    }
}

#[tokio::test]
async fn an_object_without_a_name_is_called_by_what_its_name_is_made_from() {
    let mut server = mk_wrong("one");
    server["metadata"] = json!({"generateName": "one-", "namespace": "default"});
    let answer = Webhooks::new().ask(MUTATE, &mk_create(Kind::Server, server)).await;
    assert_eq!(answer.status()["details"]["name"], "one-");
}

#[tokio::test]
async fn what_is_being_deleted_passes_whatever_it_holds() {
    let mut server = mk_wrong("one");
    server["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
    server["metadata"]["finalizers"] = json!(["mcp.example.com/finalizer"]);
    let mut released = server.clone();
    released["metadata"]["finalizers"] = json!([]);
    for path in [MUTATE, VALIDATE] {
        let answer =
            Webhooks::new().ask(path, &mk_update(Kind::Server, server.clone(), released.clone())).await;
        assert!(answer.allowed() && answer.patch().is_none());
    }
}

#[tokio::test]
async fn an_update_of_metadata_that_no_rule_reads_passes() {
    let old = mk_wrong("one");
    let with = |key: &str, value: Value| {
        let mut new = old.clone();
        new["metadata"][key] = value;
        new
    };
    for new in [
        with("annotations", json!({"a": "b"})),
        with("labels", json!({"a": "b"})),
        with("finalizers", json!(["mcp.example.com/finalizer"])),
        with("managedFields", json!([{"manager": "kubectl"}])),
    ] {
        for path in [MUTATE, VALIDATE] {
            let answer = Webhooks::new().ask(path, &mk_update(Kind::Server, old.clone(), new.clone())).await;
            assert!(
                answer.allowed() && answer.patch().is_none() && answer.warnings().is_empty(),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_old_mistake_is_a_warning_until_it_is_touched() {
    let webhooks = Webhooks::new();
    let old = mk_wrong("one");
    let mut changed_elsewhere = old.clone();
    changed_elsewhere["spec"]["replicas"] = json!(2);
    let mut touched = old.clone();
    touched["spec"]["port"] = json!(-1);
    for path in [MUTATE, VALIDATE] {
        let answer =
            webhooks.ask(path, &mk_update(Kind::Server, old.clone(), changed_elsewhere.clone())).await;
        assert!(answer.allowed());
        assert!(answer.warnings().iter().any(|warning| warning.starts_with("spec.port: ")), "{answer:?}");

        let answer = webhooks.ask(path, &mk_update(Kind::Server, old.clone(), touched.clone())).await;
        assert_eq!(answer.fields(), ["spec.port"]);
    }
}

#[tokio::test]
async fn an_old_mistake_is_touched_by_what_it_depends_on() {
    let webhooks = Webhooks::new();
    webhooks.know_server(mk_server("main"));
    webhooks.admit(&mk_create(Kind::Tool, mk_tool("search"))).await.unwrap();
    let mut apart = mk_tool("another");
    apart["spec"]["name"] = json!("search");
    apart["metadata"]["labels"] = json!({"app": "apart"});
    let mut beside = apart.clone();
    beside["metadata"]["labels"] = json!({"app": "search"});
    let mut described = beside.clone();
    described["spec"]["description"] = json!("Searches elsewhere.");
    for path in [MUTATE, VALIDATE] {
        let answer = webhooks.ask(path, &mk_update(Kind::Tool, apart.clone(), beside.clone())).await;
        assert_eq!(answer.fields(), ["spec.name"]);
        let answer = webhooks.ask(path, &mk_update(Kind::Tool, beside.clone(), described.clone())).await;
        assert!(
            answer.allowed() && answer.warnings().iter().any(|warning| warning.starts_with("spec.name: "))
        );
    }
}

#[tokio::test]
async fn an_update_that_only_adds_what_webhooks_would_have_is_forgiven_the_same() {
    // Stored before there were webhooks: its name, which is no tool's name, was never filled in.
    let mut old = mk_tool(&"long".repeat(40));
    old["metadata"]["labels"] = json!({});
    let mut new = old.clone();
    new["spec"]["description"] = json!("Searches better.");
    let answer = Webhooks::new().ask(MUTATE, &mk_update(Kind::Tool, old.clone(), new)).await;
    assert!(
        answer.allowed() && answer.warnings().iter().any(|warning| warning.starts_with("spec.name: ")),
        "{answer:?}"
    );
    assert_eq!(Webhooks::new().ask(MUTATE, &mk_create(Kind::Tool, old)).await.fields(), ["spec.name"]);
}

#[tokio::test]
async fn no_rule_is_about_deleting_or_connecting() {
    for operation in ["DELETE", "CONNECT"] {
        let mut review = mk_review(operation, Kind::Server, Value::Null);
        review["request"]["oldObject"] = mk_wrong("one");
        for path in [MUTATE, VALIDATE] {
            assert!(Webhooks::new().ask(path, &review).await.allowed());
        }
    }
}

#[tokio::test]
async fn kinds_and_subresources_without_rules_are_allowed() {
    let pod = json!({"metadata": {"name": "a"}, "spec": {"replicas": "many"}});
    let mut of_core = mk_create(Kind::Tool, pod.clone());
    of_core["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "Pod"});
    of_core["request"]["resource"] = json!({"group": "", "version": "v1", "resource": "pods"});
    let mut of_another_version = mk_create(Kind::Tool, pod.clone());
    of_another_version["request"]["kind"]["version"] = json!("v2");
    let mut of_another_group = mk_create(Kind::Tool, pod);
    of_another_group["request"]["kind"]["group"] = json!("example.com");
    let mut status = mk_update(Kind::Server, mk_server("one"), mk_wrong("one"));
    status["request"]["subResource"] = json!("status");
    for review in [of_core, of_another_version, of_another_group, status] {
        for path in [MUTATE, VALIDATE] {
            let answer = Webhooks::new().ask(path, &review).await;
            assert!(answer.allowed() && answer.patch().is_none());
        }
    }
}

#[tokio::test]
async fn scaling_is_judged_by_the_server_it_is_about() {
    let webhooks = Webhooks::new();
    webhooks.know_server(mk_stdio("one", 1));
    webhooks.know_server(mk_server("many"));
    for path in [MUTATE, VALIDATE] {
        let answer = webhooks.ask(path, &mk_scale("one", 1, 2)).await;
        assert_eq!(answer.fields(), ["spec.replicas"]);
        assert_eq!(answer.status()["details"]["kind"], "MCPServer");
        assert_eq!(answer.status()["details"]["name"], "one");
        for allowed in
            [mk_scale("one", 1, 0), mk_scale("one", 0, 1), mk_scale("many", 1, 5), mk_scale("new", 1, 5)]
        {
            assert!(webhooks.ask(path, &allowed).await.allowed(), "{allowed}");
        }
        // Not made worse.
        assert!(webhooks.ask(path, &mk_scale("one", 3, 3)).await.allowed());
        let mut wrong = mk_scale("many", 1, 2);
        wrong["request"]["object"]["spec"]["replicas"] = json!("two");
        assert_eq!(webhooks.ask(path, &wrong).await.fields(), ["spec.replicas"]);
        wrong["request"]["object"] = Value::Null;
        assert_eq!(webhooks.ask(path, &wrong).await.fields(), ["request.object"]);
    }
}
