//! Two replicas of the operator: one that writes, and both that answer admission.

use crate::support::cluster::Cluster;
use crate::support::load::Load;
use crate::support::manifest::{Manifest, mk_selecting_server, mk_server, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{Verb, condition};
use crate::support::operator::{Installation, Operator};
use crate::support::wait;

/// How many names two writers race for.
const ROUNDS: usize = 40;

async fn until_endpoints(installed: &Installation, count: usize) {
    let endpoints = installed.endpoints.as_ref().expect("endpoints");
    wait::until(format_args!("{count} endpoints are ready"), async || match endpoints.ready() {
        ready if ready == count => Ok(()),
        ready => Err(format!("{ready} are")),
    })
    .await;
}

/// The one that writes, and the one that does not.
async fn by_role(first: Operator, second: Operator) -> (Operator, Operator) {
    let first_leads =
        wait::until("one of two leads", async || match (first.leads().await?, second.leads().await?) {
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            other => Err(format!("{other:?}")),
        })
        .await;
    if first_leads { (first, second) } else { (second, first) }
}

async fn until_reconciled(ns: &Namespace, server: &str) {
    ns.until("Deployment", server, "is made", |_| true).await;
    ns.until("MCPServer", server, "has a status", |found| condition(found, "Ready").is_some()).await;
}

#[tokio::test]
async fn of_two_writers_that_race_for_a_name_one_wins() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let (first, second) = (installed.start_ready().await, installed.start_ready().await);
    until_endpoints(&installed, 2).await;
    let ns = cluster.namespace("race").await;
    ns.create(&mk_selecting_server("main")).await;

    let mut both_admitted = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("search-{round}");
        let tool = |side: &str| {
            mk_tool(&format!("{side}-{round}")).with("/spec/name", name.as_str()).for_server("main")
        };
        let (left, right) = (tool("left"), tool("right"));
        let (left, right) = tokio::join!(ns.send(Verb::Create, &left), ns.send(Verb::Create, &right));
        match (left.code, right.code) {
            (201, 201) => both_admitted.push(round),
            (201, _) => assert_eq!(right.refused()[0].reason, "FieldValueDuplicate"),
            (_, 201) => assert_eq!(left.refused()[0].reason, "FieldValueDuplicate"),
            _ => panic!("none of two was admitted: {:#} {:#}", left.body, right.body),
        }
    }
    eprintln!("{} of {ROUNDS} races were left to the controller", both_admitted.len());

    ns.until("MCPServer", "main", "offers each name once", |found| found["status"]["tools"] == ROUNDS).await;
    for round in both_admitted {
        // Made in the same second, or in the order in which the API server stored them.
        wait::until(format_args!("search-{round} is settled"), async || {
            let sides = [
                ns.get("MCPTool", &format!("left-{round}")).await,
                ns.get("MCPTool", &format!("right-{round}")).await,
            ];
            let mut settled = sides.each_ref().map(|side| condition(side, "Accepted"));
            settled.sort_unstable();
            if settled == [Some(("False", "DuplicateName")), Some(("True", "Accepted"))] {
                return Ok(());
            }
            Err(format!("{settled:?}"))
        })
        .await;
    }
    first.terminate().await;
    second.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn when_the_leader_is_killed_the_other_goes_on() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with_short_leases();
    let (first, second) = (installed.start_ready().await, installed.start_ready().await);
    until_endpoints(&installed, 2).await;
    let (leader, other) = by_role(first, second).await;
    let ns = cluster.namespace("failover").await;
    ns.create(&mk_server("before")).await;
    until_reconciled(&ns, "before").await;

    leader.kill().await;
    until_endpoints(&installed, 1).await;
    ns.create(&mk_server("after")).await;
    until_reconciled(&ns, "after").await;
    assert!(other.leads().await.expect("metrics"));

    // One that comes back follows.
    let back = installed.start_ready().await;
    until_endpoints(&installed, 2).await;
    assert!(!back.leads().await.expect("metrics"));
    ns.create(&mk_server("again")).await;
    until_reconciled(&ns, "again").await;
    other.terminate().await;
    back.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn the_leader_that_is_told_to_end_hands_over_at_once() {
    let cluster = Cluster::own().await;
    // With leases that nobody could wait for.
    let installed =
        Installation::inside(&cluster).await.with(&["--lease-duration", "3600s", "--retry-period", "1s"]);
    let (first, second) = (installed.start_ready().await, installed.start_ready().await);
    until_endpoints(&installed, 2).await;
    let (leader, other) = by_role(first, second).await;
    let ns = cluster.namespace("handover").await;
    leader.terminate().await;
    ns.create(&mk_server("after")).await;
    until_reconciled(&ns, "after").await;
    other.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_rolling_restart_fails_no_admission() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let mut replicas = vec![installed.start_ready().await, installed.start_ready().await];
    until_endpoints(&installed, 2).await;
    let ns = cluster.namespace("rolling").await;
    let load = Load::start(&ns, 50).await;
    // As a Deployment does it: one more, then one less.
    for _ in 0..2 {
        replicas.push(installed.start_ready().await);
        until_endpoints(&installed, 3).await;
        replicas.remove(0).terminate().await;
        until_endpoints(&installed, 2).await;
    }
    load.stop().await.assert_none_failed(100);
    ns.create(&mk_server("after")).await;
    until_reconciled(&ns, "after").await;
    for replica in replicas {
        replica.terminate().await;
    }
    cluster.done().await;
}
