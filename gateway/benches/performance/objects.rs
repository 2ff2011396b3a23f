//! Objects to serve.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The tool that is called. Its argument is checked.
pub(crate) fn called() -> Value {
    tool(
        "called",
        &json!({
            "type": "object", "required": ["text", "count"], "additionalProperties": false,
            "properties": {
                "text": {"type": "string", "minLength": 1, "maxLength": 4096},
                "count": {"type": "integer", "minimum": 0, "maximum": 1000},
                "tags": {"type": "array", "maxItems": 10, "items": {"type": "string", "pattern": "^[a-z]+$"}},
            },
        }),
    )
}

/// Its arguments, of 1 KiB.
pub(crate) fn arguments() -> String {
    json!({"text": "x".repeat(960), "count": 7, "tags": ["alpha", "beta"]}).to_string()
}

fn tool(name: &str, schema: &Value) -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPTool",
        "metadata": {"name": name, "namespace": "bench"},
        "spec": {
            "name": name, "description": format!("Does what {name} does, for whoever asks for it."),
            "service": {"name": "backend", "port": 80}, "inputSchema": schema,
        },
    })
}

/// As many tools as there are, each a typical one.
pub(crate) fn tools(count: usize) -> Vec<Value> {
    let schema = json!({
        "type": "object", "required": ["query"],
        "properties": {
            "query": {"type": "string", "description": "What to look for."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many at most."},
            "labels": {"type": "array", "items": {"type": "string"}, "description": "Which of them."},
        },
    });
    (0..count).map(|number| tool(&format!("tool-{number}"), &schema)).collect()
}

/// An MCPServer that selects them all.
pub(crate) fn server() -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPServer",
        "metadata": {"name": "bench", "namespace": "bench"},
        "spec": {"toolSelector": {}, "config": {"maxConcurrentRequests": 10000}},
    })
}

/// Writes objects to a folder.
pub(crate) fn write(objects: &[Value]) -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    put(folder.path(), objects)?;
    Ok(folder)
}

pub(crate) fn put(folder: &Path, objects: &[Value]) -> anyhow::Result<()> {
    let mut text = server().to_string();
    for object in objects {
        write!(text, "\n---\n{object}")?;
    }
    Ok(std::fs::write(folder.join("objects.yaml"), text)?)
}
