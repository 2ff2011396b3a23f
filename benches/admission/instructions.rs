//! A request's whole way through the server, in instructions: TLS, HTTP, the answer. What the kernel does is not in it.

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::load;
use super::serve::Handler;
use super::{Part, Server};

/// How many more requests the longer of two runs has.
const REQUESTS: usize = 1_000;
/// A small catalog, because the counter is slow; the look-ups in it do not depend on its size.
const SERVERS: usize = 10;

/// Counts for both handlers, and says what part of the bare handler's throughput that would leave.
pub(crate) fn measure() -> anyhow::Result<()> {
    mcp_operator::runtime::install_crypto_provider();
    let requests = load::requests(SERVERS)?;
    let [ours, bare] = [Handler::Ours, Handler::Bare].map(|handler| -> anyhow::Result<u64> {
        let more = count(handler, &requests, REQUESTS + REQUESTS / 2)?;
        Ok((more - count(handler, &requests, REQUESTS / 2)?) / REQUESTS as u64)
    });
    let (ours, bare) = (ours?, bare?);
    println!("| a whole request, ours | {ours} |\n| a whole request, bare handler | {bare} |");
    println!(
        "\nIn user space the bare handler takes {} of the instructions of ours",
        Part(bare as f64 / ours as f64)
    );
    Ok(())
}

fn count(handler: Handler, requests: &[Vec<u8>], number: usize) -> anyhow::Result<u64> {
    let log = NamedTempFile::new()?;
    let log_file = format!("--log-file={}", log.path().display());
    let valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", &log_file];
    let server = Server::start(handler, &valgrind, SERVERS)?;
    let mut connection = server.peer.connect()?;
    for request in requests.iter().cycle().take(number) {
        connection.ask(request)?;
    }
    server.end()?;
    let log = std::fs::read_to_string(log.path())?;
    let counted = log.lines().find_map(|line| line.split_once("Collected :"));
    Ok(counted.context("no count")?.1.trim().parse()?)
}
