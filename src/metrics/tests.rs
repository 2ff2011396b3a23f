//! What a scrape shows.

use super::*;

fn scrape(metrics: Metrics) -> String {
    metrics.into_scrape().encode().unwrap()
}

#[test]
fn passes_are_counted_by_kind_and_outcome() {
    let metrics = Metrics::new();
    let reconciles = metrics.reconciles();
    reconciles.observe(Kind::Server, Outcome::Success, Duration::from_millis(20));
    reconciles.observe(Kind::Server, Outcome::Success, Duration::from_millis(20));
    reconciles.observe(Kind::Tool, Outcome::NotLeading, Duration::from_millis(1));
    let text = scrape(metrics);
    for line in [
        r#"mcp_operator_reconciles_total{kind="MCPServer",outcome="success"} 2"#,
        r#"mcp_operator_reconciles_total{kind="MCPTool",outcome="not_leading"} 1"#,
        r#"mcp_operator_reconciles_total{kind="MCPPrompt",outcome="panic"} 0"#,
        r#"mcp_operator_reconcile_duration_seconds_count{kind="MCPServer"} 2"#,
        r#"mcp_operator_reconcile_duration_seconds_bucket{le="0.025",kind="MCPServer"} 2"#,
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
}

#[test]
fn what_other_parts_know_is_asked_for_at_each_scrape() {
    let mut metrics = Metrics::new();
    let queue = WorkQueue::default();
    metrics.watch_queue(queue.clone());
    metrics.watch_catalog(|kind| usize::from(kind == Kind::Tool) * 3);
    metrics.watch_conflicts(|_| 0);
    metrics.watch_certificates(|certificate| (certificate == Certificate::Leaf).then_some(1_000), || 1_060);
    let scrape = metrics.into_scrape();
    assert!(scrape.encode().unwrap().contains(r#"mcp_operator_queue_depth{state="ready"} 0"#));
    queue.add("a");
    let text = scrape.encode().unwrap();
    for line in [
        r#"mcp_operator_queue_depth{state="ready"} 1"#,
        r#"mcp_operator_catalog_objects{kind="MCPTool"} 3"#,
        r#"mcp_operator_conflicts{kind="MCPServer"} 0"#,
        r#"mcp_operator_certificate_expiry_seconds{certificate="leaf"} -60"#,
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
    assert!(!text.contains(r#"certificate="ca""#), "unknown is not zero");
}

#[test]
fn the_build_and_the_process_are_shown() {
    let text = scrape(Metrics::new());
    assert!(text.contains(&format!("mcp_operator_build_info{{version=\"{}\",", crate::VERSION)), "{text}");
    for family in [
        "process_cpu_seconds_total ",
        "process_start_time_seconds ",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_max_fds ",
    ] {
        assert!(text.contains(&format!("\n{family}")), "{family} not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn other_parts_register_under_the_same_prefix() {
    let mut metrics = Metrics::new();
    let reviews: Counter = Counter::default();
    metrics.registry().register("admission_reviews", "Reviews", reviews.clone());
    reviews.inc();
    assert!(scrape(metrics).contains("\nmcp_operator_admission_reviews_total 1\n"));
}

#[test]
fn every_family_is_described_once() {
    let mut metrics = Metrics::new();
    metrics.watch_queue(WorkQueue::<u8>::default());
    metrics.watch_catalog(|_| 0);
    metrics.watch_conflicts(|_| 0);
    metrics.watch_certificates(|_| Some(1), || 0);
    let text = scrape(metrics);
    let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all, "{text}");
    let helps = text.lines().filter(|line| line.starts_with("# HELP "));
    assert!(helps.clone().count() == all && helps.clone().all(|line| line.ends_with('.')), "{text}");
    assert!(!text.contains(".."), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_leader_gauge_follows_the_claim() {
    let (claims, leadership) = crate::lease::tests::mk_leadership("a");
    let mut metrics = Metrics::new();
    metrics.watch_leadership(leadership);
    let scrape = metrics.into_scrape();
    assert!(scrape.encode().unwrap().contains("\nmcp_operator_leader 0.0\n"));
    claims.send_replace(Some(crate::lease::tests::mk_claim("a", 10)));
    assert!(scrape.encode().unwrap().contains("\nmcp_operator_leader 1.0\n"));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(scrape.encode().unwrap().contains("\nmcp_operator_leader 0.0\n"));
}
