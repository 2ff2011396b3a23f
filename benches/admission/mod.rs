//! Admission over TLS on loopback, beside a handler that only parses: the server has one core and the load another.

pub(crate) mod instructions;
pub(crate) mod load;
pub(crate) mod serve;

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use self::load::Peer;
use self::serve::Handler;
use crate::measure::{Samples, Seconds, cpu_time, verdict};

const SERVERS: usize = 1_000;
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);
/// Reviews a second at which latency is measured.
const RATE: f64 = 500.0;
/// The part of the bare handler's rate that ours must reach.
const PART_TARGET: f64 = 0.6;
/// Reviews a second that ours must reach on one core.
const RATE_TARGET: f64 = 5_000.0;
/// The 99th percentile of latency at [`RATE`], in seconds.
const LATENCY_TARGET: f64 = 2e-3;

/// A part of a whole, in percent.
struct Part(f64);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", self.0 * 100.0)
    }
}

/// A serving process; it ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) handler: Handler,
    pub(crate) peer: Peer,
}

impl Server {
    /// Starts a process that serves, under `wrapper` (`taskset -c 0`, for example).
    pub(crate) fn start(handler: Handler, wrapper: &[&str], servers: usize) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let (program, arguments) = wrapper.split_first().context("a wrapper")?;
        let mut child = Command::new(program)
            .args(arguments)
            .arg(own)
            .args(["serve", handler.as_str(), &servers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{program} could not be started"))?;
        let mut lines = BufReader::new(child.stdout.take().context("the output")?).lines();
        let port = lines.next().context("the port")??.parse()?;
        let mut certificate = String::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            certificate.push_str(&line);
            certificate.push('\n');
        }
        Ok(Self { child, handler, peer: Peer::new(port, &certificate)? })
    }

    /// Lets the process end by itself, and waits for it.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Where it is gone already there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What one handler reached.
#[derive(Default)]
struct Reached {
    /// Answers a second.
    rate: Samples,
    /// Answers a second of the serving process' own CPU time: what the rate would be with the core to itself.
    cpu_rate: Samples,
    latency: Vec<Samples>,
}

/// Rates and latencies of both handlers, in turns.
pub(crate) fn measure() -> anyhow::Result<()> {
    mcp_operator::runtime::install_crypto_provider();
    let requests = load::requests(SERVERS)?;
    let sizes: Samples = requests.iter().map(|request| request.len() as f64).collect();
    println!(
        "{SERVERS} servers and {} tools; reviews of {:.0} bytes at the median, half mutating and half validating, 1 in 20 of a \
         server; the server on core 0, the load on the others.\n",
        SERVERS * crate::objects::TOOLS_A_SERVER,
        sizes.median()
    );
    let pinned = ["taskset", "-c", "0"];
    let mut sides = Vec::new();
    for handler in [Handler::Ours, Handler::Bare] {
        sides.push((Server::start(handler, &pinned, SERVERS)?, Reached::default()));
    }
    for _ in 0..ROUNDS {
        for (server, reached) in &mut sides {
            let (cpu, started) = (cpu_time(server.child.id())?, Instant::now());
            let answered = load::closed_loop(&server.peer, &requests, CONNECTIONS, ROUND)? as f64;
            reached.rate.push(answered / started.elapsed().as_secs_f64());
            let cpu = cpu_time(server.child.id())?.saturating_sub(cpu);
            reached.cpu_rate.push(answered / cpu.as_secs_f64());
        }
        sides.rotate_left(1);
    }
    for round in 0..ROUNDS {
        for (server, reached) in &mut sides {
            reached.latency.push(load::open_loop(&server.peer, &requests, RATE, ROUND, round as u64)?);
        }
        sides.rotate_left(1);
    }
    sides.sort_by_key(|(server, _)| server.handler == Handler::Bare);
    report(&sides);
    sides.into_iter().try_for_each(|(server, _)| server.end())
}

fn report(sides: &[(Server, Reached)]) {
    println!("| | reviews/s | quartiles | reviews a CPU second | quartiles |\n|---|---|---|---|---|");
    for (server, reached) in sides {
        let quartiles = |samples: &Samples| {
            let (lower, upper) = samples.spread();
            format!("{lower:.0}–{upper:.0}")
        };
        println!(
            "| {} | {:.0} | {} | {:.0} | {} |",
            server.handler.as_str(),
            reached.rate.median(),
            quartiles(&reached.rate),
            reached.cpu_rate.median(),
            quartiles(&reached.cpu_rate)
        );
    }
    let [(_, ours), (_, bare)] = sides else { return };
    for (what, ours, bare) in
        [("reviews/s", &ours.rate, &bare.rate), ("reviews a CPU second", &ours.cpu_rate, &bare.cpu_rate)]
    {
        let (rate, part) = (ours.median(), ours.median() / bare.median());
        println!(
            "{what}: {} of the bare handler's, target ≥ 60 %: {}; {rate:.0}, target ≥ 5,000: {}",
            Part(part),
            verdict(part >= PART_TARGET),
            verdict(rate >= RATE_TARGET)
        );
    }
    println!(
        "\nAt {RATE}/s, from the time that a review was due; the median of {ROUNDS} rounds, and the best:\n"
    );
    println!("| | p50 | p90 | p99 | p99, best round | p99.9 |\n|---|---|---|---|---|---|");
    for (server, reached) in sides {
        let over = |part: f64| reached.latency.iter().map(|round| round.quantile(part)).collect::<Samples>();
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            server.handler.as_str(),
            Seconds(over(0.5).median()),
            Seconds(over(0.9).median()),
            Seconds(over(0.99).median()),
            Seconds(over(0.99).quantile(0.0)),
            Seconds(over(0.999).median())
        );
    }
    let p99: Samples = ours.latency.iter().map(|round| round.quantile(0.99)).collect();
    println!(
        "p99 of ours: {}, target < 2 ms: {}",
        Seconds(p99.median()),
        verdict(p99.median() < LATENCY_TARGET)
    );
}
