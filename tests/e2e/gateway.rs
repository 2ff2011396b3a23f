//! Servers without an image, in pods: what is applied is served by every replica, and nothing restarts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::installed::Installed;
use crate::support::gateway::Endpoint;
use crate::support::manifest::{Manifest, mk_gateway, mk_server, mk_tool};
use crate::support::namespace::Namespace;
use crate::support::object::{self, condition};
use crate::support::wait;

/// The longest that pods take on a busy machine.
const BOUND: Duration = Duration::from_secs(180);

/// Waits until a server has so many ready pods; gives it.
pub(crate) async fn until_ready(ns: &Namespace, server: &str, pods: u64) -> Value {
    wait::within(BOUND, format_args!("{server} is ready"), async || {
        let found = ns.get("MCPServer", server).await;
        let ready = condition(&found, "Ready") == Some(("True", "Available"));
        if ready && found["status"]["readyReplicas"] == pods {
            Ok(found)
        } else {
            Err(format!("{:#}", found["status"]))
        }
    })
    .await
}

/// The pods of a server: names and how often their containers were restarted, and where they are.
async fn pods(ns: &Namespace, server: &str) -> Vec<(String, u64, Endpoint)> {
    let pods = ns.list("Pod").await.into_iter();
    let ours = pods.filter(|pod| pod["metadata"]["labels"]["app.kubernetes.io/instance"] == server);
    let read = |pod: Value| {
        let status = &pod["status"];
        let address = format!("{}:8080", status["podIP"].as_str().expect("an address"));
        let address: SocketAddr = address.parse().expect("an address");
        let restarts = status["containerStatuses"][0]["restartCount"].as_u64().expect("a container");
        (object::name(&pod).to_owned(), restarts, Endpoint::new(address))
    };
    ours.map(read).collect()
}

fn without_endpoints(pods: &[(String, u64, Endpoint)]) -> Vec<(&String, u64)> {
    pods.iter().map(|(name, restarts, _)| (name, *restarts)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_listed_by_every_replica_and_restarts_nothing() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("live").await;
    ns.create(&mk_gateway("main").with("/spec/replicas", 3)).await;
    until_ready(&ns, "main", 3).await;
    let before = pods(&ns, "main").await;
    assert_eq!(before.len(), 3);
    let mut took = Vec::new();
    for change in 0..30 {
        let text = format!("change {change}");
        ns.apply(&mk_tool("search").with("/spec/description", text.as_str()).for_server("main")).await;
        let applied = Instant::now();
        let listed = before.iter().map(async |(name, _, pod)| {
            wait::until(format_args!("{name} lists {text}"), async || {
                let tools = pod.tools().await?;
                if tools.get("search") == Some(&text) { Ok(()) } else { Err(format!("{tools:?}")) }
            })
            .await;
            applied.elapsed()
        });
        took.extend(join_all(listed).await);
    }
    took.sort();
    let p99 = took[took.len() * 99 / 100];
    println!("apply to list on each replica: median {:?}, p99 {p99:?}", took[took.len() / 2]);
    let selector = json!({ "spec": { "toolSelector": { "matchLabels": { "mcp-server": "other" } } } });
    ns.patch("MCPServer", "main", &selector).await.accepted();
    for (name, _, pod) in &before {
        wait::until(format_args!("{name} lists nothing any more"), async || match pod.tools().await? {
            tools if tools.is_empty() => Ok(()),
            tools => Err(format!("{tools:?}")),
        })
        .await;
    }
    assert_eq!(without_endpoints(&pods(&ns, "main").await), without_endpoints(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_replica_serves_what_the_others_do() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("scaled").await;
    for number in 0..20 {
        ns.create(&mk_tool(&format!("tool-{number}")).for_server("main")).await;
    }
    ns.create(&mk_gateway("main")).await;
    until_ready(&ns, "main", 1).await;
    ns.patch("MCPServer", "main", &json!({ "spec": { "replicas": 3 } })).await.accepted();
    until_ready(&ns, "main", 3).await;
    for (name, _, pod) in pods(&ns, "main").await {
        assert_eq!(pod.tools().await.expect("tools").len(), 20, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_users_own_is_probed_by_mcp_with_a_binary_that_is_copied_in() {
    let installed = Installed::shared().await;
    let ns = installed.namespace("probed").await;
    let server = mk_server("tools")
        .with("/spec/image", "mcp-k8s-server:latest")
        .with("/spec/port", 3001)
        .with("/spec/probes", json!({ "type": "MCP", "periodSeconds": 1 }));
    ns.create(&server).await;
    until_ready(&ns, "tools", 1).await;
    // What answers, and not by MCP, is not ready.
    ns.create(&server.with("/metadata/name", "elsewhere").with("/spec/path", "/elsewhere")).await;
    let failed = |found: &Value| condition(found, "Ready") == Some(("False", "ProbeFailed"));
    wait::within(BOUND, "a failing probe is told", async || {
        let found = ns.get("MCPServer", "elsewhere").await;
        if failed(&found) { Ok(()) } else { Err(format!("{:#}", found["status"])) }
    })
    .await;
}
