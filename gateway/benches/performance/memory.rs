//! Memory: idle, with idle sessions, with open streams; and how long the start takes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::children::Server;
use super::objects;

const MANY: usize = 10_000;

pub(crate) fn measure() -> anyhow::Result<()> {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let folder = objects::write(&objects::tools(50))?;
    let mut starts: Vec<Duration> = Vec::new();
    for _ in 0..15 {
        let begun = Instant::now();
        let gateway = Server::gateway(folder.path(), nowhere, &[])?;
        starts.push(begun.elapsed());
        drop(gateway);
    }
    starts.sort();
    let median = starts.get(starts.len() / 2).context("starts")?;
    let gateway = Server::gateway(folder.path(), nowhere, &["--max-sessions", "20000"])?;
    println!("| | | target |\n|---|---|---|");
    println!("| start to ready, 50 tools, median of 15 | {:.0} ms | 100 ms |", median.as_secs_f64() * 1e3);
    println!("| resident, idle, 50 tools | {:.1} MiB | 20 MiB |", mib(gateway.resident()?));

    // What connections and allocators need once is no session's.
    sessions(&gateway, 500)?;
    let before = gateway.resident()?;
    sessions(&gateway, MANY)?;
    let each = (gateway.resident()? - before) as f64 / MANY as f64;
    println!("| an idle session, of {MANY} | {each:.2} KiB | 4 KiB |");

    let gateway = Server::gateway(folder.path(), nowhere, &["--max-streams", "20000"])?;
    let mut open = Vec::with_capacity(MANY);
    for number in 0..MANY {
        match listen(&gateway) {
            Ok(stream) => open.push(stream),
            Err(error) => {
                println!("only {number} streams could be opened here: {error:#}");
                break;
            }
        }
    }
    println!(
        "| {} open streams, resident in all | {:.0} MiB | 300 MiB |",
        open.len(),
        mib(gateway.resident()?)
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure")]
pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn post(stream: &mut TcpStream, headers: &str, body: &str) -> anyhow::Result<()> {
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// Begins sessions, over one connection, and leaves them.
fn sessions(gateway: &Server, count: usize) -> anyhow::Result<()> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    let mut stream = TcpStream::connect(gateway.address)?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    for _ in 0..count {
        post(&mut stream, "", body)?;
        let read = stream.read(&mut buffer)?;
        ensure!(buffer.get(..read).is_some_and(|it| it.starts_with(b"HTTP/1.1 200")), "no session");
    }
    Ok(())
}

/// Opens a stream, and waits for its first message.
fn listen(gateway: &Server) -> anyhow::Result<TcpStream> {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{{"notifications":{{"toolsListChanged":true}},"_meta":{meta}}}}}"#
    );
    let mut stream = TcpStream::connect(gateway.address)?;
    stream.set_nodelay(true)?;
    post(&mut stream, "mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n", &body)?;
    let mut text = String::new();
    let mut buffer = [0; 2048];
    while !text.contains("acknowledged") {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "closed: {text}");
        text.push_str(&String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()));
    }
    Ok(stream)
}
