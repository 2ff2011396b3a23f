//! How the end of one task, or a signal, ends all.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::*;

const TIMING: Timing = Timing { delay: Duration::from_secs(5), deadline: Duration::from_secs(30) };

fn mk_supervisor() -> (Supervisor, Drain) {
    let drain = Drain::new();
    (Supervisor::new(drain.clone()), drain)
}

/// Signals that come at these seconds.
fn signals_at(seconds: &'static [u64]) -> impl Stream<Item = Signal> {
    let start = Instant::now();
    stream::iter(seconds)
        .then(move |at| async move {
            sleep_until(start + Duration::from_secs(*at)).await;
            Signal::Terminate
        })
        .chain(stream::pending())
}

async fn forever() -> Result<(), Infallible> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_ends_the_process_and_is_named() {
    let (mut supervisor, drain) = mk_supervisor();
    supervisor.spawn_outliving("index", async { Ok::<_, Infallible>(()) });
    let server = drain.clone();
    supervisor.spawn("webhook", async move {
        server.closing().await;
        Ok::<_, Infallible>(())
    });
    let failure = supervisor.run(signals_at(&[]), TIMING).await.unwrap_err();
    assert_eq!(failure.to_string(), "task index ended unexpectedly");
    assert!(drain.is_begun());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_is_named_with_its_error() {
    let (mut supervisor, _) = mk_supervisor();
    supervisor.spawn("lease", async { Err(io::Error::other("taken")) });
    supervisor.spawn_outliving("index", forever());
    let failure = supervisor.run(signals_at(&[]), TIMING).await.unwrap_err();
    assert_eq!(failure.to_string(), "task lease failed");
    assert_eq!(failure.source().unwrap().to_string(), "taken");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_named_with_what_it_said() {
    let (mut supervisor, _) = mk_supervisor();
    supervisor.spawn("certs", async {
        if Instant::now().elapsed() < Duration::MAX {
            panic!("no {}", "key");
        }
        Ok::<_, Infallible>(())
    });
    let failure = supervisor.run(signals_at(&[]), TIMING).await.unwrap_err();
    assert_eq!(failure.to_string(), "task certs panicked: no key");
}

#[tokio::test(start_paused = true)]
async fn a_failure_lets_servers_answer_what_they_accepted() {
    let (mut supervisor, drain) = mk_supervisor();
    supervisor.spawn("lease", async { Err(io::Error::other("taken")) });
    let answered = Arc::new(Mutex::new(false));
    let last = Arc::clone(&answered);
    supervisor.spawn("webhook", async move {
        drain.closing().await;
        sleep(Duration::from_secs(2)).await;
        *last.lock() = true;
        Ok::<_, Infallible>(())
    });
    let begun = Instant::now();
    assert!(supervisor.run(signals_at(&[]), TIMING).await.is_err());
    assert!(*answered.lock());
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_signal_goes_through_the_stages_in_order() {
    let (mut supervisor, drain) = mk_supervisor();
    let start = Instant::now();
    let stages = Arc::new(Mutex::new(Vec::new()));
    let (writer, writes) = (drain.clone(), Arc::clone(&stages));
    supervisor.spawn("reconcile", async move {
        writer.begun().await;
        writes.lock().push(("writer stops", start.elapsed().as_secs()));
        Ok::<_, Infallible>(())
    });
    let (server, answers) = (drain.clone(), Arc::clone(&stages));
    supervisor.spawn("webhook", async move {
        server.closing().await;
        sleep(Duration::from_secs(3)).await;
        answers.lock().push(("server finished", start.elapsed().as_secs()));
        Ok::<_, Infallible>(())
    });
    // Lives for as long as the server needs it, and holds nothing up.
    supervisor.spawn_outliving("index", forever());
    supervisor.run(signals_at(&[10]), TIMING).await.unwrap();
    assert_eq!(*stages.lock(), [("writer stops", 10), ("server finished", 18)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_server_the_end_does_not_wait_for_the_delay() {
    let (mut supervisor, drain) = mk_supervisor();
    supervisor.spawn("reconcile", async move {
        drain.begun().await;
        Ok::<_, Infallible>(())
    });
    supervisor.spawn_outliving("index", forever());
    let start = Instant::now();
    supervisor.run(signals_at(&[1]), TIMING).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_aborted_and_named() {
    let (mut supervisor, _) = mk_supervisor();
    supervisor.spawn("webhook", forever());
    supervisor.spawn("certs", forever());
    supervisor.spawn_outliving("index", forever());
    let start = Instant::now();
    let failure = supervisor.run(signals_at(&[10]), TIMING).await.unwrap_err();
    assert_eq!(failure.to_string(), "still running at the shutdown deadline: certs, webhook");
    assert_eq!(start.elapsed(), Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_at_once() {
    let (mut supervisor, _) = mk_supervisor();
    supervisor.spawn("webhook", forever());
    let start = Instant::now();
    let failure = supervisor.run(signals_at(&[10, 12]), TIMING).await.unwrap_err();
    assert!(matches!(failure, Failure::Interrupted(Signal::Terminate)));
    assert_eq!(start.elapsed(), Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_ending_is_not_hidden() {
    let (mut supervisor, drain) = mk_supervisor();
    supervisor.spawn("webhook", async move {
        drain.closing().await;
        Err(io::Error::other("connection reset"))
    });
    let failure = supervisor.run(signals_at(&[1]), TIMING).await.unwrap_err();
    assert_eq!(failure.to_string(), "task webhook failed");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_while_servers_still_need_it_is_a_failure() {
    let (mut supervisor, drain) = mk_supervisor();
    supervisor.spawn("webhook", async move {
        drain.closing().await;
        Ok::<_, Infallible>(())
    });
    supervisor.spawn_outliving("index", async {
        sleep(Duration::from_secs(3)).await;
        Ok::<_, Infallible>(())
    });
    let failure = supervisor.run(signals_at(&[1]), TIMING).await.unwrap_err();
    assert_eq!(failure.to_string(), "task index ended unexpectedly");
}
