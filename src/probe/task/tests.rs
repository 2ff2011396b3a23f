//! The task on a clock of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use mcp_crds::kind::Kind;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::Server;
use super::*;

/// Half a minute before a full hour.
const START: i64 = 1_800_000_000 - 30;

/// How a server behaves, by its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Answers,
    AcceptsAndNeverAnswers,
    IsAway,
    IsAwayTwice,
    Panics,
}

#[derive(Default)]
struct Servers {
    behaviours: Mutex<HashMap<Arc<str>, Behaviour>>,
    asked: Mutex<Vec<(Duration, Arc<str>)>>,
    at_a_time: AtomicUsize,
    most_at_a_time: AtomicUsize,
    tries: AtomicUsize,
}

struct Asked<'a>(&'a AtomicUsize);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn found() -> Found {
    Found { name: None, version: None, protocol: "2026-07-28".to_owned(), tools: 1 }
}

struct World {
    servers: Arc<Servers>,
    probes: Arc<Probes>,
    start: Instant,
    /// By how much the wall clock was set, in seconds.
    set: Arc<Mutex<SignedDuration>>,
    answered: mpsc::UnboundedReceiver<ObjectKey>,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

impl Ask for (Arc<Servers>, Instant) {
    async fn ask(&self, target: &Target) -> Result<Found, Failure> {
        let (servers, start) = self;
        servers.asked.lock().push((start.elapsed(), Arc::clone(&target.url)));
        let at_a_time = servers.at_a_time.fetch_add(1, Ordering::Relaxed) + 1;
        servers.most_at_a_time.fetch_max(at_a_time, Ordering::Relaxed);
        let _asked = Asked(&servers.at_a_time);
        let behaviour = servers.behaviours.lock().get(&target.url).copied().unwrap_or(Behaviour::Answers);
        let away = || Err(Failure::Unreachable("connection refused".to_owned()));
        match behaviour {
            Behaviour::Answers => {
                sleep(Duration::from_millis(100)).await;
                Ok(found())
            }
            Behaviour::AcceptsAndNeverAnswers => std::future::pending().await,
            Behaviour::IsAway => away(),
            Behaviour::IsAwayTwice if servers.tries.fetch_add(1, Ordering::Relaxed) < 2 => away(),
            Behaviour::IsAwayTwice => Ok(found()),
            Behaviour::Panics => panic!("a bug"),
        }
    }
}

impl World {
    fn new() -> Self {
        let (servers, probes): (Arc<Servers>, Arc<Probes>) = Default::default();
        let (start, set) = (Instant::now(), Arc::new(Mutex::new(SignedDuration::ZERO)));
        let (told, answered) = mpsc::unbounded_channel();
        let ending = CancellationToken::new();
        let clock = Arc::new({
            let set = Arc::clone(&set);
            move || wall(start, *set.lock())
        });
        let task = tokio::spawn({
            let (probes, servers, ending) = (Arc::clone(&probes), Arc::clone(&servers), ending.clone());
            async move {
                let answered = move |key| drop(told.send(key));
                run(probes, Arc::new((servers, start)), clock, answered, ending.cancelled()).await;
            }
        });
        Self { servers, probes, start, set, answered, ending, task }
    }

    fn now(&self) -> Timestamp {
        wall(self.start, *self.set.lock())
    }

    fn has(&self, name: &str, behaviour: Behaviour) {
        self.observe(mk_server(name), behaviour);
    }

    fn observe(&self, server: Server, behaviour: Behaviour) {
        self.servers.behaviours.lock().insert(Arc::clone(&server.target.url), behaviour);
        self.probes.observe(server, self.now());
    }

    /// When which server was asked, in seconds from the start.
    fn asked(&self) -> Vec<(u64, String)> {
        self.servers.asked.lock().iter().map(|(at, url)| (at.as_secs(), url.to_string())).collect()
    }

    fn last(&self, name: &str) -> Option<Result<Found, Failure>> {
        let key = ObjectKey::new(Kind::Server, "team", name);
        self.probes.last(&key, "uid").map(|probed| probed.answer)
    }
}

fn wall(start: Instant, set: SignedDuration) -> Timestamp {
    let elapsed = SignedDuration::try_from(start.elapsed()).unwrap();
    Timestamp::from_second(START).unwrap() + elapsed + set
}

/// A server that is asked at each full minute, and is not ready.
fn mk_server(name: &str) -> Server {
    Server {
        key: ObjectKey::new(Kind::Server, "team", name),
        uid: "uid".into(),
        generation: 1,
        target: Target { url: name.into(), may_be_sse: false },
        schedule: "* * * * *".parse().unwrap(),
        ready_since: None,
        asked_at: None,
    }
}

fn at(name: &str, times: &[u64]) -> Vec<(u64, String)> {
    times.iter().map(|time| (*time, name.to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_server_is_asked_at_its_times() {
    let mut world = World::new();
    world.has("main", Behaviour::Answers);
    sleep(Duration::from_secs(160)).await;
    assert_eq!(world.asked(), at("main", &[30, 90, 150]));
    assert_eq!(world.last("main"), Some(Ok(found())));
    assert_eq!(&*world.answered.recv().await.unwrap().id.name, "main");
}

#[tokio::test(start_paused = true)]
async fn a_server_is_asked_once_when_it_becomes_ready_and_not_again_after_a_restart() {
    let world = World::new();
    let hourly = || Server { schedule: "0 0 1 1 *".parse().unwrap(), ..mk_server("main") };
    let ready = Some(world.now());
    world.observe(Server { ready_since: ready, ..hourly() }, Behaviour::Answers);
    sleep(Duration::from_secs(1)).await;
    // Passes go on before and after the status shows that it was asked.
    world.observe(Server { ready_since: ready, ..hourly() }, Behaviour::Answers);
    world.observe(Server { ready_since: ready, asked_at: ready, ..hourly() }, Behaviour::Answers);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(world.asked(), at("main", &[0]));

    // It was away, and is ready again.
    let again = Some(world.now());
    world.observe(Server { ready_since: None, asked_at: ready, ..hourly() }, Behaviour::Answers);
    world.observe(Server { ready_since: again, asked_at: ready, ..hourly() }, Behaviour::Answers);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(world.asked(), at("main", &[0, 101]));

    let restarted = World::new();
    let asked = Some(restarted.now());
    restarted.observe(Server { ready_since: asked, asked_at: asked, ..hourly() }, Behaviour::Answers);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(restarted.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn servers_that_never_answer_delay_no_other() {
    let world = World::new();
    for number in 0..500 {
        world.has(&format!("hangs-{number}"), Behaviour::AcceptsAndNeverAnswers);
    }
    // The first time nobody can know. They are 500, and 32 of them are asked at a time, for 20 s each.
    sleep(Duration::from_secs(400)).await;
    world.has("main", Behaviour::Answers);
    world.servers.asked.lock().clear();
    sleep(Duration::from_secs(180)).await;
    let mut asked = world.asked();
    asked.retain(|(_, name)| name == "main");
    assert_eq!(asked, at("main", &[450, 510, 570]));
    assert_eq!(world.last("hangs-0"), Some(Err(Failure::Silent { within: PATIENCE })));
    let most = world.servers.most_at_a_time.load(Ordering::Relaxed);
    assert!(most <= ASKED + SLOW, "{most} at a time");
}

#[tokio::test(start_paused = true)]
async fn many_servers_are_asked_a_few_at_a_time() {
    let world = World::new();
    for number in 0..1000 {
        world.has(&format!("main-{number}"), Behaviour::Answers);
    }
    sleep(Duration::from_secs(40)).await;
    assert_eq!(world.asked().len(), 1000);
    assert_eq!(world.servers.most_at_a_time.load(Ordering::Relaxed), ASKED);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_reached_is_tried_again_for_a_moment() {
    let world = World::new();
    world.has("late", Behaviour::IsAwayTwice);
    sleep(Duration::from_secs(45)).await;
    assert_eq!(world.asked(), at("late", &[30, 31, 32]));
    assert_eq!(world.last("late"), Some(Ok(found())));

    let world = World::new();
    world.has("gone", Behaviour::IsAway);
    sleep(Duration::from_secs(45)).await;
    assert_eq!(world.asked(), at("gone", &[30, 31, 32, 33]));
    assert!(matches!(world.last("gone"), Some(Err(Failure::Unreachable(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_time_that_comes_while_the_server_is_asked_is_not_made_up_for() {
    let world = World::new();
    let often = Server { schedule: "* * * * *".parse().unwrap(), ..mk_server("main") };
    world.observe(often, Behaviour::Answers);
    for number in 0..200 {
        world.has(&format!("hangs-{number}"), Behaviour::AcceptsAndNeverAnswers);
    }
    sleep(Duration::from_secs(1000)).await;
    let times = world.asked().into_iter().filter(|(_, name)| name == "main").count();
    assert!(times <= 17, "asked {times} times in 1000 s");
}

#[tokio::test(start_paused = true)]
async fn a_changed_schedule_counts_from_then_and_without_one_nothing_is_asked() {
    let world = World::new();
    world.has("main", Behaviour::Answers);
    sleep(Duration::from_secs(40)).await;
    world.observe(
        Server { schedule: "*/5 * * * *".parse().unwrap(), ..mk_server("main") },
        Behaviour::Answers,
    );
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.asked(), at("main", &[30, 330, 630]));
    world.probes.forget(&mk_server("main").key);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.asked().len(), 3);
    assert_eq!(world.last("main"), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_of_the_same_name_answered_before_is_not_this_ones() {
    let mut world = World::new();
    world.has("main", Behaviour::AcceptsAndNeverAnswers);
    sleep(Duration::from_secs(35)).await;
    world.observe(Server { uid: "another".into(), ..mk_server("main") }, Behaviour::Answers);
    sleep(Duration::from_secs(40)).await;
    assert_eq!(world.last("main"), None);
    assert!(world.answered.try_recv().is_err());
    sleep(Duration::from_secs(60)).await;
    assert!(world.answered.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_neither_storms_nor_hangs() {
    let world = World::new();
    world.has("main", Behaviour::Answers);
    sleep(Duration::from_secs(35)).await;
    assert_eq!(world.asked(), at("main", &[30]));
    // A day forward, and a year back.
    for set in [86_400, -31_536_000] {
        *world.set.lock() = SignedDuration::from_secs(set);
        let before = world.asked().len();
        sleep(Duration::from_secs(300)).await;
        let asked = world.asked().len() - before;
        assert!((4..=5).contains(&asked), "asked {asked} times in five minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_asks_once_when_a_server_becomes_ready() {
    let world = World::new();
    // By the clock of whoever led before, it becomes ready in ten minutes only.
    let ready = Some(world.now() + SignedDuration::from_mins(10));
    let server = Server { schedule: "0 0 1 1 *".parse().unwrap(), ready_since: ready, ..mk_server("main") };
    world.observe(server, Behaviour::Answers);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(world.asked(), at("main", &[0]));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_servers_and_it_is_asked_again() {
    let world = World::new();
    world.has("broken", Behaviour::Panics);
    world.has("main", Behaviour::Answers);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(world.asked().len(), 4);
    assert!(matches!(world.last("broken"), Some(Err(_))) && matches!(world.last("main"), Some(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_nothing_is_waited_for() {
    let world = World::new();
    world.has("hangs", Behaviour::AcceptsAndNeverAnswers);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(world.servers.at_a_time.load(Ordering::Relaxed), 1);
    world.ending.cancel();
    timeout(Duration::from_secs(1), world.task).await.expect("it ends").expect("it does not panic");
    tokio::task::yield_now().await;
    assert_eq!(world.servers.at_a_time.load(Ordering::Relaxed), 0);
}
