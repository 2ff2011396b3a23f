//! Traces, as a collector receives them: OTLP over HTTP, from a gateway that was told where to by the environment alone.

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use parking_lot::Mutex;
use prost::Message as _;
use serde_json::{Value, json};

use super::support::backend::Backend;
use super::support::client::{Client, modern};
use super::support::gateway::{Gateway, Objects, tool};
use super::support::wait;

/// The caller's trace, and its span in it.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Of a collector: the spans that it was sent, each with what is said of who sent it.
type Received = Arc<Mutex<Vec<(Vec<KeyValue>, Span)>>>;

/// A collector, which takes nothing but what the protocol asks for, and what it has received.
async fn mk_collector() -> (Backend, Received) {
    let received = Received::default();
    let keep = Arc::clone(&received);
    let receive = move |headers: HeaderMap, body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body);
        let is_protobuf = headers.get("content-type").is_some_and(|it| it == "application/x-protobuf");
        let status = match request {
            Ok(request) if is_protobuf => {
                for of_process in request.resource_spans {
                    let process = of_process.resource.unwrap_or_default().attributes;
                    let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    keep.lock().extend(spans.map(|span| (process.clone(), span)));
                }
                StatusCode::OK
            }
            _ => StatusCode::BAD_REQUEST,
        };
        async move { status }
    };
    (Backend::serve(Router::new().route("/v1/traces", post(receive))).await, received)
}

/// A backend that answers with the `traceparent` that it was called with.
async fn mk_backend() -> Backend {
    let echo = async |headers: HeaderMap| {
        let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        ([("content-type", "application/json")], json!({"traceparent": traceparent}).to_string())
    };
    Backend::serve(Router::new().route("/echo", post(echo))).await
}

/// A gateway that sends its spans to a collector, in batches as often as this.
async fn mk_gateway(objects: &Objects, backend: &Backend, collector: &Backend, delay: &str) -> Gateway {
    let endpoint = format!("http://{}", collector.address);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", delay)];
    Gateway::start(objects, backend.address, &[], &variables).await
}

/// Calls the tool within a trace, and gives the `traceparent` that the backend saw.
async fn call(client: &Client, in_header: Option<&str>, in_meta: Option<&str>) -> String {
    let mut message = modern("tools/call", json!({"name": "echo", "arguments": {}}));
    if let Some(traceparent) = in_meta {
        message["params"]["_meta"]["traceparent"] = traceparent.into();
    }
    let mut headers =
        vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
    headers.extend(in_header.map(|traceparent| ("traceparent", traceparent)));
    let result = client.post(&headers, message.to_string()).await.result();
    result["structuredContent"]["traceparent"].as_str().expect("a traceparent").to_owned()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An attribute, where it is a text.
fn text(attributes: &[KeyValue], key: &str) -> Value {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()) {
        Some(AnyValue { value: Some(StringValue(text)) }) => text.as_str().into(),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn a_call_is_a_span_below_the_callers_and_above_the_backends() {
    let (backend, (collector, received)) = (mk_backend().await, mk_collector().await);
    let objects = Objects::new(&[tool("echo", &json!({}))]);
    let gateway = mk_gateway(&objects, &backend, &collector, "100").await;
    let client = gateway.client();
    // Whom nobody traces is passed on, and sent nowhere.
    let untraced = format!("00-11111111111111111111111111111111-{CALLER}-00");
    let passed = call(&client, Some(&untraced), None).await;
    assert!(
        passed.starts_with("00-11111111111111111111111111111111-") && passed.ends_with("-00"),
        "{passed}"
    );
    let own = format!("00-{TRACE}-{CALLER}-01");
    let other = "00-22222222222222222222222222222222-2222222222222222-01";
    for (in_header, in_meta) in [(Some(&*own), None), (None, Some(&*own)), (Some(other), Some(&*own))] {
        let traceparent = call(&client, in_header, in_meta).await;
        let (process, span) =
            wait::until(format!("the collector has the span of {traceparent}"), async || {
                let received = received.lock();
                let parent_of_backend = |span: &Span| format!("00-{TRACE}-{}-01", hex(&span.span_id));
                let found = received.iter().find(|(_, span)| parent_of_backend(span) == traceparent);
                found.cloned().ok_or_else(|| format!("{received:?}"))
            })
            .await;
        assert_eq!((&*hex(&span.trace_id), &*hex(&span.parent_span_id)), (TRACE, CALLER));
        assert_eq!((&*span.name, span.kind()), ("tools/call", SpanKind::Server));
        assert!(span.start_time_unix_nano > 0 && span.start_time_unix_nano < span.end_time_unix_nano);
        assert_eq!(text(&span.attributes, "mcp.method.name"), "tools/call");
        assert_eq!(text(&span.attributes, "mcp.protocol.version"), "2026-07-28");
        assert_eq!(text(&process, "service.name"), "mcp-gateway");
        assert_eq!(text(&process, "service.version"), env!("CARGO_PKG_VERSION"));
    }
    let spans: Vec<_> = received.lock().iter().map(|(_, span)| hex(&span.trace_id)).collect();
    assert_eq!(spans, [TRACE; 3], "one span a call, and none of an untraced one");
}

#[tokio::test]
async fn what_was_traced_last_is_sent_before_the_end() {
    let (backend, (collector, received)) = (mk_backend().await, mk_collector().await);
    let objects = Objects::new(&[tool("echo", &json!({}))]);
    // It would send nothing for an hour.
    let mut gateway = mk_gateway(&objects, &backend, &collector, "3600000").await;
    let traceparent = call(&gateway.client(), Some(&format!("00-{TRACE}-{CALLER}-01")), None).await;
    assert!(received.lock().is_empty());
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.ended().await, 0);
    let received = received.lock();
    let spans: Vec<_> = received.iter().map(|(_, span)| hex(&span.span_id)).collect();
    assert_eq!(spans, [traceparent.split('-').nth(2).expect("a span")]);
}
