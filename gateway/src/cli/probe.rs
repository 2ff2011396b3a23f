//! `mcp-gateway probe`: what a kubelet runs in a pod to ask its server as an MCP client would.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use mcp_crds::validate::duration::parse_go_duration;
use mcp_probe::{Mcp, Target};
use tokio::time::timeout;

/// Ask a server who it is and which tools it has, as an MCP client would; fails where it does not answer.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Where it speaks MCP
    #[arg(value_name = "URL")]
    url: String,
    /// How long it may take
    #[arg(long, env = "MCP_GATEWAY_TIMEOUT", value_name = "DURATION", default_value = "14s", value_parser = parse_go_duration)]
    timeout: Duration,
    /// It may speak the older HTTP with SSE
    #[arg(long, env = "MCP_GATEWAY_SSE")]
    sse: bool,
}

/// Asks, and prints what was answered.
///
/// # Errors
/// Where it is not as an MCP server answers, or not in time.
pub fn probe(args: &ProbeArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let target = Target { url: args.url.as_str().into(), may_be_sse: args.sse };
    let client = Mcp { name: "mcp-gateway" };
    let asked = runtime.block_on(async { timeout(args.timeout, client.ask(&target)).await });
    let url = &args.url;
    let found = asked.map_err(|_| anyhow!("{url} did not answer within {} s", args.timeout.as_secs()))?;
    let found = found.with_context(|| url.clone())?;
    println!("MCP {}, {} tools", found.protocol, found.tools);
    Ok(())
}

#[cfg(test)]
mod tests {
    use mcp_crds::snapshot::{MAX_SHARD_BYTES, MAX_SHARDS};

    #[test]
    fn a_list_of_all_that_a_catalog_holds_is_read() {
        assert!(mcp_probe::MAX_ANSWER_BYTES > usize::from(MAX_SHARDS) * MAX_SHARD_BYTES);
    }
}
