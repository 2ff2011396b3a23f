//! A tool's schema: what admission lets pass compiles, and what it refuses does not break it.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_crds::kind::Kind;
use mcp_crds::validate::{self, Operation, schema};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(schema) = serde_json::from_slice::<Value>(input) else { return Corpus::Reject };
    let mut tool = json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPTool", "metadata": {"name": "tool", "namespace": "fuzz"},
        "spec": {"description": "A tool.", "service": {"name": "backend", "port": 80, "path": "/"}, "inputSchema": schema},
    });
    mcp_crds::default::apply(Kind::Tool, &mut tool, None);
    if validate::object(Kind::Tool, Operation::Create, &tool).errors.is_empty() && schema.is_object() {
        schema::compile(&schema).expect("what was admitted compiles");
    }
    Corpus::Keep
});
