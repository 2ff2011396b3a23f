//! Connections to backends: kept for the next call, and closed when they are of no more use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

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

/// A backend that answers each request with which of its connections that came on, and how many it has had.
async fn mk_counting() -> (Backend, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let backend = Backend::raw(move |mut stream| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            while asked(&mut stream).await {
                sleep(Duration::from_millis(20)).await;
                answer(&mut stream, &number.to_string(), "").await;
            }
        }
    })
    .await;
    (backend, connections)
}

#[tokio::test]
async fn a_connection_is_used_again_and_by_one_call_at_a_time() {
    let (backend, connections) = mk_counting().await;
    let (gateway, _objects) = mk_gateway(&backend, json!({})).await;
    let client = gateway.client();
    for _ in 0..10 {
        assert_eq!(called(&client).await, "0");
    }
    for _ in 0..3 {
        let mut said = join_all((0..8).map(|_| called(&client))).await;
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), 8, "{said:?}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn a_connection_that_the_backend_closes_is_not_used_again() {
    let backend = Backend::raw(|mut stream| async move {
        if asked(&mut stream).await {
            answer(&mut stream, "once", "").await;
        }
    })
    .await;
    let (gateway, _objects) = mk_gateway(&backend, json!({})).await;
    let client = gateway.client();
    for _ in 0..10 {
        assert_eq!(called(&client).await, "once");
        // The end of the connection takes a moment to come.
        sleep(Duration::from_millis(20)).await;
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
