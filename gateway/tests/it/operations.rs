//! HTTP operations of resources: what streams both ways has its time as well.

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use futures::StreamExt as _;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::support::backend::Backend;
use super::support::gateway::{Gateway, Objects, server, tool};
use super::support::wait;

fn operations() -> Value {
    let at = |method: &str, path: &str| json!({"method": method, "ingressPath": path, "service": {"name": "backend", "port": 80, "path": path}});
    json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPResource",
        "metadata": {"name": "files", "namespace": "tests"},
        "spec": {"name": "files", "operations": [at("POST", "/files/{id}"), at("GET", "/stalled/{id}")]},
    })
}

/// This at once, and then nothing more, for ever.
fn half() -> Body {
    let some = futures::stream::once(async { Ok::<_, std::io::Error>("half") });
    Body::from_stream(some.chain(futures::stream::pending()))
}

async fn mk_gateway(config: &Value, more: &[&str]) -> (Gateway, Backend, Objects) {
    let router = Router::new()
        .route("/echo", post(async |body: String| body))
        .route("/files/{id}", post(async |body: String| body))
        .route("/stalled/{id}", get(async || half()));
    let backend = Backend::serve(router).await;
    let objects = Objects::new(&[tool("echo", &json!({})), operations()]);
    objects.write("server", &server(config));
    let gateway = Gateway::start(&objects, backend.address, more, &[]).await;
    (gateway, backend, objects)
}

#[tokio::test]
async fn who_sends_slowly_is_told_so_and_no_backend_is_left_alone_for_it() {
    let (gateway, _backend, _objects) = mk_gateway(&json!({}), &["--body-time", "1s"]).await;
    let client = gateway.client();
    // More than open a circuit.
    let slow = (0..8).map(|_| client.send(Method::POST, "/files/1", &[], half()));
    for said in futures::future::join_all(slow).await {
        let said = said.expect("an answer");
        assert_eq!((said.status, said.body.as_str()), (408, "the body did not come in time\n"));
    }
    assert_eq!(gateway.metric("mcp_gateway_backends_open").await, Some(0.0));
    assert_eq!(client.call("echo", json!({})).await.result()["isError"], false);
    let whole = client.send(Method::POST, "/files/1", &[], "whole").await.expect("an answer");
    assert_eq!((whole.status, whole.body.as_str()), (200, "whole"));
}

#[tokio::test]
async fn a_backend_that_stalls_in_its_answer_is_not_waited_for() {
    let (gateway, _backend, _objects) = mk_gateway(&json!({"requestTimeout": "1s"}), &[]).await;
    let client = gateway.client();
    let answer = client.open(Method::GET, "/stalled/1", &[], Body::empty()).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let rest = timeout(wait::BOUND, answer.into_body().collect()).await.expect("it ends");
    rest.expect_err("it breaks off");
    wait::until("nothing is held for it", async || {
        let requests = gateway.metric("mcp_gateway_requests_in_flight").await;
        let calls = gateway.metric("mcp_gateway_backend_calls_in_flight").await;
        if (requests, calls) == (Some(0.0), Some(0.0)) {
            Ok(())
        } else {
            Err(format!("{requests:?}, {calls:?}"))
        }
    })
    .await;
    assert_eq!(gateway.metric(r#"mcp_gateway_backend_failures_total{cause="timeout"}"#).await, Some(1.0));
}
