//! What is counted and logged about reviews.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mcp_crds::kind::Kind;
use mcp_webhook::{Admission, Metrics, Webhook};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{MUTATE, UID, VALIDATE, Webhooks, mk_create, mk_scale, mk_tool, mk_wrong};

#[tokio::test]
async fn reviews_are_counted_by_webhook_kind_operation_and_verdict() {
    let webhooks = Webhooks::new();
    for _ in 0..2 {
        webhooks.ask(MUTATE, &mk_create(Kind::Tool, mk_tool("search"))).await;
    }
    webhooks.ask(VALIDATE, &mk_create(Kind::Server, mk_wrong("one"))).await;
    webhooks.ask(VALIDATE, &mk_scale("many", 1, 2)).await;
    let mut foreign = mk_create(Kind::Tool, mk_tool("search"));
    foreign["request"]["kind"]["kind"] = json!("made-up-to-fill-your-memory");
    foreign["request"]["operation"] = json!("MADE-UP");
    webhooks.ask(MUTATE, &foreign).await;
    webhooks.post(MUTATE, "nothing").await;

    let metrics = webhooks.metrics();
    for (labels, count) in [
        (r#"webhook="mutating",kind="MCPTool",operation="CREATE",verdict="allowed""#, 2),
        (r#"webhook="validating",kind="MCPServer",operation="CREATE",verdict="denied""#, 1),
        (r#"webhook="validating",kind="Scale",operation="UPDATE",verdict="allowed""#, 1),
        (r#"webhook="mutating",kind="other",operation="other",verdict="denied""#, 1),
        (r#"webhook="mutating",kind="other",operation="other",verdict="malformed""#, 1),
    ] {
        let line = format!("admission_reviews_total{{{labels}}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    let line = r#"admission_review_duration_seconds_count{webhook="mutating",kind="MCPTool"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
    assert!(!metrics.contains("made-up"));
}

/// What one review logs, a JSON object a line.
fn logged(level: tracing::Level, review: &Value) -> Vec<Value> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(level).with_writer(move || writer.clone());
    let admission = Admission::new(Arc::default(), Metrics::default(), Arc::new(Instant::now));
    let review = review.to_string();
    tracing::subscriber::with_default(subscriber.finish(), || {
        // Another test may be the first to come to where something is logged, just before there is anybody to log to: nobody is
        // told of it then, until all such places are looked through again.
        admission.review(Webhook::Mutating, review.as_bytes()).unwrap();
        tracing::callsite::rebuild_interest_cache();
        log.0.lock().clear();
        admission.review(Webhook::Mutating, review.as_bytes()).unwrap();
    });
    let log = log.0.lock();
    log.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_refusal_is_logged_within_its_review() {
    let lines = logged(tracing::Level::INFO, &mk_create(Kind::Server, mk_wrong("one")));
    assert_eq!(lines.len(), 1, "{lines:?}");
    let span = &lines[0]["span"];
    for (field, value) in [
        ("name", "review"),
        ("object", "one"),
        ("uid", UID),
        ("webhook", "mutating"),
        ("kind", "MCPServer"),
        ("operation", "CREATE"),
        ("namespace", "default"),
        ("verdict", "denied"),
    ] {
        assert_eq!(span[field], value, "{span}");
    }
    assert!(lines[0]["fields"]["reason"].as_str().unwrap().starts_with("spec.port: "));
}

#[test]
fn an_accepted_review_is_not_logged_and_its_content_never() {
    let mut tool = mk_tool("search");
    tool["spec"]["description"] = json!("hidden-in-the-object");
    assert_eq!(logged(tracing::Level::INFO, &mk_create(Kind::Tool, tool.clone())), [] as [Value; 0]);
    let lines = logged(tracing::Level::TRACE, &mk_create(Kind::Tool, tool));
    assert!(!lines.is_empty() && !Value::from(lines).to_string().contains("hidden-in-the-object"));
}
