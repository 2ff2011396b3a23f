//! Purity is a fact of the crate graph: what a crate may not know is not in its tree.

use std::process::Command;

#[track_caller]
fn assert_without(package: &str, forbidden: &[&str]) {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&package), "{tree}");
    let found: Vec<&&str> = forbidden.iter().filter(|name| names.contains(name)).collect();
    assert!(found.is_empty(), "{package} depends on {found:?}");
}

#[test]
fn the_api_and_its_rules_know_no_client_no_runtime_and_no_tls() {
    assert_without(
        "mcp-crds",
        &["kube-client", "kube-runtime", "tokio", "rustls", "hyper", "reqwest", "aws-lc-rs"],
    );
}

#[test]
fn the_webhook_knows_no_client() {
    assert_without("mcp-webhook", &["kube-client", "kube-runtime"]);
}

#[test]
fn certificates_know_nothing_of_the_api() {
    assert_without("mcp-certs", &["mcp-crds"]);
}

#[test]
fn the_gateway_knows_no_operator() {
    assert_without("mcp-gateway", &["mcp-operator", "mcp-webhook", "mcp-certs"]);
}

#[test]
fn the_operator_knows_no_gateway() {
    assert_without("mcp-operator", &["mcp-gateway"]);
}

#[test]
fn what_both_know_of_redis_knows_neither() {
    assert_without("mcp-redis", &["mcp-operator", "mcp-gateway", "mcp-crds", "kube-client"]);
}

#[test]
fn the_sample_server_is_one_like_any_other() {
    assert_without("mcp-k8s-server", &["mcp-operator", "mcp-crds", "mcp-webhook", "mcp-certs", "mcp-redis"]);
}
