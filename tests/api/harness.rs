//! What every other test here relies on.

use crate::support::cluster::Cluster;
use crate::support::manifest::{Manifest, mk_server, mk_tool};
use crate::support::object::Verb;
use crate::support::operator::{Installation, Shared};

#[tokio::test]
async fn the_shared_operator_answers_admission() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("harness").await;
    let stored = ns.create(&mk_tool("search")).await;
    assert_eq!(stored["spec"]["name"], "search");
    let causes = ns.send(Verb::Create, &mk_server("other").with("/spec/schedule", "daily")).await.refused();
    assert_eq!(causes.len(), 1);
}

#[tokio::test]
async fn an_operator_inside_answers_through_its_service_and_leaves_the_configurations() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("harness").await;
    ns.send(Verb::Create, &mk_server("weather").with("/spec/schedule", "sometimes")).await.refused();
    operator.terminate().await;
    // It fails closed.
    let refused = ns.send(Verb::Create, &mk_server("weather")).await;
    assert_eq!(refused.code, 500, "{:#}", refused.body);
    cluster.done().await;
}
