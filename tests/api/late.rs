//! Objects that came past the webhooks: made while no operator was there, judged when it came.

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Own};
use crate::support::manifest::{Manifest, mk_prompt, mk_resource, mk_selecting_server, mk_server, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{Verb, condition, message};
use crate::support::operator::{Installation, Operator};
use crate::support::wait;

/// Makes an object whose creation time, which has whole seconds, is after that of another.
async fn create_after(ns: &Namespace, other: &Value, object: &Value) -> Value {
    let time = |object: &Value| object["metadata"]["creationTimestamp"].as_str().expect("a time").to_owned();
    wait::until("the clock goes on", async || {
        let asked = ns.dry_run(Verb::Create, object).await.accepted();
        if time(&asked) > time(other) { Ok(()) } else { Err(time(&asked)) }
    })
    .await;
    ns.create(object).await
}

async fn start(cluster: &Own) -> (Installation, Operator) {
    let installed = Installation::outside(cluster).await;
    let operator = installed.start_ready().await;
    (installed, operator)
}

async fn until_condition(ns: &Namespace, kind: &str, name: &str, type_: &str, is: (&str, &str)) -> String {
    let found = ns
        .until(kind, name, &format!("{type_} is {is:?}"), |found| condition(found, type_) == Some(is))
        .await;
    message(&found, type_).to_owned()
}

#[tokio::test]
async fn of_two_with_one_name_the_older_is_served_and_when_it_goes_the_other() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("late").await;
    ns.create(&mk_selecting_server("main")).await;
    // The older one is not the first by name.
    let older = mk_tool("z-search").with("/spec/name", "search").with("/spec/description", "the older");
    let older = ns.create(&older.for_server("main")).await;
    let newer = mk_tool("a-search").with("/spec/name", "search").with("/spec/description", "the newer");
    create_after(&ns, &older, &newer.for_server("main")).await;
    let (_installed, operator) = start(&cluster).await;

    let said = until_condition(&ns, "MCPTool", "a-search", "Accepted", ("False", "DuplicateName")).await;
    assert_eq!(said, "tool \"search\" is already offered on server \"main\" by MCPTool \"z-search\"");
    until_condition(&ns, "MCPTool", "z-search", "Accepted", ("True", "Accepted")).await;
    let serves = |text: &'static str| {
        move |found: &Value| {
            let catalog = found["data"]["catalog.json"].as_str().unwrap_or_default();
            catalog.contains(text) && catalog.matches("\"search\"").count() == 1
        }
    };
    ns.until("ConfigMap", "main-config", "serves the older", serves("the older")).await;
    ns.until("MCPServer", "main", "counts one", |found| found["status"]["tools"] == 1).await;

    ns.delete("MCPTool", "z-search").await.accepted();
    until_condition(&ns, "MCPTool", "a-search", "Accepted", ("True", "Accepted")).await;
    ns.until("ConfigMap", "main-config", "serves the newer", serves("the newer")).await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn what_breaks_rules_says_so_and_stops_nothing_else() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("late").await;
    ns.create(&mk_selecting_server("main")).await;
    ns.create(&mk_server("timed").with("/spec/schedule", "every day")).await;
    let schema = json!({ "properties": { "limit": { "type": "integr" } } });
    ns.create(&mk_tool("search").with("/spec/inputSchema", schema).for_server("main")).await;
    ns.create(&mk_tool("fetch").with("/spec/timeout", "soon").for_server("main")).await;
    ns.create(&mk_prompt("greet").with("/spec/template", "Hello {{name}}").for_server("main")).await;
    ns.create(&mk_resource("guide").with("/spec/content/uri", "no uri").for_server("main")).await;
    ns.create(&mk_tool("works").for_server("main")).await;
    let (_installed, operator) = start(&cluster).await;

    let said = until_condition(&ns, "MCPTool", "search", "Accepted", ("False", "InvalidSchema")).await;
    assert!(
        said.starts_with("spec.inputSchema.properties.limit.type: Unsupported value: \"integr\""),
        "{said}"
    );
    let said = until_condition(&ns, "MCPTool", "fetch", "Accepted", ("False", "Invalid")).await;
    assert!(said.starts_with("spec.timeout: Invalid value: \"soon\""), "{said}");
    let said = until_condition(&ns, "MCPPrompt", "greet", "Accepted", ("False", "Invalid")).await;
    assert!(said.starts_with("spec.template: Invalid value: "), "{said}");
    let said = until_condition(&ns, "MCPResource", "guide", "Accepted", ("False", "Invalid")).await;
    assert!(said.starts_with("spec.content.uri: Invalid value: \"no uri\""), "{said}");
    let said = until_condition(&ns, "MCPServer", "timed", "ConfigurationValid", ("False", "Invalid")).await;
    assert!(said.starts_with("spec.schedule: Invalid value: \"every day\""), "{said}");
    until_condition(&ns, "MCPServer", "timed", "Ready", ("False", "Invalid")).await;
    assert_eq!(ns.get("MCPServer", "timed").await["status"]["phase"], "Failed");
    assert!(ns.find("Deployment", "timed").await.is_none(), "nothing is made of a guess");

    until_condition(&ns, "MCPTool", "works", "Accepted", ("True", "Accepted")).await;
    ns.until("MCPServer", "main", "serves what is valid", |found| {
        let status = &found["status"];
        (&status["tools"], &status["prompts"], &status["resources"]) == (&json!(1), &json!(0), &json!(0))
    })
    .await;

    // And each is served when it has been put right.
    let right = json!({ "spec": { "inputSchema": { "properties": { "limit": { "type": "integer" } } } } });
    ns.patch("MCPTool", "search", &right).await.accepted();
    ns.patch("MCPServer", "timed", &json!({ "spec": { "schedule": "@daily" } })).await.accepted();
    until_condition(&ns, "MCPTool", "search", "Accepted", ("True", "Accepted")).await;
    until_condition(&ns, "MCPServer", "timed", "ConfigurationValid", ("True", "Valid")).await;
    ns.until("Deployment", "timed", "is made", |_| true).await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_server_without_the_webhooks_defaults_works_as_if_it_had_them() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("late").await;
    let stored = ns.create(&mk_server("weather")).await;
    assert_eq!(stored["spec"]["resources"], Value::Null, "nobody filled it in");
    ns.create(&mk_tool("search").for_server("main")).await;
    ns.create(&mk_selecting_server("main")).await;
    let (_installed, operator) = start(&cluster).await;

    let deployment = ns.until("Deployment", "weather", "is made", |_| true).await;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"]["requests"], json!({ "cpu": "200m", "memory": "256Mi" }));
    ns.until("MCPServer", "main", "serves the tool by its object's name", |found| {
        found["status"]["tools"] == 1
    })
    .await;
    operator.terminate().await;
    cluster.done().await;
}
