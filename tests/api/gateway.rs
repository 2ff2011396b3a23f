//! Servers without an image: what they are to serve reaches their gateways, and nothing else does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::gateway::{self, Gateway, Tools};
use crate::support::manifest::{Manifest, SELECTED_BY, mk_gateway, mk_prompt, mk_resource, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{self, condition, message};
use crate::support::operator::{Installation, Shared};
use crate::support::{wait, writes};

/// What somebody says about a tool.
fn described(name: &str, text: &str) -> Value {
    mk_tool(name).with("/spec/description", text)
}

/// What the objects say that a server offers.
async fn selected(ns: &Namespace, server: &str) -> Tools {
    let tools = ns.list("MCPTool").await.into_iter();
    let tools = tools.filter(|tool| tool["metadata"]["labels"][SELECTED_BY] == server);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tools.map(|tool| (text(&tool["spec"]["name"]), text(&tool["spec"]["description"]))).collect()
}

async fn until_served(ns: &Namespace, server: &str, served: &Tools) {
    wait::until(format_args!("{server} serves what the objects say"), async || {
        let found = gateway::tools(&gateway::catalog(ns, server).await?);
        if found == *served { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    let count = served.len();
    ns.until("MCPServer", server, "counts it", |found| found["status"]["tools"] == count).await;
}

/// The versions of the ConfigMaps of a server's catalog, by their names.
async fn versions(ns: &Namespace, server: &str) -> BTreeMap<String, Value> {
    let prefix = format!("{server}-catalog");
    let config_maps = ns.list("ConfigMap").await.into_iter();
    let ours = config_maps.filter(|found| object::name(found).starts_with(&prefix));
    ours.map(|found| (object::name(&found).to_owned(), found["metadata"]["resourceVersion"].clone()))
        .collect()
}

#[tokio::test]
async fn after_any_changes_the_catalogs_and_every_replica_say_what_the_objects_say() {
    const ROUNDS: usize = 10;
    const CHANGES: usize = 100;
    let cluster = Shared::get().await;
    let ns = cluster.namespace("catalog").await;
    let mut gateways = Vec::new();
    for (server, replicas) in [("one", 3), ("two", 1)] {
        ns.create(&mk_gateway(server)).await;
        until_served(&ns, server, &Tools::new()).await;
        gateways.push((server, join_all((0..replicas).map(|_| Gateway::start_ready(&ns, server))).await));
    }
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    println!("seed {seed}");
    for round in 0..ROUNDS {
        for change in 0..CHANGES {
            let name = format!("tool-{}", random.random_range(0..40));
            if random.random_range(0..4) == 0 {
                ns.delete("MCPTool", &name).await;
                continue;
            }
            let server = ["one", "two", "nobody"][random.random_range(0..3)];
            ns.apply(&described(&name, &format!("{round}.{change}")).for_server(server)).await;
        }
        for (server, replicas) in &gateways {
            let served = selected(&ns, server).await;
            until_served(&ns, server, &served).await;
            for (number, gateway) in replicas.iter().enumerate() {
                wait::until(format_args!("gateway {number} of {server} lists it"), async || {
                    match gateway.tools().await? {
                        listed if listed == served => Ok(()),
                        listed => Err(format!("{listed:?}")),
                    }
                })
                .await;
            }
        }
    }
    for server in ["one", "two"] {
        ns.delete("MCPServer", server).await.accepted();
    }
    for kind in ["ConfigMap", "ServiceAccount", "Role", "RoleBinding", "Deployment", "Service"] {
        wait::until(format_args!("no {kind} is left"), async || {
            let left = ns.list(kind).await;
            let ours = left.iter().filter(|it| !it["metadata"]["ownerReferences"].is_null());
            let names: Vec<&str> = ours.map(object::name).collect();
            if names.is_empty() { Ok(()) } else { Err(names.join(" ")) }
        })
        .await;
    }
}

#[tokio::test]
async fn every_change_of_a_tool_is_listed_by_the_gateway_that_runs() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("live").await;
    ns.create(&mk_gateway("main")).await;
    until_served(&ns, "main", &Tools::new()).await;
    let gateway = Gateway::start_ready(&ns, "main").await;
    let mut took = Vec::new();
    for change in 0..20 {
        let text = format!("change {change}");
        ns.apply(&described("search", &text).for_server("main")).await;
        let applied = Instant::now();
        wait::until("it is listed", async || {
            let listed = gateway.tools().await?;
            if listed.get("search") == Some(&text) { Ok(()) } else { Err(format!("{listed:?}")) }
        })
        .await;
        took.push(applied.elapsed());
    }
    took.sort();
    println!("apply to list: median {:?}, worst {:?}", took[took.len() / 2], took[took.len() - 1]);
}

#[tokio::test]
async fn a_tools_change_rewrites_its_shard_and_the_index_and_rolls_nothing() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("shards").await;
    ns.create(&mk_gateway("main")).await;
    for number in 0..30 {
        ns.create(&described(&format!("tool-{number}"), "before").for_server("main")).await;
    }
    until_served(&ns, "main", &selected(&ns, "main").await).await;
    let template = ns.get("Deployment", "main").await["spec"]["template"].clone();
    let before = versions(&ns, "main").await;
    assert!(before.len() > 10, "{before:?}");
    ns.apply(&described("tool-7", "after").for_server("main")).await;
    until_served(&ns, "main", &selected(&ns, "main").await).await;
    let after = versions(&ns, "main").await;
    let mut changed: Vec<&String> =
        after.iter().filter(|it| before.get(it.0) != Some(it.1)).map(|it| it.0).collect();
    changed.sort();
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert_eq!(changed[0], "main-catalog");
    // Another selector is another catalog, in the same pods.
    ns.create(&mk_prompt("greet").for_server("other")).await;
    ns.create(&mk_resource("guide").for_server("other")).await;
    let selector = json!({ "spec": { "toolSelector": { "matchLabels": { SELECTED_BY: "other" } } } });
    ns.patch("MCPServer", "main", &selector).await.accepted();
    let counted = |found: &Value| {
        let status = &found["status"];
        (&status["tools"], &status["prompts"], &status["resources"]) == (&json!(null), &json!(1), &json!(1))
            || (&status["tools"], &status["prompts"], &status["resources"])
                == (&json!(0), &json!(1), &json!(1))
    };
    ns.until("MCPServer", "main", "offers the others", counted).await;
    assert_eq!(ns.get("Deployment", "main").await["spec"]["template"], template);
}

#[tokio::test]
async fn a_gateway_may_read_its_own_catalog_and_consented_secrets_and_nothing_else() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("access").await;
    ns.create(&mk_gateway("main")).await;
    let secret = |name: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { "key": "x" } });
    for name in ["token", "other"] {
        ns.create(&secret(name)).await;
    }
    let header =
        |name: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": name, "key": "key" } } });
    let tool = mk_tool("search").with("/spec/headers", json!([header("token")]));
    ns.create(&tool.for_server("main")).await;
    let user = format!("system:serviceaccount:{}:main-gateway", ns.name);
    let may = async |verb: &str, what: &str| {
        ns.kubectl(&["auth", "can-i", verb, what, "--as", &user], "").await.stdout.trim() == "yes"
    };
    let held = |found: &Value| condition(found, "CredentialsResolved") == Some(("False", "ConsentMissing"));
    let found = ns.until("MCPTool", "search", "says that consent is missing", held).await;
    assert!(message(&found, "CredentialsResolved").contains("there is no Secret \"token\""));
    wait::until("the catalog may be read", async || {
        if may("watch", "configmaps/main-catalog").await { Ok(()) } else { Err("no".to_owned()) }
    })
    .await;
    assert!(may("get", "configmaps/main-catalog-15").await);
    for (verb, what) in [
        ("list", "secrets/token"),
        ("list", "configmaps"),
        ("get", "configmaps/other-catalog-0"),
        ("patch", "configmaps/main-catalog"),
        ("list", "secrets"),
        ("get", "pods"),
    ] {
        assert!(!may(verb, what).await, "{verb} {what}");
    }
    let consent =
        |value: Value| json!({ "metadata": { "labels": { "mcp.example.com/tool-credential": value } } });
    ns.patch("Secret", "token", &consent(json!("true"))).await.accepted();
    let resolved = |found: &Value| condition(found, "CredentialsResolved") == Some(("True", "Resolved"));
    ns.until("MCPTool", "search", "may send it", resolved).await;
    wait::until("the Secret may be followed", async || {
        if may("watch", "secrets/token").await { Ok(()) } else { Err("no".to_owned()) }
    })
    .await;
    assert!(!may("list", "secrets/other").await);
    ns.patch("Secret", "token", &consent(Value::Null)).await.accepted();
    ns.until("MCPTool", "search", "may not send it any more", held).await;
    wait::until("the Secret may not be followed any more", async || {
        if may("watch", "secrets/token").await { Err("it may".to_owned()) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn what_is_in_conflict_or_breaks_rules_is_left_out() {
    let cluster = Cluster::own().await;
    let ns = cluster.namespace("conflict").await;
    // Past the webhooks: no operator is there yet.
    ns.create(&mk_gateway("main")).await;
    let named =
        |object: &str, text: &str| described(object, text).with("/spec/name", "search").for_server("main");
    let older = ns.create(&named("z-search", "the older")).await;
    wait::until("the clock goes on", async || {
        let asked = ns.dry_run(object::Verb::Create, &named("a-search", "")).await.accepted();
        let times = [&asked, &older].map(|it| it["metadata"]["creationTimestamp"].clone());
        if times[0] != times[1] { Ok(()) } else { Err(times[0].to_string()) }
    })
    .await;
    ns.create(&named("a-search", "the newer")).await;
    ns.create(&mk_tool("broken").with("/spec/timeout", "soon").for_server("main")).await;
    let installed = Installation::outside(&cluster).await;
    let operator = installed.start_ready().await;
    let only = |text: &str| Tools::from([("search".to_owned(), text.to_owned())]);
    until_served(&ns, "main", &only("the older")).await;
    ns.delete("MCPTool", "z-search").await.accepted();
    until_served(&ns, "main", &only("the newer")).await;
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_catalog_that_is_too_large_is_reported_and_the_one_before_stays() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("large").await;
    ns.create(&mk_gateway("main")).await;
    let small = described("small", "fits").for_server("main");
    ns.create(&small).await;
    let served = selected(&ns, "main").await;
    until_served(&ns, "main", &served).await;
    let text = "x".repeat(900_000);
    for number in 0..18 {
        // Out of the way until all of them are there.
        ns.create(&described(&format!("large-{number}"), &text).for_server("nobody")).await;
    }
    let all = json!({ "spec": { "toolSelector": { "matchLabels": null } } });
    ns.patch("MCPServer", "main", &all).await.accepted();
    let reported =
        |found: &Value| condition(found, "ConfigurationValid") == Some(("False", "CatalogTooLarge"));
    let found = ns.until("MCPServer", "main", "says so", reported).await;
    assert!(message(&found, "ConfigurationValid").ends_with("what was served before stays"));
    assert_eq!(found["status"]["tools"], 1);
    until_served(&ns, "main", &served).await;
    for number in 0..3 {
        ns.delete("MCPTool", &format!("large-{number}")).await.accepted();
    }
    wait::until("what fits is served", async || {
        let served = gateway::catalog(&ns, "main").await?.tools.len();
        if served == 16 { Ok(()) } else { Err(format!("{served} tools")) }
    })
    .await;
}

#[tokio::test]
async fn with_redis_clients_may_go_to_any_pod() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("affinity").await;
    ns.create(&mk_gateway("main")).await;
    let affinity = |value: &'static str| move |found: &Value| found["spec"]["sessionAffinity"] == value;
    ns.until("Service", "main", "keeps clients on their pod", affinity("ClientIP")).await;
    let redis = json!({ "spec": { "redis": { "serviceName": "redis" } } });
    ns.patch("MCPServer", "main", &redis).await.accepted();
    ns.until("Service", "main", "does not", affinity("None")).await;
    ns.patch("MCPServer", "main", &json!({ "spec": { "redis": null } })).await.accepted();
    ns.until("Service", "main", "does again", affinity("ClientIP")).await;
}

#[tokio::test]
async fn a_burst_of_tools_becomes_few_writes() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("burst").await;
    ns.create(&mk_gateway("main")).await;
    until_served(&ns, "main", &Tools::new()).await;
    let client = cluster.client().await;
    let before = writes::settled(&client, Duration::from_secs(3)).await;
    let tools: Vec<Value> =
        (0..100).map(|number| mk_tool(&format!("tool-{number}")).for_server("main")).collect();
    futures::future::join_all(tools.iter().map(|tool| ns.create(tool))).await;
    until_served(&ns, "main", &selected(&ns, "main").await).await;
    let written = writes::since(&before, &writes::settled(&client, Duration::from_secs(3)).await);
    println!("{written:?}");
    let config_maps: u64 = written.iter().filter(|it| it.0.ends_with(" configmaps")).map(|it| it.1).sum();
    assert!(config_maps < 200, "{written:?}");
    operator.terminate().await;
    cluster.done().await;
}
