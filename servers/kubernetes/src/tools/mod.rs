//! The tools: what a model can do.

mod create_pod;
mod delete_pod;
mod get_pod_logs;

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::handler::server::tool::schema_for_input;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kubernetes::Kubernetes;
use crate::refusal::Refusal;

pub use create_pod::CreatePod;
pub use delete_pod::DeletePod;
pub use get_pod_logs::GetPodLogs;

/// Why a call did nothing. Its text is what the model reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// An argument is wrong.
    #[error("{0}")]
    Argument(String),
    /// Kubernetes did not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Every tool, in a fixed order.
///
/// # Errors
/// Where a schema cannot be made, which a test rules out.
pub fn all() -> Result<Vec<Tool>, ErrorData> {
    Ok(vec![
        tool::<CreatePod>(
            "create-pod",
            "Create pod",
            "Creates a pod with one container, and answers at once: the pod starts in the background. It gets no credentials \
             of its own and may not gain privileges. Read k8s://namespace/{namespace}/pods to see how it does.",
            ToolAnnotations::new().read_only(false).destructive(false).idempotent(false).open_world(true),
        )?,
        tool::<GetPodLogs>(
            "get-pod-logs",
            "Get pod logs",
            "Reads the last lines that a pod's container wrote: 100 unless tailLines says otherwise, and at most 256 KiB.",
            ToolAnnotations::new().read_only(true).open_world(true),
        )?,
        tool::<DeletePod>(
            "delete-pod",
            "Delete pod",
            "Deletes a pod. Where a controller owns it, the controller makes another, which is how such a pod is restarted.",
            ToolAnnotations::new().read_only(false).destructive(true).idempotent(true).open_world(false),
        )?,
    ])
}

fn tool<A: JsonSchema + 'static>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    annotations: ToolAnnotations,
) -> Result<Tool, ErrorData> {
    let schema = schema_for_input::<A>().map_err(|reason| ErrorData::internal_error(reason, None))?;
    Ok(Tool::new(name, description, tidy(&schema)).with_title(title).with_annotations(annotations))
}

/// What the derive leaves: `null` as the default of an argument that is a text, and comments in lines.
fn tidy(schema: &JsonObject) -> Arc<JsonObject> {
    let mut schema = schema.clone();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
    for property in properties.filter_map(|(_, property)| property.as_object_mut()) {
        if property.get("default").is_some_and(Value::is_null) {
            property.remove("default");
        }
        if let Some(Value::String(description)) = property.get_mut("description") {
            *description = description.replace('\n', " ");
        }
    }
    Arc::new(schema)
}

/// Calls a tool; nothing where there is none of that name.
pub async fn call(
    kubernetes: &Kubernetes,
    name: &str,
    arguments: Option<JsonObject>,
) -> Option<CallToolResult> {
    let arguments = Value::Object(arguments.unwrap_or_default());
    let done = match name {
        "create-pod" => create_pod::call(kubernetes, arguments).await,
        "get-pod-logs" => get_pod_logs::call(kubernetes, arguments).await,
        "delete-pod" => delete_pod::call(kubernetes, arguments).await,
        _ => return None,
    };
    Some(done.unwrap_or_else(|error| CallToolResult::error(vec![ContentBlock::text(error.to_string())])))
}

/// The arguments as a tool takes them; an error names the argument.
fn arguments<A: DeserializeOwned>(given: Value) -> Result<A, CallError> {
    serde_path_to_error::deserialize(given).map_err(|error| {
        let at = error.path().to_string();
        let text = error.into_inner().to_string();
        CallError::Argument(if at == "." { text } else { format!("{at}: {text}") })
    })
}

#[cfg(test)]
mod tests;
