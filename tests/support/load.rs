//! Admissions at a steady pace, each of which has to be answered well.

use std::time::Duration;

use kube::Client;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::manifest::{Manifest, mk_tool};
use super::namespace::Namespace;
use super::object::{self, Verb};

/// How many may be under way at once.
const IN_FLIGHT: usize = 200;

/// A load that runs until it is stopped.
pub(crate) struct Load {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Tally>,
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many objects were admitted.
    pub(crate) admitted: usize,
    /// What was said to the others.
    pub(crate) failures: Vec<String>,
}

impl Load {
    /// Sends so many objects a second to both webhooks, as dry runs. Nothing is tried twice.
    pub(crate) async fn start(namespace: &Namespace, per_second: u32) -> Self {
        let client = namespace.cluster.client().await;
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(send(client, namespace.name.clone(), per_second, stopped));
        Self { stop, running }
    }

    /// Ends it, and waits for the answers that are still to come.
    pub(crate) async fn stop(self) -> Tally {
        let _ = self.stop.send(());
        self.running.await.expect("the load ends")
    }
}

async fn send(client: Client, namespace: String, per_second: u32, mut stop: oneshot::Receiver<()>) -> Tally {
    let mut pace = interval(Duration::from_secs(1) / per_second);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut requests = JoinSet::new();
    let mut tally = Tally::default();
    for number in 0_u64.. {
        tokio::select! {
            _ = &mut stop => break,
            _ = pace.tick() => {}
        }
        let object = mk_tool(&format!("load-{number}")).with("/metadata/namespace", namespace.as_str());
        let client = client.clone();
        requests.spawn(async move { admit(&client, object).await });
        while requests.len() >= IN_FLIGHT {
            tally.count(requests.join_next().await);
        }
        while let Some(answer) = requests.try_join_next() {
            tally.count(Some(answer));
        }
    }
    while let Some(answer) = requests.join_next().await {
        tally.count(Some(answer));
    }
    tally
}

async fn admit(client: &Client, object: serde_json::Value) -> Result<(), String> {
    let reply =
        object::try_send(client, Verb::Create, &object, true).await.map_err(|error| error.to_string())?;
    // The webhook was there: it fills in the name.
    if reply.code == 201 && reply.body["spec"]["name"] == object["metadata"]["name"] {
        return Ok(());
    }
    Err(format!("{}: {}", reply.code, json!(reply.body)))
}

impl Tally {
    fn count(&mut self, answer: Option<Result<Result<(), String>, tokio::task::JoinError>>) {
        match answer.expect("an answer").expect("a request does not panic") {
            Ok(()) => self.admitted += 1,
            Err(failure) => self.failures.push(failure),
        }
    }

    /// Checks that every single one was admitted, and that they were at least so many.
    ///
    /// # Panics
    /// Where one was not.
    #[track_caller]
    pub(crate) fn assert_none_failed(&self, at_least: usize) {
        let shown: Vec<_> = self.failures.iter().take(5).collect();
        assert!(
            self.failures.is_empty(),
            "{} of {} failed, such as {shown:#?}",
            self.failures.len(),
            self.failures.len() + self.admitted
        );
        assert!(self.admitted >= at_least, "only {} were sent", self.admitted);
    }
}
