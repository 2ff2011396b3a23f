//! A catalog of 10,000 tools: how long it takes to load, and what a caller sees of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mcp_crds::kind::Kind;
use mcp_crds::snapshot::{Index, Snapshot};
use mcp_gateway::catalog::live::Live;
use mcp_gateway::credentials::Credentials;
use mcp_gateway::gateway::{Bounds, Gateway};
use mcp_gateway::upstream::{Directory, Upstream};
use mcp_gateway::{router, server, source};
use mcp_process::shutdown::Drain;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::objects;

const TOOLS: usize = 10_000;

/// What the operator writes for this many tools, of which the descriptions say `version`.
fn written(version: usize) -> anyhow::Result<(String, std::collections::BTreeMap<u8, String>)> {
    let mut server = objects::server();
    mcp_crds::default::apply(Kind::Server, &mut server, None);
    let mut tools = objects::tools(TOOLS);
    for tool in &mut tools {
        if let Some(description) = tool.pointer_mut("/spec/description") {
            *description = format!("As of version {version}.").into();
        }
        mcp_crds::default::apply(Kind::Tool, tool, None);
    }
    let offered = tools.iter().map(|tool: &Value| (Kind::Tool, tool));
    let written = Snapshot::compile(&server, "cluster.local", offered)?.encode()?;
    Ok((written.index, written.shards.into_iter().collect()))
}

pub(crate) fn measure() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let upstream = Upstream::new();
    let bounds = Bounds::default();
    let gateway = Gateway::new(Live::new(), Credentials::default(), upstream, None, bounds, Drain::default());
    let gateway = Arc::new(gateway);
    let directory = Directory::local([]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let mut tasks = tokio::task::JoinSet::new();
    let served = Arc::clone(&gateway);
    let answer = move |local, request| router::answer(Arc::clone(&served), local, request);
    tasks.spawn(async move { server::serve(listener, answer, bounds, slots, std::future::pending()).await });

    println!("| {TOOLS} tools | |\n|---|---|");
    let mut loads = Vec::new();
    for version in 0..5 {
        let (index, shards) = written(version)?;
        let begun = Instant::now();
        let index = Index::parse(&index)?;
        let snapshot = index.load(|shard| shards.get(&shard))?;
        source::take(&gateway, index.revision, snapshot, &directory).await;
        loads.push(begun.elapsed());
    }
    println!(
        "| from the shards' text to being served, the longest of 5; target: 1 s | {:?} |",
        longest(&loads)?
    );

    let quiet = pauses(address, Duration::from_secs(3), async { Ok(()) }).await?;
    let swaps = async {
        for version in 5..10 {
            let (index, shards) = tokio::task::spawn_blocking(move || written(version)).await??;
            let index = Index::parse(&index)?;
            let snapshot = tokio::task::spawn_blocking(move || {
                index.load(|shard| shards.get(&shard)).map(|it| (index.revision, it))
            })
            .await??;
            source::take(&gateway, snapshot.0, snapshot.1, &directory).await;
        }
        Ok(())
    };
    let swapping = pauses(address, Duration::from_secs(3), swaps).await?;
    println!("| what a caller waits, nothing changing: p99.9, longest | {:?}, {:?} |", quiet.0, quiet.1);
    println!(
        "| what a caller waits during 5 swaps: p99.9, longest; target: 5 ms | {:?}, {:?} |",
        swapping.0, swapping.1
    );
    Ok(())
}

fn longest(durations: &[Duration]) -> anyhow::Result<Duration> {
    durations.iter().max().copied().context("nothing was measured")
}

/// Asks again and again from a thread of its own while `work` is done, and at least for `at_least`.
async fn pauses(
    address: std::net::SocketAddr,
    at_least: Duration,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<(Duration, Duration)> {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    let asking = std::thread::spawn(move || -> anyhow::Result<Vec<Duration>> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let (mut waits, mut buffer) = (Vec::new(), [0; 4096]);
        while !told.load(Ordering::Relaxed) {
            let begun = Instant::now();
            stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
            anyhow::ensure!(stream.read(&mut buffer)? > 0, "closed");
            waits.push(begun.elapsed());
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(waits)
    });
    let begun = Instant::now();
    work.await?;
    tokio::time::sleep(at_least.saturating_sub(begun.elapsed())).await;
    over.store(true, Ordering::Relaxed);
    let mut waits = tokio::task::spawn_blocking(move || asking.join())
        .await?
        .map_err(|_| anyhow::anyhow!("it panicked"))??;
    waits.sort();
    let at = |part: usize| waits.get(waits.len().saturating_sub(1) * part / 1000).copied();
    Ok((at(999).context("no waits")?, longest(&waits)?))
}
