//! What each path answers.

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::metrics::Metrics;

struct Served {
    router: Router,
    readiness: Readiness,
    drain: Drain,
    level: LogLevel,
    /// What keeps the level's subscriber.
    _subscriber: Box<dyn Send>,
}

fn mk_admin() -> Served {
    let (filter, level) = LogLevel::filter(LogFilter::default());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(lines);
    let (readiness, drain) = (Readiness::new(), Drain::new());
    let router = router(Admin {
        scrape: Arc::new(Metrics::new().into_scrape()),
        readiness: readiness.clone(),
        drain: drain.clone(),
        log_level: Some(level.clone()),
    });
    Served { router, readiness, drain, level, _subscriber: Box::new(subscriber) }
}

impl Served {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        peer: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.ask(Method::GET, path, "10.0.0.9:4000", Body::empty()).await
    }

    async fn put_level(&self, peer: &str, body: impl Into<Body>) -> (StatusCode, String) {
        self.ask(Method::PUT, "/loglevel", peer, body).await
    }
}

#[tokio::test]
async fn readyz_names_what_is_missing_until_nothing_is() {
    let served = mk_admin();
    let (watches, certificate) = (served.readiness.gate("watches"), served.readiness.gate("certificate"));
    certificate.close("Secret mcp-operator-webhook-cert not found");
    let (status, body) = served.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        body,
        "not ready, waiting for:\ncertificate: Secret mcp-operator-webhook-cert not found\nwatches\n"
    );
    watches.open();
    certificate.open();
    assert_eq!(served.get("/readyz").await, (StatusCode::OK, "ok\n".into()));
}

#[tokio::test]
async fn readyz_fails_from_the_beginning_of_the_end_and_livez_does_not() {
    let served = mk_admin();
    assert_eq!(served.get("/readyz").await.0, StatusCode::OK);
    served.drain.begin();
    assert_eq!(served.get("/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into()));
    assert_eq!(served.get("/livez").await, (StatusCode::OK, "ok\n".into()));
}

#[tokio::test]
async fn metrics_are_open_metrics() {
    let served = mk_admin();
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = served.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), metrics::CONTENT_TYPE);
    assert!(served.get("/metrics").await.1.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_level_is_read_and_changed_from_the_pod_itself() {
    let served = mk_admin();
    for peer in ["127.0.0.1:4000", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
        assert_eq!(served.put_level(peer, "info").await, (StatusCode::OK, "info\n".into()), "{peer}");
    }
    let changed = served.put_level("127.0.0.1:4000", "warn,mcp_operator::lease=debug\n").await;
    assert_eq!(changed, (StatusCode::OK, "warn,mcp_operator::lease=debug\n".into()));
    let read = served.ask(Method::GET, "/loglevel", "127.0.0.1:4000", Body::empty()).await;
    assert_eq!(read, (StatusCode::OK, "warn,mcp_operator::lease=debug\n".into()));
}

#[tokio::test]
async fn the_level_is_nobody_elses() {
    let served = mk_admin();
    for peer in ["10.0.0.9:4000", "[fd00::9]:4000", "[::ffff:10.0.0.9]:4000"] {
        assert_eq!(served.put_level(peer, "trace").await.0, StatusCode::FORBIDDEN, "{peer}");
    }
    let unknown = Request::put("/loglevel").body(Body::from("trace")).unwrap();
    let response = served.router.clone().oneshot(unknown).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN, "and not an unknown peer's");
    assert_eq!(served.level.get(), LogFilter::default());
}

#[tokio::test]
async fn a_level_that_is_none_changes_nothing_and_is_explained() {
    let served = mk_admin();
    let (status, body) = served.put_level("127.0.0.1:4000", "wran").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.starts_with("\"wran\" is not a level"), "{body}");
    let (status, _) = served.put_level("127.0.0.1:4000", "x".repeat(100_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(served.level.get(), LogFilter::default());
}

#[tokio::test]
async fn anything_else_is_not_found_or_not_allowed() {
    let served = mk_admin();
    assert_eq!(served.get("/debug").await.0, StatusCode::NOT_FOUND);
    let posted = served.ask(Method::POST, "/readyz", "127.0.0.1:1", Body::empty()).await;
    assert_eq!(posted.0, StatusCode::METHOD_NOT_ALLOWED);
}
