//! What holds up the deletion of a server with Redis, and for how long.

use std::time::Duration;

use super::*;
use crate::redis::removal::{self, Failure, Removal, Remove};

/// Every Redis behaves so: it lets all keys be removed, or has a password that nobody knows.
#[derive(Clone, Copy)]
struct Everyone(bool);

impl Remove for Everyone {
    async fn remove(&self, _: &Removal) -> Result<u64, Failure> {
        let Self(lets) = *self;
        let refusal = || Failure::NoPassword { name: "redis".to_owned(), key: "password".to_owned() };
        if lets { Ok(1) } else { Err(refusal()) }
    }
}

/// Lets the task work for a while.
async fn remove(cluster: &Cluster, lets: bool, seconds: u64) {
    let ending = tokio::time::sleep(Duration::from_secs(seconds));
    let removals = Arc::clone(&cluster.context.removals);
    removal::run(removals, Arc::new(Everyone(lets)), |_| {}, ending).await;
}

fn mk_deleted(spec: Value) -> Value {
    let mut document = mk_server(spec);
    document["metadata"]["deletionTimestamp"] = at(NOW).to_string().into();
    document["metadata"]["finalizers"] = json!(["mcp.example.com/finalizer"]);
    document
}

fn with_redis() -> Cluster {
    Cluster::with(&mk_deleted(json!({"redis": {"serviceName": "redis.infra"}})))
}

const RELEASE: &str = "PATCH mcpservers/main";
const HELD: &str = "its keys in Redis at redis.infra:6379 cannot be removed, which is tried for 30 seconds: there is no Secret \
                    \"redis\" with a key \"password\"";

#[tokio::test(start_paused = true)]
async fn a_server_is_released_when_its_keys_are_removed_and_not_before() {
    let cluster = with_redis();
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(outcome.unwrap(), Outcome::AwaitChange);
    assert_eq!(lines(&calls), [STATUS]);
    assert_eq!(calls[0].body["status"]["conditions"][0]["reason"], "Terminating");
    assert!(cluster.pass().await.1.is_empty());

    remove(&cluster, true, 1).await;
    // The watch has not shown the status yet, and the object that is meant is the one that has it.
    let version = stored(&calls[0])["metadata"]["resourceVersion"].clone();
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), [RELEASE]);
    assert_eq!(
        calls[0].body["metadata"],
        json!({"uid": "uid-of-main", "resourceVersion": version, "finalizers": []})
    );
}

#[tokio::test(start_paused = true)]
async fn what_holds_it_up_is_told_once_and_that_it_was_given_up() {
    let mut cluster = with_redis();
    let (_, calls) = cluster.pass().await;
    cluster.watch(&calls);
    remove(&cluster, false, 1).await;
    let (outcome, calls) = cluster.pass().await;
    assert_eq!((outcome.unwrap(), lines(&calls)), (Outcome::AwaitChange, vec![STATUS.to_owned()]));
    let status = &calls[0].body["status"];
    assert_eq!(
        (&status["phase"], &status["conditions"][0]["message"]),
        (&json!("Terminating"), &json!(HELD))
    );
    assert_eq!(cluster.told(), [("KeysNotRemoved", HELD.to_owned())]);
    cluster.watch(&calls);
    assert!(cluster.pass().await.1.is_empty());

    // Another replica takes over: it tries again, and tells nothing that was told.
    cluster.context.removals = Arc::default();
    assert!(cluster.pass().await.1.is_empty());
    remove(&cluster, false, 60).await;
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), [STATUS, RELEASE]);
    let left = "its keys in Redis at redis.infra:6379 were not removed, and expire by themselves: there is no Secret \"redis\" \
                with a key \"password\"";
    assert_eq!(cluster.told(), [("KeysNotRemoved", left.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_told_when_it_is() {
    let mut cluster = with_redis();
    let (_, calls) = cluster.pass().await;
    cluster.watch(&calls);
    remove(&cluster, false, 60).await;
    cluster.answer("mcpservers/main", 409, failure(409, "Conflict", "the object has been modified"));
    let (outcome, _) = cluster.pass().await;
    assert_eq!(outcome.unwrap_err().retry(), Retry::Backoff);
    assert!(cluster.told().is_empty());
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), [RELEASE]);
    assert_eq!(cluster.told().len(), 1);
}

#[tokio::test]
async fn what_is_not_to_be_removed_is_not_waited_for() {
    for (spec, told) in [
        (json!({"image": "server:1", "redis": {"serviceName": "redis"}}), 0),
        (json!({}), 0),
        // Past the webhooks.
        (json!({"redis": {"serviceName": "10.0.0.1"}}), 1),
        (json!({"port": "eighty", "redis": {"port": "six"}}), 1),
    ] {
        let mut cluster = Cluster::with(&mk_deleted(spec));
        let (_, calls) = cluster.pass().await;
        assert_eq!(lines(&calls), [STATUS, RELEASE]);
        assert_eq!(cluster.told().len(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn who_decides_that_redis_is_not_needed_any_more_waits_for_nothing() {
    let mut cluster = with_redis();
    let (_, calls) = cluster.pass().await;
    cluster.watch(&calls);
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"]["redis"] = Value::Null;
    cluster.store(Kind::Server, &document);
    assert_eq!(lines(&cluster.pass().await.1), [RELEASE]);
}
