//! The candidate against an API server that keeps one Lease.

use http::{Method, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::super::api_server::{ApiServer, Outage};
use super::*;

/// A candidate that runs.
struct Replica {
    leadership: Leadership,
    task: JoinHandle<Result<(), Lost>>,
    stop: oneshot::Sender<()>,
    writers: oneshot::Sender<()>,
}

impl Replica {
    fn start(server: &ApiServer, me: &str) -> Self {
        let settings = Settings {
            namespace: "mcp-operator-system".into(),
            name: "mcp-operator".into(),
            identity: me.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        };
        settings.validate().unwrap();
        let (candidate, leadership) = candidate(server.client(), settings);
        let (stop, stopping) = oneshot::channel::<()>();
        let (writers, writers_stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(candidate.run(
            async {
                let _ = stopping.await;
            },
            async {
                let _ = writers_stopped.await;
            },
        ));
        Self { leadership, task, stop, writers }
    }
}

fn seconds(seconds: u64) -> tokio::time::Sleep {
    sleep(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn the_first_replica_leads_and_in_the_steady_state_only_renews() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    assert_eq!(server.calls(), [Method::GET, Method::POST]);
    assert!(*first.leadership.leading().borrow());

    seconds(60).await;
    let calls = server.calls();
    assert!(calls.iter().all(|method| *method == Method::PUT), "{calls:?}");
    assert!((27..=34).contains(&calls.len()), "one renewal in 2 s: {}", calls.len());
    assert!(first.leadership.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_second_replica_only_reads_while_the_first_lives() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    let second = Replica::start(&server, "b");
    seconds(300).await;
    assert!(first.leadership.is_held() && !second.leadership.is_held());
    assert_eq!(server.lease().spec.unwrap().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_renews_until_the_writers_stopped_and_then_hands_over_at_once() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    let mut second = Replica::start(&server, "b");
    seconds(5).await;

    first.stop.send(()).unwrap();
    seconds(30).await;
    assert!(first.leadership.is_held(), "a writer still writes");

    first.writers.send(()).unwrap();
    first.task.await.unwrap().unwrap();
    assert!(!first.leadership.is_held() && !*first.leadership.leading().borrow());
    assert_eq!(server.holder(), "");

    let vacated = Instant::now();
    second.leadership.acquired().await.unwrap();
    assert!(vacated.elapsed() < Duration::from_secs(3), "{:?}", vacated.elapsed());
    assert_eq!(server.lease().spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_lead_stops_at_once_and_writes_nothing() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    let second = Replica::start(&server, "b");
    seconds(5).await;
    let version = server.lease().metadata.resource_version;
    second.stop.send(()).unwrap();
    second.task.await.unwrap().unwrap();
    assert_eq!(server.lease().metadata.resource_version, version);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_died_is_followed_after_its_lease() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    let mut second = Replica::start(&server, "b");
    seconds(5).await;
    first.task.abort();
    let died = Instant::now();
    second.leadership.acquired().await.unwrap();
    let gap = died.elapsed().as_secs();
    assert!((12..=18).contains(&gap), "{gap} s");
}

#[tokio::test(start_paused = true)]
async fn a_holder_without_an_answer_loses_its_claim_in_time() {
    for outage in [Outage::Silence, Outage::Status(StatusCode::INTERNAL_SERVER_ERROR)] {
        let server = ApiServer::default();
        let mut first = Replica::start(&server, "a");
        first.leadership.acquired().await.unwrap();
        server.outage(Some(outage));
        let begun = Instant::now();
        let lost = first.task.await.unwrap().unwrap_err();
        assert_eq!(lost, Lost::Expired { deadline: Duration::from_secs(10) });
        assert!(!first.leadership.is_held());
        assert_eq!(begun.elapsed().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    server.outage(Some(Outage::Status(StatusCode::SERVICE_UNAVAILABLE)));
    seconds(7).await;
    assert!(first.leadership.is_held());
    server.outage(None);
    seconds(30).await;
    assert!(first.leadership.is_held());
    assert_eq!(server.lease().spec.unwrap().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_at_the_start_is_waited_for() {
    let server = ApiServer::default();
    server.outage(Some(Outage::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    let mut first = Replica::start(&server, "a");
    seconds(120).await;
    assert!(!first.task.is_finished());
    server.outage(None);
    first.leadership.acquired().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_missing_namespace_is_waited_for_without_a_storm() {
    let server = ApiServer::default();
    server.outage(Some(Outage::Status(StatusCode::NOT_FOUND)));
    let first = Replica::start(&server, "a");
    seconds(20).await;
    assert!(!first.task.is_finished());
    let calls = server.calls().len();
    assert!(calls <= 24, "{calls} requests in 20 s");
}

#[tokio::test(start_paused = true)]
async fn an_annotation_by_someone_else_is_kept_and_costs_one_more_look() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    server.calls();
    server.edit(|lease| lease.metadata.annotations = Some([("seen-by".into(), "c".into())].into()));
    seconds(3).await;
    assert!(first.leadership.is_held());
    assert!(server.lease().metadata.annotations.unwrap().contains_key("seen-by"));
    assert_eq!(server.calls().get(..3).unwrap(), [Method::PUT, Method::GET, Method::PUT]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_is_made_again_by_its_holder() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    let second = Replica::start(&server, "b");
    seconds(5).await;
    server.delete();
    seconds(30).await;
    assert_eq!(server.holder(), "a");
    assert!(first.leadership.is_held() && !second.leadership.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_lease_was_taken_ends() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    server.edit(|lease| lease.spec.as_mut().unwrap().holder_identity = Some("c".into()));
    assert_eq!(first.task.await.unwrap(), Err(Lost::Taken { holder: "c".into() }));
    assert!(!first.leadership.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_does_not_hold_up_the_end() {
    let server = ApiServer::default();
    let mut first = Replica::start(&server, "a");
    first.leadership.acquired().await.unwrap();
    server.outage(Some(Outage::Silence));
    first.stop.send(()).unwrap();
    first.writers.send(()).unwrap();
    let begun = Instant::now();
    first.task.await.unwrap().unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(10), "{:?}", begun.elapsed());
}
