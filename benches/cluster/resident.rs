//! How much memory the operator holds, with nothing and with more and more objects.

use mcp_crds::kind::Kind;
use serde_json::json;

use super::ControlPlane;
use super::operator::Operator;
use crate::measure::{memory, verdict};
use crate::objects::{self, TOOLS_A_SERVER};

/// Without any object, in MiB.
const IDLE_TARGET: f64 = 25.0;
/// With 1,000 servers and 10,000 tools, in MiB.
const FULL_TARGET: f64 = 80.0;
/// How many servers there are at each step.
const SERVERS: [usize; 3] = [10, 100, 1_000];

/// Adds objects in steps. At each the operator's memory is read when it has come to rest, and again after a restart.
pub(crate) async fn measure(plane: ControlPlane) -> anyhow::Result<()> {
    plane.namespace(objects::NAMESPACE, json!({})).await?;
    println!("| servers | tools | resident | most | resident after a restart | most after a restart |");
    println!("|---|---|---|---|---|---|");
    let mut operator = plane.operator().await?;
    operator.settled().await?;
    let idle = Resident::of(&operator)?;
    println!("| 0 | 0 | {:.1} MiB | {:.1} MiB | | |", idle.now, idle.most);
    let mut servers = 0;
    let mut full = idle;
    for step in SERVERS {
        plane
            .create((servers..step).flat_map(|server| {
                let name = objects::server_name(server);
                let tools = server * TOOLS_A_SERVER..(server + 1) * TOOLS_A_SERVER;
                let tools: Vec<_> =
                    tools.map(|tool| (Kind::Tool, objects::tool(&objects::tool_name(tool), &name))).collect();
                std::iter::once((Kind::Server, objects::server(&name))).chain(tools)
            }))
            .await?;
        servers = step;
        operator.settled().await?;
        let grown = Resident::of(&operator)?;
        operator.end()?;
        operator = plane.operator().await?;
        operator.settled().await?;
        let fresh = Resident::of(&operator)?;
        println!(
            "| {servers} | {} | {:.1} MiB | {:.1} MiB | {:.1} MiB | {:.1} MiB |",
            servers * TOOLS_A_SERVER,
            grown.now,
            grown.most,
            fresh.now,
            fresh.most
        );
        full = Resident { now: grown.now.max(fresh.now), most: grown.most.max(fresh.most) };
    }
    println!("\nIdle: {:.1} MiB resident, target < 25 MiB: {}", idle.now, verdict(idle.now < IDLE_TARGET));
    println!(
        "With 1,000 servers and 10,000 tools: {:.1} MiB resident, target < 80 MiB: {}; at most {:.1} MiB",
        full.now,
        verdict(full.now < FULL_TARGET),
        full.most
    );
    operator.end()
}

/// MiB.
#[derive(Clone, Copy)]
struct Resident {
    now: f64,
    most: f64,
}

impl Resident {
    fn of(operator: &Operator) -> anyhow::Result<Self> {
        Ok(Self { now: memory(operator.pid(), "VmRSS")?, most: memory(operator.pid(), "VmHWM")? })
    }
}
