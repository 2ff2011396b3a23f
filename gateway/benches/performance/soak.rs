//! Memory under load that goes on: calls, sessions begun and ended, and a catalog that changes every second.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::children::{LOAD, Server};
use super::load::{Load, median, said};
use super::memory::mib;
use super::objects;
use super::sessions::script;

/// How many connections call at a time.
const CONNECTIONS: usize = 16;
/// Flat is what grows by less than this from the second minute to the last one.
const TARGET: f64 = 1.05;

pub(crate) fn measure(minutes: u64) -> anyhow::Result<()> {
    ensure!(minutes >= 3, "the first minute warms up, and two are compared: at least 3 minutes");
    let backend = Server::own(LOAD, "backend", &[])?;
    let mut tools = objects::tools(50);
    tools.push(objects::called());
    let folder = objects::write(&tools)?;
    let gateway = Server::gateway(folder.path(), backend.address, &[])?;
    let params = format!(r#""name":"called","arguments":{}"#, objects::arguments());
    let loads = [
        ("calls", Load::modern("tools/call", Some("called"), &params, CONNECTIONS)?),
        ("lists", Load::modern("tools/list", None, "", 1)?),
        ("sessions", Load::script(&script(&objects::arguments()), 1)?),
    ];
    let mut running = Vec::new();
    for (name, load) in &loads {
        let wrk = load.command(&gateway, minutes * 60).stdout(Stdio::piped()).spawn().context("wrk")?;
        running.push((name, wrk));
    }

    println!("Resident memory, the median of each minute's samples:\n\n| minute | MiB |\n|---|---|");
    let (begun, mut each) = (Instant::now(), Vec::new());
    for minute in 1..=minutes {
        let mut samples = Vec::new();
        for second in 1..60 {
            // One tool comes and goes.
            let count = tools.len() - second % 2;
            objects::put(folder.path(), tools.get(tools.len() - count..).unwrap_or_default())?;
            thread::sleep(Duration::from_secs(1));
            samples.push(mib(gateway.resident()?));
        }
        println!("| {minute} | {:.1} |", median(&samples));
        each.push(median(&samples));
        thread::sleep(Duration::from_secs(60 * minute).saturating_sub(begun.elapsed()));
    }
    println!();
    for (name, wrk) in running {
        let text = said(&wrk.wait_with_output().context("wrk")?)?;
        let sum = text.lines().find(|line| line.contains(" requests in ")).unwrap_or_default();
        println!("- {name}: {}", sum.trim());
    }
    let (second, last) = (each.get(1).context("a minute")?, each.last().context("a minute")?);
    println!("- The last minute's memory is {:.2} times the second's; target: under {TARGET}", last / second);
    Ok(())
}
