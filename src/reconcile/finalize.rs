//! The end of a server: what lies outside the cluster's objects is removed, then the finalizer.

use kube::api::{Patch, PatchParams};
use mcp_crds::default::FINALIZER;
use serde_json::{Value, json};
use tracing::info;

use super::error::Answer;
use super::identity::Identity;
use super::{Context, Error, MANAGER, apply};

/// Releases a server that is being deleted. Its children are the garbage collector's.
///
/// No server keeps anything in Redis until a gateway runs for it, so there is nothing to remove first.
pub(super) async fn release(context: &Context, identity: &Identity, document: &Value) -> Result<(), Error> {
    let finalizers = document.pointer("/metadata/finalizers").and_then(Value::as_array);
    let Some(finalizers) = finalizers.filter(|all| all.iter().any(|one| one == FINALIZER)) else {
        return Ok(());
    };
    let others: Vec<&Value> = finalizers.iter().filter(|one| *one != FINALIZER).collect();
    context.check_may_write()?;
    // The list is replaced whole, so it has to be the one that was seen.
    let version = document.pointer("/metadata/resourceVersion");
    let body =
        json!({ "metadata": { "uid": &*identity.uid, "resourceVersion": version, "finalizers": others } });
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let what = identity.to_string();
    let answer = apply::own_kind(context, identity)
        .patch_metadata(&identity.name, &params, &Patch::Merge(&body))
        .await;
    answer.map_err(|error| Answer::of(error, &what).into_error(&what))?;
    info!(object = what, "released");
    Ok(())
}
