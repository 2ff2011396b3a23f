//! Clients that mean no good, or know no better. Each gets the right status, memory stays bounded, and others are served
//! meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::{any, post};
use futures::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::support::backend::Backend;
use super::support::client::{legacy, modern};
use super::support::gateway::{Gateway, Objects, server, tool};
use super::support::wait;

/// How much more a gateway may hold while it is attacked, in KiB.
const ROOM: u64 = 64 << 10;

async fn mk_gateway(more: &[&str]) -> (Gateway, Backend, Objects) {
    let echo = |request: axum::extract::Request| async move {
        // The path as it was sent, and the headers that a client could have smuggled in.
        let smuggled = request.headers().contains_key("smuggled");
        let path = request.uri().to_string();
        let body = axum::body::to_bytes(request.into_body(), 16 << 20).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let answer = json!({"path": path, "smuggled": smuggled, "body": body});
        ([("content-type", "application/json")], answer.to_string())
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        "late"
    };
    let router = Router::new().route("/slow", post(slow)).fallback(any(echo));
    let backend = Backend::serve(router).await;
    let objects = Objects::new(&[
        tool("echo", &json!({})),
        tool("slow", &json!({})),
        tool(
            "placed",
            &json!({
                "method": "GET", "service": {"path": "/files/{name}/text"},
                "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            }),
        ),
    ]);
    let gateway = Gateway::start(&objects, backend.address, more, &[]).await;
    (gateway, backend, objects)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// Everything that is answered until the connection is closed, which is within `bound`.
async fn answer(stream: &mut TcpStream, bound: Duration) -> String {
    let mut text = Vec::new();
    let read = timeout(bound, stream.read_to_end(&mut text)).await;
    let _ = read.unwrap_or_else(|_| panic!("not closed: {}", String::from_utf8_lossy(&text)));
    String::from_utf8_lossy(&text).into_owned()
}

#[track_caller]
fn assert_status(answer: &str, status: u16) {
    let head = answer.lines().next().unwrap_or_default();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?} instead of {status}");
}

/// An honest client is answered, soon.
async fn assert_serves(gateway: &Gateway) {
    let begun = Instant::now();
    assert_eq!(gateway.client().call("echo", json!({"a": 1})).await.result()["isError"], false);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn heads_that_are_too_large_or_too_many() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let before = gateway.resident();
    for head in [
        (0..100_000).map(|n| format!("x-{n}: 1\r\n")).collect::<String>(),
        format!("x: {}\r\n", "a".repeat(10 << 20)),
    ] {
        let mut stream = connect(gateway.address).await;
        let (mut read, mut write) = stream.split();
        let request = format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\n{head}\r\n");
        let mut said = [0; 12];
        let attack = async { tokio::join!(write.write_all(request.as_bytes()), read.read_exact(&mut said)) };
        let ((_, heard), ()) = tokio::join!(attack, assert_serves(&gateway));
        heard.expect("an answer");
        assert_eq!(&said, b"HTTP/1.1 431");
    }
    assert_serves(&gateway).await;
    assert!(gateway.resident() < before + ROOM, "{before} to {} KiB", gateway.resident());
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let before = gateway.resident();
    let said = gateway.client().post(&[], vec![b' '; 5 << 20]).await;
    assert_eq!(said.status, 413, "{said:?}");
    // A hundred megabytes that say beforehand that they come, and that do not; 20 at a time.
    for head in ["content-length: 104857600", "transfer-encoding: chunked"] {
        let chunked = head.starts_with("transfer");
        let attacks = (0..20).map(|_| async {
            let mut stream = connect(gateway.address).await;
            let head = format!(
                "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{head}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.expect("the head");
            let mut block = if chunked { b"10000\r\n".to_vec() } else { Vec::new() };
            block.extend(vec![b'x'; 0x10000]);
            if chunked {
                block.extend(b"\r\n");
            }
            let (mut read, mut write) = stream.split();
            let send = async {
                for _ in 0..1600 {
                    if write.write_all(&block).await.is_err() {
                        break;
                    }
                }
            };
            let mut said = [0; 12];
            let (_, heard) = tokio::join!(send, read.read_exact(&mut said));
            if heard.is_ok() {
                assert_eq!(&said, b"HTTP/1.1 413");
            }
        });
        tokio::join!(futures::future::join_all(attacks), assert_serves(&gateway));
    }
    assert_serves(&gateway).await;
    // Twenty bodies of 4 MiB were being read at a time.
    assert!(gateway.resident() < before + ROOM + 20 * 8192, "{before} to {} KiB", gateway.resident());
}

#[tokio::test]
async fn requests_that_never_end_are_given_up_and_others_served_meanwhile() {
    let (gateway, _backend, _objects) = mk_gateway(&["--head-time", "1s", "--body-time", "1s"]).await;
    let half = [
        "POST /mcp HT",
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\n",
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"jsonrpc\":",
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"j",
        "",
    ];
    let mut streams = Vec::new();
    for text in half.iter().cycle().take(200) {
        let mut stream = connect(gateway.address).await;
        stream.write_all(text.as_bytes()).await.expect("half a request");
        streams.push((text, stream));
    }
    assert_serves(&gateway).await;
    for (text, mut stream) in streams {
        let said = answer(&mut stream, Duration::from_secs(30)).await;
        if text.contains("\r\n\r\n") {
            assert_status(&said, 408);
        } else {
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
        }
    }
    assert_serves(&gateway).await;
}

#[tokio::test]
async fn a_client_that_sends_byte_by_byte_does_not_hold_the_server() {
    let (gateway, _backend, _objects) = mk_gateway(&["--head-time", "1s", "--body-time", "1s"]).await;
    let mut stream = connect(gateway.address).await;
    let begun = Instant::now();
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("a head");
    let dribble = async {
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), dribble).await.expect("the connection is closed");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_serves(&gateway).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let big = "x".repeat(900 << 10);
    let backend = Backend::serve(Router::new().fallback(any(move || async move { big.clone() }))).await;
    let objects = Objects::new(&[tool("echo", &json!({}))]);
    let gateway = Gateway::start(&objects, backend.address, &["--write-time", "1s"], &[]).await;
    let before = gateway.resident();
    let body = modern("tools/call", json!({"name": "echo", "arguments": {}})).to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: */*\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: echo\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut streams = Vec::new();
    for _ in 0..12 {
        // The kernel would take megabytes for a client otherwise.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let mut stream = socket.connect(gateway.address).await.expect("a connection");
        // Twenty answers of 900 KiB, of which none is read.
        stream.write_all(request.repeat(20).as_bytes()).await.expect("requests");
        streams.push(stream);
    }
    assert!(gateway.client().call("echo", json!({})).await.status == 200);
    wait::until("what was sent is let go", async || {
        let open = gateway.metric("mcp_gateway_connections").await.unwrap_or(f64::NAN);
        if open < 6.0 { Ok(()) } else { Err(format!("{open} connections are open")) }
    })
    .await;
    assert!(gateway.resident() < before + 2 * ROOM, "{before} to {} KiB", gateway.resident());
}

#[tokio::test]
async fn json_that_is_deep_or_none() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let client = gateway.client();
    let deep = |open: &str, close: &str| {
        let depth = 500_000;
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"a":{open}1{close}}}}}}}"#
        )
    };
    let session = client.session().await;
    let headers = [("mcp-session-id", session.as_str())];
    for body in [deep("[", "]"), deep(r#"{"a":"#, "}")] {
        let (said, ()) = tokio::join!(client.post(&headers, body), assert_serves(&gateway));
        assert_eq!(said.message()["error"]["code"], -32602, "{said:?}");
    }
    for (body, code) in
        [("{", -32700), ("\u{0}", -32700), ("[[[]]]", -32600), ("{}", -32600), ("null", -32600)]
    {
        let said = client.post(&headers, body).await;
        let message = said.message();
        let first = if message.is_array() { message[0].clone() } else { message };
        assert_eq!(first["error"]["code"], code, "{body}: {said:?}");
        assert!(said.status == 400 || said.status == 200, "{said:?}");
    }
    for params in
        [r#"{"name":"echo","arguments":{"a":1,"a":2}}"#, r#"{"name":"echo","name":"echo"}"#, r#"{"name":1}"#]
    {
        let wrong = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#);
        let said = client.post(&headers, wrong).await.message();
        assert_eq!((&said["error"]["code"], &said["id"]), (&json!(-32602), &json!(7)), "{params}: {said}");
    }
    assert_serves(&gateway).await;
}

#[tokio::test]
async fn values_without_number_are_not_checked_one_by_one() {
    let (gateway, _backend, objects) = mk_gateway(&[]).await;
    let schema =
        json!({"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}});
    objects.write("typed", &tool("typed", &json!({"inputSchema": schema})));
    let client = gateway.client();
    let call = async |count: usize| client.call("typed", json!({"words": vec![0; count]})).await;
    wait::until("the tool is served", async || {
        let said = call(0).await.message();
        if said["result"]["isError"] == false { Ok(()) } else { Err(said.to_string()) }
    })
    .await;
    let before = gateway.resident();
    let wrong = call(1_000).await.text();
    assert_eq!(wrong.lines().count(), 1 + 20, "{wrong}");
    let refused = call(2_000_000).await.message();
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    assert!(gateway.resident() < before + ROOM, "{before} to {} KiB", gateway.resident());
}

#[tokio::test]
async fn bodies_that_are_still_coming_are_bounded_together() {
    let (gateway, _backend, _objects) =
        mk_gateway(&["--max-bodies-bytes", "1000000", "--body-time", "10m"]).await;
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 400000\r\n\r\n";
    let half = [head.as_bytes(), &[b' '; 300_000]].concat();
    let mut stalling = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(gateway.address).await;
        let half = half.clone();
        stalling.push(Box::pin(async move {
            let mut said = vec![0; 4096];
            stream.write_all(&half).await.expect("a part of a body");
            let read = stream.read(&mut said).await.expect("an answer");
            (String::from_utf8_lossy(&said[..read]).into_owned(), stream)
        }));
    }
    // Three fit; who comes last is chance.
    let answered = timeout(wait::BOUND, futures::future::select_all(stalling)).await.expect("one is refused");
    let ((said, _stream), _, others) = answered;
    assert_status(&said, 503);
    assert!(said.contains("retry-after: 1"), "{said}");
    assert_eq!(gateway.metric(r#"mcp_gateway_refused_total{bound="bodies"}"#).await, Some(1.0));
    // What comes in one piece waits for nothing.
    assert_serves(&gateway).await;
    drop(others);
}

#[tokio::test]
async fn batches_are_bounded_and_known_to_one_version_alone() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let client = gateway.client();
    let params = json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let begun = client.post(&[], legacy(1, "initialize", &params).to_string()).await;
    let session = begun.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let headers = [("mcp-session-id", session.as_str())];
    let batch = |count: u64| {
        let calls = (0..count).map(|id| legacy(id, "tools/call", &json!({"name": "echo", "arguments": {}})));
        Value::from_iter(calls).to_string()
    };
    let answered = client.post(&headers, batch(50)).await;
    assert_eq!(answered.message().as_array().map(Vec::len), Some(50));
    assert_eq!(client.post(&headers, batch(51)).await.status, 400);
    assert_eq!(client.post(&headers, batch(40_000)).await.status, 400);
    let newer = client.session().await;
    assert_eq!(client.post(&[("mcp-session-id", newer.as_str())], batch(2)).await.status, 400);
}

#[tokio::test]
async fn an_id_is_not_used_twice_at_a_time() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let client = gateway.client();
    let session = client.session().await;
    let call = || client.legacy(&session, "tools/call", json!({"name": "slow", "arguments": {}}));
    let (first, second) = tokio::join!(call(), call());
    let codes = [&first, &second].map(|said| said.message()["error"]["code"].clone());
    assert!(codes.contains(&Value::Null) && codes.contains(&json!(-32600)), "{first:?} {second:?}");
    assert_eq!(call().await.status, 200, "it is free again");
}

#[tokio::test]
async fn more_than_the_server_takes_at_a_time_is_refused_at_once() {
    let (gateway, _backend, objects) = mk_gateway(&[]).await;
    objects.write("server", &server(&json!({"maxConcurrentRequests": 4})));
    let client = gateway.client();
    wait::until("the bound is in force", async || {
        let calls = (0..12).map(|_| client.call("slow", json!({})));
        let answers = futures::future::join_all(calls).await;
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
        if refused.len() != 8 {
            return Err(format!("{} were refused", refused.len()));
        }
        assert!(refused.iter().all(|answer| answer.headers.contains_key("retry-after")));
        Ok(())
    })
    .await;
    assert_serves(&gateway).await;
}

#[tokio::test]
async fn forged_hosts_and_origins() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let body = modern("tools/list", json!({})).to_string();
    let send = async |headers: &str| {
        let mut stream = connect(gateway.address).await;
        let request = format!(
            "POST /mcp HTTP/1.1\r\n{headers}connection: close\r\ncontent-type: application/json\r\naccept: */*\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("a request");
        answer(&mut stream, wait::BOUND).await
    };
    assert_status(&send("host: localhost\r\n").await, 200);
    assert_status(&send("host: localhost\r\norigin: http://localhost:5173\r\n").await, 200);
    for headers in [
        "host: evil.example.com\r\n",
        "host: localhost.evil.example.com\r\n",
        "host: localhost\r\norigin: http://evil.example.com\r\n",
        "host: localhost\r\norigin: null\r\n",
        "host: localhost\r\norigin: http://localhost@evil.example.com\r\n",
        "host: localhost\r\nhost: evil.example.com\r\n",
        "",
    ] {
        let said = send(headers).await;
        assert!(
            said.starts_with("HTTP/1.1 403 ") || said.starts_with("HTTP/1.1 400 "),
            "{headers:?}: {said}"
        );
    }
}

#[tokio::test]
async fn a_placeholder_leads_nowhere_else() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let client = gateway.client();
    for name in [
        "..",
        ".",
        "../../admin",
        "%2e%2e",
        "a/../../b",
        "a\\..\\b",
        "",
        "\u{0}",
        "//evil.example.com/",
        "a?b=c#d",
        "@evil",
    ] {
        let said = client.call("placed", json!({"name": name})).await.result();
        if said["isError"] == true {
            continue;
        }
        let path = said["structuredContent"]["path"].as_str().unwrap();
        assert_eq!(path.matches('/').count(), 3, "{name:?}: {path}");
        assert!(path.starts_with("/files/") && path.ends_with("/text"), "{name:?}: {path}");
        assert!(!matches!(path, "/files/../text" | "/files/./text" | "/files//text"), "{name:?}: {path}");
    }
    for name in ["..", ".", ""] {
        assert_eq!(client.call("placed", json!({"name": name})).await.result()["isError"], true, "{name:?}");
    }
}

#[tokio::test]
async fn an_argument_becomes_no_header() {
    let (gateway, _backend, _objects) = mk_gateway(&[]).await;
    let client = gateway.client();
    for text in ["a\r\nsmuggled: 1", "a HTTP/1.1\r\nsmuggled: 1\r\n\r\n", "a\nsmuggled: 1"] {
        for name in ["placed", "echo"] {
            let said = client.call(name, json!({"name": text, text: text})).await.result();
            if said["isError"] == false {
                assert_eq!(said["structuredContent"]["smuggled"], false, "{text:?}");
            }
        }
    }
}

#[tokio::test]
async fn streams_are_bounded_and_those_whose_client_is_gone_are_let_go() {
    let (gateway, _backend, _objects) = mk_gateway(&["--max-streams", "20"]).await;
    let client = gateway.client();
    let body =
        || modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "subscriptions/listen"),
    ];
    let mut open = Vec::new();
    for _ in 0..20 {
        let stream = client.open(Method::POST, "/mcp", &headers, body()).await.expect("a stream");
        assert_eq!(stream.status(), 200);
        open.push(stream);
    }
    let refused = client.send(Method::POST, "/mcp", &headers, body()).await.expect("an answer");
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (503, true));
    drop(open);
    wait::until("they are let go", async || match gateway.metric("mcp_gateway_streams_open").await {
        Some(0.0) => Ok(()),
        other => Err(format!("{other:?} are open")),
    })
    .await;
}

#[tokio::test]
async fn an_endless_body_to_an_operation_is_bounded() {
    let (gateway, _backend, objects) = mk_gateway(&[]).await;
    objects.write("operation", &json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPResource",
        "metadata": {"name": "files", "namespace": "tests"},
        "spec": {"name": "files", "operations": [
            {"method": "POST", "ingressPath": "/files/{id}", "service": {"name": "backend", "port": 80, "path": "/f/{id}"}},
        ]},
    }));
    let client = gateway.client();
    wait::until("it is served", async || {
        let said = client.send(Method::POST, "/files/1", &[], "text").await?;
        if said.status == 200 { Ok(()) } else { Err(said.body) }
    })
    .await;
    let endless = futures::stream::repeat(vec![b'x'; 1 << 16]).map(Ok::<_, std::io::Error>);
    let said = client.send(Method::POST, "/files/1", &[], Body::from_stream(endless)).await;
    // Whether the refusal is heard before the connection is closed is the network's.
    assert!(said.as_ref().map_or(true, |said| said.status == 413), "{said:?}");
    for path in ["/files/%2e%2e", "/files/..%2f..%2fadmin", "/files/a%00b"] {
        let said = client.send(Method::POST, path, &[], "text").await.expect("an answer");
        assert!(said.status >= 400 || said.body.contains(r#""path":"/f/"#), "{path}: {said:?}");
        assert!(!said.body.contains("/f/.."), "{path}: {said:?}");
    }
    assert_serves(&gateway).await;
}
