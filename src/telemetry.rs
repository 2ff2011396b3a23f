//! Logs: structured for machines in a pod, readable on a terminal, with a level that can be changed while running. And
//! traces, where there is somewhere to send them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::sync::Arc;

use mcp_process::traces::{Service, Traces, TracesError};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt as log_fmt};

/// Passes and reviews are traced.
const SERVICE: Service = Service {
    name: "mcp-operator",
    version: crate::VERSION,
    targets: &["mcp_operator", "mcp_webhook", "mcp_certs"],
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// What is logged: a level for everything, and others for some modules.
///
/// Written as `info` or `info,mcp_operator::lease=debug`. This is stricter than what is usual for such filters, where a
/// word that is no level is taken for the name of a module: here `wran` is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    default: LevelFilter,
    targets: BTreeMap<String, LevelFilter>,
}

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLogFilter {
    /// Not one of the levels.
    #[error("{0:?} is not a level: must be one of off, error, warn, info, debug, trace")]
    Level(String),
    /// Not the path of a module.
    #[error("{0:?} is not a module: must be letters, digits, _ and ::")]
    Target(String),
    /// Two levels for everything, or for one module.
    #[error("more than one level for {0}")]
    Repeated(String),
    /// Longer than any filter needs to be.
    #[error("longer than {} bytes", LogFilter::MAX_BYTES)]
    TooLong,
}

impl LogFilter {
    /// The longest text that is accepted.
    pub const MAX_BYTES: usize = 1024;

    fn targets(&self) -> Targets {
        let targets = self.targets.iter().map(|(target, level)| (target.as_str(), *level));
        Targets::new().with_default(self.default).with_targets(targets)
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { default: LevelFilter::INFO, targets: BTreeMap::new() }
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.default)?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={level}"))
    }
}

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidLogFilter::TooLong);
        }
        let mut default = None;
        let mut targets = BTreeMap::new();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None if default.replace(level(part)?).is_some() => {
                    return Err(InvalidLogFilter::Repeated("everything".into()));
                }
                None => {}
                Some((target, of_target)) => {
                    let target = target.trim();
                    let part_of_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                    if target.is_empty() || !target.chars().all(part_of_path) {
                        return Err(InvalidLogFilter::Target(target.into()));
                    }
                    if targets.insert(target.to_owned(), level(of_target.trim())?).is_some() {
                        return Err(InvalidLogFilter::Repeated(target.into()));
                    }
                }
            }
        }
        Ok(Self { default: default.unwrap_or(LevelFilter::INFO), targets })
    }
}

fn level(text: &str) -> Result<LevelFilter, InvalidLogFilter> {
    // `LevelFilter` also takes numbers.
    match text.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(InvalidLogFilter::Level(text.into())),
    }
}

/// The handle by which the level of a running process is read and changed.
#[derive(Clone, Debug)]
pub struct LogLevel {
    handle: reload::Handle<Targets, Registry>,
    current: Arc<Mutex<LogFilter>>,
}

/// The subscriber is gone, so nothing is logged any more.
#[derive(Debug, thiserror::Error)]
#[error("the level could not be changed")]
pub struct NotReloaded(#[from] reload::Error);

impl LogLevel {
    /// What lets through what `filter` says, for the layer that logs, and the handle to change it.
    #[must_use]
    pub fn filter(filter: LogFilter) -> (impl Filter<Registry>, Self) {
        let (layer, handle) = reload::Layer::new(filter.targets());
        (layer, Self { handle, current: Arc::new(Mutex::new(filter)) })
    }

    /// The filter that is in force.
    #[must_use]
    pub fn get(&self) -> LogFilter {
        self.current.lock().clone()
    }

    /// Puts another filter in force, at once and for all threads.
    ///
    /// # Errors
    /// Where nothing logs any more.
    pub fn set(&self, filter: LogFilter) -> Result<(), NotReloaded> {
        // Held over both, so that what `get` says is what is in force.
        let mut current = self.current.lock();
        self.handle.reload(filter.targets())?;
        *current = filter;
        Ok(())
    }
}

/// Why nothing can be logged or traced.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Something else receives the process's logs already.
    #[error("logs could not be set up")]
    Logs(#[from] TryInitError),
    /// The environment says where to send traces in a way that cannot be followed.
    #[error("traces could not be set up")]
    Traces(#[from] TracesError),
}

/// The process's logs and traces.
#[derive(Debug)]
pub struct Telemetry {
    log_level: LogLevel,
    traces: Option<Traces>,
}

impl Telemetry {
    /// The handle by which the level of the logs is changed.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.log_level.clone()
    }

    /// Sends what was traced and not sent yet. Blocks for at most 2 s, and must not be called on a thread of the runtime
    /// that sends.
    pub fn flush(self) {
        if let Some(traces) = self.traces {
            traces.flush();
        }
    }
}

/// Sends the process's logs to standard error for the rest of its life, and its traces, on `runtime`, where the
/// environment says to.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(format: LogFormat, filter: LogFilter, runtime: &Handle) -> Result<Telemetry, TelemetryError> {
    let (filter, log_level) = LogLevel::filter(filter);
    let lines = log_fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Auto if io::stderr().is_terminal() => lines.boxed(),
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Auto | LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    let traces = Traces::from_environment(SERVICE, runtime)?;
    let spans = traces.as_ref().map(Traces::layer);
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init()?;
    Ok(Telemetry { log_level, traces })
}

#[cfg(test)]
mod tests;
