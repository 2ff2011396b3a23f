//! The operator is killed, the node's kubelet starts anew, the API server is away for a minute: pods go on serving, and everything
//! settles after.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::installed::Installed;
use crate::running::{addresses, answers, mk_running, uids, until_answers, until_pods};
use crate::support::manifest::Manifest;
use crate::support::namespace::Namespace;
use crate::support::wait;

/// How long whoever asks waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one connection through a Service's address is tried. One that begins while kube-proxy writes its rules anew may be
/// for nobody for as long as it is tried, and the next one fares better.
const TRY: Duration = Duration::from_secs(2);

/// Requests to some addresses, to each one after the other, of which all have to be answered.
#[derive(Default)]
struct Requests {
    answered: Vec<(SocketAddr, Arc<AtomicUsize>)>,
    sending: JoinSet<String>,
}

impl Requests {
    /// Sends them to an address, where `ask` says how one of them is answered.
    fn send<F>(&mut self, address: SocketAddr, ask: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), String>> + Send,
    {
        let answered = Arc::new(AtomicUsize::new(0));
        self.answered.push((address, Arc::clone(&answered)));
        self.sending.spawn(async move {
            loop {
                if let Err(seen) = ask().await {
                    return format!("{address} after {}: {seen}", answered.load(Ordering::Relaxed));
                }
                answered.fetch_add(1, Ordering::Relaxed);
                // Each has a connection of its own, and this machine has ports for two minutes of these.
                sleep(Duration::from_millis(20)).await;
            }
        });
    }

    fn assert_all_answered(mut self) {
        if let Some(failed) = self.sending.try_join_next() {
            panic!("a request was not answered: {failed:?}");
        }
        println!("answered: {:?}", self.answered);
        for (address, answered) in &self.answered {
            assert!(answered.load(Ordering::Relaxed) > 0, "none was sent to {address}");
        }
    }
}

/// A Service, as its clients meet it.
#[derive(Clone)]
struct Service {
    name: &'static str,
    address: SocketAddr,
    slices: Api<EndpointSlice>,
}

impl Service {
    async fn of(ns: &Namespace, name: &'static str) -> Self {
        let slices = Api::namespaced(ns.cluster.client().await, &ns.name);
        Self { name, address: ns.address(name).await, slices }
    }

    /// Asks as clients do who try again.
    async fn answers_in_the_end(self) -> Result<(), String> {
        let mut since = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(since.elapsed());
            match answers(self.address, TRY.min(left)).await {
                Ok(()) => return Ok(()),
                Err(_) if self.has_nobody().await => since = Instant::now(),
                Err(seen) if left.is_zero() => {
                    return Err(format!("not within {PATIENCE:?}; last seen: {seen}"));
                }
                Err(_) => {}
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether Kubernetes itself leads to nobody. It takes the pods of a node of which it has not heard for long out of their
    /// Services, also where nobody could tell it anything, and the kubelet puts them back.
    async fn has_nobody(&self) -> bool {
        let of_this = ListParams::default().labels(&format!("kubernetes.io/service-name={}", self.name));
        let Ok(Ok(slices)) = timeout(TRY, self.slices.list(&of_this)).await else { return false };
        let mut endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter());
        !endpoints.any(|endpoint| endpoint.conditions.as_ref().is_some_and(|it| it.ready == Some(true)))
    }
}

/// A change of the server takes effect, and a new one comes up.
async fn until_all_works(ns: &Namespace, round: &str) {
    let patch = json!({ "spec": { "podAnnotations": { "round": round } } });
    wait::within(crate::running::PODS, "a change is admitted", async || {
        let reply = ns.patch("MCPServer", "changed", &patch).await;
        if reply.code == 200 { Ok(()) } else { Err(reply.body.to_string()) }
    })
    .await;
    ns.until("Deployment", "changed", "it has the change", |found| {
        found.pointer("/spec/template/metadata/annotations/round") == Some(&json!(round))
    })
    .await;
    until_pods(ns, "changed", 1).await;
    ns.create_in_the_end(&mk_running(round)).await;
    until_pods(ns, round, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_go_on_serving_through_every_outage_and_everything_settles_after() {
    let installed = Installed::own().await;
    let ns = installed.namespace("outages").await;
    ns.create(&mk_running("weather").with("/spec/replicas", 2)).await;
    ns.create(&mk_running("changed")).await;
    until_pods(&ns, "weather", 2).await;
    until_pods(&ns, "changed", 1).await;
    let address = ns.address("weather").await;
    until_answers(address).await;
    let before = uids(&ns, "weather").await;
    let mut requests = Requests::default();
    // The pods themselves at the first try: what stands between them and a Service's address is not theirs to keep up.
    for pod in addresses(&ns, "weather").await {
        requests.send(pod, move || answers(pod, PATIENCE));
    }
    let service = Service::of(&ns, "weather").await;
    requests.send(address, move || service.clone().answers_in_the_end());

    // The operator, both pods at once and without a word.
    let operator = installed.operator().await;
    let kill = ["delete", "pods", "--all", "--grace-period=0", "--force"];
    operator.kubectl(&kill, "").await.ok();
    installed.until_ready().await;
    until_all_works(&ns, "operator-killed").await;

    installed.tell("restart-kubelet").await;
    until_all_works(&ns, "kubelet-restarted").await;

    installed.tell("stop-apiserver").await;
    sleep(Duration::from_secs(60)).await;
    installed.tell("start-apiserver").await;
    installed.until_ready().await;
    until_all_works(&ns, "api-server-away").await;

    requests.assert_all_answered();
    until_answers(address).await;
    until_pods(&ns, "weather", 2).await;
    assert_eq!(uids(&ns, "weather").await, before, "no pod of an untouched server was replaced");
}
