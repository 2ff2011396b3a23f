//! Logs: on standard error, because standard output may be the protocol's.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

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

/// Begins to log.
///
/// # Errors
/// Where something else receives the process's logs already.
pub fn init(format: LogFormat, level: LevelFilter) -> Result<(), TryInitError> {
    let is_json = match format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if is_json {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        lines.with_ansi(io::stderr().is_terminal()).boxed()
    };
    // What the SDK says of a request is said here better, once for each.
    let targets = Targets::new().with_default(level);
    let filter = if level > LevelFilter::INFO {
        targets
    } else {
        targets.with_target("rmcp", level.min(LevelFilter::ERROR))
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
}
