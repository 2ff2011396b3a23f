//! The manifests that people start from.

use std::path::{Path, PathBuf};

use kube::Client;
use mcp_crds::kind::Kind;
use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Kubectl, Own};
use crate::support::object;
use crate::support::operator::{Installation, Operator};
use crate::support::wait;

fn samples(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples").join(folder);
    let entries = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// The namespaces that the samples name.
const NAMESPACES: [&str; 2] = ["default", "mcp-system"];

/// The specs of all objects of our kinds, and how often each has changed.
async fn stored(client: &Client) -> Vec<(Value, Value)> {
    let mut stored = Vec::new();
    for namespace in NAMESPACES {
        for kind in Kind::ALL {
            let found = object::list(client, kind.as_str(), namespace).await;
            stored.extend(
                found.into_iter().map(|it| (it["metadata"]["generation"].clone(), it["spec"].clone())),
            );
        }
    }
    stored
}

async fn apply(cluster: &Cluster, path: &Path) -> Kubectl {
    cluster.kubectl(&["apply", "--filename", &path.display().to_string()], "").await
}

/// A cluster of its own, because the samples name their namespaces.
async fn with_operator() -> (Own, Installation, Operator) {
    let cluster = Cluster::own().await;
    cluster.kubectl(&["create", "namespace", "mcp-system"], "").await.ok();
    let installed = Installation::outside(&cluster).await;
    let operator = installed.start_ready().await;
    (cluster, installed, operator)
}

async fn done(cluster: Own, operator: Operator) {
    cluster.kubectl(&["delete", "mcp", "--all", "--all-namespaces"], "").await.ok();
    operator.terminate().await;
    cluster.kubectl(&["delete", "namespace", "mcp-system"], "").await.ok();
    cluster.done().await;
}

#[tokio::test]
async fn the_seeds_apply_unchanged_and_their_servers_get_what_they_consist_of() {
    let (cluster, _installed, operator) = with_operator().await;
    for seed in samples("seeds") {
        apply(&cluster, &seed).await.ok();
    }
    let client = cluster.client().await;
    let before = stored(&client).await;
    for seed in samples("seeds") {
        apply(&cluster, &seed).await.ok();
    }
    assert_eq!(stored(&client).await, before, "applying them again changes nothing");

    let mut servers = Vec::new();
    for namespace in NAMESPACES {
        servers.extend(object::list(&client, "MCPServer", namespace).await);
    }
    assert!(servers.iter().any(|server| server["spec"]["image"].is_string()));
    assert!(servers.iter().any(|server| server["spec"]["image"].is_null()));
    for server in servers {
        let (name, spec) = (object::name(&server), &server["spec"]);
        let namespace = server["metadata"]["namespace"].as_str().expect("a namespace");
        wait::until(format_args!("what {namespace}/{name} consists of"), async || {
            let server = object::find(&client, "MCPServer", namespace, name).await.ok_or("it is gone")?;
            let ready = object::condition(&server, "Ready").ok_or("it has no status")?;
            // There is no node for pods to run on.
            if ready != ("False", "Progressing") {
                return Err(format!("{ready:?}"));
            }
            let is_gateway = spec["image"].is_null();
            let selects = !is_gateway && !spec["toolSelector"].is_null();
            for (kind, child, wanted) in [
                ("Deployment", name.to_owned(), true),
                ("Service", name.to_owned(), true),
                ("ConfigMap", format!("{name}-config"), !spec["config"].is_null() || selects),
                ("ConfigMap", format!("{name}-catalog"), is_gateway),
                ("ServiceAccount", format!("{name}-gateway"), is_gateway),
                ("Role", format!("{name}-gateway"), is_gateway),
                ("RoleBinding", format!("{name}-gateway"), is_gateway),
            ] {
                let found = object::find(&client, kind, namespace, &child).await.is_some();
                if found != wanted {
                    return Err(format!("{kind} {child}: there: {found}"));
                }
            }
            if is_gateway
                && (&server["status"]["tools"], &server["status"]["resources"]) != (&json!(2), &json!(2))
            {
                return Err(format!("{:#}", server["status"]));
            }
            Ok(())
        })
        .await;
    }
    done(cluster, operator).await;
}

#[tokio::test]
async fn the_samples_apply_and_those_that_are_to_be_refused_are_refused_in_the_words_they_say() {
    let (cluster, _installed, operator) = with_operator().await;
    for (folder, namespace) in [("config/samples", Some("mcp-system")), ("config/samples/seeds", None)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).display().to_string();
        let mut arguments = vec!["apply", "--filename", &folder];
        arguments.extend(namespace.iter().flat_map(|name| ["--namespace", name]));
        cluster.kubectl(&arguments, "").await.ok();
    }
    for sample in samples("refused") {
        let refused = apply(&cluster, &sample).await;
        assert_eq!(refused.code, 1, "{}: {}", sample.display(), refused.stdout);
        assert!(refused.stderr.contains(" is invalid: "), "{}: {}", sample.display(), refused.stderr);
        let text = std::fs::read_to_string(&sample).expect("a manifest");
        for line in text.lines().filter_map(|line| line.strip_prefix("# * ")) {
            assert!(
                refused.stderr.contains(line),
                "{}: {line} is not in {}",
                sample.display(),
                refused.stderr
            );
        }
    }
    done(cluster, operator).await;
}
