//! What the kernel knows of this process, read from `/proc` at each scrape. The names are those that Prometheus' client
//! libraries agree on.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Clock ticks a second in `/proc`: the kernel's user-space interface fixes it on every architecture we build for.
const TICKS: f64 = 100.0;

/// Registers the families of the process.
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

#[derive(Debug)]
struct Process;

/// What one look at `/proc` shows. A file that cannot be read, as on a system without it, leaves its family out.
#[derive(Debug, Default, PartialEq)]
struct Usage {
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    threads: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

impl Usage {
    fn read() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let mut usage =
            Self::parse(&read("/proc/self/stat"), &read("/proc/self/status"), &read("/proc/stat"));
        usage.max_fds = max_fds(&read("/proc/self/limits"));
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 files are open")]
        let open = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as f64);
        usage.open_fds = open;
        usage
    }

    fn parse(stat: &str, status: &str, system: &str) -> Self {
        // The command's name, in parentheses, may itself hold any character: fields count from after the last one.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().collect()).unwrap_or_default();
        // Numbered as in proc(5), where the state after the name is field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let boot = system.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, kernel)| (user + kernel) / TICKS),
            start_seconds: field(22).zip(boot).map(|(ticks, boot)| boot + ticks / TICKS),
            threads: field(20),
            virtual_bytes: field(23),
            resident_bytes: status_kib(status, "VmRSS:").map(|kib| kib * 1024.0),
            open_fds: None,
            max_fds: None,
        }
    }
}

fn status_kib(status: &str, name: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok())
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let usage = Usage::read();
        if let Some(seconds) = usage.cpu_seconds {
            let counter = ConstCounter::new(seconds);
            let help = "User and system CPU time spent.";
            counter.encode(encoder.encode_descriptor(
                "process_cpu",
                help,
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?)?;
        }
        let mut gauge = |name, help, unit: Option<&Unit>, value: Option<f64>| match value {
            Some(value) => ConstGauge::new(value).encode(encoder.encode_descriptor(
                name,
                help,
                unit,
                MetricType::Gauge,
            )?),
            None => Ok(()),
        };
        let seconds = Some(&Unit::Seconds);
        let bytes = Some(&Unit::Bytes);
        gauge("process_start_time", "Start of the process since the epoch.", seconds, usage.start_seconds)?;
        gauge("process_resident_memory", "Resident memory.", bytes, usage.resident_bytes)?;
        gauge("process_virtual_memory", "Virtual memory.", bytes, usage.virtual_bytes)?;
        gauge("process_threads", "Threads.", None, usage.threads)?;
        gauge("process_open_fds", "Open file descriptors.", None, usage.open_fds)?;
        gauge("process_max_fds", "Limit of open file descriptors.", None, usage.max_fds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_command_is_called() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 5 0 0 0 250 150 0 0 20 0 7 0 1000 8192000 300 0 0";
        let status = "Name:\ta\nVmPeak:\t    9000 kB\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        let usage = Usage::parse(stat, status, "cpu 1 2 3\nbtime 1700000000\n");
        assert_eq!(usage.cpu_seconds, Some(4.0));
        assert_eq!(usage.start_seconds, Some(1_700_000_010.0));
        assert_eq!(usage.threads, Some(7.0));
        assert_eq!(usage.virtual_bytes, Some(8_192_000.0));
        assert_eq!(usage.resident_bytes, Some(2_097_152.0));
    }

    #[test]
    fn limits_are_read_and_an_unlimited_one_is_left_out() {
        assert_eq!(
            max_fds("Max open files            1024                 524288               files"),
            Some(1024.0)
        );
        assert_eq!(
            max_fds("Max open files            unlimited            unlimited            files"),
            None
        );
    }

    #[test]
    fn files_that_are_not_there_leave_everything_out() {
        assert_eq!(Usage::parse("", "", ""), Usage::default());
        assert_eq!(max_fds(""), None);
    }
}
