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

/// As many as there are places, and none idle for long enough to be closed for that.
fn mk_few() -> Limits {
    let never = Duration::from_secs(3600);
    Limits { connections: 2, handshake: never, head: never, idle: never, ..mk_limits() }
}

#[tokio::test]
async fn one_more_connection_takes_the_place_of_the_one_that_was_idle_for_longest() {
    for alpn in [H1, H2] {
        let server = start(mk_few()).await;
        let client = server.client(alpn);
        let mut first = client.connect().await.unwrap();
        let mut second = client.connect().await.unwrap();
        // The first to come is the last to have asked.
        for connection in [&mut second, &mut first] {
            assert!(connection.post(MUTATE, review()).await.is_ok());
        }
        tokio::time::timeout(BOUND, is_served(&client)).await.unwrap();
        assert!(first.post(MUTATE, review()).await.is_ok());
        assert!(second.post(MUTATE, review()).await.is_err());
    }
}

#[tokio::test]
async fn whoever_only_connects_keeps_nobody_out() {
    let server = start(mk_few()).await;
    // Without a handshake, without a request, and in the midst of a head.
    let silent = TcpStream::connect(server.address).await.unwrap();
    let idle = server.client(H2).tls().await.unwrap();
    let mut slow = server.client(H1).tls().await.unwrap();
    slow.write_all(b"POST /mutate HTTP/1.1\r\nhost:").await.unwrap();
    for alpn in [H1, H2, H1] {
        tokio::time::timeout(BOUND, is_served(&server.client(alpn))).await.unwrap();
    }
    drop((silent, idle, slow));
}

#[tokio::test]
async fn where_all_are_being_answered_one_more_waits_its_turn() {
    let server = start(mk_few()).await;
    let client = server.client(H1);
    let (review, mut held) = (review(), Vec::new());
    for _ in 0..2 {
        let mut stream = client.tls().await.unwrap();
        let head = format!(
            "POST {MUTATE} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            review.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // From here the server waits for the body.
        let mut answer = [0; 25];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        held.push(stream);
    }
    let one_more = async { tokio::time::timeout(BOUND, is_served(&client)).await.unwrap() };
    let answered = async {
        for mut stream in held {
            stream.write_all(review.as_ref()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    };
    tokio::join!(one_more, answered);
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
