//! What both webhooks add to the creation of a tool, as its author waits for it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use mcp_crds::kind::Kind;
use serde_json::json;

use super::ControlPlane;
use super::operator::Operator;
use crate::measure::{Samples, Seconds, verdict};
use crate::objects;

/// Creations with the webhooks, and as many without.
const CREATIONS: usize = 600;
/// What both webhooks may add at the median, in seconds.
const TARGET: f64 = 3e-3;
/// The namespaces, by whether their objects are reviewed.
const NAMESPACES: [(&str, &str); 2] = [("with-webhooks", "reviewed"), ("without-webhooks", "not-reviewed")];
const LABEL: &str = "bench-admission";

/// In turns, in two namespaces of which the configurations select one. Nothing else differs: the API server looks for
/// webhooks either way, and the controller works on both.
pub(crate) async fn measure(plane: ControlPlane) -> anyhow::Result<()> {
    for (name, label) in NAMESPACES {
        plane.namespace(name, json!({LABEL: label})).await?;
        let service: Service = serde_json::from_value(
            json!({"metadata": {"name": "issue-tracker"}, "spec": {"ports": [{"port": 8080}]}}),
        )?;
        Api::namespaced(plane.client.clone(), name).create(&PostParams::default(), &service).await?;
    }
    let operator = plane.operator().await?;
    let apis = NAMESPACES.map(|(name, _)| plane.api(Kind::Tool, name));
    let [with, without] = &apis;
    select(&plane).await?;
    let started = Instant::now();
    // A dry run gets its name from the mutating webhook, or from nobody.
    while create(without, 0, true).await?.1.data.pointer("/spec/name").is_some() {
        ensure!(started.elapsed() < Duration::from_secs(30), "the configurations do not take effect");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for index in 0..20 {
        create(with, 900_000 + index, false).await?;
    }
    let reviews = reviews(&operator)?;
    let [mut reviewed, mut alone, mut added] = <[Samples; 3]>::default();
    for index in 0..CREATIONS {
        // Whoever comes second finds warmer caches.
        let (first, second) = if index % 2 == 0 { (with, without) } else { (without, with) };
        let (first, second) = (create(first, index, false).await?.0, create(second, index, false).await?.0);
        let (took, took_alone) = if index % 2 == 0 { (first, second) } else { (second, first) };
        reviewed.push(took);
        alone.push(took_alone);
        added.push(took - took_alone);
    }
    let asked = self::reviews(&operator)? - reviews;
    ensure!((asked - 2.0 * CREATIONS as f64).abs() < 0.5, "{asked} reviews for {CREATIONS} creations");

    println!("{CREATIONS} creations with both webhooks and as many without, in turns.\n");
    println!("| | median | quartiles | p99 |\n|---|---|---|---|");
    for (name, samples) in [("with both webhooks", &reviewed), ("without", &alone)] {
        let (lower, upper) = samples.spread();
        let p99 = Seconds(samples.quantile(0.99));
        println!(
            "| {name} | {} | {}–{} | {p99} |",
            Seconds(samples.median()),
            Seconds(lower),
            Seconds(upper)
        );
    }
    let more = reviewed.median() - alone.median();
    println!(
        "The webhooks add {:.2} ms at the median (median of the pairs' differences: {:.2} ms), target ≤ 3 ms: {}",
        more * 1e3,
        added.median() * 1e3,
        verdict(more <= TARGET)
    );
    operator.end()
}

/// Seconds, and what was stored.
async fn create(
    api: &Api<DynamicObject>,
    index: usize,
    dry_run: bool,
) -> anyhow::Result<(f64, DynamicObject)> {
    let mut tool = objects::tool(&objects::tool_name(index), "no-server");
    if let Some(metadata) = tool.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
        metadata.remove("namespace");
    }
    let text = tool.to_string();
    if let Some(metadata) = tool.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
        metadata.insert(
            "annotations".to_owned(),
            json!({"kubectl.kubernetes.io/last-applied-configuration": text}),
        );
    }
    let object = serde_json::from_value(tool)?;
    let started = Instant::now();
    let created = api.create(&PostParams { dry_run, ..PostParams::default() }, &object).await?;
    Ok((started.elapsed().as_secs_f64(), created))
}

fn reviews(operator: &Operator) -> anyhow::Result<f64> {
    operator.metric("mcp_operator_admission_reviews_total", "")
}

/// Makes both configurations select the one namespace.
async fn select(plane: &ControlPlane) -> anyhow::Result<()> {
    let patch: json_patch::Patch = serde_json::from_value(json!([{
        "op": "add", "path": "/webhooks/0/namespaceSelector",
        "value": {"matchLabels": {LABEL: "reviewed"}}
    }]))?;
    let (patch, params) = (Patch::<()>::Json(patch), PatchParams::default());
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(plane.client.clone());
    mutating.patch("mcp-operator", &params, &patch).await?;
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(plane.client.clone());
    validating.patch("mcp-operator", &params, &patch).await?;
    Ok(())
}
