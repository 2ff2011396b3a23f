//! What the gateway costs, beside the least that could do the same work. `hack/bench-gateway.sh` runs every part; each
//! prints its figures and what they are compared with.
//!
//! Rates are measured with wrk, with the server alone on core 0 and everything else on core 1. Each pair is measured in
//! turns. Beside the rate stands the CPU time that the server itself spent on a request, which other work on the machine
//! does not change.

mod calls;
mod catalog;
mod children;
mod lists;
mod load;
mod memory;
mod objects;
mod servers;
mod sessions;
mod soak;

fn main() -> anyhow::Result<()> {
    // Cargo adds a `--bench` of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["calls"] => calls::measure(),
        ["lists"] => lists::measure(),
        ["sessions"] => sessions::measure(),
        ["memory"] => memory::measure(),
        ["catalog"] => catalog::measure(),
        ["soak", minutes] => soak::measure(minutes.parse()?),
        ["serve", kind, port, more @ ..] => servers::run(kind, port.parse()?, more),
        _ => anyhow::bail!("usage: performance calls|lists|sessions|memory|catalog|soak MINUTES"),
    }
}
