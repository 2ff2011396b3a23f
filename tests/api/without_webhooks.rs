//! A cluster whose operator is away: what the CRDs' schema and CEL refuse by themselves.

use crate::support::cluster::Cluster;
use crate::support::namespace::Namespace;
use crate::support::object::{self, Verb};
use crate::support::rules::{self, Example, Layer, Operation};

/// Sends the object of an example that the CRD alone refuses. Says what is wrong with the answer.
async fn refused(ns: &Namespace, example: &Example) -> Result<(), String> {
    let verb = match example.operation {
        Operation::Create => Verb::Create,
        Operation::Update => Verb::Replace,
        Operation::Scale => return Ok(()),
    };
    let mut object = example.object.clone();
    if let Some(old) = &example.old {
        let stored = ns.send(Verb::Create, old).await;
        if stored.code != 201 {
            return Err(format!("the old object: {}: {:#}", stored.code, stored.body));
        }
        object["metadata"]["resourceVersion"] = stored.body["metadata"]["resourceVersion"].clone();
    }
    let reply = ns.send(verb, &object).await;
    if (reply.code, &reply.body["reason"]) == (422, &serde_json::json!("Invalid")) {
        return Ok(());
    }
    Err(format!("{}: {:#}", reply.code, object::without_noise(reply.body)))
}

#[tokio::test]
async fn what_the_schema_and_cel_can_say_is_refused_without_webhooks() {
    let cluster = Cluster::own().await;
    let mut failures = Vec::new();
    let mut tried = 0;
    for rule in rules::rules() {
        let ns = cluster.namespace("alone").await;
        for example in rule.examples.iter().filter(|example| example.layer != Layer::Webhook) {
            tried += 1;
            if let Err(problem) = refused(&ns, example).await {
                failures.push(format!("{} ({}): {problem}", rule.id, example.name));
            }
            if let Some(old) = &example.old {
                ns.delete(example.kind.as_str(), object::name(old)).await;
            }
        }
    }
    assert!(tried > 30, "only {tried} examples are of the schema or CEL");
    assert!(failures.is_empty(), "{} of {tried} failed\n\n{}", failures.len(), failures.join("\n\n"));
    cluster.done().await;
}
