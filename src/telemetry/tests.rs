//! Filters, and a level that changes under a running process.

use super::*;

fn parse(text: &str) -> Result<String, InvalidLogFilter> {
    text.parse::<LogFilter>().map(|filter| filter.to_string())
}

#[test]
fn filters_that_are_understood() {
    assert_eq!(parse("debug").unwrap(), "debug");
    assert_eq!(parse("WARN").unwrap(), "warn");
    assert_eq!(parse("kube=debug").unwrap(), "info,kube=debug");
    assert_eq!(
        parse(" off , mcp_operator::lease = trace,kube=warn").unwrap(),
        "off,kube=warn,mcp_operator::lease=trace"
    );
}

#[test]
fn a_filter_reads_back_as_it_was_written() {
    let filter: LogFilter = "error,a=debug,b::c=off".parse().unwrap();
    assert_eq!(filter.to_string().parse(), Ok(filter));
}

#[test]
fn mistakes_are_refused_and_named() {
    assert_eq!(parse("wran"), Err(InvalidLogFilter::Level("wran".into())));
    assert_eq!(parse(""), Err(InvalidLogFilter::Level(String::new())));
    assert_eq!(parse("5"), Err(InvalidLogFilter::Level("5".into())));
    assert_eq!(parse("kube="), Err(InvalidLogFilter::Level(String::new())));
    assert_eq!(parse("=debug"), Err(InvalidLogFilter::Target(String::new())));
    assert_eq!(parse("kube[span]=debug"), Err(InvalidLogFilter::Target("kube[span]".into())));
    assert_eq!(parse("info,debug"), Err(InvalidLogFilter::Repeated("everything".into())));
    assert_eq!(parse("a=info,a=debug"), Err(InvalidLogFilter::Repeated("a".into())));
    assert_eq!(parse(&"a".repeat(LogFilter::MAX_BYTES + 1)), Err(InvalidLogFilter::TooLong));
}

#[test]
fn the_level_changes_while_running() {
    let (filter, level) = LogLevel::filter(LogFilter::default());
    let lines = log_fmt::layer().with_writer(io::sink).with_filter(filter);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
        let debugs = || tracing::enabled!(target: "mcp_operator::lease", tracing::Level::DEBUG);
        assert!(!debugs());
        let filter: LogFilter = "warn,mcp_operator::lease=debug".parse().unwrap();
        level.set(filter.clone()).unwrap();
        assert!(debugs());
        assert!(!tracing::enabled!(target: "kube", tracing::Level::INFO));
        assert_eq!(level.get(), filter);
    });
}

#[test]
fn a_level_nobody_logs_by_cannot_be_changed() {
    let (filter, level) = LogLevel::filter(LogFilter::default());
    drop(filter);
    assert!(level.set("debug".parse().unwrap()).is_err());
    assert_eq!(level.get(), LogFilter::default());
}
