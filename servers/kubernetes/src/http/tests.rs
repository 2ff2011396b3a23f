//! The router, as clients and kubelets meet it.

use axum::body::Body;
use axum::routing::post as post_to;
use futures::StreamExt as _;
use http::{Request, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::api_server::{answering, ok};
use crate::kubernetes::Kubernetes;

fn mk_server() -> (Server, Kubernetes) {
    let (kubernetes, _) = answering(|_, path| match path {
        "/version" => ok(&json!({
            "major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": "", "gitTreeState": "", "buildDate": "",
            "goVersion": "", "compiler": "", "platform": "",
        })),
        _ => ok(&json!({ "metadata": {}, "items": [] })),
    });
    (Server::new("test", kubernetes.clone()).unwrap(), kubernetes)
}

fn mk_router(trusted: &Trusted) -> Router {
    router(&mk_server().0, "/mcp", trusted, Readiness::default(), &CancellationToken::new())
}

fn everywhere() -> Trusted {
    Trusted::new("::".parse().unwrap(), Vec::new(), vec!["https://page.example".to_owned()])
}

fn post(body: &Value) -> http::request::Builder {
    let request = Request::post("http://weather.shop.svc/mcp")
        .header(header::HOST, "weather.shop.svc:8080")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream");
    let method = body["method"].as_str().unwrap();
    match body.pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion") {
        Some(version) => {
            request.header("MCP-Protocol-Version", version.as_str().unwrap()).header("Mcp-Method", method)
        }
        None => request,
    }
}

async fn send(router: Router, request: Request<Body>) -> (u16, Value) {
    let response = router.oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } })
}

fn modern(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    } } })
}

async fn ask(body: &Value) -> (u16, Value) {
    send(mk_router(&everywhere()), post(body).body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn both_generations_are_answered_and_no_session_is_made() {
    let body = initialize();
    let request = post(&body).body(Body::from(body.to_string())).unwrap();
    let response = mk_router(&everywhere()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("mcp-session-id"), None);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");

    let (code, answer) = ask(&modern("server/discover")).await;
    assert_eq!((code, &answer["error"]), (200, &Value::Null));
    assert!(
        answer["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")),
        "{answer}"
    );

    for body in [modern("tools/list"), json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })] {
        let (code, answer) = ask(&body).await;
        assert_eq!(code, 200, "{answer}");
        assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 3, "{answer}");
    }
}

#[tokio::test]
async fn there_is_no_stream_to_get_and_nothing_to_delete() {
    for method in ["GET", "DELETE"] {
        let request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header(header::HOST, "any")
            .header(header::ACCEPT, "text/event-stream")
            .body(Body::empty())
            .unwrap();
        assert_eq!(send(mk_router(&everywhere()), request).await.0, 405, "{method}");
    }
}

#[tokio::test]
async fn only_pages_that_are_listed_get_in() {
    let body = initialize();
    let from = async |origin: &str| {
        let request = post(&body).header(header::ORIGIN, origin).body(Body::from(body.to_string())).unwrap();
        send(mk_router(&everywhere()), request).await.0
    };
    assert_eq!(from("https://page.example").await, 200);
    for origin in ["https://evil.example", "http://page.example", "https://page.example:8443", "null"] {
        assert_eq!(from(origin).await, 403, "{origin}");
    }
}

#[tokio::test]
async fn on_loopback_no_other_name_gets_in() {
    let body = initialize();
    let request = post(&body).body(Body::from(body.to_string())).unwrap();
    let trusted = Trusted::new("127.0.0.1".parse().unwrap(), Vec::new(), Vec::new());
    assert_eq!(send(mk_router(&trusted), request).await.0, 403);
}

#[tokio::test]
async fn a_body_has_a_bound() {
    let mut body = initialize();
    body["params"]["padding"] = json!("x".repeat(MOST_BODY_BYTES));
    assert_eq!(ask(&body).await.0, 413);
}

#[tokio::test]
async fn it_is_ready_when_the_api_server_has_answered_and_until_it_ends() {
    let (server, kubernetes) = mk_server();
    let readiness = Readiness::default();
    let router = router(&server, "/mcp", &everywhere(), readiness.clone(), &CancellationToken::new());
    let get = async |path: &str| send(router.clone(), Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(get("/health").await.0, 200);
    assert_eq!(get("/ready").await, (503, json!("the API server has not been asked yet\n")));
    readiness.await_kubernetes(&kubernetes).await;
    assert_eq!(get("/ready").await.0, 200);
    readiness.end();
    assert_eq!(get("/ready").await, (503, json!("ending\n")));
    assert_eq!(get("/health").await.0, 200);
}

#[tokio::test]
async fn elsewhere_is_nothing_and_says_where_mcp_is() {
    let request = Request::post("/").body(Body::empty()).unwrap();
    let answer = send(mk_router(&everywhere()), request).await;
    assert_eq!(answer, (404, json!("nothing is here: MCP is at /mcp\n")));
}

#[tokio::test(start_paused = true)]
async fn past_the_limit_a_request_is_turned_away_at_once_and_a_slow_one_in_the_end() {
    let limit = Limit::new(1, Duration::from_secs(5));
    let router = Router::new()
        .route("/slow", get(std::future::pending::<()>))
        .route_layer(middleware::from_fn_with_state(limit, limit::limit));
    let request = || Request::get("/slow").body(Body::empty()).unwrap();
    let first = tokio::spawn(router.clone().oneshot(request()));
    tokio::task::yield_now().await;
    let second = router.oneshot(request()).await.unwrap();
    assert_eq!(second.status(), 503);
    assert_eq!(second.headers()[header::RETRY_AFTER], "1");
    assert_eq!(first.await.unwrap().unwrap().status(), 504);
}

#[tokio::test(start_paused = true)]
async fn who_sends_slowly_takes_nobodys_place() {
    let limit = Limit::new(1, Duration::from_secs(60));
    let router = Router::new()
        .route("/", post_to(async |body: String| body))
        .route_layer(middleware::from_fn_with_state(limit, limit::limit));
    let request = |body| Request::post("/").body(body).unwrap();
    let slow = || {
        let some = futures::stream::once(async { Ok::<_, std::io::Error>("half") });
        Body::from_stream(some.chain(futures::stream::pending()))
    };
    let mut slow: Vec<_> = (0..3).map(|_| Box::pin(router.clone().oneshot(request(slow())))).collect();
    for sending in &mut slow {
        assert!(futures::poll!(sending).is_pending());
    }
    assert_eq!(send(router, request(Body::from("whole"))).await, (200, json!("whole")));
    for sending in slow {
        assert_eq!(sending.await.unwrap().status(), 408);
    }
}
