//! The operator on a developer's machine, against a cluster that has only the CRDs.

use http::Method;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_selecting_server, mk_server, mk_tool};
use crate::support::object::{self, Verb};
use crate::support::operator::{Installation, Shared};

const CONFIGURATIONS: [&str; 2] = [
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
];

#[tokio::test]
async fn it_makes_what_it_needs_and_removes_what_would_refuse_everything() {
    let cluster = Cluster::own().await;
    let installed = Installation::outside(&cluster).await;
    // Its namespace is not there.
    let namespace = format!("{}-made", installed.namespace.name);
    let installed = installed.with_namespace(&namespace);
    let operator = installed.start_ready().await;
    let client = cluster.client().await;
    assert!(object::find(&client, "Secret", &namespace, "mcp-operator-webhook-cert").await.is_some());
    let ns = cluster.namespace("outside").await;
    ns.send(Verb::Create, &mk_server("weather").with("/spec/port", 0)).await.refused();

    operator.terminate().await;
    for kind in CONFIGURATIONS {
        let path = format!("{kind}/{}", installed.configuration());
        let reply = ns.request(Method::GET, &path, "application/json", None).await;
        assert_eq!(reply.code, 404, "{:#}", reply.body);
    }
    // Nobody fills in the name, and nobody refuses it.
    let stored = ns.create(&mk_tool("search")).await;
    assert_eq!(stored["spec"]["name"], serde_json::Value::Null);
    cluster.kubectl(&["delete", "namespace", &namespace], "").await.ok();
    cluster.done().await;
}

#[tokio::test]
async fn one_that_was_killed_leaves_its_configurations_to_the_next() {
    let cluster = Cluster::own().await;
    let installed = Installation::outside(&cluster).await.with_short_leases();
    installed.start_ready().await.kill().await;
    let ns = cluster.namespace("outside").await;
    assert_eq!(ns.send(Verb::Create, &mk_server("weather")).await.code, 500, "it fails closed");
    // It listens elsewhere.
    let next = installed.start_ready().await;
    ns.create(&mk_server("weather")).await;
    ns.until("Deployment", "weather", "is made", |_| true).await;
    next.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn it_is_ready_while_an_earlier_run_still_holds_the_lease() {
    let cluster = Cluster::own().await;
    let installed = Installation::outside(&cluster).await.with_long_leases();
    installed.start_ready().await.kill().await;
    // As a run that lost its lease leaves it: nothing is vacated, and the configurations are gone.
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        cluster.kubectl(&["delete", kind, installed.configuration()], "").await.ok();
    }
    let next = installed.start_ready().await;
    assert_eq!(next.leads().await, Ok(false));
    let ns = cluster.namespace("outside").await;
    ns.send(Verb::Create, &mk_server("weather").with("/spec/port", 0)).await.refused();
    next.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn configurations_that_somebody_deletes_are_made_again() {
    let cluster = Cluster::own().await;
    let installed = Installation::outside(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("outside").await;
    for kind in CONFIGURATIONS {
        let path = format!("{kind}/{}", installed.configuration());
        ns.request(Method::DELETE, &path, "application/json", None).await.accepted();
    }
    installed.until_asked().await;
    ns.send(Verb::Create, &mk_server("weather").with("/spec/schedule", "daily")).await.refused();
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_dry_run_reserves_no_name() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("dry-run").await;
    ns.create(&mk_selecting_server("main")).await;
    let tool = |name: &str| mk_tool(name).with("/spec/name", "search").for_server("main");
    ns.dry_run(Verb::Create, &tool("first")).await.accepted();
    assert!(ns.find("MCPTool", "first").await.is_none());
    ns.create(&tool("second")).await;
    let causes = ns.dry_run(Verb::Create, &tool("third")).await.refused();
    assert_eq!(causes[0].reason, "FieldValueDuplicate");
}

#[tokio::test]
async fn what_is_deleted_gives_its_name_back_at_once() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("name").await;
    ns.create(&mk_selecting_server("main")).await;
    for round in 0..10 {
        let name = format!("search-{round}");
        ns.create(&mk_tool(&name).with("/spec/name", "search").for_server("main")).await;
        // A rename is a way to give it back, too.
        if round % 2 == 0 {
            ns.delete("MCPTool", &name).await.accepted();
        } else {
            ns.patch("MCPTool", &name, &json!({ "spec": { "name": name } })).await.accepted();
        }
        crate::support::wait::until("the name is free", async || {
            let probe = mk_tool("probe").with("/spec/name", "search").for_server("main");
            let reply = ns.dry_run(Verb::Create, &probe).await;
            if reply.code == 201 { Ok(()) } else { Err(reply.body.to_string()) }
        })
        .await;
    }
}
