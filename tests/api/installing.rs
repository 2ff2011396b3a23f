//! The manifests: an installation from nothing in one command, what it may do, and that nothing is left of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, binary};
use crate::support::manifest::{Manifest, mk_server};
use crate::support::object::Verb;
use crate::support::operator::{Installation, Operator};
use crate::support::{queries, wait};

const NAMESPACE: &str = mcp_operator::permissions::NAMESPACE;

/// Every kustomization that can be applied to a cluster in which nothing is installed.
const OVERLAYS: [&str; 4] =
    ["config/default", "config/overlays/self-signed", "config/overlays/dev", "config/overlays/production"];

fn path(relative: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative).display().to_string()
}

async fn apply(cluster: &Cluster, overlay: &str) -> String {
    cluster.kubectl(&["apply", "--kustomize", &path(overlay)], "").await.ok()
}

/// How long is waited for what kubectl has to look at everything for.
const LONG: Duration = Duration::from_secs(240);

/// The objects of an installation, and which write was their last.
async fn versions(cluster: &Cluster) -> Vec<String> {
    let output = "--output=jsonpath={range .items[*]}{.kind}/{.metadata.name}: {.metadata.resourceVersion}{\"\\n\"}{end}";
    let listed = cluster.kubectl(&["get", "--kustomize", &path("config/default"), output], "").await.ok();
    listed.lines().map(str::to_owned).collect()
}

/// The names of all objects in the cluster, but of those that come and go by themselves.
async fn everything(cluster: &Cluster) -> Vec<String> {
    let kinds = cluster.kubectl(&["api-resources", "--verbs=list,delete", "--output=name"], "").await.ok();
    let passing = ["events", "events.events.k8s.io", "leases.coordination.k8s.io"];
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !passing.contains(kind)).collect();
    let get = ["get", &kinds.join(","), "--all-namespaces", "--output=name"];
    let mut names: Vec<_> = cluster.kubectl(&get, "").await.ok().lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[tokio::test]
async fn one_command_installs_everything_on_an_empty_cluster_and_a_second_changes_nothing() {
    let cluster = Cluster::empty().await;
    let first = apply(&cluster, "config/default").await;
    assert!(first.lines().all(|line| line.ends_with(" created")), "{first}");
    // Controllers write too, until all is settled.
    wait::within(LONG, "applying again changes no object's version", async || {
        let before = versions(&cluster).await;
        let applied =
            apply(&cluster, "config/overlays/self-signed").await + &apply(&cluster, "config/default").await;
        let after = versions(&cluster).await;
        assert_eq!(before.len(), first.lines().count());
        assert!(!applied.contains(" created"), "{applied}");
        if before == after { Ok(()) } else { Err(format!("{before:?}\n{after:?}\n{applied}")) }
    })
    .await;

    // Its pods are such as its namespace's Pod Security lets in; no node is there that would run them.
    let pods = ["get", "pods", "--namespace", NAMESPACE, "--output", "json"];
    wait::until("the pods are made", async || {
        let listed = cluster.kubectl(&pods, "").await.ok();
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        match listed["items"].as_array().map_or(0, Vec::len) {
            2 => Ok(()),
            other => Err(format!("{other} pods")),
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_installed_works_with_its_own_permissions_and_upgrades_in_place() {
    let cluster = Cluster::empty().await;
    apply(&cluster, "config/default").await;
    let installed = Installation::shipped(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("installed").await;
    ns.send(Verb::Create, &mk_server("weather").with("/spec/port", 0)).await.refused();
    ns.create(&mk_server("weather")).await;
    ns.until("MCPServer", "weather", "has a status", |found| !found["status"].is_null()).await;

    let bundles = async || {
        let mut found = Vec::new();
        for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
            let output = "jsonpath={.webhooks[*].clientConfig.caBundle}";
            let get = ["get", kind, installed.configuration(), "--output", output];
            found.push(cluster.kubectl(&get, "").await.ok());
        }
        found
    };
    let before = bundles().await;
    assert!(before.iter().all(|bundle| !bundle.is_empty()), "{before:?}");
    every_query_has_data(&operator).await;
    for overlay in OVERLAYS {
        apply(&cluster, overlay).await;
        assert_eq!(bundles().await, before, "{overlay}");
    }
    assert_eq!(operator.logged("forbidden"), Vec::<String>::new());
    operator.terminate().await;
}

/// Of the dashboard and the alerts; and that the table of metrics in the documentation is complete and true.
async fn every_query_has_data(operator: &Operator) {
    let (_, text) = operator.get("/metrics").await.expect("metrics");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let exposed: BTreeMap<String, String> = types
        .map(|(name, kind)| match kind {
            "counter" => (format!("{name}_total"), kind.to_owned()),
            "info" => (format!("{name}_info"), kind.to_owned()),
            _ => (name.to_owned(), kind.to_owned()),
        })
        .collect();
    assert_eq!(exposed, queries::documented());
    for query in queries::all() {
        for selector in queries::selectors(&query.expr) {
            let found = text.lines().any(|line| selector.matches(line));
            assert!(found, "{}: nothing is {selector:?} in\n{text}", query.title);
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_what_is_uninstalled_in_order() {
    const OVERLAY: &str = "config/overlays/production";
    let cluster = Cluster::empty().await;
    let ns = cluster.namespace("uninstalled").await;
    let before = wait::within(LONG, "a new namespace has what all have", async || {
        let names = everything(&cluster).await;
        if names.iter().any(|name| name == "configmap/kube-root-ca.crt") {
            Ok(names)
        } else {
            Err(String::new())
        }
    })
    .await;
    apply(&cluster, OVERLAY).await;
    let installed = Installation::shipped(&cluster).await;
    let operator = installed.start_ready().await;
    // The finalizer is on it.
    let stored = ns.create(&mk_server("cached").with("/spec/redis/serviceName", "redis")).await;
    assert!(stored["metadata"]["finalizers"].is_array(), "{stored:#}");
    ns.until("Deployment", "cached", "is made", |_| true).await;

    cluster.kubectl(&["delete", "mcps", "--all", "--all-namespaces"], "").await.ok();
    let deleted =
        cluster.kubectl(&["delete", "--ignore-not-found", "--kustomize", &path(OVERLAY)], "").await.ok();
    assert!(deleted.contains("customresourcedefinition"), "{deleted}");
    // Its pod would have ended with the Deployment.
    operator.kill().await;
    wait::within(LONG, "all is as before", async || {
        let now = everything(&cluster).await;
        let left: Vec<_> = now.iter().filter(|name| !before.contains(name)).collect();
        if now == before { Ok(()) } else { Err(format!("left: {left:?}")) }
    })
    .await;
}

/// The commands that the guide gives for that, as they stand there.
fn guide_to_freeing() -> String {
    let page = std::fs::read_to_string(path("docs/operating.md")).expect("a guide");
    let (_, section) = page.split_once("### In the wrong order").expect("a section");
    let blocks = section.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.collect()
}

#[tokio::test]
async fn in_the_wrong_order_the_guide_frees_what_hangs() {
    let cluster = Cluster::empty().await;
    apply(&cluster, "config/default").await;
    let installed = Installation::shipped(&cluster).await;
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("hanging").await;
    ns.create(&mk_server("cached").with("/spec/redis/serviceName", "redis")).await;
    ns.create(&mk_server("plain")).await;
    operator.kill().await;
    // Its configurations stay, and stop no deletion.
    let delete = ["delete", "namespace", NAMESPACE, "--wait=false"];
    cluster.kubectl(&delete, "").await.ok();
    ns.kubectl(&["delete", "mcps", "--all", "--wait=false"], "").await.ok();
    ns.until_gone("MCPServer", "plain").await;
    assert!(ns.find("MCPServer", "cached").await.is_some());

    let kubectl = format!("kubectl() {{ {} kubectl \"$@\"; }}\n", binary().display());
    let mut guide = tokio::process::Command::new("bash");
    guide
        .args(["-euo", "pipefail", "-c", &(kubectl + &guide_to_freeing())])
        .env("KUBECONFIG", cluster.kubeconfig());
    let done = guide.output().await.expect("bash runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    ns.until_gone("MCPServer", "cached").await;
    // Now nobody is asked.
    ns.create(&mk_server("after")).await;
}
