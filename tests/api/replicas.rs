//! Two replicas of the operator: one that writes, and both that answer admission.

use futures::future::join_all;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::load::Load;
use crate::support::manifest::{Manifest, mk_selecting_server, mk_server, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{self, Verb, condition};
use crate::support::operator::{Installation, Operator};
use crate::support::wait;

/// How many names writers race for, and how many for each.
const ROUNDS: usize = 25;
const WRITERS: usize = 6;

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
async fn of_many_writers_that_race_for_a_name_one_is_served() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let replicas = [installed.start_ready().await, installed.start_ready().await];
    until_endpoints(&installed, 2).await;
    let ns = cluster.namespace("race").await;
    ns.create(&mk_selecting_server("main")).await;

    let mut admitted = Vec::new();
    for round in 0..ROUNDS {
        let tools = (0..WRITERS).map(|writer| {
            let tool = mk_tool(&format!("search-{round}-{writer}"));
            tool.with("/spec/name", format!("search-{round}")).for_server("main")
        });
        let tools: Vec<_> = tools.collect();
        let replies = join_all(tools.iter().map(|tool| ns.send(Verb::Create, tool))).await;
        let winners = replies.iter().zip(&tools).filter(|(reply, _)| reply.code == 201);
        let winners: Vec<_> = winners.map(|(_, tool)| object::name(tool).to_owned()).collect();
        assert!(!winners.is_empty(), "none was admitted");
        for loser in replies.iter().filter(|reply| reply.code != 201) {
            let causes = loser.refused();
            assert_eq!(
                (causes.len(), causes[0].reason, causes[0].field.as_str()),
                (1, "FieldValueDuplicate", "spec.name")
            );
        }
        admitted.push(winners);
    }
    let left: usize = admitted.iter().map(|winners| winners.len() - 1).sum();
    eprintln!(
        "{left} of {} that should not have been admitted were left to the controller",
        ROUNDS * (WRITERS - 1)
    );
    for replica in &replicas {
        assert!(!replica.logged("verdict=\"denied\"").is_empty(), "each was asked");
    }

    ns.until("MCPServer", "main", "offers each name once", |found| found["status"]["tools"] == ROUNDS).await;
    for winners in admitted {
        wait::until(format_args!("{winners:?} are settled"), async || {
            let mut served = 0;
            for name in &winners {
                match condition(&ns.get("MCPTool", name).await, "Accepted") {
                    Some(("True", "Accepted")) => served += 1,
                    Some(("False", "DuplicateName")) => {}
                    other => return Err(format!("{name}: {other:?}")),
                }
            }
            if served == 1 { Ok(()) } else { Err(format!("{served} are served")) }
        })
        .await;
    }
    for replica in replicas {
        replica.terminate().await;
    }
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
    // The other sees it too, and keeps no list of what it has not to do.
    wait::until("both know of it", async || {
        let known = other.metric("mcp_operator_catalog_objects{kind=\"MCPServer\"}").await?;
        if known == 1.0 { Ok(()) } else { Err(format!("{known} are known")) }
    })
    .await;
    assert_eq!(other.metric("mcp_operator_queue_depth{state=\"ready\"}").await, Ok(0.0));

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
    let installed = Installation::inside(&cluster).await.with_long_leases();
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
async fn a_leader_that_was_frozen_is_replaced_and_ends_when_it_wakes() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with_short_leases();
    let (first, second) = (installed.start_ready().await, installed.start_ready().await);
    until_endpoints(&installed, 2).await;
    let (mut leader, other) = by_role(first, second).await;
    let ns = cluster.namespace("frozen").await;
    leader.signal("STOP");
    until_endpoints(&installed, 1).await;
    ns.create_in_the_end(&mk_server("weather")).await;
    until_reconciled(&ns, "weather").await;
    assert!(other.leads().await.expect("metrics"));

    leader.signal("CONT");
    assert_ne!(leader.ended().await, 0);
    ns.patch("MCPServer", "weather", &json!({ "spec": { "replicas": 2 } })).await.accepted();
    ns.until("Deployment", "weather", "has two replicas", |found| found["spec"]["replicas"] == 2).await;
    other.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_rolling_restart_fails_no_admission() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await.with_long_leases();
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
