//! What tools ask of Kubernetes, and what they say.

use serde_json::json;

use super::*;
use crate::api_server::{Calls, answering, error, ok};

async fn call_with(kubernetes: &Kubernetes, tool: &str, arguments: Value) -> CallToolResult {
    let arguments = arguments.as_object().unwrap().clone();
    call(kubernetes, tool, Some(arguments)).await.unwrap()
}

fn said(result: &CallToolResult) -> String {
    let texts = result.content.iter().map(|content| content.as_text().unwrap().text.clone());
    texts.collect::<Vec<_>>().join("\n")
}

/// Calls a tool that must not ask Kubernetes anything, and gives what it says.
async fn refused(tool: &str, arguments: Value) -> String {
    let (kubernetes, calls) = answering(|_, _| panic!("nothing is asked"));
    let result = call_with(&kubernetes, tool, arguments).await;
    assert_eq!(result.is_error, Some(true));
    assert!(calls.all().is_empty());
    said(&result)
}

fn storing() -> (Kubernetes, Calls) {
    answering(|_, _| ok(&json!({ "metadata": { "name": "web", "namespace": "shop", "uid": "1" } })))
}

#[test]
fn the_schemas_are_schemas_and_say_what_each_argument_is() {
    for tool in all().unwrap() {
        let schema = tool.schema_as_json_value();
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false), "{}", tool.name);
        for (name, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{}: {name}: {property}", tool.name);
            // One type each: models get unions wrong.
            assert!(property["type"].is_string(), "{}: {name}: {property}", tool.name);
            if let Some(default) = property.get("default") {
                assert!(jsonschema::is_valid(property, default), "{}: {name}: {property}", tool.name);
            }
        }
    }
}

#[tokio::test]
async fn a_pod_is_made_as_it_was_asked_for_and_gets_no_rights() {
    let (kubernetes, calls) = storing();
    let result = call_with(
        &kubernetes,
        "create-pod",
        json!({
            "name": "web", "namespace": "shop", "image": "nginx:1", "command": ["serve"], "args": ["-v"],
            "env": { "PRICE": "5$(X)" }, "labels": { "app": "web" }, "ports": [80], "restartPolicy": "Never",
            "requests": { "cpu": "100m" }, "limits": { "memory": "64Mi" }, "runAsUser": 1000,
        }),
    )
    .await;
    assert_eq!(result.is_error, Some(false), "{result:?}");
    assert_eq!(result.structured_content.as_ref().unwrap()["name"], "web");
    let [(method, path, pod)] = &calls.all()[..] else { panic!("one call") };
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/api/v1/namespaces/shop/pods?"));
    assert_eq!(
        *pod,
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "web",
                "labels": { "app": "web", "app.kubernetes.io/managed-by": "mcp-k8s-server" },
            },
            "spec": {
                "automountServiceAccountToken": false,
                "restartPolicy": "Never",
                "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
                "containers": [{
                    "name": "main", "image": "nginx:1", "command": ["serve"], "args": ["-v"],
                    "env": [{ "name": "PRICE", "value": "5$$(X)" }],
                    "ports": [{ "containerPort": 80 }],
                    "resources": { "requests": { "cpu": "100m" }, "limits": { "memory": "64Mi" } },
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "runAsUser": 1000, "runAsNonRoot": true,
                        "capabilities": { "drop": ["ALL"] },
                    },
                }],
            },
        })
    );
}

#[tokio::test]
async fn where_no_namespace_is_named_it_is_the_servers_own() {
    let (kubernetes, calls) = storing();
    call_with(&kubernetes, "create-pod", json!({ "name": "web", "image": "nginx" })).await;
    call_with(&kubernetes, "delete-pod", json!({ "name": "web" })).await;
    call_with(&kubernetes, "get-pod-logs", json!({ "name": "web" })).await;
    for (_, path, _) in calls.all() {
        assert!(path.starts_with("/api/v1/namespaces/own/pods"), "{path}");
    }
}

#[tokio::test]
async fn wrong_arguments_are_named_and_kubernetes_is_not_asked() {
    for (tool, arguments, expected) in [
        ("create-pod", json!({ "name": "web" }), "missing field `image`"),
        ("create-pod", json!({ "name": "Web", "image": "a" }), "name: \"Web\" is not a valid name"),
        ("create-pod", json!({ "name": "web", "image": " " }), "image: must not be empty"),
        (
            "create-pod",
            json!({ "name": "web", "image": "a", "namespace": "../x" }),
            "namespace: \"../x\" is not",
        ),
        (
            "create-pod",
            json!({ "name": "web", "image": "a", "ports": [0] }),
            "ports: must be between 1 and 65535",
        ),
        (
            "create-pod",
            json!({ "name": "web", "image": "a", "ports": [80, 65536] }),
            "ports[1]: invalid value",
        ),
        ("create-pod", json!({ "name": "web", "image": "a", "runAsUser": 0 }), "runAsUser: must be above 0"),
        (
            "create-pod",
            json!({ "name": "web", "image": "a", "env": { "A": 1 } }),
            "env.A: invalid type: integer",
        ),
        (
            "create-pod",
            json!({ "name": "web", "image": "a", "restartPolicy": "No" }),
            "restartPolicy: unknown variant",
        ),
        (
            "create-pod",
            json!({ "name": "web", "image": "a", "privileged": true }),
            "unknown field `privileged`",
        ),
        ("get-pod-logs", json!({}), "missing field `name`"),
        ("get-pod-logs", json!({ "name": "a", "tailLines": 0 }), "tailLines: must be between 1 and 5000"),
        ("get-pod-logs", json!({ "name": "a", "tailLines": 5001 }), "tailLines: must be between 1 and 5000"),
        ("get-pod-logs", json!({ "name": "a", "tailLines": -1 }), "tailLines: invalid value"),
        ("get-pod-logs", json!({ "name": "a", "sinceSeconds": 0 }), "sinceSeconds: must be at least 1"),
        ("get-pod-logs", json!({ "name": "a/b" }), "name: \"a/b\" is not a valid name"),
        (
            "get-pod-logs",
            json!({ "name": "a", "container": "b.c" }),
            "container: \"b.c\" is not a valid name",
        ),
        (
            "delete-pod",
            json!({ "name": "a", "gracePeriodSeconds": 3601 }),
            "gracePeriodSeconds: must be at most 3600",
        ),
    ] {
        let said = refused(tool, arguments.clone()).await;
        assert!(said.contains(expected), "{tool} {arguments}: {said}");
    }
}

#[tokio::test]
async fn a_log_is_asked_for_with_a_limit_and_comes_as_it_is() {
    let (kubernetes, calls) = answering(|_, _| (200, b"one\ntwo\n".to_vec()));
    let result = call_with(&kubernetes, "get-pod-logs", json!({ "name": "web" })).await;
    assert_eq!(said(&result), "one\ntwo\n");
    let result = call_with(
        &kubernetes,
        "get-pod-logs",
        json!({
            "name": "web", "container": "main", "tailLines": 7, "sinceSeconds": 60, "previous": true, "timestamps": true,
        }),
    )
    .await;
    assert_eq!(result.is_error, Some(false));
    let paths: Vec<_> = calls.all().into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "/api/v1/namespaces/own/pods/web/log?&limitBytes=16777216&tailLines=100",
            "/api/v1/namespaces/own/pods/web/log?&container=main&limitBytes=16777216&previous=true&sinceSeconds=60&tailLines=7&timestamps=true",
        ]
    );
}

#[tokio::test]
async fn of_a_log_that_is_too_long_the_end_comes() {
    let (kubernetes, _) = answering(|_, _| {
        let lines: Vec<u8> = (0..100_000).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
        (200, lines)
    });
    let result = call_with(&kubernetes, "get-pod-logs", json!({ "name": "web" })).await;
    let log = &result.content[0].as_text().unwrap().text;
    assert!(log.len() <= 256 * 1024 && log.starts_with("line ") && log.ends_with("line 99999\n"));
    let remark = &result.content[1].as_text().unwrap().text;
    assert_eq!(remark, "These are the last 256 KiB of the lines that were asked for.");
}

#[tokio::test]
async fn an_endless_log_is_not_read_to_its_end() {
    let (kubernetes, _) = answering(|_, _| (200, vec![b'x'; 17 * 1024 * 1024]));
    let result = call_with(&kubernetes, "get-pod-logs", json!({ "name": "web" })).await;
    assert_eq!(result.content[0].as_text().unwrap().text.len(), 256 * 1024);
    assert!(
        result.content[1].as_text().unwrap().text.contains("longer than 16 MiB"),
        "{:?}",
        result.content[1]
    );
}

#[tokio::test]
async fn an_empty_log_is_said_to_be_one() {
    let (kubernetes, _) = answering(|_, _| (200, Vec::new()));
    let result = call_with(&kubernetes, "get-pod-logs", json!({ "name": "web" })).await;
    assert!(said(&result).starts_with("The log is empty: "), "{result:?}");
}

#[tokio::test]
async fn a_deletion_says_what_comes_back() {
    let (kubernetes, calls) = answering(|_, _| {
        ok(&json!({ "kind": "Pod", "metadata": {
            "name": "web-1", "uid": "7", "deletionGracePeriodSeconds": 5,
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "8", "controller": true,
            }],
        } }))
    });
    let result =
        call_with(&kubernetes, "delete-pod", json!({ "name": "web-1", "gracePeriodSeconds": 5 })).await;
    assert_eq!(
        result.structured_content.unwrap(),
        json!({
            "namespace": "own", "name": "web-1", "uid": "7", "gracePeriodSeconds": 5, "controller": "ReplicaSet/web",
            "note": "its ReplicaSet makes another pod in its place",
        })
    );
    assert_eq!(calls.all()[0].2["gracePeriodSeconds"], 5);
}

#[tokio::test]
async fn what_kubernetes_refuses_is_a_result_that_says_so() {
    let (kubernetes, _) = answering(|_, _| {
        error(
            403,
            "pods \"web\" is forbidden: User \"system:serviceaccount:own:mcp\" cannot delete resource \"pods\"",
        )
    });
    let result = call_with(&kubernetes, "delete-pod", json!({ "name": "web" })).await;
    assert_eq!(result.is_error, Some(true));
    assert_eq!(
        said(&result),
        "Kubernetes refused: system:serviceaccount:own:mcp may not delete pods in namespace own. A Role in namespace own with \
         the rule {apiGroups: [\"\"], resources: [\"pods\"], verbs: [\"delete\"]}, bound to it by a RoleBinding there, would \
         allow it"
    );
}

#[tokio::test]
async fn there_is_no_other_tool() {
    let (kubernetes, _) = storing();
    assert_eq!(call(&kubernetes, "exec", None).await, None);
}
