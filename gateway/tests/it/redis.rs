//! Replicas that share a Redis, and everything that can happen to it.

mod password;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::support::backend::Backend;
use super::support::client::{Answer, Client, legacy};
use super::support::gateway::{Gateway, Objects, tool};
use super::support::redis::Redis;
use super::support::wait;

/// Three gateways that share a Redis, and how often their backend was called.
struct Replicas {
    gateways: Vec<Gateway>,
    calls: Arc<AtomicUsize>,
    objects: Objects,
    _backend: Backend,
}

impl Replicas {
    async fn start(redis: &Redis, more: &[&str]) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let count = move || {
            let call = counted.fetch_add(1, Ordering::Relaxed) + 1;
            async move { ([("content-type", "application/json")], json!({"call": call}).to_string()) }
        };
        let asks = post(async || {
            let question = json!({"method": "elicitation/create", "params": {"message": "Who?"}});
            let asks = json!({"resultType": "input_required", "inputRequests": {"name": question}});
            ([("content-type", "application/vnd.mcp.result+json")], asks.to_string())
        });
        let backend = Backend::serve(Router::new().route("/asks", asks).route("/{*any}", post(count))).await;
        let objects = Objects::new(&[
            tool("plain", &json!({})),
            tool("kept", &json!({"cacheTTL": "5m"})),
            tool("limited", &json!({"rateLimit": {"requestsPerSecond": 1, "burst": 5}})),
            note("first"),
            tool("asks", &json!({})),
        ]);
        let (address, mut arguments) = (redis.address(), more.to_vec());
        arguments.extend(["--redis", &address]);
        let mut gateways = Vec::new();
        for _ in 0..3 {
            gateways.push(Gateway::start(&objects, backend.address, &arguments, &[]).await);
        }
        Self { gateways, calls, objects, _backend: backend }
    }

    fn clients(&self) -> [Client; 3] {
        [0, 1, 2].map(|at| self.gateways[at].client())
    }

    /// Waits until each of them says so of Redis.
    async fn know(&self, up: bool) {
        for gateway in &self.gateways {
            knows(gateway, up).await;
        }
    }
}

/// Waits until a gateway says so of Redis.
async fn knows(gateway: &Gateway, up: bool) {
    wait::until(format!("a gateway knows that redis is up: {up}"), async || {
        let ready = gateway.admin("/capabilities").await["redis"]["ready"].clone();
        if ready == up { Ok(()) } else { Err(ready.to_string()) }
    })
    .await;
}

fn note(text: &str) -> Value {
    json!({
        "apiVersion": "mcp.example.com/v1alpha1", "kind": "MCPResource",
        "metadata": {"name": "note", "namespace": "tests"},
        "spec": {"name": "note", "content": {"uri": "note://one", "text": text}},
    })
}

async fn lists(client: &Client, session: &str) -> u16 {
    client.legacy(session, "tools/list", json!({})).await.status
}

#[track_caller]
fn assert_limited(answer: &Answer) {
    assert_eq!(answer.result()["isError"], true, "{answer:?}");
    assert!(answer.text().contains("rate limit"), "{answer:?}");
}

#[tokio::test]
async fn a_session_is_on_every_replica_and_ends_on_all() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, c] = replicas.clients();
    let session = a.session().await;
    for client in [&b, &c, &a, &b] {
        assert_eq!(lists(client, &session).await, 200);
    }
    for gateway in &replicas.gateways {
        assert_eq!(gateway.metric("mcp_gateway_sessions").await, Some(1.0));
    }
    assert_eq!(c.end(&session).await.status, 204);
    for client in [&a, &b, &c] {
        assert_eq!(lists(client, &session).await, 404);
    }
    assert_eq!(c.end(&session).await.status, 404);
    assert_eq!(redis.ask("DBSIZE").await.unwrap(), ":0\r\n", "nothing of it is left");
}

#[tokio::test]
async fn a_lifetime_begins_anew_wherever_the_session_is_used() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &["--session-lifetime", "2s"]).await;
    let [a, b, _] = replicas.clients();
    let (used, left) = (a.session().await, a.session().await);
    let begun = Instant::now();
    // Used on one replica alone, for twice its lifetime.
    wait::until("time passes", async || {
        assert_eq!(lists(&b, &used).await, 200, "after {:?}", begun.elapsed());
        if begun.elapsed() > Duration::from_secs(4) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    assert_eq!(lists(&a, &used).await, 200);
    assert_eq!(lists(&a, &left).await, 404);
}

#[tokio::test]
async fn sessions_are_bounded_on_all_replicas_together() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &["--max-sessions", "4"]).await;
    let [a, b, c] = replicas.clients();
    for client in [&a, &b, &c, &a] {
        client.session().await;
    }
    let refused = b.initialize().await;
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (503, true), "{refused:?}");
}

#[tokio::test]
async fn a_stream_is_told_of_what_was_asked_for_elsewhere_and_ends_when_the_session_does() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, c] = replicas.clients();
    let session = a.session().await;
    let mut stream = b.stream(&session).await.into_body();
    assert_eq!(c.legacy(&session, "resources/subscribe", json!({"uri": "note://one"})).await.status, 200);
    replicas.objects.write("object-3", &note("second"));
    let told = timeout(wait::BOUND, async {
        let mut text = String::new();
        while !text.contains("notifications/resources/updated") {
            let frame = stream.frame().await.expect("the stream goes on").expect("a frame");
            text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap()));
        }
        text
    });
    assert!(told.await.expect("it is told").contains("note://one"));
    assert_eq!(c.end(&session).await.status, 204);
    let rest = timeout(Duration::from_secs(10), stream.collect()).await;
    rest.expect("the stream ends at once").expect("in good order");
}

#[tokio::test]
async fn a_second_stream_on_another_replica_takes_the_place_of_the_first() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, _] = replicas.clients();
    let session = a.session().await;
    let first = a.stream(&session).await.into_body();
    let _second = b.stream(&session).await;
    let ended = timeout(Duration::from_secs(10), first.collect()).await;
    ended.expect("the first stream ends").expect("in good order");
}

#[tokio::test]
async fn a_result_is_kept_for_every_replica() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, c] = replicas.clients();
    for client in [&a, &b, &c] {
        let kept = client.call("kept", json!({"q": 1, "z": [1.0]})).await;
        assert_eq!(kept.result()["structuredContent"], json!({"call": 1}));
    }
    assert_eq!(b.call("kept", json!({"q": 2})).await.result()["structuredContent"], json!({"call": 2}));
    assert_eq!(replicas.calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_rate_limit_is_for_all_replicas_together() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let begun = Instant::now();
    let asked = replicas.clients().map(|client| async move {
        let mut taken = 0;
        for _ in 0..10 {
            let answer = client.call("limited", json!({})).await;
            if answer.result()["isError"] == true {
                assert_limited(&answer);
            } else {
                taken += 1;
            }
        }
        taken
    });
    let taken: usize = futures::future::join_all(asked).await.into_iter().sum();
    let most = 5 + 1 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!((5..=most).contains(&taken), "{taken} of at most {most}");
    assert_eq!(replicas.calls.load(Ordering::Relaxed), taken);
}

#[tokio::test]
async fn servers_of_one_name_share_nothing_but_it_and_keep_nothing_for_ever() {
    let redis = Redis::start().await;
    let [old, new] = [
        Replicas::start(&redis, &["--server-uid", "a1"]).await,
        Replicas::start(&redis, &["--server-uid", "a2"]).await,
    ];
    let ([before, also, _], [after, ..]) = (old.clients(), new.clients());
    let session = before.session().await;
    before.legacy(&session, "resources/subscribe", json!({"uri": "note://one"})).await;
    assert_eq!((lists(&also, &session).await, lists(&after, &session).await), (200, 404));
    for client in [&before, &also, &after] {
        client.call("kept", json!({})).await.result();
    }
    let calls = [&old, &new].map(|replicas| replicas.calls.load(Ordering::Relaxed));
    assert_eq!(calls, [1, 1], "each has a result of its own");
    before.call("limited", json!({})).await.result();
    // What removes a server's keys goes by how they begin, and what was not removed goes by itself.
    let script = r#"EVAL "local wrong = '' for _, key in ipairs(redis.call('KEYS', '*')) do if redis.call('PTTL', key) < 0 or not key:match('^mcp:tests:main:a[12]:') then wrong = wrong .. ' ' .. key end end return wrong" 0"#;
    assert_eq!(redis.ask(script).await.unwrap(), "$0\r\n\r\n");
}

#[tokio::test]
async fn without_redis_everything_goes_on_by_default() {
    let mut redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, c] = replicas.clients();
    let before = a.session().await;
    a.call("kept", json!({})).await.result();
    redis.kill().await;
    replicas.know(false).await;
    // Modern requests need nothing of it.
    assert_eq!(a.call("plain", json!({})).await.status, 200);
    assert_eq!(a.call("kept", json!({})).await.result()["isError"], false);
    // A session of before is taken at its word, on every replica; what cannot be one is not.
    for client in [&a, &b, &c] {
        assert_eq!(lists(client, &before).await, 200);
        assert_eq!(lists(client, "guessed").await, 404);
    }
    assert_eq!(a.end(&before).await.status, 503, "nobody could make the others forget it");
    // A new one begins here, and is served.
    let here = a.session().await;
    assert_eq!(lists(&a, &here).await, 200);
    assert_eq!(a.legacy(&here, "resources/subscribe", json!({"uri": "note://one"})).await.status, 200);
    // Limits are counted by each replica.
    let mut taken = 0;
    for _ in 0..10 {
        taken += usize::from(b.call("limited", json!({})).await.result()["isError"] == false);
    }
    assert!((5..10).contains(&taken), "{taken}");
    // Redis comes back with nothing in it.
    redis.again().await;
    replicas.know(true).await;
    for client in [&a, &b, &c] {
        assert_eq!(lists(client, &before).await, 404, "clients begin anew");
    }
    // What began meanwhile is known everywhere as soon as it is used.
    assert_eq!(lists(&a, &here).await, 200);
    assert_eq!(lists(&b, &here).await, 200);
    let again = c.session().await;
    assert_eq!(lists(&b, &again).await, 200);
    assert_eq!(c.end(&here).await.status, 204);
    assert_eq!(lists(&a, &here).await, 404);
}

#[tokio::test]
async fn without_redis_sessions_and_limits_are_refused_where_that_is_wanted() {
    let mut redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &["--redis-failure", "closed"]).await;
    let [a, b, _] = replicas.clients();
    let before = a.session().await;
    redis.kill().await;
    replicas.know(false).await;
    assert_eq!(a.call("plain", json!({})).await.status, 200);
    assert_eq!(a.initialize().await.status, 503);
    assert_eq!(lists(&b, &before).await, 503);
    let limited = a.call("limited", json!({})).await;
    assert_limited(&limited);
    assert!(limited.text().contains("cannot be counted"), "{limited:?}");
    redis.again().await;
    replicas.know(true).await;
    assert_eq!(a.initialize().await.status, 200);
}

#[tokio::test]
async fn a_redis_that_hangs_delays_a_request_or_two_and_no_more() {
    let mut redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, c] = replicas.clients();
    let session = a.session().await;
    redis.pause().await;
    let begun = Instant::now();
    for _ in 0..50 {
        for client in [&a, &b, &c] {
            assert_eq!(lists(client, &session).await, 200);
            assert_eq!(client.call("kept", json!({})).await.status, 200);
        }
    }
    let took = begun.elapsed();
    // A second each, if each of them waited.
    assert!(took < Duration::from_secs(60), "300 requests took {took:?}");
    redis.resume();
    replicas.know(true).await;
    assert_eq!(lists(&c, &session).await, 200, "it was never gone");
    assert_eq!(b.end(&session).await.status, 204);
    for _ in 0..20 {
        assert_eq!(lists(&a, &a.session().await).await, 200);
    }
    for gateway in &replicas.gateways {
        let connected = gateway.process.output.containing("redis answers").len();
        assert_eq!(connected, 2, "the connection that came after is kept");
    }
}

#[tokio::test]
async fn a_redis_that_becomes_a_replica_is_left_until_it_is_none() {
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, _] = replicas.clients();
    // Of nobody: it keeps what it has.
    redis.ask("REPLICAOF 127.0.0.1 1").await.unwrap();
    replicas.know(false).await;
    assert_eq!(lists(&a, &a.session().await).await, 200, "sessions are kept here");
    redis.ask("REPLICAOF NO ONE").await.unwrap();
    replicas.know(true).await;
    assert_eq!(lists(&b, &a.session().await).await, 200);
}

#[tokio::test]
async fn a_session_that_was_taken_at_its_word_is_what_it_was_when_redis_is_back() {
    let mut redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, c] = replicas.clients();
    let session = a.session().await;
    // What a tool that asks its client says: it could, were there a stream; or the client does not declare to answer.
    let asked = async |client: &Client| {
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("mcp-session-id", session.as_str()),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let call = legacy(2, "tools/call", &json!({"name": "asks", "arguments": {}})).to_string();
        client.send(Method::POST, "/mcp", &headers, call).await.expect("an answer").message()["error"]["code"]
            .clone()
    };
    assert_eq!(asked(&b).await, -32600);
    redis.pause().await;
    wait::until("the gateway knows", async || {
        lists(&b, &session).await;
        let ready = replicas.gateways[1].admin("/capabilities").await["redis"]["ready"].clone();
        if ready == false { Ok(()) } else { Err(ready.to_string()) }
    })
    .await;
    let _stream = b.stream(&session).await;
    assert_eq!(asked(&b).await, -32021, "nobody knows what it can do");
    let set = async || b.legacy(&session, "logging/setLevel", json!({"level": "error"})).await;
    assert_eq!(set().await.status, 503);
    redis.resume();
    replicas.know(true).await;
    assert_eq!(set().await.status, 200);
    for client in [&a, &b, &c] {
        assert_eq!(asked(client).await, -32600);
    }
}

#[tokio::test]
async fn a_slow_redis_is_waited_for_and_a_gateway_starts_without_one() {
    let mut redis = Redis::start().await;
    redis.kill().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let [a, b, _] = replicas.clients();
    assert_eq!(lists(&a, &a.session().await).await, 200);
    redis.again().await;
    replicas.know(true).await;
    let session = a.session().await;
    // For 200 ms it answers nobody.
    assert_eq!(redis.ask("CLIENT PAUSE 200 ALL").await.as_deref(), Ok("+OK\r\n"));
    let status = lists(&b, &session).await;
    assert_eq!(status, 200);
    for gateway in &replicas.gateways {
        assert_eq!(gateway.admin("/capabilities").await["redis"]["ready"], true);
    }
}

#[tokio::test]
async fn lifecycles_leave_nothing_behind() {
    // In `make test` there are more of them than the fast tests have time for.
    let lifecycles: usize = std::env::var("LIFECYCLES").map_or(4_000, |text| text.parse().unwrap());
    let redis = Redis::start().await;
    let replicas = Replicas::start(&redis, &[]).await;
    let mut resident = Vec::new();
    for round in 0..4 {
        let clients = replicas.clients();
        let work = (0..16).map(|worker| {
            let clients = clients.clone();
            async move {
                for n in 0..lifecycles / 4 / 16 {
                    let at = |step: usize| &clients[(worker + n + step) % 3];
                    // A machine with more to do than it can may keep Redis from answering in time: then a session is its
                    // replica's alone, or the other one cannot say.
                    let session = wait::until("a session is used", async || {
                        let session = at(0).session().await;
                        let used = wait::until("the other replica can say", async || {
                            match lists(at(1), &session).await {
                                503 => Err("503".to_owned()),
                                status => Ok(status),
                            }
                        });
                        match used.await {
                            200 => Ok(session),
                            other => Err(other.to_string()),
                        }
                    })
                    .await;
                    wait::until("the session ends", async || match at(2).end(&session).await.status {
                        204 | 404 => Ok(()),
                        other => Err(other.to_string()),
                    })
                    .await;
                }
            }
        });
        futures::future::join_all(work).await;
        resident.push(replicas.gateways.iter().map(Gateway::resident).sum::<u64>());
        assert_eq!(redis.ask("DBSIZE").await.unwrap(), ":0\r\n", "round {round}");
    }
    // The first round warms up allocators and pools.
    assert!(resident[3] < resident[0] + 3 * 4096, "KiB after each round: {resident:?}");
}
