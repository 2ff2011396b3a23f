//! A thousand servers made at once, kept, and deleted: how long it takes beside a client that only sends the same patches, how
//! many requests, how much CPU time and memory.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _};
use http::Request;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use mcp_crds::kind::{API_VERSION, Kind};
use mcp_operator::children::ChildKind;
use serde_json::{Value, json};

use super::ControlPlane;
use super::operator::Operator;
use crate::measure::{cpu_time, memory, verdict};
use crate::objects::NAMESPACE;

const SERVERS: usize = 1_000;
/// As many requests at once as the operator makes.
const CONNECTIONS: usize = 16;
/// How much longer than the plain client.
const TIME_TARGET: f64 = 1.3;
/// Requests a server, Events included.
const CALLS_TARGET: f64 = 6.0;
/// In seconds.
const CPU_TARGET: f64 = 2.0;
/// In MiB.
const MEMORY_TARGET: f64 = 40.0;
/// Where the plain client works.
const PLAIN: &str = "plain";

pub(crate) async fn measure(plane: ControlPlane) -> anyhow::Result<()> {
    plane.namespace(NAMESPACE, json!({})).await?;
    plane.namespace(PLAIN, json!({})).await?;
    let operator = plane.operator().await?;
    operator.settled().await?;

    let (before, idle) = (Requests::of(&plane).await?, cpu_time(operator.pid())?);
    let started = Instant::now();
    plane.create((0..SERVERS).map(|number| (Kind::Server, server(number, NAMESPACE)))).await?;
    let created = started.elapsed().as_secs_f64();
    until_done(&plane).await?;
    let took = started.elapsed().as_secs_f64();
    operator.settled().await?;
    let cpu = (cpu_time(operator.pid())? - idle).as_secs_f64();
    let (now, most) = (memory(operator.pid(), "VmRSS")?, memory(operator.pid(), "VmHWM")?);
    let calls = Requests::of(&plane).await?.since(&before);
    quiet(&plane, &operator, "Nothing changing for a minute").await?;

    operator.end()?;
    let before = Requests::of(&plane).await?;
    let operator = plane.operator().await?;
    operator.settled().await?;
    let restart = Requests::of(&plane).await?.since(&before);
    println!(
        "Restart with nothing changed: {} writes, target 0: {}; {:.2} CPU s, at most {:.1} MiB\n",
        restart.all(),
        verdict(restart.all() == 0.0),
        cpu_time(operator.pid())?.as_secs_f64(),
        memory(operator.pid(), "VmHWM")?
    );
    delete_all(&plane).await?;
    operator.end()?;

    let plain = plain(&plane).await?;
    let each = calls.all() / SERVERS as f64;
    println!("| {SERVERS} servers | figure | target |\n|---|---|---|");
    println!(
        "| until every child and status exists | {took:.1} s (their creation alone {created:.1} s; the same patches by a plain client {plain:.1} s) | ≤ {TIME_TARGET} times: {:.2}, {} |",
        took / plain,
        verdict(took / plain <= TIME_TARGET)
    );
    println!(
        "| writes a server: {} | {each:.2} | ≤ {CALLS_TARGET}: {} |",
        calls.shown(),
        verdict(each <= CALLS_TARGET)
    );
    println!("| CPU time | {cpu:.2} s | < {CPU_TARGET} s: {} |", verdict(cpu < CPU_TARGET));
    println!(
        "| memory | at most {most:.1} MiB, then {now:.1} MiB | < {MEMORY_TARGET} MiB: {} |",
        verdict(most < MEMORY_TARGET)
    );
    Ok(())
}

fn name(number: usize) -> String {
    format!("server-{number:04}")
}

fn server(number: usize, namespace: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MCPServer",
        "metadata": { "name": name(number), "namespace": namespace },
        "spec": { "image": "registry.example.com/mcp/weather:1.4.0" },
    })
}

/// Waits until every server has a status, which comes after its children.
async fn until_done(plane: &ControlPlane) -> anyhow::Result<()> {
    let api = plane.api(Kind::Server, NAMESPACE);
    let started = Instant::now();
    loop {
        let all = api.list(&ListParams::default()).await?;
        let has_status =
            |server: &&DynamicObject| server.data.pointer("/status/observedGeneration").is_some();
        if all.items.iter().filter(has_status).count() == SERVERS {
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_secs(600), "not every server has a status");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn quiet(plane: &ControlPlane, operator: &Operator, what: &str) -> anyhow::Result<()> {
    let (before, idle) = (Requests::of(plane).await?, cpu_time(operator.pid())?);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (calls, cpu) = (Requests::of(plane).await?.since(&before), cpu_time(operator.pid())? - idle);
    println!(
        "{what}: {} writes, target 0: {}; {:.2} CPU s, target < 0.2 s: {}\n",
        calls.all(),
        verdict(calls.all() == 0.0),
        cpu.as_secs_f64(),
        verdict(cpu.as_secs_f64() < 0.2)
    );
    Ok(())
}

async fn delete_all(plane: &ControlPlane) -> anyhow::Result<()> {
    let started = Instant::now();
    let all = ListParams::default();
    plane.api(Kind::Server, NAMESPACE).delete_collection(&DeleteParams::background(), &all).await?;
    let kinds = ChildKind::ALL.map(|kind| kind.resource());
    loop {
        let mut left = 0;
        for resource in &kinds {
            let ours = ListParams::default().labels("app.kubernetes.io/managed-by=mcp-operator");
            let api: Api<DynamicObject> = Api::namespaced_with(plane.client.clone(), NAMESPACE, resource);
            left += api.list_metadata(&ours).await?.items.len();
        }
        if left == 0 {
            println!("All deleted: no child is left after {:.1} s\n", started.elapsed().as_secs_f64());
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_secs(600), "{left} children are left");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Seconds that a client with as many connections needs to create the servers and to send what the operator sends: each
/// child and each status by server-side apply.
async fn plain(plane: &ControlPlane) -> anyhow::Result<f64> {
    let started = Instant::now();
    futures::stream::iter(0..SERVERS)
        .map(|number| async move {
            let name = name(number);
            let owned = |kind: ChildKind, spec: Value| {
                json!({
                    "apiVersion": kind.api_version(),
                    "kind": kind.as_str(),
                    "metadata": { "name": name, "labels": { "app.kubernetes.io/instance": name } },
                    "spec": spec,
                })
            };
            let params = PatchParams::apply("plain").force();
            let servers = plane.api(Kind::Server, PLAIN);
            servers.patch(&name, &params, &Patch::Apply(server(number, PLAIN))).await?;
            let selector = json!({ "app.kubernetes.io/instance": name });
            let container =
                json!({ "name": "mcp-server", "image": "registry.example.com/mcp/weather:1.4.0" });
            let pod = json!({ "metadata": { "labels": selector }, "spec": { "containers": [container] } });
            let ports = json!([{ "name": "mcp", "port": 8080 }]);
            for (kind, spec) in [
                (ChildKind::Service, json!({ "selector": selector, "ports": ports })),
                (
                    ChildKind::Deployment,
                    json!({ "replicas": 1, "selector": { "matchLabels": selector }, "template": pod }),
                ),
            ] {
                apply(plane, kind.resource(), &name, owned(kind, spec)).await?;
            }
            let status = json!({
                "apiVersion": API_VERSION, "kind": "MCPServer", "metadata": { "name": name },
                "status": { "phase": "Pending", "replicas": 1, "observedGeneration": 1 },
            });
            servers.patch_status(&name, &params, &Patch::Apply(status)).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(CONNECTIONS)
        .try_collect::<()>()
        .await?;
    Ok(started.elapsed().as_secs_f64())
}

async fn apply(plane: &ControlPlane, resource: ApiResource, name: &str, object: Value) -> anyhow::Result<()> {
    let api: Api<DynamicObject> = Api::namespaced_with(plane.client.clone(), PLAIN, &resource);
    api.patch(name, &PatchParams::apply("plain").force(), &Patch::Apply(object)).await?;
    Ok(())
}

/// Requests that only the operator makes: applies, deletions of children, and Events of the newer API.
struct Requests(std::collections::BTreeMap<String, f64>);

impl Requests {
    async fn of(plane: &ControlPlane) -> anyhow::Result<Self> {
        let text = plane.client.request_text(Request::get("/metrics").body(Vec::new())?).await?;
        let mut requests = std::collections::BTreeMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let Some((labels, count)) = line.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                rest.split('"').next()
            };
            let (verb, resource) = (label("verb").unwrap_or_default(), label("resource").unwrap_or_default());
            let is_event = resource == "events" && label("group") == Some("events.k8s.io");
            if (verb == "APPLY" || is_event && ["POST", "PATCH"].contains(&verb)) && resource != "leases" {
                let subresource = label("subresource").filter(|name| !name.is_empty());
                let what = subresource
                    .map_or(format!("{verb} {resource}"), |name| format!("{verb} {resource}/{name}"));
                *requests.entry(what).or_default() += count.parse::<f64>()?;
            }
        }
        Ok(Self(requests))
    }

    fn since(mut self, before: &Self) -> Self {
        for (what, count) in &mut self.0 {
            *count -= before.0.get(what).copied().unwrap_or_default();
        }
        self.0.retain(|_, count| *count > 0.0);
        self
    }

    fn all(&self) -> f64 {
        self.0.values().sum()
    }

    fn shown(&self) -> String {
        let each = self.0.iter().map(|(what, count)| format!("{:.2} {what}", count / SERVERS as f64));
        each.collect::<Vec<_>>().join(", ")
    }
}
