//! What servers keep in Redis, and what becomes of it when they are deleted.
//!
//! The operator looks for every Redis on this machine, as there is no network of Services.

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::gateway::Gateway;
use crate::support::manifest::{Manifest, mk_gateway};
use crate::support::namespace::Namespace;
use crate::support::object::{condition, message};
use crate::support::operator::{Installation, Shared, free_port};
use crate::support::redis::Redis;
use crate::support::wait;

/// A gateway that keeps things in the Redis at this port.
fn mk_cached(name: &str, port: u16) -> Value {
    mk_gateway(name).with("/spec/redis", json!({ "serviceName": "redis", "port": port }))
}

/// A Secret `redis` with this `password`.
fn mk_password(password: &str) -> Value {
    let data = json!({ "password": password });
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "redis" }, "stringData": data })
}

/// How many keys a server has that was made as this object.
async fn count(redis: &Redis, server: &Value) -> usize {
    let text = |pointer: &str| server.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
    let [namespace, name, uid] = ["namespace", "name", "uid"].map(|key| text(&format!("/metadata/{key}")));
    let asked = redis.ask(&format!("KEYS mcp:{namespace}:{name}:{uid}:*")).await.expect("an answer");
    let count = asked.lines().next().and_then(|line| line.strip_prefix('*')?.parse().ok());
    count.unwrap_or_else(|| panic!("{asked}"))
}

/// Keeps something for a server that was made as this object.
async fn keep(redis: &Redis, server: &Value) {
    let metadata = &server["metadata"];
    let [namespace, name, uid] =
        ["namespace", "name", "uid"].map(|key| metadata[key].as_str().expect("a text"));
    let set = format!("SET mcp:{namespace}:{name}:{uid}:result:x kept EX 600");
    assert_eq!(redis.ask(&set).await.expect("an answer"), "+OK\r\n");
}

/// Makes a server, and waits until the operator has seen it.
async fn made(ns: &Namespace, server: &Value) -> Value {
    let made = ns.create(server).await;
    let name = made["metadata"]["name"].as_str().expect("a name");
    ns.until("MCPServer", name, "has a status", |found| condition(found, "Ready").is_some()).await;
    made
}

/// What was told about keys that are not removed, each as often as it was told.
async fn told(ns: &Namespace) -> Vec<String> {
    let events = ns.list("Event").await.into_iter().filter(|event| event["reason"] == "KeysNotRemoved");
    let note = |event: Value| {
        assert_eq!((&event["type"], &event["series"]), (&json!("Warning"), &Value::Null), "{event:#}");
        event["message"].as_str().expect("a note").to_owned()
    };
    events.map(note).collect()
}

#[tokio::test]
async fn what_the_gateways_of_a_deleted_server_have_kept_goes_with_it_and_nothing_else() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("keys").await;
    let redis = Redis::start().await;
    let mut gateways = Vec::new();
    let mut servers = Vec::new();
    for name in ["main", "main-2"] {
        let server = made(&ns, &mk_cached(name, redis.port)).await;
        let deployment = ns.get("Deployment", name).await;
        let variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned();
        let uid = variables.expect("variables").into_iter().find(|it| it["name"] == "MCP_GATEWAY_SERVER_UID");
        let uid = uid.expect("a UID")["value"].as_str().expect("a UID").to_owned();
        let arguments = ["--redis", &redis.address(), "--server-uid", &uid];
        let gateway = Gateway::start_ready_with(&ns, name, &arguments).await;
        wait::until("it keeps a session in Redis", async || {
            gateway.begin_session().await?;
            if count(&redis, &server).await > 0 { Ok(()) } else { Err("nothing is there".to_owned()) }
        })
        .await;
        gateways.push(gateway);
        servers.push(server);
    }
    let others = count(&redis, &servers[1]).await;
    ns.delete("MCPServer", "main").await.accepted();
    ns.until_gone("MCPServer", "main").await;
    assert_eq!((count(&redis, &servers[0]).await, count(&redis, &servers[1]).await), (0, others));
    assert_eq!(told(&ns).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_redis_that_cannot_be_reached_delays_a_deletion_and_is_reported() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("away").await;
    let port = free_port().port();
    made(&ns, &mk_cached("main", port)).await;
    made(&ns, &mk_gateway("plain")).await;
    for name in ["main", "plain"] {
        ns.delete("MCPServer", name).await.accepted();
    }
    let held = ns.until("MCPServer", "main", "says what it waits for", |found| {
        condition(found, "Ready") == Some(("False", "KeysNotRemoved"))
    });
    let held = held.await;
    assert_eq!(held["status"]["phase"], "Terminating");
    let why = message(&held, "Ready").to_owned();
    assert!(why.starts_with(&format!("its keys in Redis at redis:{port} cannot be removed")), "{why}");
    // Nobody waits for another server's Redis.
    ns.until_gone("MCPServer", "plain").await;
    assert!(ns.find("MCPServer", "main").await.is_some());
    ns.until_gone("MCPServer", "main").await;
    ns.until_gone("Deployment", "main").await;
    wait::until("it is told once, and once that it is over", async || match &told(&ns).await[..] {
        [first, last] if *first == why && last.contains("were not removed, and expire by themselves") => {
            Ok(())
        }
        told => Err(format!("{told:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_password_that_is_missing_is_waited_for_and_used_when_it_is_there() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("password").await;
    let redis = Redis::start().await;
    let from = json!({ "name": "redis", "key": "password" });
    let cached = mk_cached("main", redis.port).with("/spec/redis/passwordSecretRef", from);
    let server = made(&ns, &cached).await;
    keep(&redis, &server).await;
    assert_eq!(redis.ask("CONFIG SET requirepass s3cret").await.expect("an answer"), "+OK\r\n");
    ns.delete("MCPServer", "main").await.accepted();
    let held = ns.until("MCPServer", "main", "says what it waits for", |found| {
        condition(found, "Ready") == Some(("False", "KeysNotRemoved"))
    });
    let why = message(&held.await, "Ready").to_owned();
    assert!(why.ends_with(r#"there is no Secret "redis" with a key "password""#), "{why}");
    ns.create(&mk_password("s3cret")).await;
    ns.until_gone("MCPServer", "main").await;
    let asked = redis.ask("AUTH s3cret\r\nDBSIZE").await.expect("an answer");
    assert_eq!(asked, "+OK\r\n:0\r\n");
    wait::until("it is told once", async || match &told(&ns).await[..] {
        [only] if *only == why => Ok(()),
        told => Err(format!("{told:?}")),
    })
    .await;
}

#[tokio::test]
async fn tls_is_spoken_to_the_name_that_the_server_gives_wherever_that_leads() {
    let cluster = Cluster::own().await;
    // Its certificate is for "localhost", and it is looked for at 127.0.0.1.
    let redis = Redis::secured("s3cret").await;
    let installed = Installation::outside(&cluster).await.with_variable("SSL_CERT_FILE", &redis.authority());
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("tls").await;
    ns.create(&mk_password("s3cret")).await;
    for (name, host) in [("right", "localhost"), ("wrong", "redis")] {
        let cached = mk_cached(name, redis.port).with("/spec/redis/serviceName", host);
        let cached =
            cached.with("/spec/redis/passwordSecretRef", json!({ "name": "redis", "key": "password" }));
        made(&ns, &cached.with("/spec/redis/tls", true)).await;
        ns.delete("MCPServer", name).await.accepted();
    }
    ns.until_gone("MCPServer", "right").await;
    assert_eq!(operator.logged("keys removed").len(), 1);
    let held = ns.until("MCPServer", "wrong", "says what it waits for", |found| {
        condition(found, "Ready") == Some(("False", "KeysNotRemoved"))
    });
    let why = message(&held.await, "Ready").to_owned();
    assert!(why.contains("certificate"), "{why}");
    assert!(operator.logged("s3cret").is_empty());
    ns.until_gone("MCPServer", "wrong").await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn who_leads_next_removes_what_was_being_removed() {
    let cluster = Cluster::own().await;
    let installed = Installation::outside(&cluster).await.with_short_leases();
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("restart").await;
    let mut redis = Redis::start().await;
    let server = made(&ns, &mk_cached("main", redis.port)).await;
    keep(&redis, &server).await;
    redis.pause().await;
    ns.delete("MCPServer", "main").await.accepted();
    ns.until("MCPServer", "main", "is terminating", |found| found["status"]["phase"] == "Terminating").await;
    operator.kill().await;
    redis.resume();
    assert_eq!(count(&redis, &server).await, 1, "it hung");
    let operator = installed.start_ready().await;
    ns.until_gone("MCPServer", "main").await;
    assert_eq!(count(&redis, &server).await, 0);
    operator.terminate().await;
    cluster.done().await;
}
