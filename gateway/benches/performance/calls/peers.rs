//! The same call, as people write it by hand: `benches/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::children::{SERVER, Server, free_port};

/// A server that somebody wrote by hand.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// How many times its rate the gateway is to do.
    pub(crate) target: u32,
    pub(crate) server: Server,
}

/// Those that can be had here.
pub(crate) fn all(backend: &str) -> anyhow::Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for (name, script, target) in [("FastMCP", "python.sh", 50), ("the TypeScript SDK", "typescript.sh", 30)]
    {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(script);
        match start(&script, backend) {
            Ok(server) => peers.push(Peer { name, target, server }),
            Err(error) => println!("\nnot measured: {name}: {error:#}"),
        }
    }
    Ok(peers)
}

fn start(script: &Path, backend: &str) -> anyhow::Result<Server> {
    // Installing takes a while, and is not what is waited for below.
    let installed = Command::new(script).arg("install").status().context("run its script")?;
    ensure!(installed.success(), "it cannot be installed");
    let port = free_port()?;
    let url = format!("http://{backend}/");
    Server::start(SERVER, port, &[&script.display().to_string(), "serve", &port.to_string(), &url])
}
