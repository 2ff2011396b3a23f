//! The finalizer: on servers that keep something outside the cluster's objects, until that is removed.

use kube::api::{Patch, PatchParams};
use mcp_crds::default::FINALIZER;
use serde_json::{Value, json};
use tracing::info;

use super::error::Answer;
use super::identity::Identity;
use super::{Context, Error, MANAGER, apply};

/// Makes the finalizer stand on servers with `redis`, and on no others. The mutating webhook adds it without a write of its
/// own; this is for objects that came past it, and for those that no longer use Redis.
pub(super) async fn keep(context: &Context, identity: &Identity, document: &Value) -> Result<(), Error> {
    let wanted = document.pointer("/spec/redis").is_some_and(Value::is_object);
    let mut finalizers = finalizers(document);
    match (wanted, finalizers.contains(&FINALIZER)) {
        (true, false) => finalizers.push(FINALIZER),
        (false, true) => finalizers.retain(|one| *one != FINALIZER),
        (true, true) | (false, false) => return Ok(()),
    }
    write(context, identity, document, &finalizers).await
}

/// Whether a server that is being deleted waits for the operator.
pub(super) fn holds(document: &Value) -> bool {
    finalizers(document).contains(&FINALIZER)
}

/// Releases a server that is being deleted. Its children are the garbage collector's.
pub(super) async fn release(context: &Context, identity: &Identity, document: &Value) -> Result<(), Error> {
    if !holds(document) {
        return Ok(());
    }
    let mut finalizers = finalizers(document);
    finalizers.retain(|one| *one != FINALIZER);
    write(context, identity, document, &finalizers).await?;
    info!(object = %identity, "released");
    Ok(())
}

fn finalizers(document: &Value) -> Vec<&str> {
    let all = document.pointer("/metadata/finalizers").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str).collect()
}

async fn write(
    context: &Context,
    identity: &Identity,
    document: &Value,
    finalizers: &[&str],
) -> Result<(), Error> {
    context.check_may_write()?;
    // The list is replaced whole, so it has to be the one that was seen.
    let version = document.pointer("/metadata/resourceVersion");
    let body = json!({ "metadata": { "uid": &*identity.uid, "resourceVersion": version, "finalizers": finalizers } });
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let what = identity.to_string();
    let answer = apply::own_kind(context, identity)
        .patch_metadata(&identity.name, &params, &Patch::Merge(&body))
        .await;
    answer.map_err(|error| Answer::of(error, &what).into_error(&what))?;
    Ok(())
}
