//! What is filled in, as it is stored.

use crate::support::manifest::{Manifest, mk_server, mk_stdio_server, mk_tool};
use crate::support::object::{self, Verb};
use crate::support::operator::Shared;
use crate::support::rules;

#[tokio::test]
async fn every_example_is_stored_with_its_defaults() {
    let cluster = Shared::get().await;
    let mut problems = Vec::new();
    for example in rules::defaults() {
        let ns = cluster.namespace("defaults").await;
        let mut given = example.given.clone();
        let verb = if let Some(old) = &example.old {
            let stored = ns.create(old).await;
            given["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
            Verb::Replace
        } else {
            Verb::Create
        };
        // A dry run, as the operator writes statuses meanwhile; and what it answers is what would be stored.
        given["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
        let reply = match verb {
            Verb::Create => ns.dry_run(Verb::Create, &given).await,
            _ => loop {
                let stored = ns.get(given["kind"].as_str().expect("a kind"), object::name(&given)).await;
                given["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
                let reply = ns.dry_run(Verb::Replace, &given).await;
                if reply.code != 409 {
                    break reply;
                }
            },
        };
        let found = reply.accepted();
        for part in ["/spec", "/metadata/finalizers"] {
            let (expected, found) = (example.stored.pointer(part), found.pointer(part));
            if expected != found {
                problems
                    .push(format!("{}: {part}: expected {expected:#?}, and found {found:#?}", example.name));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[tokio::test]
async fn kubectl_shows_the_defaults_and_applying_again_changes_nothing() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("defaults").await;
    let manifest = mk_tool("search").to_string();
    ns.kubectl(&["apply", "--filename", "-"], &manifest).await.ok();
    let yaml = ns.kubectl(&["get", "mcptool", "search", "--output", "yaml"], "").await.ok();
    for line in ["  name: search", "  method: POST", "    path: /", "  retries: 0", "  maxResponseBytes: 1Mi"]
    {
        assert!(yaml.lines().any(|found| found == line), "{line} is not in\n{yaml}");
    }
    let again = ns.kubectl(&["apply", "--filename", "-"], &manifest).await.ok();
    assert!(again.trim().ends_with("unchanged"), "{again}");
    let diff = ns.kubectl(&["diff", "--filename", "-"], &manifest).await;
    assert_eq!((diff.code, diff.stdout.as_str()), (0, ""), "{}", diff.stderr);
}

#[tokio::test]
async fn a_change_of_transport_recomputes_what_was_filled_in() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("defaults").await;
    ns.apply(&mk_server("weather")).await;
    let before = ns.get("MCPServer", "weather").await;
    assert_eq!(before["spec"]["resources"]["requests"]["cpu"], "200m");
    let after = ns.apply(&mk_server("weather").with("/spec/transport", "http")).await;
    assert_eq!(after["spec"]["resources"]["requests"]["cpu"], "100m");
    assert_eq!(after["spec"]["resources"]["requests"]["memory"], "128Mi");
}

#[tokio::test]
async fn kubectl_scale_keeps_a_stdio_server_at_one_replica() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("scale").await;
    ns.create(&mk_stdio_server("files")).await;
    ns.create(&mk_server("weather")).await;
    let refused = ns.kubectl(&["scale", "mcps/files", "--replicas=2"], "").await.refused();
    let expected = "spec.replicas: Invalid value: 2: stdio transport does not support multiple replicas";
    assert!(refused.contains(expected), "{refused}");
    assert_eq!(ns.get("MCPServer", "files").await["spec"]["replicas"], 1);
    ns.kubectl(&["scale", "mcps/files", "--replicas=0"], "").await.ok();
    ns.kubectl(&["scale", "mcps/weather", "--replicas=3"], "").await.ok();
    assert_eq!(ns.get("MCPServer", "weather").await["spec"]["replicas"], 3);
}

#[tokio::test]
async fn a_patch_gets_the_same_verdict() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("patch").await;
    ns.create(&mk_stdio_server("files")).await;
    for kind in ["merge", "json"] {
        let patch = match kind {
            "merge" => r#"{"spec":{"replicas":2}}"#,
            _ => r#"[{"op":"replace","path":"/spec/replicas","value":2}]"#,
        };
        let refused =
            ns.kubectl(&["patch", "mcps/files", "--type", kind, "--patch", patch], "").await.refused();
        assert_eq!(
            refused,
            "The MCPServer \"files\" is invalid: spec.replicas: Invalid value: 2: stdio transport does not support multiple replicas\n"
        );
    }
}

#[tokio::test]
async fn kubectl_prints_warnings_and_goes_on() {
    let cluster = Shared::get().await;
    let ns = cluster.namespace("warnings").await;
    let manifest = mk_server("weather").with("/spec/image", "weather:latest").to_string();
    let applied = ns.kubectl(&["apply", "--filename", "-"], &manifest).await;
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let warnings: Vec<_> = applied.stderr.lines().filter(|line| line.starts_with("Warning: ")).collect();
    assert!(warnings.iter().any(|line| line.contains("spec.image")), "{warnings:?}");
    let mut distinct = warnings.clone();
    distinct.dedup();
    assert_eq!(warnings, distinct, "two webhooks, and each thing is said once");
}
