//! Many servers made at once: how long it takes beside a client that only sends the same patches, how many requests, how
//! much CPU time and memory. And what a thousand of them cost while nothing changes, at a restart, and when they are deleted.

use std::time::{Duration, Instant};

use anyhow::ensure;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use mcp_crds::kind::{API_VERSION, Kind};
use mcp_operator::children::ChildKind;
use serde_json::{Value, json};

use super::ControlPlane;
use super::calls::{Audit, Calls};
use super::operator::Operator;
use super::plain::Patches;
use crate::measure::{cpu_time, memory, verdict};
use crate::objects::NAMESPACE;

/// What the targets are for.
const THOUSAND: usize = 1_000;
/// How much longer than the plain client.
const TIME_TARGET: f64 = 1.3;
/// Requests a server, Events included.
const CALLS_TARGET: f64 = 6.0;
/// In seconds.
const CPU_TARGET: f64 = 2.0;
/// In seconds, for a minute.
const IDLE_CPU_TARGET: f64 = 0.2;
/// In MiB.
const MEMORY_TARGET: f64 = 40.0;
/// Where the plain client works.
const PLAIN: &str = "plain";

pub(crate) async fn measure(numbers: &[usize]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for number in numbers {
        rows.push(Row::measure(*number).await?);
    }
    println!(
        "| servers | until all is there | plain client | times | requests a server | CPU | the plain client's CPU | memory at most | then |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    rows.iter().for_each(Row::show);
    println!("\nRequests a server, by verb:\n");
    for row in &rows {
        println!("- {} servers: {}", row.servers, row.calls.for_each_of(row.servers));
    }
    if let Some(row) = rows.iter().find(|row| row.servers == THOUSAND) {
        row.judge();
    }
    Ok(())
}

/// What so many servers cost.
struct Row {
    servers: usize,
    took: f64,
    plain: f64,
    calls: Calls,
    cpu: f64,
    /// Of the plain client, which only sends.
    plain_cpu: f64,
    /// In MiB.
    most: f64,
    /// In MiB.
    then: f64,
}

impl Row {
    /// On a control plane of its own.
    async fn measure(servers: usize) -> anyhow::Result<Self> {
        let (plane, audit) = ControlPlane::audited().await?;
        plane.namespace(NAMESPACE, json!({})).await?;
        plane.namespace(PLAIN, json!({})).await?;
        let operator = plane.operator().await?;
        operator.settled().await?;

        let (before, idle) = (audit.of_operator()?, cpu_time(operator.pid())?);
        let started = Instant::now();
        plane.create((0..servers).map(|number| (Kind::Server, server(&name(number), NAMESPACE)))).await?;
        until_done(&plane, servers).await?;
        let took = started.elapsed().as_secs_f64();
        operator.settled().await?;
        let cpu = (cpu_time(operator.pid())? - idle).as_secs_f64();
        let (then, most) = (memory(operator.pid(), "VmRSS")?, memory(operator.pid(), "VmHWM")?);
        let calls = audit.of_operator()?.since(&before);

        let patches = Patches::of(&plane, NAMESPACE, &name(0)).await?;
        if servers == THOUSAND {
            live_on(&plane, &audit, operator).await?;
        } else {
            operator.end()?;
        }
        let same = (0..servers).map(|number| (name(number), server(&name(number), PLAIN)));
        let idle = cpu_time(std::process::id())?;
        let plain = patches.send(&plane, PLAIN, same).await?;
        let plain_cpu = (cpu_time(std::process::id())? - idle).as_secs_f64();
        Ok(Self { servers, took, plain, calls, cpu, plain_cpu, most, then })
    }

    fn calls_each(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let each = self.calls.all() as f64 / self.servers as f64;
        each
    }

    fn show(&self) {
        let Self { servers, took, plain, cpu, plain_cpu, most, then, .. } = self;
        println!(
            "| {servers} | {took:.1} s | {plain:.1} s | {:.2} | {:.2} | {cpu:.2} s | {plain_cpu:.2} s | {most:.1} MiB | {then:.1} MiB |",
            took / plain,
            self.calls_each()
        );
    }

    fn judge(&self) {
        let target = |what: &str, figure: f64, most: f64| {
            println!("- {what}: {figure:.2}, at most {most}: {}", verdict(figure <= most));
        };
        println!("\nOf {THOUSAND} servers:\n");
        target("time, in that of the plain client", self.took / self.plain, TIME_TARGET);
        target("requests a server, Events included", self.calls_each(), CALLS_TARGET);
        target("CPU time, in seconds", self.cpu, CPU_TARGET);
        target("memory, in MiB", self.most, MEMORY_TARGET);
    }
}

fn name(number: usize) -> String {
    format!("server-{number:04}")
}

fn server(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MCPServer",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "image": "registry.example.com/mcp/weather:1.4.0" },
    })
}

/// Waits until every server has a status, which comes after its children.
async fn until_done(plane: &ControlPlane, servers: usize) -> anyhow::Result<()> {
    let api = plane.api(Kind::Server, NAMESPACE);
    let started = Instant::now();
    loop {
        let all = api.list(&ListParams::default()).await?;
        let has_status =
            |server: &&DynamicObject| server.data.pointer("/status/observedGeneration").is_some();
        if all.items.iter().filter(has_status).count() == servers {
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_secs(900), "not every server has a status");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Nothing happens for a minute; then the operator is started anew; then all servers are deleted.
async fn live_on(plane: &ControlPlane, audit: &Audit, operator: Operator) -> anyhow::Result<()> {
    let (before, idle) = (audit.of_operator()?, cpu_time(operator.pid())?);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let writes = audit.of_operator()?.since(&before).writes();
    let cpu = (cpu_time(operator.pid())? - idle).as_secs_f64();
    println!(
        "- {THOUSAND} servers with pending pods, a minute without a change: {writes} writes, target 0: {}; {cpu:.2} CPU s, target < {IDLE_CPU_TARGET} s: {}",
        verdict(writes == 0),
        verdict(cpu < IDLE_CPU_TARGET)
    );
    operator.end()?;

    let before = audit.of_operator()?;
    let operator = plane.operator().await?;
    operator.settled().await?;
    let children = audit.of_operator()?.since(&before).writes_about_servers();
    println!(
        "- Started anew with nothing changed: {children} writes, target 0: {}; {:.2} CPU s, at most {:.1} MiB, then {:.1} MiB",
        verdict(children == 0),
        cpu_time(operator.pid())?.as_secs_f64(),
        memory(operator.pid(), "VmHWM")?,
        memory(operator.pid(), "VmRSS")?
    );

    let (before, idle) = (audit.of_operator()?, cpu_time(operator.pid())?);
    let took = delete_all(plane).await?;
    operator.settled().await?;
    let (writes, logged) = (audit.of_operator()?.since(&before).writes(), operator.logged()?);
    println!(
        "- All deleted: nothing is left after {took:.1} s; {writes} writes, {:.2} CPU s; {} lines of warnings or errors logged, target 0: {}\n{}",
        (cpu_time(operator.pid())? - idle).as_secs_f64(),
        logged.lines().count(),
        verdict(logged.is_empty()),
        logged.lines().take(3).collect::<Vec<_>>().join("\n")
    );
    operator.end()
}

/// Deletes all servers; gives the seconds until none of their children is left.
async fn delete_all(plane: &ControlPlane) -> anyhow::Result<f64> {
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
        left += plane.api(Kind::Server, NAMESPACE).list_metadata(&all).await?.items.len();
        if left == 0 {
            return Ok(started.elapsed().as_secs_f64());
        }
        ensure!(started.elapsed() < Duration::from_secs(900), "{left} objects are left");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
