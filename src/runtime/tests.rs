//! The parts together, from the first writer's start to the last answer.

use futures::stream;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;
use crate::lease::api_server::{ApiServer, Outage};
use crate::telemetry::LogFilter;

const TIMING: Timing = Timing { delay: Duration::from_secs(5), deadline: Duration::from_secs(25) };

async fn mk_runtime(server: &ApiServer, me: &str, timing: Timing) -> Runtime {
    let settings = Settings {
        admin: "127.0.0.1:0".parse().unwrap(),
        lease: lease::Settings {
            namespace: "mcp-operator-system".into(),
            name: "mcp-operator".into(),
            identity: me.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        },
        timing,
    };
    let (_layer, level) = LogLevel::filter(LogFilter::default());
    Runtime::with_client(settings, level, server.client()).await.unwrap()
}

/// Runs it, until the signal is sent.
fn start(runtime: Runtime) -> (oneshot::Sender<()>, JoinHandle<Result<(), Failure>>) {
    let (signal, sent) = oneshot::channel::<()>();
    let signals = stream::once(async move {
        let _ = sent.await;
        Signal::Terminate
    });
    (signal, tokio::spawn(runtime.run(signals)))
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_until_the_last_writer_has_ended_and_servers_go_on_for_the_delay() {
    let server = ApiServer::default();
    let mut runtime = mk_runtime(&server, "a", TIMING).await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let started = Instant::now();
    let note = {
        let log = Arc::clone(&log);
        move |what: &'static str, holder: String| log.lock().push((started.elapsed().as_secs(), what, holder))
    };

    let (drain, api, writes) = (runtime.drain(), server.clone(), note.clone());
    runtime.spawn_writer("reconcile", move |leadership| async move {
        writes("writer begins", api.holder());
        drain.begun().await;
        sleep(Duration::from_secs(2)).await;
        assert!(leadership.is_held(), "the pass that runs may still write");
        writes("writer ends", api.holder());
        Ok::<_, Never>(())
    });
    let (drain, api) = (runtime.drain(), server.clone());
    runtime.spawn_server("webhook", async move {
        drain.closing().await;
        note("server closes", api.holder());
        Ok::<_, Never>(())
    });
    runtime.spawn_watch("index", std::future::pending::<Result<Never, Never>>());

    let (signal, run) = start(runtime);
    sleep(Duration::from_secs(10)).await;
    signal.send(()).unwrap();
    run.await.unwrap().unwrap();
    let expected = [
        (0, "writer begins", "a".to_owned()),
        (12, "writer ends", "a".to_owned()),
        (15, "server closes", String::new()),
    ];
    assert_eq!(*log.lock(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_lead_begins_no_writer_and_takes_over_when_it_does() {
    let server = ApiServer::default();
    let (leader, leads) = start(mk_runtime(&server, "a", TIMING).await);
    sleep(Duration::from_secs(1)).await;

    let mut standby = mk_runtime(&server, "b", TIMING).await;
    let begun = Arc::new(Mutex::new(None));
    let (drain, begins) = (standby.drain(), Arc::clone(&begun));
    standby.spawn_writer("reconcile", move |_| async move {
        *begins.lock() = Some(Instant::now());
        drain.begun().await;
        Ok::<_, Never>(())
    });
    let (signal, run) = start(standby);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(*begun.lock(), None);

    let vacated = Instant::now();
    leader.send(()).unwrap();
    leads.await.unwrap().unwrap();
    sleep(Duration::from_secs(3)).await;
    assert!(begun.lock().is_some_and(|begun| begun - vacated < Duration::from_secs(3)));
    signal.send(()).unwrap();
    run.await.unwrap().unwrap();
    assert_eq!(server.holder(), "");
}

#[tokio::test(start_paused = true)]
async fn a_standby_with_a_writer_that_never_began_ends_at_once() {
    let server = ApiServer::default();
    server.outage(Some(Outage::Silence));
    let mut runtime = mk_runtime(&server, "a", TIMING).await;
    runtime.spawn_writer("reconcile", |_| async { Ok::<_, Never>(()) });
    let (signal, run) = start(runtime);
    sleep(Duration::from_secs(60)).await;
    signal.send(()).unwrap();
    let begun = Instant::now();
    run.await.unwrap().unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_lease_ends_the_process_and_says_so() {
    let server = ApiServer::default();
    let mut runtime = mk_runtime(&server, "a", TIMING).await;
    let drain = runtime.drain();
    runtime.spawn_writer("reconcile", move |leadership| async move {
        drain.begun().await;
        assert!(!leadership.is_held());
        Ok::<_, Never>(())
    });
    let (_signal, run) = start(runtime);
    sleep(Duration::from_secs(5)).await;
    server.outage(Some(Outage::Silence));
    let failure = run.await.unwrap().unwrap_err();
    assert_eq!(failure.to_string(), "task lease failed");
    let source = std::error::Error::source(&failure).unwrap().to_string();
    assert_eq!(source, "the lease was not renewed within 10s");
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_ends_by_itself_ends_the_process() {
    let server = ApiServer::default();
    let mut runtime = mk_runtime(&server, "a", TIMING).await;
    runtime.spawn_writer("reconcile", |_| async { Ok::<_, Never>(()) });
    let (_signal, run) = start(runtime);
    let failure = run.await.unwrap().unwrap_err();
    assert_eq!(failure.to_string(), "task reconcile ended unexpectedly");
    assert_eq!(server.holder(), "", "and others need not wait for its lease");
}

async fn ask(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_admin_port_is_served_from_the_start_to_the_end() {
    let server = ApiServer::default();
    let mut runtime =
        mk_runtime(&server, "a", Timing { delay: Duration::ZERO, deadline: Duration::from_secs(20) }).await;
    let address = runtime.admin_address().unwrap();
    let gate = runtime.readiness.gate("watches");
    let (held, hold) = oneshot::channel::<()>();
    runtime.spawn_server("webhook", async move {
        let _ = hold.await;
        Ok::<_, Never>(())
    });
    let (signal, run) = start(runtime);

    let not_ready = ask(address, "GET /readyz", "").await;
    assert!(not_ready.starts_with("HTTP/1.1 503") && not_ready.ends_with("watches\n"), "{not_ready}");
    gate.open();
    assert!(ask(address, "GET /readyz", "").await.starts_with("HTTP/1.1 200"));
    assert!(ask(address, "GET /metrics", "").await.contains("\nmcp_operator_leader "));
    assert!(ask(address, "GET /loglevel", "").await.ends_with("\r\n\r\ninfo\n"), "from this host");
    assert!(ask(address, "PUT /loglevel", "loud").await.starts_with("HTTP/1.1 400"));

    signal.send(()).unwrap();
    // The signal is seen in another task: bounded by the test's own time.
    while !ask(address, "GET /readyz", "").await.ends_with("shutting down\n") {}
    assert!(!run.is_finished(), "the server is waited for");
    held.send(()).unwrap();
    run.await.unwrap().unwrap();
}
