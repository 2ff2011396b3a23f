//! Servers whose pods run here: all of the one image of an MCP server that these clusters have.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::endpoints::get;
use crate::support::manifest::{Manifest, mk_server};
use crate::support::namespace::Namespace;
use crate::support::object::{self, condition};
use crate::support::wait;

/// How long pods may take to be as they should be: two busy cores start many of them.
pub(crate) const PODS: Duration = Duration::from_secs(120);

/// A server whose pods come up here, and take little room. They are asked often and have patience, as the machine may be busy.
pub(crate) fn mk_running(name: &str) -> Value {
    mk_server(name)
        .with("/spec/image", "mcp-k8s-server:latest")
        .with("/spec/resources/requests", json!({ "cpu": "5m", "memory": "16Mi" }))
        .with("/spec/probes", json!({ "periodSeconds": 1, "failureThreshold": 30 }))
}

/// The pods of a server that are not on their way out.
pub(crate) async fn pods(ns: &Namespace, server: &str) -> Vec<Value> {
    let mut pods = ns.list("Pod").await;
    pods.retain(|pod| {
        pod["metadata"]["labels"]["app.kubernetes.io/instance"] == server
            && pod["metadata"]["deletionTimestamp"].is_null()
    });
    pods
}

/// The `uid`s of those pods, sorted: while they are the same, nothing has rolled.
pub(crate) async fn uids(ns: &Namespace, server: &str) -> Vec<String> {
    let pods = pods(ns, server).await;
    let mut uids: Vec<_> = pods.iter().map(|pod| object::text(&pod["metadata"]["uid"])).collect();
    uids.sort_unstable();
    uids
}

/// Where those pods answer.
pub(crate) async fn addresses(ns: &Namespace, server: &str) -> Vec<SocketAddr> {
    let pods = pods(ns, server).await;
    let address = |pod: &Value| format!("{}:8080", object::text(&pod["status"]["podIP"]));
    pods.iter().map(|pod| address(pod).parse().expect("an address")).collect()
}

/// A pod's conditions have no reason while they are true.
fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Waits until a server has so many pods, all of them ready, and says so; gives it.
///
/// # Panics
/// Where it does not come to that.
pub(crate) async fn until_pods(ns: &Namespace, server: &str, count: usize) -> Value {
    wait::within(PODS, format_args!("{server} has {count} ready pods"), async || {
        let found = ns.get("MCPServer", server).await;
        let pods = pods(ns, server).await;
        let all_ready = pods.iter().all(is_ready);
        let said = found["status"]["readyReplicas"] == count
            && found["status"]["replicas"] == count
            && found["status"]["observedGeneration"] == found["metadata"]["generation"]
            && condition(&found, "Ready").is_some_and(|(status, _)| (status == "True") == (count > 0));
        if said && all_ready && pods.len() == count {
            return Ok(found);
        }
        let names: Vec<_> = pods.iter().map(object::name).collect();
        Err(format!("{names:?}, {:#}", found["status"]))
    })
    .await
}

/// Waits until a server has this reason for being ready, or for not being it; gives it.
///
/// # Panics
/// Where it does not come to that.
pub(crate) async fn until_reason(ns: &Namespace, server: &str, ready: &str, reason: &str) -> Value {
    wait::within(PODS, format_args!("{server} is {reason}"), async || {
        let found = ns.get("MCPServer", server).await;
        if condition(&found, "Ready") == Some((ready, reason)) {
            Ok(found)
        } else {
            Err(format!("{:#}", found["status"]))
        }
    })
    .await
}

/// Asks once whether a server is ready, and waits so long for the answer.
///
/// # Errors
/// What happened otherwise.
pub(crate) async fn answers(address: SocketAddr, patience: Duration) -> Result<(), String> {
    match tokio::time::timeout(patience, get(address, "/ready")).await {
        Ok(Ok((200, _))) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Waits until a server answers through its Service.
///
/// # Panics
/// Where it does not.
pub(crate) async fn until_answers(address: SocketAddr) {
    wait::until(format_args!("{address} answers"), async || answers(address, Duration::from_secs(5)).await)
        .await;
}

/// Sends a signal to the processes of a pod. A stopped one goes on accepting connections, as the kernel does that, and
/// answers none.
///
/// # Panics
/// Where the pod has no process on this machine.
pub(crate) fn signal(pod: &Value, signal: &str) {
    let uid = object::text(&pod["metadata"]["uid"]);
    let mut found = false;
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let cgroup = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        if name.starts_with("mcp-k8s-server") && cgroup.contains(&format!("pod{uid}")) {
            let id = process.file_name().into_string().expect("a number");
            assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
            found = true;
        }
    }
    assert!(found, "no process of pod {}", object::name(pod));
}
