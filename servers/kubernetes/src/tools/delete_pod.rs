//! `delete-pod`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use rmcp::model::CallToolResult;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CallError, arguments};
use crate::kubernetes::Kubernetes;
use crate::name::{Namespace, PodName};

/// The longest grace period, in seconds.
const LONGEST_GRACE: u32 = 3600;

/// Which pod.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeletePod {
    /// Name of the pod.
    pub name: PodName,
    /// Namespace of the pod; the server's own where it is missing.
    #[serde(default)]
    #[schemars(with = "Namespace")]
    pub namespace: Option<Namespace>,
    /// How many seconds the pod has to end by itself; the pod's own where it is missing, which is 30 unless it says
    /// otherwise. 0 kills it.
    #[serde(default)]
    #[schemars(with = "u32", range(max = LONGEST_GRACE))]
    pub grace_period_seconds: Option<u32>,
}

pub(super) async fn call(kubernetes: &Kubernetes, given: Value) -> Result<CallToolResult, CallError> {
    let wanted: DeletePod = arguments(given)?;
    if wanted.grace_period_seconds.is_some_and(|seconds| seconds > LONGEST_GRACE) {
        return Err(CallError::Argument(format!("gracePeriodSeconds: must be at most {LONGEST_GRACE}")));
    }
    let namespace = kubernetes.namespace_or_own(wanted.namespace);
    let pod = kubernetes.delete_pod(&namespace, &wanted.name, wanted.grace_period_seconds).await?;
    let metadata = pod.map(|pod| pod.metadata).unwrap_or_default();
    let mut result = json!({
        "namespace": namespace,
        "name": wanted.name,
        "uid": metadata.uid,
        "gracePeriodSeconds": metadata.deletion_grace_period_seconds,
    });
    let owners = metadata.owner_references.unwrap_or_default();
    if let (Some(owner), Some(result)) = (controller(&owners), result.as_object_mut()) {
        result.insert("controller".to_owned(), json!(format!("{}/{}", owner.kind, owner.name)));
        result.insert("note".to_owned(), json!(format!("its {} makes another pod in its place", owner.kind)));
    }
    Ok(CallToolResult::structured(result))
}

fn controller(owners: &[OwnerReference]) -> Option<&OwnerReference> {
    owners.iter().find(|owner| owner.controller == Some(true))
}
