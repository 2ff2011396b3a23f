//! The operator is killed, and the API server goes away: what is left is the same as if nothing had happened.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_crds::kind::Kind;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_prompt, mk_resource, mk_selecting_server, mk_server, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{self, Verb, condition};
use crate::support::operator::Installation;
use crate::support::wait;

const CHANGES: usize = 200;

enum Change {
    Apply(Value),
    Delete(&'static str, String),
}

/// Changes to a few objects, the same ones for the same seed. None is refused.
fn changes(seed: u64) -> Vec<Change> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut change = |number: usize| {
        let server = format!("server-{}", random.random_range(0..3));
        let object = match random.random_range(0..10) {
            0 | 1 => {
                let replicas = random.random_range(0..3);
                mk_selecting_server(&server).with("/spec/replicas", replicas)
            }
            2 => mk_selecting_server(&server).with("/spec/config/LEVEL", number.to_string()),
            3 => mk_server(&server).with("/spec/port", 8000 + random.random_range(0..9)),
            4 => mk_prompt(&format!("prompt-{}", random.random_range(0..3))).for_server(&server),
            5 => mk_resource(&format!("resource-{}", random.random_range(0..3))).for_server(&server),
            _ => {
                let tool = mk_tool(&format!("tool-{}", random.random_range(0..12)));
                tool.with("/spec/description", format!("made by change {number}")).for_server(&server)
            }
        };
        if random.random_range(0..6) == 0 {
            let kind = object["kind"].as_str().and_then(Kind::from_name).expect("a kind");
            Change::Delete(kind.as_str(), object::name(&object).to_owned())
        } else {
            Change::Apply(object)
        }
    };
    (0..CHANGES).map(&mut change).collect()
}

/// Makes a change, and goes on trying while there is nobody to admit it.
async fn make(ns: &Namespace, change: &Change) {
    wait::until("the change is admitted", async || {
        let reply = match change {
            Change::Apply(object) => ns.send(Verb::Apply, object).await,
            Change::Delete(kind, name) => ns.delete(kind, name).await,
        };
        match reply.code {
            200..300 | 404 => Ok(()),
            500 => Err(reply.body.to_string()),
            code => panic!("{code}: {:#}", reply.body),
        }
    })
    .await;
}

/// All objects of a namespace, without what differs between two namespaces and two moments.
async fn state(ns: &Namespace) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let children = ["Deployment", "Service", "ConfigMap"];
    for kind in Kind::ALL.map(Kind::as_str).into_iter().chain(children) {
        for found in ns.list(kind).await {
            let is_ours = !children.contains(&kind);
            let mut conditions = found["status"]["conditions"].clone();
            for condition in conditions.as_array_mut().into_iter().flatten() {
                condition["lastTransitionTime"].take();
                condition["observedGeneration"].take();
            }
            let mut status = if is_ours { found["status"].clone() } else { Value::Null };
            if is_ours {
                status["conditions"] = conditions;
                // Where no pod ever becomes ready, a rollout goes on for ever, with as many pods as there were changes.
                for field in ["lastTransitionTime", "observedGeneration", "replicas"] {
                    status[field].take();
                }
            }
            let mut spec = found["spec"].clone();
            for address in ["clusterIP", "clusterIPs"] {
                if let Some(spec) = spec.as_object_mut() {
                    spec.remove(address);
                }
            }
            let labels = &found["metadata"]["labels"];
            let kept = json!({ "labels": labels, "spec": spec, "data": found["data"], "status": status });
            state
                .insert(format!("{kind} {}", object::name(&found)), kept.to_string().replace(&ns.name, "NS"));
        }
    }
    // Every namespace has it.
    state.remove("ConfigMap kube-root-ca.crt");
    state
}

#[tokio::test]
async fn killed_at_random_it_ends_in_the_same_state_as_without() {
    let seed = rand::random();
    eprintln!("the seed is {seed}");
    let cluster = Cluster::own().await;
    // The next one leads soon after the last.
    let leases = [("--lease-duration", "2s"), ("--renew-deadline", "1s"), ("--retry-period", "200ms")];
    let installed = Installation::inside(&cluster).await.with(leases);
    let troubled = cluster.namespace("troubled").await;
    let changes = changes(seed);

    let changing = async {
        for change in &changes {
            make(&troubled, change).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let killing = async {
        let mut random = StdRng::seed_from_u64(seed);
        loop {
            let operator = installed.start();
            tokio::time::sleep(Duration::from_millis(random.random_range(1000..5000))).await;
            operator.kill().await;
        }
    };
    tokio::select! {
        () = changing => {}
        never = killing => never,
    }

    let installed = installed.with_long_leases();
    let operator = installed.start_ready().await;
    let quiet = cluster.namespace("untroubled").await;
    for change in &changes {
        make(&quiet, change).await;
    }
    wait::until("both namespaces are alike", async || {
        let (troubled, quiet) = (state(&troubled).await, state(&quiet).await);
        let servers = quiet.values().filter(|object| object.contains("\"phase\":")).count();
        if servers > 0 && troubled == quiet {
            return Ok(());
        }
        let keys = quiet.keys().chain(troubled.keys());
        let differing = keys.filter(|key| quiet.get(*key) != troubled.get(*key));
        let shown = differing.map(|key| format!("{key}:\n  {:?}\n  {:?}", quiet.get(key), troubled.get(key)));
        Err(shown.take(3).collect::<Vec<_>>().join("\n"))
    })
    .await;
    operator.terminate().await;
    cluster.done().await;
}

async fn until_reconciled(ns: &Namespace, server: &str) {
    ns.until("Deployment", server, "is made", |_| true).await;
    ns.until("MCPServer", server, "has a status", |found| condition(found, "Ready").is_some()).await;
}

#[tokio::test]
async fn an_api_server_that_restarts_finds_the_operator_where_it_was() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with_long_leases();
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("restarts").await;
    ns.create(&mk_server("before")).await;
    until_reconciled(&ns, "before").await;
    for (round, how) in
        [&["restart-apiserver"][..], &["kill-apiserver", "start-apiserver"]].into_iter().enumerate()
    {
        for command in how {
            cluster.tell(command).await;
        }
        let name = format!("after-{round}");
        let created = ns.create_in_the_end(&mk_server(&name)).await;
        assert_eq!(created["spec"]["resources"]["requests"]["cpu"], "200m", "the webhook was asked");
        until_reconciled(&ns, &name).await;
    }
    // The same process, all the time.
    operator.until_ready().await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn an_api_server_that_stalls_for_a_moment_is_waited_for() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with_long_leases();
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("stalls").await;
    cluster.tell("pause-apiserver").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.tell("resume-apiserver").await;
    ns.create(&mk_server("after")).await;
    until_reconciled(&ns, "after").await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_leader_that_cannot_renew_its_lease_ends_by_itself() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with_short_leases();
    let operator = installed.start_ready().await;
    wait::until(
        "it leads",
        async || {
            if operator.leads().await? { Ok(()) } else { Err("it does not".to_owned()) }
        },
    )
    .await;
    cluster.tell("pause-apiserver").await;
    assert_ne!(operator.ended().await, 0);
    cluster.tell("resume-apiserver").await;
    assert!(!operator.logged("lease").is_empty(), "it says why");

    let operator = installed.start_ready().await;
    let ns = cluster.namespace("stalls").await;
    ns.create(&mk_server("after")).await;
    until_reconciled(&ns, "after").await;
    operator.terminate().await;
    cluster.done().await;
}
