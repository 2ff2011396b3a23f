//! What gateways know from Secrets: what changes there reaches the pods that run.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::installed::Installed;
use crate::outside::create_service;
use crate::running::{PODS, addresses, pods, uids, until_pods};
use crate::support::cluster::path;
use crate::support::gateway::Endpoint;
use crate::support::manifest::{Manifest, mk_gateway, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::condition;
use crate::support::{redis, wait};

/// How long a mounted Secret may take to change in a pod: the kubelet looks at each pod about once a minute.
const MOUNTED: Duration = Duration::from_secs(180);

fn mk_secret(name: &str, value: &str) -> Value {
    let data = json!({ "value": value });
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data })
}

/// Gives a Secret another value.
async fn change(ns: &Namespace, name: &str, value: &str) {
    ns.patch("Secret", name, &json!({ "stringData": { "value": value } })).await.accepted();
}

/// A backend on this machine, which answers with what it was sent as `Authorization`. It ends with the tasks.
async fn mk_backend() -> (u16, JoinSet<()>) {
    let echo = async |headers: HeaderMap| {
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        ([("content-type", "application/json")], json!({ "authorization": sent }).to_string())
    };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let router = Router::new().route("/{*any}", post(echo));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.expect("serve") });
    (port, tasks)
}

/// Waits until a call of the tool is answered so.
async fn until_called(pod: &Endpoint, what: &str, look: impl Fn(&Value) -> bool) -> Duration {
    let begun = Instant::now();
    wait::until(format_args!("a call {what}"), async || {
        let result = pod.ask("tools/call", json!({ "name": "search", "arguments": {} })).await?;
        if look(&result) { Ok(()) } else { Err(result.to_string()) }
    })
    .await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_from_a_secret_reaches_the_backend_and_so_does_its_next_value() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("headers").await;
    let (port, _backend) = mk_backend().await;
    create_service(&ns, "backend", port).await;
    ns.create(&mk_secret("token", "Bearer one")).await;
    let from = json!({ "secretKeyRef": { "name": "token", "key": "value" } });
    let headers = json!([{ "name": "Authorization", "valueFrom": from }]);
    let tool = mk_tool("search").with("/spec/service/path", "/search").with("/spec/headers", headers);
    ns.create(&tool.for_server("main")).await;
    ns.create(&mk_gateway("main")).await;
    until_pods(&ns, "main", 1).await;
    let before = uids(&ns, "main").await;
    let pod = Endpoint::new(addresses(&ns, "main").await[0]);

    let is_withheld = |result: &Value| {
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        result["isError"] == true && text.contains("credential for header authorization is not available")
    };
    let carries = |value: &'static str| {
        move |result: &Value| result["structuredContent"] == json!({ "authorization": value })
    };
    until_called(&pod, "is refused while nobody consents", is_withheld).await;
    let consent =
        |value: Value| json!({ "metadata": { "labels": { "mcp.example.com/tool-credential": value } } });
    ns.patch("Secret", "token", &consent(json!("true"))).await.accepted();
    until_called(&pod, "carries the value", carries("Bearer one")).await;
    change(&ns, "token", "Bearer two").await;
    let took = until_called(&pod, "carries the next value", carries("Bearer two")).await;
    println!("a header's next value was sent after {took:?}");
    ns.patch("Secret", "token", &consent(Value::Null)).await.accepted();
    until_called(&pod, "is refused when consent is taken back", is_withheld).await;
    assert_eq!(uids(&ns, "main").await, before);
}

/// Waits until a server says so of its Redis.
async fn until_redis(ns: &Namespace, server: &str, expected: (&str, &str)) {
    wait::within(MOUNTED, format_args!("RedisReady is {expected:?}"), async || {
        let found = ns.get("MCPServer", server).await;
        if condition(&found, "RedisReady") == Some(expected) {
            Ok(())
        } else {
            Err(format!("{:#}", found["status"]))
        }
    })
    .await;
}

/// Makes the Redis of the manifests, and waits until it answers; gives its address.
async fn mk_redis(ns: &Namespace) -> SocketAddr {
    let manifest = path("config/samples/redis/redis.yaml").display().to_string();
    ns.kubectl(&["apply", "-f", &manifest], "").await.ok();
    let address = ns.address("mcp-redis").await;
    wait::within(PODS, "redis answers", async || {
        let answer = redis::ask(address, "PING").await?;
        if answer == "+PONG\r\n" { Ok(()) } else { Err(answer) }
    })
    .await;
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_redis_is_taken_up_by_the_pods_that_run() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("password").await;
    let address = mk_redis(&ns).await;
    let ask = async |command| redis::ask(address, command).await.expect("an answer");
    assert_eq!(ask("CONFIG SET requirepass fir5t").await, "+OK\r\n");
    let redis =
        json!({ "serviceName": "mcp-redis", "passwordSecretRef": { "name": "redis", "key": "value" } });
    ns.create(&mk_gateway("main").with("/spec/redis", redis).with("/spec/replicas", 2)).await;
    // Pods start without a Secret, as they do without Redis.
    until_pods(&ns, "main", 2).await;
    let before = uids(&ns, "main").await;
    until_redis(&ns, "main", ("False", "Disconnected")).await;
    ns.create(&mk_secret("redis", "fir5t")).await;
    until_redis(&ns, "main", ("True", "Connected")).await;

    let changed = ask("AUTH fir5t\r\nCONFIG SET requirepass s3cond\r\nCLIENT KILL SKIPME yes").await;
    assert!(changed.starts_with("+OK\r\n+OK\r\n:"), "{changed}");
    until_redis(&ns, "main", ("False", "Disconnected")).await;
    let changed = Instant::now();
    change(&ns, "redis", "s3cond").await;
    until_redis(&ns, "main", ("True", "Connected")).await;
    println!("a new password was taken up by both pods after {:?}", changed.elapsed());
    assert_eq!(uids(&ns, "main").await, before, "no pod was replaced");
    for pod in pods(&ns, "main").await {
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
    }
    // What they share is there again, and goes with the server: the operator reads the Secret when it needs it.
    let count = async || ask("AUTH s3cond\r\nDBSIZE").await;
    Endpoint::new(addresses(&ns, "main").await[0]).begin_session().await.expect("a session");
    assert_ne!(count().await, "+OK\r\n:0\r\n");
    ns.delete("MCPServer", "main").await.accepted();
    ns.until_gone("MCPServer", "main").await;
    assert_eq!(count().await, "+OK\r\n:0\r\n");
}
