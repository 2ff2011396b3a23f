//! A pod of a gateway is killed under two hundred clients: all go on, on the pods that are left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gateway::until_ready;
use crate::installed::Installed;
use crate::running::PODS;
use crate::support::cluster::path;
use crate::support::gateway::Endpoint;
use crate::support::manifest::{Manifest, mk_gateway, mk_prompt};
use crate::support::namespace::Namespace;
use crate::support::object;
use crate::support::wait;

const CLIENTS: usize = 200;

/// What an answer may take before a client takes the connection for lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client rests between two requests.
const WAIT: Duration = Duration::from_millis(100);

/// How often each client was answered.
type Answered = Arc<Vec<AtomicUsize>>;

/// Of the newest generation: a request stands for itself.
async fn modern(endpoint: &Endpoint) -> Result<(), String> {
    let asked = timeout(PATIENCE, endpoint.ask("prompts/get", json!({ "name": "hello" })));
    asked.await.map_err(|_| "no answer".to_owned())?.map(|_| ())
}

/// A client with a session, which it begins anew where the server does not know it.
struct Legacy {
    endpoint: Endpoint,
    session: Option<String>,
    begun: usize,
}

impl Legacy {
    async fn post(&self, message: &Value) -> Result<http::Response<bytes::Bytes>, String> {
        let mut headers = vec![("mcp-protocol-version", "2025-11-25")];
        headers.extend(self.session.as_deref().map(|session| ("mcp-session-id", session)));
        timeout(PATIENCE, self.endpoint.post(&headers, message)).await.map_err(|_| "no answer".to_owned())?
    }

    async fn call(&mut self) -> Result<(), String> {
        if self.session.is_none() {
            let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "tests", "version": "1" },
            }});
            let answer = self.post(&initialize).await?;
            let session = answer.headers().get("mcp-session-id").ok_or("it begins no session")?;
            self.session = Some(session.to_str().expect("text").to_owned());
            self.begun += 1;
        }
        let get =
            json!({ "jsonrpc": "2.0", "id": 2, "method": "prompts/get", "params": { "name": "hello" } });
        let answer = self.post(&get).await?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => {
                self.session = None;
                Err("it does not know the session".to_owned())
            }
            other => Err(format!("{other}: {}", String::from_utf8_lossy(answer.body()))),
        }
    }
}

/// Starts the clients, half of them of either generation. Each asks until `ending`, and again what was not answered; it gives
/// how many sessions it has begun.
fn start(address: SocketAddr, answered: &Answered, ending: &Arc<AtomicBool>) -> JoinSet<usize> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (answered, ending) = (Arc::clone(answered), Arc::clone(ending));
        clients.spawn(async move {
            let mut legacy = Legacy { endpoint: Endpoint::new(address), session: None, begun: 0 };
            while !ending.load(Ordering::Relaxed) {
                let called =
                    if number % 2 == 0 { modern(&legacy.endpoint).await } else { legacy.call().await };
                if called.is_ok() {
                    answered[number].fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(WAIT).await;
            }
            legacy.begun
        });
    }
    clients
}

/// Waits until every client was answered this often more.
async fn until_answered(answered: &Answered, more: usize) {
    let counts = || answered.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let before = counts();
    wait::within(PODS, format_args!("every client is answered {more} times"), async || {
        let fewest = counts().iter().zip(&before).map(|(now, before)| now - before).min();
        if fewest >= Some(more) { Ok(()) } else { Err(format!("one was answered {fewest:?} times")) }
    })
    .await;
}

async fn pods(ns: &Namespace) -> Vec<String> {
    let mut pods = ns.list("Pod").await;
    pods.retain(|pod| pod["metadata"]["labels"]["app.kubernetes.io/instance"] == "main");
    pods.iter().map(|pod| object::name(pod).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_killed_under_two_hundred_clients_and_all_go_on() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("killed").await;
    ns.kubectl(&["apply", "-f", &path("config/samples/redis/redis.yaml").display().to_string()], "")
        .await
        .ok();
    ns.create(&mk_prompt("hello").for_server("main")).await;
    let server = mk_gateway("main").with("/spec/replicas", 3).with("/spec/redis/serviceName", "mcp-redis");
    ns.create(&server).await;
    let found = until_ready(&ns, "main", 3).await;
    assert_eq!(found["status"]["prompts"], 1);
    ns.until("MCPServer", "main", "Redis answers", |found| {
        object::condition(found, "RedisReady") == Some(("True", "Connected"))
    })
    .await;

    let answered: Answered = Arc::new((0..CLIENTS).map(|_| AtomicUsize::new(0)).collect());
    let ending = Arc::new(AtomicBool::new(false));
    let clients = start(ns.address("main").await, &answered, &ending);
    until_answered(&answered, 5).await;
    let victim = pods(&ns).await.swap_remove(0);
    ns.kubectl(&["delete", "pod", &victim, "--grace-period=0", "--force"], "").await.ok();
    until_answered(&answered, 20).await;
    ending.store(true, Ordering::Relaxed);
    let begun = clients.join_all().await;
    // The session is in Redis, so that another pod knows it; none is begun more than once again.
    let most = begun.iter().max();
    assert!(most <= Some(&2), "a client began {most:?} sessions");
    assert_eq!(begun.iter().filter(|begun| **begun > 0).count(), CLIENTS / 2);
}
