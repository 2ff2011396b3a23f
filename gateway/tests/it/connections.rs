//! Connections to backends: kept for the next call, and closed when they are of no more use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, mpsc};
use tokio::time::timeout;

use super::support::backend::Backend;
use super::support::client::{Client, modern};
use super::support::gateway::{Gateway, Objects, tool};

/// Reads a request; false at the connection's end. It comes in one piece.
async fn asked(stream: &mut TcpStream) -> bool {
    let mut request = [0; 4096];
    stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0)
}

/// Answers with this text, and then says more.
async fn answer(stream: &mut TcpStream, text: &str, more: &str) {
    let length = text.len();
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{text}{more}"
    );
    stream.write_all(whole.as_bytes()).await.expect("somebody reads it");
}

/// A gateway with a tool that this backend answers.
async fn mk_gateway(backend: &Backend, more: Value) -> (Gateway, Objects) {
    let objects = Objects::new(&[tool("t", &more)]);
    (Gateway::start(&objects, backend.address, &[], &[]).await, objects)
}

async fn called(client: &Client) -> String {
    client.call("t", json!({})).await.text()
}

/// A gateway whose tool is answered with which of the backend's connections was used, whenever so many calls wait.
async fn mk_counting(calls: usize) -> (Gateway, (Backend, Objects)) {
    let (connections, barrier) = (AtomicUsize::new(0), Arc::new(Barrier::new(calls)));
    let backend = Backend::raw(move |mut stream| {
        let (number, barrier) = (connections.fetch_add(1, Ordering::SeqCst), Arc::clone(&barrier));
        async move {
            while asked(&mut stream).await {
                barrier.wait().await;
                answer(&mut stream, &number.to_string(), "").await;
            }
        }
    })
    .await;
    let (gateway, objects) = mk_gateway(&backend, json!({})).await;
    (gateway, (backend, objects))
}

#[tokio::test]
async fn a_connection_is_used_again_and_by_one_call_at_a_time() {
    for calls in [1, 8] {
        let (gateway, _parts) = mk_counting(calls).await;
        let client = gateway.client();
        for _ in 0..5 {
            let mut said = join_all((0..calls).map(|_| called(&client))).await;
            said.sort_unstable();
            assert_eq!(said, (0..calls).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_backend_closes_is_not_used_again() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let backend = Backend::raw(move |mut stream| {
        let closed = closed.clone();
        async move {
            if asked(&mut stream).await {
                answer(&mut stream, "once", "").await;
                drop(stream);
                closed.send(()).expect("the test runs");
            }
        }
    })
    .await;
    let (gateway, _objects) = mk_gateway(&backend, json!({})).await;
    let client = gateway.client();
    for _ in 0..10 {
        assert_eq!(called(&client).await, "once");
        // The gateway hears of it before it hears of the next call.
        closes.recv().await.expect("it closes");
    }
}

#[tokio::test]
async fn nobody_gets_what_a_backend_says_before_it_is_asked() {
    let poison = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\npoison";
    let backend = Backend::raw(move |mut stream| async move {
        while asked(&mut stream).await {
            answer(&mut stream, "answer", poison).await;
        }
    })
    .await;
    let (gateway, _objects) = mk_gateway(&backend, json!({})).await;
    let client = gateway.client();
    for _ in 0..10 {
        assert_eq!(called(&client).await, "answer");
    }
}

#[tokio::test]
async fn a_backend_that_answers_before_it_has_everything_is_sent_no_more() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let backend = Backend::raw(move |mut stream| {
        let ended = ended.clone();
        async move {
            assert!(asked(&mut stream).await);
            answer(&mut stream, "enough", "").await;
            while asked(&mut stream).await {}
            ended.send(()).expect("the test runs");
        }
    })
    .await;
    let service = json!({"name": "backend", "port": 80, "path": "/files"});
    let objects = Objects::new(&[json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPResource",
        "metadata": {"name": "files", "namespace": "tests"},
        "spec": {"operations": [{"method": "POST", "ingressPath": "/files", "service": service}]},
    })]);
    let gateway = Gateway::start(&objects, backend.address, &[], &[]).await;
    let some = futures::stream::once(async { Ok::<_, std::io::Error>("half") });
    let endless = Body::from_stream(some.chain(futures::stream::pending()));
    let answered = gateway.client().send(Method::POST, "/files", &[], endless).await.expect("an answer");
    assert_eq!((answered.status, answered.body.as_str()), (200, "enough"));
    timeout(Duration::from_secs(20), ends.recv()).await.expect("its connection is closed");
}

#[tokio::test]
async fn a_call_that_is_given_up_closes_its_connection() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let backend = Backend::raw(move |mut stream| {
        let ended = ended.clone();
        async move {
            // It answers nothing, and waits for the end.
            while asked(&mut stream).await {
                ended.send("asked").expect("the test runs");
            }
            ended.send("closed").expect("the test runs");
        }
    })
    .await;
    let (gateway, _objects) = mk_gateway(&backend, json!({"timeout": "300ms"})).await;
    let mut next = async || timeout(Duration::from_secs(30), ends.recv()).await.expect("in time");
    assert!(called(&gateway.client()).await.contains("did not answer within 300 ms"));
    assert_eq!((next().await, next().await), (Some("asked"), Some("closed")));

    let (gateway, _objects) = mk_gateway(&backend, json!({"timeout": "10m"})).await;
    let client = gateway.client();
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "t")];
    let call = modern("tools/call", json!({"name": "t", "arguments": {}})).to_string();
    tokio::select! {
        answered = client.post(&headers, call) => panic!("{}", answered.status),
        asked = next() => assert_eq!(asked, Some("asked")),
    }
    assert_eq!(next().await, Some("closed"), "the client is gone");
}
