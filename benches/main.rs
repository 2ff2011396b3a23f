//! What the operator costs. `hack/bench.sh` runs every part; each prints a figure and what it is compared with.

mod admission;
mod cluster;
mod measure;
mod objects;
mod rules;

use admission::serve::Handler;

fn main() -> anyhow::Result<()> {
    // Cargo adds a `--bench` of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["rules"] => rules::steps(),
        ["growth"] => rules::growth(),
        ["admission"] => admission::measure(),
        ["requests"] => admission::instructions::measure(),
        ["creation"] => cluster::creation(),
        ["memory"] => cluster::memory(),
        ["servers"] => cluster::servers(&[100, 1_000, 5_000]),
        ["servers", numbers @ ..] => {
            let numbers: Result<Vec<usize>, _> = numbers.iter().map(|number| number.parse()).collect();
            cluster::servers(&numbers?)
        }
        ["serve", handler, servers] => {
            let handler = if *handler == "ours" { Handler::Ours } else { Handler::Bare };
            admission::serve::run(handler, servers.parse()?)
        }
        ["repeat", step, runs] => rules::repeat(step, runs.parse()?),
        _ => anyhow::bail!("usage: performance rules|growth|admission|creation|memory|servers [NUMBER...]"),
    }
}
