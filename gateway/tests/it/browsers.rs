//! Pages in browsers: those of allowed origins can call, and read what is answered.

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::Method;
use serde_json::json;

use super::support::backend::Backend;
use super::support::client::{Answer, legacy};
use super::support::gateway::{Gateway, Objects, server};

const PAGE: &str = "https://app.example.com";

async fn mk_gateway() -> (Gateway, Backend, Objects) {
    let router = Router::new().fallback(any(async || ([("access-control-allow-origin", "*")], "text")));
    let backend = Backend::serve(router).await;
    let objects = Objects::new(&[json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPResource",
        "metadata": {"name": "files", "namespace": "tests"},
        "spec": {"name": "files", "operations": [
            {"method": "PUT", "ingressPath": "/files/{id}", "service": {"name": "backend", "port": 80, "path": "/{id}"}},
        ]},
    })]);
    objects.write("server", &server(&json!({"allowedOrigins": PAGE})));
    let gateway = Gateway::start(&objects, backend.address, &[], &[]).await;
    (gateway, backend, objects)
}

#[track_caller]
fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

async fn preflight(gateway: &Gateway, path: &str, origin: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "content-type,mcp-session-id,mcp-param-city"),
    ];
    gateway.client().send(Method::OPTIONS, path, &headers, Body::empty()).await.expect("an answer")
}

#[tokio::test]
async fn a_browser_is_told_what_a_page_may_send() {
    let (gateway, _backend, _objects) = mk_gateway().await;
    for (path, method, methods) in [("/mcp", "POST", "POST, GET, DELETE"), ("/files/1", "PUT", "PUT")] {
        let said = preflight(&gateway, path, PAGE, method).await;
        assert_eq!(said.status, 204, "{said:?}");
        assert_eq!(header(&said, "access-control-allow-origin"), Some(PAGE));
        assert_eq!(header(&said, "access-control-allow-methods"), Some(methods));
        let names = header(&said, "access-control-allow-headers");
        assert_eq!(names, Some("content-type,mcp-session-id,mcp-param-city"));
        assert_eq!(header(&said, "vary"), Some("Origin"));
        let refused = preflight(&gateway, path, "https://evil.example.com", method).await;
        assert_eq!((refused.status, header(&refused, "access-control-allow-origin")), (403, None));
    }
    assert_eq!(preflight(&gateway, "/nowhere", PAGE, "GET").await.status, 404);
}

#[tokio::test]
async fn a_page_reads_answers_and_its_session() {
    let (gateway, _backend, _objects) = mk_gateway().await;
    let client = gateway.client();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let said = client.post(&[("origin", PAGE)], legacy(1, "initialize", &params).to_string()).await;
    assert_eq!((said.status, header(&said, "access-control-allow-origin")), (200, Some(PAGE)));
    assert_eq!(header(&said, "access-control-expose-headers"), Some("mcp-session-id, retry-after"));
    assert!(said.headers.contains_key("mcp-session-id"));
    // A page must be able to read what is wrong as well.
    let wrong = client.post(&[("origin", PAGE)], "{").await;
    assert_eq!((wrong.status, header(&wrong, "access-control-allow-origin")), (400, Some(PAGE)));
    let put = client.send(Method::PUT, "/files/1", &[("origin", PAGE)], "text").await.expect("an answer");
    assert_eq!(header(&put, "access-control-allow-origin"), Some(PAGE), "and not what the backend says");
}

#[tokio::test]
async fn who_is_no_browser_sees_nothing_of_it() {
    let (gateway, _backend, _objects) = mk_gateway().await;
    let said = gateway.client().initialize().await;
    for name in ["access-control-allow-origin", "access-control-expose-headers", "vary"] {
        assert_eq!(header(&said, name), None);
    }
    let options = gateway.client().send(Method::OPTIONS, "/mcp", &[], Body::empty()).await;
    assert_eq!(options.expect("an answer").status, 405);
}
