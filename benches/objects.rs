//! What is measured with: objects as users apply them, and the reviews that the API server makes of them.

use mcp_crds::catalog::{Catalog, Entry};
use mcp_crds::default;
use mcp_crds::kind::{API_VERSION, GROUP, Kind, VERSION};
use serde_json::{Value, json};

/// How many tools each server selects.
pub(crate) const TOOLS_A_SERVER: usize = 10;

/// All in one namespace, which is the worst case: indexes are by namespace.
pub(crate) const NAMESPACE: &str = "bench";

/// The label by which servers select.
const SELECTED_BY: &str = "mcp-server";

/// A server that selects the objects with its own name as their label.
pub(crate) fn server(name: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MCPServer",
        "metadata": metadata(name, json!({"team": "ai-platform", "environment": "production"})),
        "spec": {
            // No pods: the servers are there to be selected by, and the machine has other things to measure.
            "replicas": 0,
            "transport": "streamable-http",
            "image": "registry.example.com/mcp/gateway:v1.4.2",
            "port": 8080,
            "toolSelector": {"matchLabels": {SELECTED_BY: name}},
            "config": {"requestTimeout": "30s", "maxConcurrentRequests": 100, "LOG_LEVEL": "warn"},
            "resources": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"cpu": "500m", "memory": "512Mi"}
            },
            "ingress": {"host": format!("{name}.mcp.example.com"), "tlsSecretName": "mcp-tls", "pathPrefix": "/mcp"}
        }
    })
}

/// A tool with eight parameters, selected by one server.
pub(crate) fn tool(name: &str, server: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MCPTool",
        "metadata": metadata(name, json!({SELECTED_BY: server, "app.kubernetes.io/part-of": "issue-tracker"})),
        "spec": {
            "title": "Search issues",
            "description": "Searches the issues of a project by text, state, labels and assignee, newest first. Returns at most a page of them; ask again with the cursor of the answer for the next.",
            "service": {"name": "issue-tracker", "port": 8080, "path": "/api/v2/issues/search"},
            "method": "POST",
            "timeout": "10s",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "Text to look for, in the title and the body", "minLength": 1, "maxLength": 500},
                    "project": {"type": "string", "description": "The project, as owner/name", "pattern": "^[a-z0-9-]+/[a-z0-9._-]+$"},
                    "state": {"type": "string", "enum": ["open", "closed", "all"], "default": "open"},
                    "labels": {"type": "array", "items": {"type": "string"}, "maxItems": 20, "description": "Only issues that have all of these"},
                    "assignee": {"type": "string", "description": "Only issues that this user has to solve"},
                    "since": {"type": "string", "format": "date-time", "description": "Only issues that changed after this time"},
                    "perPage": {"type": "integer", "minimum": 1, "maximum": 100, "default": 30},
                    "cursor": {"type": "string", "description": "Where the last page ended"}
                },
                "required": ["query", "project"],
                "additionalProperties": false
            },
            "annotations": {"readOnlyHint": true, "openWorldHint": true}
        }
    })
}

/// A prompt of a few lines with three variables.
pub(crate) fn prompt(name: &str, server: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MCPPrompt",
        "metadata": metadata(name, json!({SELECTED_BY: server})),
        "spec": {
            "description": "Asks for a review of a change.",
            "template": "Review the change {{number}} of {{project}}.\nLook at {{focus}} first, and say what is wrong before what could be nicer.\n",
            "variables": [
                {"name": "number", "required": true, "description": "The number of the change"},
                {"name": "project", "required": true},
                {"name": "focus", "default": "correctness"}
            ]
        }
    })
}

/// A resource with two operations.
pub(crate) fn resource(name: &str, server: &str) -> Value {
    let operation = |method: &str, path: String| {
        json!({"method": method, "ingressPath": path,
               "service": {"name": "docs", "port": 8080, "path": "/api/docs/{id}"}})
    };
    json!({
        "apiVersion": API_VERSION,
        "kind": "MCPResource",
        "metadata": metadata(name, json!({SELECTED_BY: server})),
        "spec": {
            "description": "Pages of the handbook.",
            "mimeType": "text/markdown",
            "operations": [
                operation("GET", format!("/resources/{name}/{{id}}")),
                operation("PUT", format!("/resources/{name}/{{id}}"))
            ]
        }
    })
}

fn metadata(name: &str, labels: Value) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "labels": labels})
}

/// One of a kind, of any name.
pub(crate) fn typical(kind: Kind, name: &str, server: &str) -> Value {
    match kind {
        Kind::Server => self::server(name),
        Kind::Tool => tool(name, server),
        Kind::Prompt => prompt(name, server),
        Kind::Resource => resource(name, server),
    }
}

/// With every default, as the validating webhook sees it.
pub(crate) fn defaulted(kind: Kind, mut object: Value) -> Value {
    default::apply(kind, &mut object, None);
    object
}

/// As stored: with a uid, a time, and who manages which field. `kubectl apply` adds the object's own text.
pub(crate) fn stored(kind: Kind, object: &Value) -> Value {
    let mut stored = object.clone();
    let last_applied = object.to_string();
    let mut managed = serde_json::Map::new();
    if let Some(spec) = object.get("spec") {
        managed.insert("f:spec".to_owned(), managed_fields(spec));
    }
    managed.insert(
        "f:metadata".to_owned(),
        json!({
            "f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
            "f:labels": managed_fields(object.pointer("/metadata/labels").unwrap_or(&Value::Null))
        }),
    );
    if let Some(Value::Object(metadata)) = stored.get_mut("metadata") {
        let more = json!({
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last_applied},
            "managedFields": [{
                "manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": API_VERSION,
                "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": managed
            }]
        });
        metadata.extend(more.as_object().cloned().unwrap_or_default());
    }
    defaulted_kind(kind, stored)
}

fn defaulted_kind(kind: Kind, mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.insert("kind".to_owned(), kind.as_str().into());
    }
    object
}

fn managed_fields(value: &Value) -> Value {
    let Some(object) = value.as_object() else { return json!({}) };
    let members = object.iter().map(|(name, value)| (format!("f:{name}"), managed_fields(value)));
    let mut fields: serde_json::Map<String, Value> = members.collect();
    fields.insert(".".to_owned(), json!({}));
    fields.into()
}

/// The review of a create.
pub(crate) fn review(kind: Kind, object: &Value) -> Value {
    let names = json!({"group": GROUP, "version": VERSION, "kind": kind.as_str()});
    let resource = json!({"group": GROUP, "version": VERSION, "resource": kind.plural()});
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "9a1c7a38-0f5c-4f4e-9d2f-3a1f3a6f2f11",
            "kind": names, "requestKind": names,
            "resource": resource, "requestResource": resource,
            "name": object.pointer("/metadata/name"),
            "namespace": NAMESPACE,
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:delivery:deployer",
                "uid": "5f2c9b0e-7a53-4d3c-8a51-6f0f6dbd1d0a",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:delivery", "system:authenticated"]
            },
            "object": object,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-client-side-apply", "fieldValidation": "Strict"}
        }
    })
}

/// The name of a server of the catalog.
pub(crate) fn server_name(index: usize) -> String {
    format!("server-{index:05}")
}

/// The name of a tool of the catalog.
pub(crate) fn tool_name(index: usize) -> String {
    format!("tool-{index:06}")
}

/// A catalog of as many servers, each with its ten tools, and the Service that they call.
pub(crate) fn catalog(servers: usize) -> Catalog {
    let mut catalog = Catalog::default();
    catalog.apply_service(NAMESPACE, "issue-tracker");
    catalog.apply_service(NAMESPACE, "docs");
    for index in 0..servers {
        let name = server_name(index);
        catalog.apply(entry(Kind::Server, server(&name)));
        for tool_index in index * TOOLS_A_SERVER..(index + 1) * TOOLS_A_SERVER {
            catalog.apply(entry(Kind::Tool, tool(&tool_name(tool_index), &name)));
        }
    }
    catalog
}

fn entry(kind: Kind, object: Value) -> Entry {
    let object = stored(kind, &defaulted(kind, object));
    Entry::read(kind, NAMESPACE, &object)
}
