//! The operator is killed, the node's kubelet starts anew, the API server is away for a minute: pods go on serving, and everything
//! settles after.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::installed::Installed;
use crate::running::{addresses, mk_running, uids, until_answers, until_pods};
use crate::support::endpoints::get;
use crate::support::manifest::Manifest;
use crate::support::namespace::Namespace;
use crate::support::wait;

/// Requests to each of some addresses, one after the other, of which none may fail.
struct Requests {
    answered: Arc<AtomicUsize>,
    sending: JoinSet<String>,
}

impl Requests {
    fn to(addresses: Vec<SocketAddr>) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let mut sending = JoinSet::new();
        for address in addresses {
            let counted = Arc::clone(&answered);
            sending.spawn(async move {
                loop {
                    match tokio::time::timeout(Duration::from_secs(10), get(address, "/ready")).await {
                        Ok(Ok((200, _))) => counted.fetch_add(1, Ordering::Relaxed),
                        other => {
                            return format!("{address} after {}: {other:?}", counted.load(Ordering::Relaxed));
                        }
                    };
                    // Each has a connection of its own, and this machine has ports for two minutes of these.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        Self { answered, sending }
    }

    fn assert_all_answered(mut self) {
        if let Some(failed) = self.sending.try_join_next() {
            panic!("a request was not answered: {failed:?}");
        }
        assert!(self.answered.load(Ordering::Relaxed) > 0, "none was sent");
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
    // The pods themselves: what stands between them and a Service's address is not theirs to keep up.
    let requests = Requests::to(addresses(&ns, "weather").await);

    // The operator, both pods at once and without a word.
    let operator = installed.operator().await;
    let kill = ["delete", "pods", "--all", "--grace-period=0", "--force"];
    operator.kubectl(&kill, "").await.ok();
    installed.until_ready().await;
    until_all_works(&ns, "operator-killed").await;

    installed.tell("restart-kubelet").await;
    until_all_works(&ns, "kubelet-restarted").await;

    installed.tell("stop-apiserver").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    installed.tell("start-apiserver").await;
    installed.until_ready().await;
    until_all_works(&ns, "api-server-away").await;

    requests.assert_all_answered();
    until_answers(address).await;
    until_pods(&ns, "weather", 2).await;
    assert_eq!(uids(&ns, "weather").await, before, "no pod of an untouched server was replaced");
}
