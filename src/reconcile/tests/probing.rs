//! What becomes of probes in a status.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::probe::{self, Ask, Failure, Found, Target};

/// Every server answers so.
struct Everyone(Result<Found, Failure>);

impl Ask for Everyone {
    async fn ask(&self, _: &Target) -> Result<Found, Failure> {
        self.0.clone()
    }
}

fn found() -> Result<Found, Failure> {
    Ok(Found {
        name: Some("weather".to_owned()),
        version: Some("1.2".to_owned()),
        protocol: "2026-07-28".to_owned(),
        tools: 3,
    })
}

fn spec(more: Value) -> Value {
    let mut spec = json!({
        "image": "server:1", "schedule": "0 0 1 1 *", "path": "/here", "resources": { "requests": { "memory": "0.25Gi" } },
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// A server that is ready, as its status says.
async fn ready(more: Value) -> Cluster {
    let mut cluster = Cluster::with(&mk_server(spec(more)));
    cluster.settle().await;
    cluster
}

/// Lets the prober ask whom it wants to, and gives the servers that have answered.
async fn probe(cluster: &Cluster, answer: Result<Found, Failure>) -> Vec<String> {
    let (told, mut answered) = mpsc::unbounded_channel();
    let second = cluster.now.load(Ordering::Relaxed);
    let ending = tokio::time::sleep(Duration::from_secs(20));
    let run = probe::run(
        Arc::clone(&cluster.context.probes),
        Arc::new(Everyone(answer)),
        Arc::new(move || at(second)),
        move |key: ObjectKey| drop(told.send(key.id.name.to_string())),
        ending,
    );
    timeout(Duration::from_secs(30), run).await.unwrap();
    let mut names = Vec::new();
    while let Some(name) = answered.recv().await {
        names.push(name);
    }
    names
}

fn condition<'a>(status: &'a Value, type_: &str) -> Option<&'a Value> {
    status["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == type_)
}

#[tokio::test(start_paused = true)]
async fn what_a_server_answers_when_it_becomes_ready_is_one_status_and_none_after_a_restart() {
    let mut cluster = ready(json!({})).await;
    cluster.now.store(NOW + 60, Ordering::Relaxed);
    assert_eq!(probe(&cluster, found()).await, ["main"]);
    let (_, calls) = cluster.pass().await;
    assert_eq!(lines(&calls), [STATUS]);
    let status = &calls[0].body["status"];
    assert_eq!(status["lastProbeTime"], at(NOW + 60).to_string());
    assert_eq!(
        condition(status, "ProbeSucceeded"),
        Some(&json!({
            "type": "ProbeSucceeded", "status": "True", "reason": "Answered", "observedGeneration": 1,
            "message": "weather 1.2 answers by MCP 2026-07-28 and has 3 tools",
            "lastTransitionTime": at(NOW + 60).to_string(),
        }))
    );
    cluster.watch(&calls);
    assert!(cluster.pass().await.1.is_empty());
    assert!(probe(&cluster, found()).await.is_empty());

    // The next replica knows nothing, and asks and writes nothing.
    cluster.context.probes = Arc::default();
    assert!(cluster.pass().await.1.is_empty());
    assert!(probe(&cluster, found()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_said_with_where_and_the_time_moves_only_when_it_flips() {
    let mut cluster = ready(json!({})).await;
    let failure = Failure::Status { method: "initialize", status: 404, text: "nothing here".to_owned() };
    cluster.now.store(NOW + 60, Ordering::Relaxed);
    probe(&cluster, Err(failure)).await;
    let (_, calls) = cluster.pass().await;
    let probed = condition(&calls[0].body["status"], "ProbeSucceeded").unwrap().clone();
    assert_eq!((&probed["status"], &probed["reason"]), (&json!("False"), &json!("WrongAnswer")));
    assert_eq!(
        probed["message"],
        "http://main.team.svc.cluster.local:8080/here answered initialize with status 404: nothing here; spec.path says \
         where the server speaks MCP, and spec.transport how"
    );
    cluster.watch(&calls);

    // At the time of its schedule: the first of January.
    cluster.context.probes = Arc::default();
    assert!(cluster.pass().await.1.is_empty());
    let january: jiff::Timestamp = "2028-01-01T00:00:01Z".parse().unwrap();
    cluster.now.store(january.as_second(), Ordering::Relaxed);
    assert_eq!(probe(&cluster, Err(Failure::Silent { within: Duration::from_secs(20) })).await, ["main"]);
    let (_, calls) = cluster.pass().await;
    let again = condition(&calls[0].body["status"], "ProbeSucceeded").unwrap();
    assert_eq!(again["reason"], "NoAnswer");
    assert_eq!(again["lastTransitionTime"], probed["lastTransitionTime"]);
    assert_eq!(calls[0].body["status"]["lastProbeTime"], january.to_string());
}

#[tokio::test(start_paused = true)]
async fn each_probe_is_one_status_also_where_it_says_the_same() {
    let mut cluster = ready(json!({ "schedule": "* * * * *" })).await;
    for minute in 1..4 {
        cluster.now.store(NOW + 60 * minute, Ordering::Relaxed);
        assert_eq!(probe(&cluster, found()).await, ["main"], "{minute}");
        let (_, calls) = cluster.pass().await;
        assert_eq!(lines(&calls), [STATUS]);
        cluster.watch(&calls);
        assert!(cluster.pass().await.1.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_schedule_nothing_is_asked_and_what_was_known_goes() {
    let mut cluster = ready(json!({})).await;
    cluster.now.store(NOW + 60, Ordering::Relaxed);
    probe(&cluster, found()).await;
    let (_, calls) = cluster.pass().await;
    cluster.watch(&calls);

    let mut document = mk_server(json!({ "image": "server:1", "path": "/here" }));
    document["status"] = calls[0].body["status"].clone();
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    let status = &calls.last().unwrap().body["status"];
    assert_eq!((condition(status, "ProbeSucceeded"), &status["lastProbeTime"]), (None, &Value::Null));
    assert!(probe(&cluster, found()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_became_invalid_keeps_what_was_known() {
    let cluster = ready(json!({})).await;
    cluster.now.store(NOW + 60, Ordering::Relaxed);
    probe(&cluster, found()).await;
    let (_, calls) = cluster.pass().await;
    let known = condition(&calls[0].body["status"], "ProbeSucceeded").unwrap().clone();
    let mut document = mk_server(spec(json!({ "schedule": "never" })));
    document["status"] = calls[0].body["status"].clone();
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    let status = &calls.last().unwrap().body["status"];
    assert_eq!(condition(status, "ConfigurationValid").unwrap()["status"], "False");
    assert_eq!(condition(status, "ProbeSucceeded"), Some(&known));
    assert_eq!(status["lastProbeTime"], at(NOW + 60).to_string());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_or_that_nobody_can_reach_is_not_asked() {
    let cluster = ready(json!({ "schedule": "* * * * *" })).await;
    let key = ObjectKey::new(Kind::Server, "team", "main");
    cluster.context.catalog.write().delete(&key);
    cluster.pass().await.0.unwrap();
    cluster.now.store(NOW + 60, Ordering::Relaxed);
    assert!(probe(&cluster, found()).await.is_empty());

    let cluster = ready(json!({ "schedule": "* * * * *", "transport": "stdio" })).await;
    cluster.now.store(NOW + 60, Ordering::Relaxed);
    assert!(probe(&cluster, found()).await.is_empty());
}
