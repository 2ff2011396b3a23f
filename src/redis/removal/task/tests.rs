//! The task on a clock of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_crds::kind::Kind;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::Target;
use super::*;

/// How a server's Redis behaves.
#[derive(Clone, Copy)]
enum Behaviour {
    Answers,
    Refuses,
    RefusesOnce,
    NeverAnswers,
    Panics,
}

use Behaviour::*;

#[derive(Default)]
struct Redises {
    behaviours: Mutex<HashMap<String, Behaviour>>,
    tries: AtomicUsize,
    at_a_time: AtomicUsize,
    most_at_a_time: AtomicUsize,
}

struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn refusal() -> Failure {
    Failure::NoPassword { name: "redis".to_owned(), key: "password".to_owned() }
}

impl Remove for Redises {
    async fn remove(&self, removal: &Removal) -> Result<u64, Failure> {
        let tries = self.tries.fetch_add(1, Ordering::Relaxed);
        let busy = self.at_a_time.fetch_add(1, Ordering::Relaxed) + 1;
        let _busy = Busy(&self.at_a_time);
        self.most_at_a_time.fetch_max(busy, Ordering::Relaxed);
        let behaviour = self.behaviours.lock()[&*removal.key.id.name];
        match behaviour {
            RefusesOnce if tries == 0 => Err(refusal()),
            Answers | RefusesOnce => Ok(3),
            Refuses => Err(refusal()),
            NeverAnswers => std::future::pending().await,
            Panics => panic!("what is this"),
        }
    }
}

struct World {
    redises: Arc<Redises>,
    removals: Arc<Removals>,
    changed: mpsc::UnboundedReceiver<ObjectKey>,
    _task: JoinSet<()>,
}

impl World {
    fn new() -> Self {
        let (redises, removals): (Arc<Redises>, Arc<Removals>) = Default::default();
        let (tell, changed) = mpsc::unbounded_channel();
        let mut task = JoinSet::new();
        let tell = move |key| drop(tell.send(key));
        task.spawn(run(Arc::clone(&removals), Arc::clone(&redises), tell, std::future::pending()));
        Self { redises, removals, changed, _task: task }
    }

    fn behave(&self, server: &str, behaviour: Behaviour) {
        self.redises.behaviours.lock().insert(server.to_owned(), behaviour);
    }

    fn progress(&self, server: &str, uid: &str, patience: u64) -> Progress {
        let target = Target::read(&json!({"serviceName": "redis"})).unwrap();
        let removal = Removal { key: key(server), uid: uid.into(), target };
        self.removals.progress(removal, Duration::from_secs(patience))
    }

    /// Waits until there is news of a server, and gives what it is.
    async fn news(&mut self, server: &str) -> Progress {
        assert_eq!(self.changed.recv().await, Some(key(server)));
        self.progress(server, "1", 30)
    }

    async fn until_quiet(&mut self) {
        while timeout(Duration::from_secs(600), self.changed.recv()).await.is_ok() {}
    }
}

fn key(server: &str) -> ObjectKey {
    ObjectKey::new(Kind::Server, "team", server)
}

fn running(why: &str) -> Progress {
    Progress::Running(Some(why.into()))
}

const REFUSED: &str = r#"there is no Secret "redis" with a key "password""#;

#[tokio::test(start_paused = true)]
async fn keys_are_removed_once_however_often_one_asks() {
    let mut world = World::new();
    world.behave("main", Answers);
    for _ in 0..3 {
        assert_eq!(world.progress("main", "1", 30), Progress::Running(None));
    }
    assert_eq!(world.news("main").await, Progress::Done);
    world.until_quiet().await;
    assert_eq!(world.redises.tries.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_told_at_once_and_tried_again() {
    let mut world = World::new();
    world.behave("main", RefusesOnce);
    let begun = Instant::now();
    world.progress("main", "1", 30);
    assert_eq!(world.news("main").await, running(REFUSED));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(world.news("main").await, Progress::Done);
    assert_eq!(begun.elapsed(), PAUSE);
}

#[tokio::test(start_paused = true)]
async fn it_is_given_up_when_its_time_is_over_and_told_twice_in_all() {
    for (behaviour, why) in [(Refuses, REFUSED), (Panics, "it cannot be understood")] {
        let mut world = World::new();
        world.behave("main", behaviour);
        let begun = Instant::now();
        world.progress("main", "1", 30);
        assert_eq!(world.news("main").await, running(why));
        assert_eq!(world.news("main").await, Progress::GivenUp(why.into()));
        let took = begun.elapsed();
        assert!(took <= Duration::from_secs(30) && took > Duration::from_secs(25), "{took:?}");
        assert!(world.redises.tries.load(Ordering::Relaxed) > 10);
        world.until_quiet().await;
        assert_eq!(world.progress("main", "1", 30), Progress::GivenUp(why.into()), "it stays so");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_never_answered_is_given_up_as_well() {
    let mut world = World::new();
    world.behave("main", NeverAnswers);
    let begun = Instant::now();
    world.progress("main", "1", 5);
    assert_eq!(world.news("main").await, Progress::GivenUp("it took longer than 5s".into()));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert_eq!(world.redises.at_a_time.load(Ordering::Relaxed), 0, "nothing goes on");
}

#[tokio::test(start_paused = true)]
async fn as_many_as_there_are_do_not_come_at_once_and_all_of_them_end_in_time() {
    let mut world = World::new();
    let names: Vec<String> = (0..200).map(|number| format!("main-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        world.behave(name, if number % 2 == 0 { NeverAnswers } else { Refuses });
        world.progress(name, "1", 30);
    }
    world.until_quiet().await;
    assert_eq!(world.redises.most_at_a_time.load(Ordering::Relaxed), AT_A_TIME);
    for name in names {
        let progress = world.progress(&name, "1", 30);
        assert!(matches!(progress, Progress::GivenUp(_)), "{name}: {progress:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_told() {
    let mut world = World::new();
    world.behave("main", RefusesOnce);
    world.progress("main", "1", 30);
    assert_eq!(world.news("main").await, running(REFUSED));
    world.removals.forget(&key("main"));
    // One of its name that is deleted as well.
    world.behave("main", Answers);
    assert_eq!(world.progress("main", "2", 5), Progress::Running(None));
    let begun = Instant::now();
    assert_eq!(world.changed.recv().await, Some(key("main")));
    assert_eq!((world.progress("main", "2", 5), begun.elapsed()), (Progress::Done, Duration::ZERO));
    assert!(
        timeout(PAUSE * 2, world.changed.recv()).await.is_err(),
        "the first was removed, and is nobody's news"
    );
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_it_is_asked_to() {
    let (redises, removals): (Arc<Redises>, Arc<Removals>) = Default::default();
    redises.behaviours.lock().insert("main".to_owned(), NeverAnswers);
    let target = Target::read(&json!({"serviceName": "redis"})).unwrap();
    removals.progress(Removal { key: key("main"), uid: "1".into(), target }, Duration::from_secs(30));
    let ending = sleep(Duration::from_secs(1));
    timeout(Duration::from_secs(2), run(removals, redises, |_| {}, ending)).await.expect("it ends");
}
