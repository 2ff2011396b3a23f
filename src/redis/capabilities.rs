//! What a gateway tells of itself, over HTTP to one pod.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::time::timeout;

use super::Ask;

/// How long a pod may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many bytes it may answer.
const ANSWER: usize = 64 * 1024;

/// Asks pods at `/capabilities`.
#[derive(Debug, Clone)]
pub struct Capabilities {
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Default for Capabilities {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        // Pods come and go: a connection that is kept would often be one to nobody.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client }
    }
}

#[derive(Debug, Deserialize)]
struct Told {
    redis: Option<Standing>,
}

#[derive(Debug, Deserialize)]
struct Standing {
    ready: bool,
}

impl Ask for Capabilities {
    async fn ask(&self, pod: SocketAddr) -> Option<bool> {
        let asked = async {
            let uri = format!("http://{pod}/capabilities").parse().ok()?;
            let answer = self.client.get(uri).await.ok()?;
            let body = Limited::new(answer.into_body(), ANSWER).collect().await.ok()?.to_bytes();
            let told: Told = serde_json::from_slice(&body).ok()?;
            told.redis.map(|redis| redis.ready)
        };
        timeout(PATIENCE, asked).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    async fn serving(answer: &'static str) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, mut task) = (listener.local_addr().unwrap(), JoinSet::new());
        let router = Router::new().route("/capabilities", get(move || async move { answer }));
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (address, task)
    }

    #[tokio::test]
    async fn a_pod_says_whether_redis_answers_it_or_says_nothing() {
        for (answer, expected) in [
            (r#"{"revision":"1","redis":{"ready":true}}"#, Some(true)),
            (r#"{"redis":{"ready":false}}"#, Some(false)),
            (r#"{"redis":null}"#, None),
            ("no catalog yet", None),
        ] {
            let (address, _task) = serving(answer).await;
            assert_eq!(Capabilities::default().ask(address).await, expected, "{answer}");
        }
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(Capabilities::default().ask(nobody).await, None);
    }
}
