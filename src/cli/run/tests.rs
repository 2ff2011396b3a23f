//! What the flags come to.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    run: RunArgs,
}

fn parse(flags: &[&str]) -> RunArgs {
    Command::parse_from(std::iter::once(&"run").chain(flags)).run
}

fn refused(flags: &[&str]) -> String {
    Command::try_parse_from(std::iter::once(&"run").chain(flags)).unwrap_err().to_string()
}

#[test]
fn without_flags_it_runs_as_in_a_cluster() {
    let args = parse(&[]);
    let settings = args.settings().unwrap();
    assert_eq!(settings.admin.port(), 8080);
    assert_eq!(settings.timing.delay, Duration::from_secs(5));
    assert_eq!(settings.timing.deadline, Duration::from_secs(25));
    assert_eq!(settings.lease.name, "mcp-operator");
    assert_eq!(settings.lease.lease_duration, Duration::from_secs(15));
    assert_eq!(args.webhook.webhook_port, 9443);
    assert_eq!(args.certificate.cert_mode, CertificateMode::SelfSigned);
    assert_eq!(args.certificate.ca_lifetime, Duration::from_secs(365 * 86_400));
    assert_eq!(args.certificate.leaf_lifetime, Duration::from_secs(90 * 86_400));
    assert_eq!(args.reconcile.concurrency.get(), 16);
}

#[test]
fn outside_a_cluster_nobody_has_to_be_waited_for() {
    let args = parse(&["--webhook-url", "https://192.168.0.7:9443/"]);
    assert_eq!(args.webhook.webhook_url.as_deref(), Some("https://192.168.0.7:9443"));
    assert_eq!(args.settings().unwrap().timing.delay, Duration::ZERO);
    let given = parse(&["--webhook-url", "https://host:9443", "--drain-delay", "1s"]);
    assert_eq!(given.settings().unwrap().timing.delay, Duration::from_secs(1));
}

#[test]
fn a_webhook_url_that_no_api_server_takes_is_refused() {
    for url in ["http://host:9443", "host:9443", "https://", "https://host/path", "https://host/?a=b", ""] {
        assert!(refused(&["--webhook-url", url]).contains("https://HOST:PORT"), "{url:?}");
    }
}

#[test]
fn a_name_that_no_object_has_is_refused() {
    for flag in [
        "--namespace",
        "--cert-secret",
        "--lease-name",
        "--mutating-configuration",
        "--validating-configuration",
    ] {
        assert!(refused(&[flag, "No_Name"]).contains("lower-case letters"), "{flag}");
    }
    assert!(refused(&["--namespace", "a.b"]).contains("at most 63"));
    assert!(refused(&["--lease-name", ""]).contains("lower-case letters"));
    assert_eq!(parse(&["--lease-name", "a.b"]).settings().unwrap().lease.name, "a.b");
    assert_eq!(parse(&["--namespace", ""]).namespace(), parse(&[]).namespace());
}

#[test]
fn flags_that_do_not_fit_together_are_refused() {
    let error = |flags: &[&str]| format!("{:#}", parse(flags).settings().unwrap_err());
    let lease = error(&["--renew-deadline", "20s"]);
    assert!(lease.contains("renew deadline 20s must be shorter than the lease duration 15s"), "{lease}");
    let drain = error(&["--drain-delay", "30s"]);
    assert!(drain.contains("--drain-delay (30s) must be shorter"), "{drain}");
}

#[test]
fn a_level_that_is_none_is_refused_with_those_there_are() {
    let error = refused(&["--log-level", "wran"]);
    assert!(error.contains("off, error, warn, info, debug, trace"), "{error}");
    assert!(refused(&["--lease-duration", "15"]).contains("must have a unit, such as 30s"));
    assert!(refused(&["--concurrency", "0"]).contains("concurrency"));
}

#[test]
fn each_process_is_its_own_candidate() {
    let args = parse(&["--pod-name", "mcp-operator-0", "--namespace", "elsewhere"]);
    let (first, second) = (args.settings().unwrap().lease, args.settings().unwrap().lease);
    assert!(first.identity.starts_with("mcp-operator-0_"));
    assert_ne!(first.identity, second.identity);
    assert_eq!(first.namespace, "elsewhere");
}
