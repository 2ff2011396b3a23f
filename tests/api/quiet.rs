//! What is written: nothing where nothing changes, and little where much does.

use std::time::Duration;

use futures::{StreamExt, stream};
use kube::Client;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::manifest::{
    Manifest, mk_gateway, mk_prompt, mk_resource, mk_selecting_server, mk_server, mk_tool,
};
use crate::support::namespace::Namespace;
use crate::support::object::condition;
use crate::support::operator::Installation;
use crate::support::pods;
use crate::support::wait;
use crate::support::writes::{self, Writes};

/// How long nothing may be written before it counts as quiet: longer than any wait of the operator's own.
const QUIET: Duration = Duration::from_secs(6);

/// Some of everything, and pods that run.
async fn settle(ns: &Namespace) {
    ns.create(&mk_selecting_server("main").with("/spec/config/LOG_LEVEL", "debug")).await;
    ns.create(&mk_server("weather").with("/spec/replicas", 2)).await;
    // Zero values that mean something, and are stored.
    let zeros = mk_server("zeros")
        .with("/spec/securityContext", json!({ "allowPrivilegeEscalation": false, "runAsNonRoot": false, "runAsUser": 0 }))
        .with("/spec/networkPolicy", json!({
            "enabled": true, "ingressFrom": [{ "podSelector": {} }], "egressTo": [{ "namespaceSelector": {} }],
        }))
        .with("/spec/podDisruptionBudget", json!({ "minAvailable": 0 }))
        .with("/spec/tolerations", json!([{ "key": "a", "effect": "NoExecute", "tolerationSeconds": 0 }]))
        .with("/spec/volumes", json!([{ "name": "scratch", "emptyDir": {} }]));
    ns.create(&zeros).await;
    ns.create(&mk_server("down").with("/spec/replicas", 0)).await;
    let password = json!({ "name": "redis", "key": "password" });
    let redis = json!({ "serviceName": "redis", "passwordSecretRef": password });
    ns.create(&mk_gateway("gateway").with("/spec/redis", redis)).await;
    for name in ["search", "fetch"] {
        ns.create(&mk_tool(name).for_server("main")).await;
    }
    ns.create(&mk_prompt("greet").for_server("main")).await;
    ns.create(&mk_resource("guide").for_server("main")).await;
    ns.create(&mk_tool("lend").for_server("gateway")).await;
    for server in ["main", "weather", "zeros", "gateway"] {
        pods::run(ns, server).await;
    }
    ns.until("MCPServer", "weather", "counts its pods", |found| found["status"]["readyReplicas"] == 2).await;
    ns.until("MCPServer", "main", "counts its tools", |found| found["status"]["tools"] == 2).await;
    ns.until("MCPTool", "fetch", "has a status", |found| condition(found, "Accepted").is_some()).await;
}

/// Waits until nothing has been written for as long as [`QUIET`]; the last writes are those of before.
async fn until_quiet(client: &Client) {
    wait::until("nothing is written any more", async || {
        let written = written_within(client, QUIET).await;
        if written.is_empty() { Ok(()) } else { Err(format!("{written:?}")) }
    })
    .await;
}

async fn written_within(client: &Client, time: Duration) -> Writes {
    let before = writes::so_far(client).await;
    tokio::time::sleep(time).await;
    writes::since(&before, &writes::so_far(client).await)
}

#[tokio::test]
async fn where_nothing_changes_nothing_is_written_also_after_a_restart() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let first = installed.start_ready().await;
    let ns = cluster.namespace("quiet").await;
    settle(&ns).await;
    let client = cluster.client().await;
    until_quiet(&client).await;
    assert_eq!(written_within(&client, QUIET).await, Writes::new());

    let before = writes::so_far(&client).await;
    first.terminate().await;
    let second = installed.start_ready().await;
    let passes = |kind| format!("mcp_operator_reconcile_duration_seconds_count{{kind=\"{kind}\"}}");
    for (kind, objects) in [("MCPServer", 5.0), ("MCPTool", 3.0), ("MCPPrompt", 1.0), ("MCPResource", 1.0)] {
        wait::until(format_args!("the second has looked at each {kind}"), async || {
            match second.metric(&passes(kind)).await? {
                count if count >= objects => Ok(()),
                count => Err(format!("{count} passes")),
            }
        })
        .await;
    }
    tokio::time::sleep(QUIET).await;
    assert_eq!(writes::since(&before, &writes::so_far(&client).await), Writes::new());
    second.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn a_tools_change_is_written_to_the_servers_that_select_it_and_to_no_other() {
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("exact").await;
    for server in ["main", "second", "third"] {
        ns.create(&mk_selecting_server(server)).await;
    }
    ns.create(&mk_tool("search").for_server("main")).await;
    ns.create(&mk_tool("fetch").for_server("second")).await;
    for (server, tools) in [("main", 1), ("second", 1), ("third", 0)] {
        ns.until("MCPServer", server, "counts its tools", |found| {
            found["status"]["tools"] == tools && condition(found, "Ready").is_some()
        })
        .await;
    }
    let client = cluster.client().await;
    until_quiet(&client).await;

    let versions = async || {
        let mut versions = Vec::new();
        for server in ["main", "second", "third"] {
            let config = ns.get("ConfigMap", &format!("{server}-config")).await;
            let server = ns.get("MCPServer", server).await;
            versions.push([config, server].map(|object| object["metadata"]["resourceVersion"].clone()));
        }
        versions
    };
    let (before, stored) = (writes::so_far(&client).await, versions().await);
    // From one server to another: both are written, each once, and the third is not.
    let label = json!({ "metadata": { "labels": { "mcp-server": "second" } } });
    ns.patch("MCPTool", "search", &label).await.accepted();
    ns.until("MCPServer", "main", "lost its tool", |found| found["status"]["tools"] == 0).await;
    ns.until("MCPServer", "second", "has both tools", |found| found["status"]["tools"] == 2).await;
    until_quiet(&client).await;
    let now = versions().await;
    assert!(now[0] != stored[0] && now[1] != stored[1]);
    assert_eq!(now[2], stored[2]);
    let mut expected = Writes::new();
    expected.insert("PATCH mcptools".to_owned(), 1);
    expected.insert("APPLY configmaps".to_owned(), 2);
    expected.insert("APPLY mcpservers/status".to_owned(), 2);
    expected.insert("APPLY mcptools/status".to_owned(), 1);
    assert_eq!(writes::since(&before, &writes::so_far(&client).await), expected);
    operator.terminate().await;
    cluster.done().await;
}

#[tokio::test]
async fn many_changes_in_a_burst_become_few_writes() {
    const TOOLS: u64 = 100;
    let cluster = Cluster::own().await;
    let installed = Installation::inside(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("burst").await;
    ns.create(&mk_selecting_server("main")).await;
    ns.until("MCPServer", "main", "has a status", |found| condition(found, "Ready").is_some()).await;
    let client = cluster.client().await;
    let before = writes::so_far(&client).await;
    let tools = (0..TOOLS).map(|number| mk_tool(&format!("tool-{number}")).for_server("main"));
    let tools: Vec<_> = tools.collect();
    stream::iter(&tools).for_each_concurrent(20, async |tool| drop(ns.create(tool).await)).await;
    ns.until("MCPServer", "main", "counts them all", |found| found["status"]["tools"] == TOOLS).await;
    until_quiet(&client).await;
    let written = writes::since(&before, &writes::so_far(&client).await);
    eprintln!("{TOOLS} tools in a burst: {written:?}");
    assert!(written["APPLY configmaps"] <= TOOLS / 2, "{written:?}");
    assert!(written["APPLY mcptools/status"] <= TOOLS + TOOLS / 10, "{written:?}");
    operator.terminate().await;
    cluster.done().await;
}
