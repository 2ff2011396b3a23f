//! Going down without a request that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use http::StatusCode;
use mcp_crds::kind::Kind;
use mcp_webhook::{Limits, ServeError};
use tokio::sync::{Notify, Semaphore};

use crate::support::{
    Answer, Client, H1, H2, MUTATE, TestServer, UID, Webhooks, mk_create, mk_limits, mk_tool,
};

/// Asks on and on until no connection can be had, and counts. A client as plain as can be: what it has sent on an
/// open connection has to be answered.
async fn ask_until_refused(client: Client, pause: Duration, answered: Arc<AtomicUsize>) {
    let review = mk_create(Kind::Tool, mk_tool("search")).to_string();
    while let Ok(mut connection) = client.connect().await {
        while connection.is_open().await {
            let (status, closing, body) = match connection.post(MUTATE, review.clone()).await {
                Ok(answer) => answer,
                Err(error) if is_unprocessed(&error) => break,
                Err(error) => panic!("a request failed: {error:?}"),
            };
            assert_eq!(status, StatusCode::OK);
            assert!(Answer::parse(&body, UID).allowed());
            answered.fetch_add(1, Ordering::Relaxed);
            if closing {
                break;
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// Whether the request was never sent, or is one that HTTP/2 says was not looked at: any client sends it elsewhere.
/// That this is true is seen from how many the server counts.
fn is_unprocessed(error: &hyper::Error) -> bool {
    error.is_canceled() || format!("{error:?}").contains("GoAway(b\"\", NO_ERROR, Remote)")
}

async fn drains_under_load(alpn: &'static [u8], pause: Duration) {
    let webhooks = Webhooks::new();
    let server = TestServer::start(webhooks.router.clone(), mk_limits()).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        clients.spawn(ask_until_refused(server.client(alpn), pause, Arc::clone(&answered)));
    }
    let started = Instant::now();
    while answered.load(Ordering::Relaxed) < 100 {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.shut_down();
    server.ended().await.unwrap();
    clients.join_all().await;
    let counted = format!(
        "kind=\"MCPTool\",operation=\"CREATE\",verdict=\"allowed\"}} {}\n",
        answered.load(Ordering::Relaxed)
    );
    assert!(webhooks.metrics().contains(&counted), "{counted}{}", webhooks.metrics());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_under_load_over_http1() {
    drains_under_load(H1, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_on_connections_that_rest_between_requests() {
    drains_under_load(H1, Duration::from_millis(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_under_load_over_http2() {
    drains_under_load(H2, Duration::ZERO).await;
}

/// A router whose answers wait, and say when they begin to.
fn mk_slow() -> (Router, Arc<Notify>, Arc<Semaphore>) {
    let (began, release) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (notify, wait) = (Arc::clone(&began), Arc::clone(&release));
    let handler = move || async move {
        notify.notify_one();
        drop(wait.acquire().await);
        "done"
    };
    (Router::new().route("/slow", post(handler)), began, release)
}

#[tokio::test]
async fn what_has_begun_is_answered_and_nothing_new_is_accepted() {
    for alpn in [H1, H2] {
        let (router, began, release) = mk_slow();
        let server = TestServer::start(router, mk_limits()).await;
        let client = server.client(alpn);
        let mut connection = client.connect().await.unwrap();
        let asking = tokio::spawn(async move { connection.post("/slow", "").await });
        began.notified().await;
        server.shut_down();
        while client.tls().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        release.add_permits(1);
        let (status, ..) = asking.await.unwrap().unwrap();
        assert_eq!(status, StatusCode::OK);
        server.ended().await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_close_with_its_next_answer() {
    let server = TestServer::start(Webhooks::new().router, mk_limits()).await;
    let client = server.client(H1);
    let mut connection = client.connect().await.unwrap();
    let review = mk_create(Kind::Tool, mk_tool("search")).to_string();
    assert!(!connection.post(MUTATE, review.clone()).await.unwrap().1);
    server.shut_down();
    while client.tls().await.is_ok() {}
    let (status, closing, _) = connection.post(MUTATE, review).await.unwrap();
    assert_eq!((status, closing), (StatusCode::OK, true));
    server.ended().await.unwrap();
}

#[tokio::test]
async fn an_idle_server_goes_down_once_it_has_lingered() {
    let server = TestServer::start(Webhooks::new().router, mk_limits()).await;
    let _idle = [server.client(H1).tls().await.unwrap(), server.client(H2).tls().await.unwrap()];
    let started = Instant::now();
    server.shut_down();
    server.ended().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_does_not_end_is_dropped_at_the_deadline() {
    let (router, began, _release) = mk_slow();
    let limits = Limits { drain: Duration::from_millis(500), ..mk_limits() };
    let server = TestServer::start(router, limits).await;
    let mut connection = server.client(H1).connect().await.unwrap();
    let asking = tokio::spawn(async move { connection.post("/slow", "").await });
    began.notified().await;
    server.shut_down();
    let Err(ServeError::DrainTimedOut { connections }) = server.ended().await else { panic!("drained") };
    assert_eq!(connections, 1);
    assert!(asking.await.unwrap().is_err());
}
