//! Load, by wrk, and how two servers compare under it.

use std::fmt::Write as _;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::children::{LOAD, Server};

/// How long one run takes, in seconds.
const RUN: u64 = 4;
/// How often each is run.
const ROUNDS: usize = 3;

/// A request that is sent again and again.
pub(crate) struct Load {
    script: tempfile::TempPath,
    connections: String,
}

/// What one server did.
#[derive(Debug, Default, Clone)]
pub(crate) struct Figures {
    rates: Vec<f64>,
    /// CPU time a request, in microseconds.
    cpu: Vec<f64>,
    p99: Vec<f64>,
}

impl Load {
    /// Posts this to the endpoint.
    pub(crate) fn post(headers: &[(&str, &str)], body: &str, connections: usize) -> anyhow::Result<Self> {
        let mut script = format!("wrk.method = 'POST'\nwrk.body = [==[{body}]==]\n");
        for (name, value) in headers {
            writeln!(script, "wrk.headers['{name}'] = '{value}'")?;
        }
        Self::script(&script, connections)
    }

    /// Does what a script of wrk says.
    pub(crate) fn script(script: &str, connections: usize) -> anyhow::Result<Self> {
        let file = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&file, script)?;
        Ok(Self { script: file, connections: connections.to_string() })
    }

    /// A modern call, or list.
    pub(crate) fn modern(
        method: &str,
        name: Option<&str>,
        params: &str,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let comma = if params.is_empty() { "" } else { "," };
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{comma}{meta}}}}}"#);
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        headers.extend(name.map(|name| ("mcp-name", name)));
        Self::post(&headers, &body, connections)
    }

    /// wrk, for so many seconds, not yet started.
    pub(crate) fn command(&self, server: &Server, seconds: u64) -> Command {
        let mut wrk = Command::new("taskset");
        wrk.args(["-c", LOAD, "wrk", "-t1", "-c", &self.connections, "-d", &format!("{seconds}s")]);
        wrk.args(["--latency", "--timeout", "60s", "-s"]).arg(&self.script);
        wrk.arg(format!("http://{}/mcp", server.address));
        wrk
    }

    fn run(&self, server: &Server, figures: Option<&mut Figures>) -> anyhow::Result<()> {
        let before = server.cpu_time()?;
        let text = said(&self.command(server, RUN).output().context("wrk")?)?;
        let spent = server.cpu_time()? - before;
        let Some(figures) = figures else { return Ok(()) };
        let word = |prefix: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(prefix));
            line.map(|rest| rest.trim().to_owned()).with_context(|| format!("no {prefix} in {text}"))
        };
        let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "));
        let requests: f64 = requests.context("no number of requests")?.0.parse()?;
        figures.rates.push(word("Requests/sec:")?.parse()?);
        figures.cpu.push(spent.as_secs_f64() * 1e6 / requests);
        figures.p99.push(milliseconds(&word("99%")?)?);
        Ok(())
    }

    /// Runs each in turns, after one run to warm up.
    pub(crate) fn compare(&self, servers: &[&Server]) -> anyhow::Result<Vec<Figures>> {
        let mut figures = vec![Figures::default(); servers.len()];
        for server in servers {
            self.run(server, None)?;
        }
        for _ in 0..ROUNDS {
            for (server, figures) in servers.iter().zip(&mut figures) {
                self.run(server, Some(figures))?;
            }
        }
        Ok(figures)
    }
}

/// What wrk said, where every request was answered well.
pub(crate) fn said(output: &Output) -> anyhow::Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        bail!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

fn milliseconds(text: &str) -> anyhow::Result<f64> {
    for (unit, factor) in [("us", 1e-3), ("ms", 1.0), ("s", 1e3)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    bail!("{text} is no duration")
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Figures {
    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates)
    }

    pub(crate) fn cpu(&self) -> f64 {
        median(&self.cpu)
    }

    pub(crate) fn p99(&self) -> f64 {
        median(&self.p99)
    }
}

/// Prints a table, each row beside the first one.
pub(crate) fn print(title: &str, rows: &[(&str, &Figures)]) {
    println!(
        "\n{title}\n\n| | requests/s | of the first | CPU time a request | of the first | p99 |\n|---|---|---|---|---|---|"
    );
    let Some((_, first)) = rows.first() else { return };
    for (name, figures) in rows {
        println!(
            "| {name} | {:.0} | {:.0} % | {:.1} µs | {:.2} times | {:.2} ms |",
            figures.rate(),
            100.0 * figures.rate() / first.rate(),
            figures.cpu(),
            figures.cpu() / first.cpu(),
            figures.p99(),
        );
    }
}

/// Waits a moment for what a run leaves behind.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(500));
}
