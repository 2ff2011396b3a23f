use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::Value;

use super::*;

/// An API server that records what it is asked, and answers with this status.
#[derive(Clone)]
struct Server {
    calls: Arc<Mutex<Vec<(String, Value)>>>,
    now: Arc<AtomicI64>,
    code: Arc<Mutex<u16>>,
    /// How many of the next requests are never answered.
    silent: Arc<AtomicUsize>,
}

impl Server {
    fn new() -> Self {
        Self {
            calls: Arc::default(),
            now: Arc::new(AtomicI64::new(1_000)),
            code: Arc::new(Mutex::new(200)),
            silent: Arc::default(),
        }
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        let line = format!("{} {}", head.method, head.uri.path());
        self.calls.lock().push((line, body.clone()));
        let silent = |left: usize| left.checked_sub(1);
        if self.silent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, silent).is_ok() {
            std::future::pending::<()>().await;
        }
        let code = *self.code.lock();
        let answer = match code {
            200 => body,
            code => {
                json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "", "code": code})
            }
        };
        Ok(Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap())
    }

    fn writer(&self) -> Writer {
        let server = self.clone();
        let client =
            Client::new(tower::service_fn(move |request| Server::answer(server.clone(), request)), "team");
        let now = Arc::clone(&self.now);
        Writer {
            client,
            instance: "mcp-operator-0_1".to_owned(),
            clock: Arc::new(move || Timestamp::from_second(now.load(Ordering::Relaxed)).unwrap()),
        }
    }

    /// Writes these, at their times.
    async fn write(&self, occurrences: impl IntoIterator<Item = (i64, Occurrence)>) -> Vec<(String, Value)> {
        let writer = self.writer();
        let (recorder, told) = recorder();
        let telling = async {
            for (second, occurrence) in occurrences {
                self.now.store(second, Ordering::Relaxed);
                let before = self.calls.lock().len();
                recorder.record(occurrence);
                while self.calls.lock().len() == before {
                    tokio::task::yield_now().await;
                }
            }
            drop(recorder);
        };
        tokio::join!(writer.run(told, std::future::pending()), telling);
        std::mem::take(&mut *self.calls.lock())
    }
}

fn mk_occurrence(note: &str) -> Occurrence {
    Occurrence {
        api_version: "mcp.example.com/v1alpha1",
        kind: "MCPServer",
        namespace: "team".into(),
        name: "main".into(),
        uid: "uid-of-main".into(),
        warning: true,
        reason: "NameTaken",
        action: "Reconcile",
        note: note.to_owned(),
    }
}

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/team/events";

#[tokio::test]
async fn an_event_says_what_happened_to_which_object() {
    let calls = Server::new().write([(1_000, mk_occurrence("taken"))]).await;
    let (line, event) = &calls[0];
    assert_eq!(*line, format!("POST {EVENTS}"));
    assert_eq!(event["regarding"]["uid"], "uid-of-main");
    assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("NameTaken")));
    assert_eq!((&event["note"], &event["action"]), (&json!("taken"), &json!("Reconcile")));
    assert_eq!(event["reportingController"], "mcp-operator");
    assert_eq!(event["reportingInstance"], "mcp-operator-0_1");
    assert!(event["metadata"]["name"].as_str().unwrap().starts_with("main."));
}

#[tokio::test]
async fn what_happens_again_is_counted_and_what_happens_later_is_new() {
    let again = [1_000, 1_100, 1_200, 2_000].map(|second| (second, mk_occurrence("taken")));
    let calls = Server::new().write(again).await;
    let name = calls[0].1["metadata"]["name"].as_str().unwrap();
    let patch = format!("PATCH {EVENTS}/{name}");
    let lines: Vec<_> = calls.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, [&format!("POST {EVENTS}"), &patch, &patch, &format!("POST {EVENTS}")]);
    assert_eq!(calls[1].1["series"]["count"], 2);
    assert_eq!(calls[2].1["series"]["count"], 3);
}

#[tokio::test]
async fn different_things_are_different_events() {
    let calls = Server::new().write([(1_000, mk_occurrence("one")), (1_001, mk_occurrence("two"))]).await;
    assert_eq!(calls.iter().filter(|(line, _)| line.starts_with("POST")).count(), 2);
}

#[tokio::test]
async fn an_event_that_cannot_be_written_is_forgotten() {
    let server = Server::new();
    *server.code.lock() = 404;
    assert_eq!(server.write([(1_000, mk_occurrence("one"))]).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_never_answered_holds_up_the_next_for_seconds_only() {
    let server = Server::new();
    server.silent.store(1, Ordering::Relaxed);
    let (recorder, told) = recorder();
    ["one", "two"].into_iter().for_each(|note| recorder.record(mk_occurrence(note)));
    drop(recorder);
    let started = tokio::time::Instant::now();
    server.writer().run(told, std::future::pending()).await;
    let calls = server.calls.lock().clone();
    let notes: Vec<_> = calls.iter().map(|(_, event)| event["note"].as_str().unwrap()).collect();
    assert_eq!(notes, ["one", "two"]);
    assert_eq!(started.elapsed(), WRITE);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_the_process_what_waits_is_written_but_not_for_ever() {
    let server = Server::new();
    let (recorder, told) = recorder();
    recorder.record(mk_occurrence("one"));
    recorder.record(mk_occurrence("two"));
    drop(recorder);
    server.writer().run(told, std::future::ready(())).await;
    assert_eq!(server.calls.lock().len(), 2);

    server.silent.store(usize::MAX, Ordering::Relaxed);
    let (recorder, told) = super::recorder();
    (0..10).for_each(|number| recorder.record(mk_occurrence(&number.to_string())));
    let started = tokio::time::Instant::now();
    server.writer().run(told, std::future::ready(())).await;
    assert_eq!(started.elapsed(), FLUSH);
}

#[tokio::test]
async fn what_nobody_writes_does_not_pile_up() {
    let (recorder, mut told) = recorder();
    for _ in 0..2 * WAITING {
        recorder.record(mk_occurrence("again"));
    }
    drop(recorder);
    let mut waiting = 0;
    while told.recv().await.is_some() {
        waiting += 1;
    }
    assert_eq!(waiting, WAITING);
}

#[test]
fn the_oldest_is_forgotten_first() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let written = |second| Written { name: String::new(), count: 1, last: at(second) };
    let mut remembered: HashMap<u64, Written> =
        (0..REMEMBERED as u64).map(|key| (key, written(1_000 + (key as i64 % 10)))).collect();
    remembered.insert(9_999, written(999));
    forget(&mut remembered, at(1_010));
    assert!(remembered.len() < REMEMBERED && !remembered.contains_key(&9_999));
    forget(&mut remembered, at(9_000));
    assert!(remembered.is_empty());
}

#[test]
fn a_note_is_cut_between_characters() {
    assert_eq!(cut("abc", 10), "abc");
    assert_eq!(cut("aä", 2), "a");
}
