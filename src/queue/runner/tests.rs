//! How passes run, side by side and to their end.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use super::super::Depth;
use super::*;

/// Passes that take a second each, and keep a record.
#[derive(Default)]
struct Recorded {
    passes: Mutex<Vec<(&'static str, Duration)>>,
    running: AtomicUsize,
    most: AtomicUsize,
    panics: AtomicUsize,
    epoch: Mutex<Option<Instant>>,
}

impl Reconcile<&'static str> for Recorded {
    async fn reconcile(&self, key: &'static str) -> Outcome {
        let epoch = *self.epoch.lock().get_or_insert_with(Instant::now);
        self.passes.lock().push((key, epoch.elapsed()));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        sleep(Duration::from_secs(1)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        match key {
            "panics" => panic!("no luck with {key}"),
            "fails" => Outcome::Backoff,
            _ => Outcome::AwaitChange,
        }
    }

    fn span(&self, key: &&'static str) -> Span {
        tracing::info_span!("reconcile", key)
    }

    fn panicked(&self, _key: &&'static str, took: Duration) {
        assert_eq!(took, Duration::from_secs(1));
        self.panics.fetch_add(1, Ordering::SeqCst);
    }
}

fn start(queue: &WorkQueue<&'static str>, concurrency: usize) -> (Arc<Recorded>, Running) {
    let recorded = Arc::new(Recorded::default());
    let (stop, stopping) = oneshot::channel::<()>();
    let concurrency = NonZeroUsize::new(concurrency).unwrap();
    let task = tokio::spawn(run(queue.clone(), concurrency, Arc::clone(&recorded), async {
        let _ = stopping.await;
    }));
    (recorded, Running { stop, task })
}

struct Running {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

#[tokio::test(start_paused = true)]
async fn no_more_passes_run_than_allowed() {
    let queue = WorkQueue::default();
    for key in ["a", "b", "c", "d", "e"] {
        queue.add(key);
    }
    let (recorded, _running) = start(&queue, 2);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(queue.depth(), Depth { ready: 3, delayed: 0, running: 2 });
    sleep(Duration::from_secs(3)).await;
    assert_eq!(queue.depth(), Depth::default());
    assert_eq!(recorded.most.load(Ordering::SeqCst), 2);
    assert_eq!(recorded.passes.lock().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn one_key_never_runs_twice_at_once() {
    let queue = WorkQueue::default();
    let (recorded, _running) = start(&queue, 8);
    for _ in 0..10 {
        queue.add("a");
        sleep(Duration::from_millis(250)).await;
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(recorded.most.load(Ordering::SeqCst), 1);
    assert_eq!(recorded.passes.lock().len(), 4, "ten additions in 2.5 s, passes of 1 s");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_counted_and_backed_off_and_stops_nothing_else() {
    let queue = WorkQueue::default();
    queue.add("panics");
    queue.add("a");
    let (recorded, _running) = start(&queue, 1);
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(recorded.panics.load(Ordering::SeqCst), 1);
    assert_eq!(recorded.passes.lock().last().unwrap().0, "a");
    assert_eq!(queue.depth().delayed, 1);
    sleep(Duration::from_secs(4)).await;
    assert!(recorded.panics.load(Ordering::SeqCst) >= 2, "and it is tried again");
}

#[tokio::test(start_paused = true)]
async fn a_failing_key_comes_back_later_and_later() {
    let queue = WorkQueue::default();
    queue.add("fails");
    let (recorded, _running) = start(&queue, 1);
    sleep(Duration::from_secs(3_600)).await;
    let passes = recorded.passes.lock().len();
    // 5 min at most between two, and 1 s at least; without a cap or without growth the count is far from this.
    assert!((13..60).contains(&passes), "{passes} passes in an hour");
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_runs_and_begins_nothing() {
    let queue = WorkQueue::default();
    for key in ["a", "b", "c"] {
        queue.add(key);
    }
    let (recorded, running) = start(&queue, 2);
    sleep(Duration::from_millis(500)).await;
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    assert_eq!(recorded.running.load(Ordering::SeqCst), 0, "both were finished");
    assert_eq!(recorded.passes.lock().len(), 2);
    assert_eq!(queue.depth(), Depth { ready: 1, delayed: 0, running: 0 });
}

/// Passes that hold a permit for as long as they exist.
struct Holding(Arc<Semaphore>);

impl Reconcile<&'static str> for Holding {
    async fn reconcile(&self, _key: &'static str) -> Outcome {
        let _permit = self.0.acquire().await;
        std::future::pending().await
    }

    fn span(&self, _key: &&'static str) -> Span {
        Span::none()
    }

    fn panicked(&self, _key: &&'static str, _took: Duration) {}
}

#[tokio::test(start_paused = true)]
async fn dropping_the_runner_ends_its_passes() {
    let permits = Arc::new(Semaphore::new(1));
    let queue = WorkQueue::default();
    queue.add("a");
    let task = tokio::spawn(run(
        queue,
        NonZeroUsize::MIN,
        Arc::new(Holding(Arc::clone(&permits))),
        std::future::pending(),
    ));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(permits.available_permits(), 0);
    task.abort();
    let _ = task.await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(permits.available_permits(), 1);
}
