//! Numbers, and how they are shown.

use std::fmt;
use std::time::{Duration, Instant};

/// Several measurements of one thing.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// The value below which this part of the samples lies, by the nearest rank.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (sorted.len() as f64 * part).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// From the lower to the upper quartile.
    pub(crate) fn spread(&self) -> (f64, f64) {
        (self.quantile(0.25), self.quantile(0.75))
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        Self(samples.into_iter().collect())
    }
}

/// Runs `work` in batches, and returns the seconds that one run of it takes: a sample a batch.
pub(crate) fn time(batches: usize, batch: usize, mut work: impl FnMut()) -> Samples {
    work();
    let one = || {
        let started = Instant::now();
        for _ in 0..batch {
            work();
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let runs = batch as f64;
        started.elapsed().as_secs_f64() / runs
    };
    std::iter::repeat_with(one).take(batches).collect()
}

/// Seconds, in the unit that suits them.
pub(crate) struct Seconds(pub(crate) f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            seconds if seconds < 1e-3 => (seconds * 1e6, "µs"),
            seconds if seconds < 1.0 => (seconds * 1e3, "ms"),
            seconds => (seconds, "s"),
        };
        f.pad(&format!("{value:.*} {unit}", if value < 10.0 { 2 } else { 1 }))
    }
}

/// Whether a figure keeps its target.
pub(crate) fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "MISSED" }
}

/// CPU time that a process has used in all its threads.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // The first number of three, in nanoseconds.
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A number of `/proc/PID/status`, in MiB.
pub(crate) fn memory(pid: u32, field: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: f64 = line.unwrap_or_default().trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
