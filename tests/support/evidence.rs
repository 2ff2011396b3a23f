//! What a cluster with pods shows of a namespace in which a test failed.

use std::process::{Command, Stdio};

use mcp_operator::permissions;

use super::cluster::{Cluster, binary};

/// The last lines that are shown of each container's log.
const LINES: &str = "--tail=40";

/// The objects and events of a namespace, what its pods log, and what the installed operator logs about it.
pub(crate) fn of(cluster: &Cluster, namespace: &str) -> String {
    let kubectl = |namespace: &str, arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["kubectl", "--namespace", namespace, "--request-timeout=10s"]).args(arguments);
        command.env("KUBECONFIG", cluster.kubeconfig()).env("HOME", "/nonexistent").stdin(Stdio::null());
        match command.output() {
            Ok(said) => {
                [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
            }
            Err(error) => error.to_string(),
        }
    };
    let servers = "--output=jsonpath={range .items[*]}{.metadata.name}: {.status}{\"\\n\"}{end}";
    // With whether they are ready, which no table says.
    let endpoints = "--output=jsonpath={range .items[*]}{.metadata.name}: {.endpoints}{\"\\n\"}{end}";
    let operator = ["logs", "--selector=app.kubernetes.io/name=mcp-operator", "--prefix", "--tail=5000"];
    let about: Vec<String> = kubectl(permissions::NAMESPACE, &operator)
        .lines()
        .filter(|line| line.contains(namespace))
        .map(str::to_owned)
        .collect();
    [
        ("servers", kubectl(namespace, &["get", "mcpservers", servers])),
        ("objects", kubectl(namespace, &["get", "deployments,pods,services", "--output=wide"])),
        ("endpoints", kubectl(namespace, &["get", "endpointslices", endpoints])),
        ("events", kubectl(namespace, &["get", "events", "--sort-by=.lastTimestamp"])),
        // Every pod: there is none with this label.
        ("logs", kubectl(namespace, &["logs", "--selector=!none", "--prefix", "--all-containers", LINES])),
        ("the operator", about[about.len().saturating_sub(40)..].join("\n")),
    ]
    .map(|(what, text)| format!("--- {what} of {namespace}\n{text}"))
    .join("\n")
}
