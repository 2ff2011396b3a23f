//! Servers without an image.

use super::*;

fn index() -> (ChildKey, Child) {
    own(&json!({"kind": "ConfigMap", "metadata": {"name": "main-catalog", "namespace": "team"}}))
}

fn serving(tools: &[&str]) -> Pass {
    let mut pass = Pass::new(json!({"toolSelector": {}}), 1, 1);
    pass.children.put(index());
    let tools: Vec<_> = tools.iter().map(|name| (Kind::Tool, mk_tool(name))).collect();
    pass.offered = offered(&tools);
    pass
}

/// More than sixteen ConfigMaps hold.
fn too_large() -> Offered {
    let tool = |number: usize| {
        let mut tool = mk_tool(&format!("tool-{number}"));
        tool["spec"]["description"] = "x".repeat(900_000).into();
        (Kind::Tool, tool)
    };
    offered(&(0..19).map(tool).collect::<Vec<_>>())
}

#[test]
fn what_is_served_is_counted_and_has_a_revision() {
    let status = serving(&["a", "b"]).status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Ready, "Available"));
    assert_eq!((status.tools, status.prompts, status.resources), (2, 0, 0));
    assert_eq!(status.url.as_deref(), Some("http://main.team.svc.cluster.local:8080/mcp"));
    let more = serving(&["a", "b", "c"]).status();
    assert_ne!(status.catalog_revision, more.catalog_revision);
    assert_eq!(serving(&["b", "a"]).status().catalog_revision, status.catalog_revision);
}

#[test]
fn without_a_selector_it_serves_nothing_and_is_ready() {
    let mut pass = Pass::new(json!({}), 1, 1);
    pass.children.put(index());
    let status = pass.status();
    assert_eq!((status.phase, status.tools), (Phase::Ready, 0));
    assert!(status.catalog_revision.is_some());
}

#[test]
fn a_catalog_that_is_too_large_leaves_the_one_before_in_place() {
    let mut pass = serving(&["a"]);
    let before = pass.status();
    pass.offered = too_large();
    let status = pass.status_after(&before, NOW + 5);
    let (held, reason, message) = condition(&status, "ConfigurationValid");
    assert_eq!((held, reason), ("False", "CatalogTooLarge"));
    assert!(message.ends_with("what was served before stays"), "{message}");
    assert_eq!(status.phase, Phase::Ready);
    assert_eq!((status.tools, &status.catalog_revision), (1, &before.catalog_revision));
}

#[test]
fn a_first_catalog_that_is_too_large_is_why_the_server_is_not_ready() {
    let mut pass = Pass::new(json!({"toolSelector": {}}), 1, 0);
    pass.offered = too_large();
    let status = pass.status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Failed, "CatalogTooLarge"));
    assert_eq!((status.tools, status.catalog_revision), (0, None));
}

#[test]
fn an_account_of_somebody_else_is_named() {
    let taken = Child::Taken("ServiceAccount \"main-gateway\" is not this server's".to_owned());
    let status = serving(&[]).with(ChildKind::ServiceAccount, taken).status();
    assert_eq!((status.phase, condition(&status, "Ready").1), (Phase::Failed, "NameTaken"));
}
