//! How a gateway ends when it is told to.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::support::backend::Backend;
use super::support::client::modern;
use super::support::gateway::{Gateway, Objects, tool};
use super::support::wait;

/// A gateway with one tool, whose backend counts who came, and answers as many as it is let.
struct Served {
    gateway: Gateway,
    came: Arc<Semaphore>,
    may_answer: Arc<Semaphore>,
    _parts: (Backend, Objects),
}

impl Served {
    async fn start(more: &[&str]) -> Self {
        let (came, may_answer) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (coming, waiting) = (Arc::clone(&came), Arc::clone(&may_answer));
        let held = move || {
            let (came, may_answer) = (Arc::clone(&coming), Arc::clone(&waiting));
            async move {
                came.add_permits(1);
                may_answer.acquire().await.expect("it is open").forget();
                "done"
            }
        };
        let backend = Backend::serve(Router::new().route("/held", post(held))).await;
        let objects = Objects::new(&[tool("held", &json!({}))]);
        let gateway = Gateway::start(&objects, backend.address, more, &[]).await;
        Self { gateway, came, may_answer, _parts: (backend, objects) }
    }
}

#[tokio::test]
async fn what_has_begun_is_finished_and_streams_end_as_the_protocol_has_it() {
    let mut served = Served::start(&["--drain-delay", "5s"]).await;
    let client = served.gateway.client();
    let session = client.session().await;
    let of_session = client.stream(&session).await.into_body();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "subscriptions/listen"),
    ];
    let listen = modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let listening = client.open(Method::POST, "/mcp", &headers, listen.to_string()).await.expect("a stream");
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("held", json!({})).await }
    });
    served.came.acquire().await.expect("it is open").forget();

    served.gateway.process.signal("TERM");
    wait::until("it says that it ends, and still answers", async || {
        let said = client.get("/ready", &[]).await?;
        if (said.status, said.body.as_str()) == (503, "shutting down\n") { Ok(()) } else { Err(said.body) }
    })
    .await;
    let ended = async { (of_session.collect().await, listening.into_body().collect().await) };
    let (of_session, listening) = timeout(wait::BOUND, ended).await.expect("the streams end");
    of_session.expect("in good order");
    let told = String::from_utf8(listening.expect("in good order").to_bytes().into()).unwrap();
    assert!(told.contains(r#""resultType":"complete""#), "the subscription has its result: {told}");
    // From here on nobody is accepted any more, and who came before is answered.
    served.may_answer.add_permits(1);
    assert_eq!(call.await.unwrap().text(), "done");
    let code = timeout(wait::BOUND, served.gateway.process.ended()).await.expect("it ends");
    assert_eq!(code, 0, "{}", served.gateway.process.output.end("", 20));
}

#[tokio::test]
async fn what_does_not_end_is_dropped_in_the_end() {
    let mut served = Served::start(&["--drain-timeout", "1s"]).await;
    let client = served.gateway.client();
    let call = tokio::spawn(async move {
        let body = modern("tools/call", json!({"name": "held", "arguments": {}})).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "held"),
        ];
        client.send(Method::POST, "/mcp", &headers, body).await
    });
    served.came.acquire().await.expect("it is open").forget();
    served.gateway.process.signal("TERM");
    // Below the time that the tool has.
    let code = timeout(Duration::from_secs(20), served.gateway.process.ended()).await.expect("it ends");
    assert_eq!(code, 0);
    assert_eq!(served.gateway.process.output.containing("did not end in time").len(), 1);
    call.await.unwrap().expect_err("its connection is closed");
}
