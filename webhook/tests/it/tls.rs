//! The server under clients that behave, and under clients that do not.

use std::time::{Duration, Instant};

use http::StatusCode;
use mcp_crds::kind::Kind;
use mcp_webhook::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    Answer, Client, H1, H2, MUTATE, TestServer, UID, Webhooks, mk_create, mk_limits, mk_tool,
};

/// Far longer than any limit that these tests set.
const BOUND: Duration = Duration::from_secs(20);

/// A limit that a test waits for, and that nothing else here meets.
const SHORT: Duration = Duration::from_secs(1);

async fn start(limits: Limits) -> TestServer {
    TestServer::start(Webhooks::new().router, limits).await
}

fn review() -> String {
    mk_create(Kind::Tool, mk_tool("search")).to_string()
}

async fn is_served(client: &Client) {
    let (status, _, body) = client.connect().await.unwrap().post(MUTATE, review()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(Answer::parse(&body, UID).allowed());
}

/// Waits until the server has closed the connection, and says how long that took.
async fn closed_after(stream: &mut (impl AsyncReadExt + Unpin)) -> Duration {
    let started = Instant::now();
    let mut rest = Vec::new();
    // A reset is as good as an end.
    let _ = tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await.expect("the server closes");
    started.elapsed()
}

#[tokio::test]
async fn both_versions_of_http_are_served_many_requests_a_connection() {
    let server = start(mk_limits()).await;
    for alpn in [H1, H2] {
        let mut connection = server.client(alpn).connect().await.unwrap();
        for _ in 0..20 {
            let (status, closing, body) = connection.post(MUTATE, review()).await.unwrap();
            assert_eq!((status, closing), (StatusCode::OK, false));
            assert!(Answer::parse(&body, UID).allowed());
        }
    }
}

#[tokio::test]
async fn large_bodies_pass_through_both() {
    let server = start(mk_limits()).await;
    let mut tool = mk_tool("search");
    tool["metadata"]["annotations"] = serde_json::json!({"a": "x".repeat(4 << 20)});
    let review = mk_create(Kind::Tool, tool).to_string();
    for alpn in [H1, H2] {
        let mut connection = server.client(alpn).connect().await.unwrap();
        let (status, _, body) = connection.post(MUTATE, review.clone()).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(Answer::parse(&body, UID).allowed());
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut_off() {
    let server = start(Limits { handshake: SHORT, ..mk_limits() }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert!(closed_after(&mut silent).await < BOUND);
}

#[tokio::test]
async fn what_is_no_tls_ends_its_own_connection_only() {
    let server = start(Limits { handshake: SHORT, ..mk_limits() }).await;
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 7, 7], &[0; 4096], &[0xff; 70_000]]
    {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may have hung up already.
        let _ = stream.write_all(garbage).await;
        assert!(closed_after(&mut stream).await < BOUND);
    }
    is_served(&server.client(H1)).await;
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let server = start(Limits { head: SHORT, ..mk_limits() }).await;
    let client = server.client(H1);
    let mut stream = client.tls().await.unwrap();
    let started = Instant::now();
    for byte in b"POST /mutate HTTP/1.1\r\nhost: localhost\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
        if stream.write_all(&[*byte]).await.is_err() || started.elapsed() > BOUND {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Two ticks of the limit, and the time that a busy machine takes.
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    is_served(&client).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let server = start(Limits { idle: Duration::from_secs(3), ..mk_limits() }).await;
    let check = async |alpn| {
        let mut connection = server.client(alpn).connect().await.unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(4500) {
            assert!(connection.post(MUTATE, review()).await.is_ok());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut idle = server.client(alpn).tls().await.unwrap();
        assert!(closed_after(&mut idle).await >= Duration::from_secs(2));
    };
    tokio::join!(check(H1), check(H2));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let limits = Limits { connections: 2, idle: Duration::from_millis(500), ..mk_limits() };
    let server = start(limits).await;
    let client = server.client(H1);
    let _held = (client.tls().await.unwrap(), client.tls().await.unwrap());
    let started = Instant::now();
    tokio::time::timeout(BOUND, is_served(&client)).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let server = start(mk_limits()).await;
    let client = server.client(H1);
    // Three times as many as there are places, each dropped at another point.
    for round in 0..192 {
        let stream = TcpStream::connect(server.address).await.unwrap();
        if round % 3 == 1 {
            drop(stream);
            drop(client.tls().await);
        } else if round % 3 == 2 {
            let mut stream = client.tls().await.unwrap();
            let review = review();
            let head =
                format!("POST /mutate HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", review.len());
            let half = review.get(..review.len() / 2).unwrap();
            stream.write_all((head + half).as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
    tokio::time::timeout(BOUND, is_served(&client)).await.unwrap();
}
