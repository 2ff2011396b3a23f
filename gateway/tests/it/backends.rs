//! Backends that answer with anything but what was asked for.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::any;
use futures::StreamExt as _;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::backend::Backend;
use super::support::client::modern;
use super::support::gateway::{Gateway, Objects, tool};

/// What a tool says that its backend answers so, to everyone.
async fn said(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
    more: Value,
) -> (Gateway, Value) {
    let backend = Backend::serve(Router::new().fallback(any(move || {
        let answer = answer();
        async move { answer }
    })))
    .await;
    let objects = Objects::new(&[tool("t", &more)]);
    let gateway = Gateway::start(&objects, backend.address, &[], &[]).await;
    let result = gateway.client().call("t", json!({})).await.result();
    (gateway, result)
}

/// What a tool says whose backend writes this to every connection, and closes it.
async fn said_raw(bytes: &'static [u8]) -> Value {
    let backend = Backend::raw(move |mut stream| async move {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(bytes).await;
    })
    .await;
    let objects = Objects::new(&[tool("t", &json!({"timeout": "2s"}))]);
    let gateway = Gateway::start(&objects, backend.address, &[], &[]).await;
    gateway.client().call("t", json!({})).await.result()
}

#[track_caller]
fn assert_says(result: &Value, sentence: &str) {
    assert_eq!(result["isError"], true, "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(sentence), "{text:?} instead of {sentence:?}");
}

fn response(status: u16, media_type: &str, body: impl Into<Body>) -> Response {
    Response::builder().status(status).header("content-type", media_type).body(body.into()).unwrap()
}

fn endless() -> Body {
    Body::from_stream(futures::stream::repeat("data: {}\n".repeat(4096)).map(Ok::<_, std::io::Error>))
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let stranger = Backend::raw(|_| async { panic!("somebody followed") }).await;
    let to = format!("http://{}/", stranger.address);
    for status in [301, 302, 303, 307, 308] {
        let to = to.clone();
        let redirect = move || {
            Response::builder()
                .status(status)
                .header("location", to.as_str())
                .body(Body::from("elsewhere"))
                .unwrap()
        };
        let (_, result) = said(redirect, json!({})).await;
        assert_says(&result, &format!("the service answered {}", StatusCode::from_u16(status).unwrap()));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    for media_type in
        ["text/plain", "text/event-stream", "application/json", "application/vnd.mcp.result+json"]
    {
        let (gateway, result) =
            said(move || response(200, media_type, endless()), json!({"timeout": "10s"})).await;
        assert!(result["isError"] == true, "{media_type}: {result}");
        assert!(gateway.resident() < 80 << 10, "{} KiB", gateway.resident());
    }
    let (_, result) =
        said(|| response(200, "text/plain", endless()), json!({"maxResponseBytes": "64Ki"})).await;
    assert_says(&result, "larger than 65536 bytes");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let drip = || {
        let drops = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        response(200, "text/plain", Body::from_stream(drops))
    };
    let begun = Instant::now();
    let (_, result) = said(drip, json!({"timeout": "500ms"})).await;
    assert_says(&result, "did not answer within 500 ms");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let backend = Backend::raw(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let objects = Objects::new(&[tool("t", &json!({"timeout": "300ms"}))]);
    let gateway = Gateway::start(&objects, backend.address, &[], &[]).await;
    let client = gateway.client();
    assert_says(&client.call("t", json!({})).await.result(), "did not answer within 300 ms");
    for _ in 0..4 {
        client.call("t", json!({})).await;
    }
    assert_says(&client.call("t", json!({})).await.result(), "left alone");
}

#[tokio::test]
async fn garbage_and_answers_that_break_off() {
    for (bytes, sentence) in [
        (b"".as_slice(), "the service's answer broke off"),
        (b"\x16\x03\x01garbage\r\n\r\n".as_slice(), "the service's answer broke off"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nhalf".as_slice(),
            "broke off",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".as_slice(), "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!".as_slice(), "broke off"),
    ] {
        assert_says(&said_raw(bytes).await, sentence);
    }
    for (media_type, body, sentence) in [
        ("application/json", "{", "no"),
        ("application/vnd.mcp.result+json", "[]", "no JSON object"),
        ("application/vnd.mcp.error+json", "{}", "an error that is none"),
        ("text/event-stream", "data: garbage\n\n", "no JSON object"),
        (
            "text/event-stream",
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n",
            "ended without a result",
        ),
        ("text/event-stream", ": nothing\n\n", "ended without a result"),
    ] {
        let (_, result) = said(move || response(200, media_type, body), json!({})).await;
        assert_says(&result, sentence);
    }
}

#[tokio::test]
async fn statuses_of_failure_are_told_with_how_the_body_begins() {
    let (_, result) = said(|| response(500, "text/plain", "the database is away"), json!({})).await;
    assert_says(&result, "500 Internal Server Error: the database is away");
    let (_, result) = said(|| response(404, "text/plain", endless()), json!({})).await;
    assert_says(&result, "404 Not Found");
}

#[tokio::test]
async fn nobody_there() {
    let nowhere = Backend::raw(|_| async {}).await;
    let address = nowhere.address;
    drop(nowhere);
    let objects = Objects::new(&[tool("t", &json!({}))]);
    let gateway = Gateway::start(&objects, address, &[], &[]).await;
    assert_says(&gateway.client().call("t", json!({})).await.result(), "could not be reached");
}

#[tokio::test]
async fn a_question_goes_to_clients_that_can_answer_it() {
    let question = json!({"method": "elicitation/create", "params": {"message": "Who?"}});
    let asks = json!({"resultType": "input_required", "inputRequests": {"name": question}}).to_string();
    let asks = any(move || {
        let asks = response(200, "application/vnd.mcp.result+json", asks.clone());
        async move { asks }
    });
    let backend = Backend::serve(Router::new().fallback(asks)).await;
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "mcp.example.com/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "tests"}, "spec": spec,
        })
    };
    let service = json!({"name": "backend", "port": 80, "path": "/asks"});
    let operation = json!({"ingressPath": "/asks/{id}", "service": service, "uri": "asks://{id}"});
    let objects = Objects::new(&[
        tool("asks", &json!({})),
        object("MCPPrompt", "asks", json!({"description": "Asks.", "service": service})),
        object("MCPResource", "asks", json!({"operations": [operation]})),
    ]);
    let gateway = Gateway::start(&objects, backend.address, &[], &[]).await;
    let client = gateway.client();
    for (method, name, params) in [
        ("tools/call", "asks", json!({"name": "asks", "arguments": {}})),
        ("prompts/get", "asks", json!({"name": "asks"})),
        ("resources/read", "asks://1", json!({"uri": "asks://1"})),
    ] {
        let refused = client.modern(method, params.clone()).await;
        assert_eq!((refused.status, &refused.message()["error"]["code"]), (400, &json!(-32021)), "{method}");
        let mut able = modern(method, params);
        able["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", name)];
        let said = client.post(&headers, able.to_string()).await.result();
        assert_eq!(said["resultType"], "input_required", "{method}: {said}");
    }
    // The older generation knows no such result.
    let session = client.session().await;
    for (method, params) in
        [("prompts/get", json!({"name": "asks"})), ("resources/read", json!({"uri": "asks://1"}))]
    {
        let said = client.legacy(&session, method, params).await.message();
        assert_eq!(said["error"]["code"], -32603, "{method}: {said}");
    }
}
