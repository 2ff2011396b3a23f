use mcp_crds::catalog::Catalog;
use serde_json::json;

use super::*;
use crate::reconcile::fixture::{NOW, at, entry, mk_object, mk_tool};

fn mk_catalog(objects: &[(Kind, Value)]) -> Catalog {
    let mut catalog = Catalog::default();
    for (kind, object) in objects {
        catalog.apply(entry(*kind, object));
    }
    catalog.apply_service("team", "backend");
    catalog
}

fn server(name: &str) -> (Kind, Value) {
    (
        Kind::Server,
        mk_object(
            Kind::Server,
            name,
            json!({"image": "server:1", "toolSelector": {"matchLabels": {"mcp-server": "main"}}}),
        ),
    )
}

#[track_caller]
fn status_in(catalog: &Catalog, kind: Kind, name: &str) -> OfferStatus {
    let standing = Standing::read(catalog, &ObjectKey::new(kind, "team", name)).expect("the object");
    let errors = if standing.valid { Vec::new() } else { errors(kind, &standing.document).unwrap() };
    status(&standing, Summary::default(), &errors, &[], at(NOW))
}

#[track_caller]
fn condition<'a>(status: &'a OfferStatus, type_: &str) -> (&'a str, &'a str, &'a str) {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_).expect("the condition");
    (&found.status, &found.reason, &found.message)
}

#[test]
fn a_tool_names_the_servers_that_offer_it() {
    let catalog = mk_catalog(&[server("main"), server("second"), (Kind::Tool, mk_tool("search"))]);
    let status = status_in(&catalog, Kind::Tool, "search");
    assert_eq!(status.servers, ["main", "second"]);
    assert_eq!(status.server_count, 2);
    assert_eq!(condition(&status, "Accepted"), ("True", "Accepted", "offered by 2 servers"));
    assert_eq!(condition(&status, "ServiceResolved").1, "Resolved");
    assert_eq!(status.observed_generation, Some(1));
}

#[test]
fn nobody_selecting_it_is_no_error() {
    let status = status_in(&mk_catalog(&[(Kind::Tool, mk_tool("search"))]), Kind::Tool, "search");
    assert_eq!(condition(&status, "Accepted"), ("True", "Accepted", "no server selects this tool"));
    assert_eq!((status.server_count, status.servers.len()), (0, 0));
}

#[test]
fn the_younger_of_two_with_one_name_is_told_of_the_winner_until_that_goes() {
    let mut younger = mk_tool("search-v2");
    younger["spec"]["name"] = "search-v1".into();
    younger["metadata"]["creationTimestamp"] = at(NOW).to_string().into();
    let objects = [server("main"), (Kind::Tool, mk_tool("search-v1")), (Kind::Tool, younger)];
    let mut catalog = mk_catalog(&objects);
    let status = status_in(&catalog, Kind::Tool, "search-v2");
    assert_eq!(
        condition(&status, "Accepted"),
        (
            "False",
            "DuplicateName",
            "tool \"search-v1\" is already offered on server \"main\" by MCPTool \"search-v1\""
        )
    );
    assert_eq!(status.server_count, 0);
    assert_eq!(condition(&status_in(&catalog, Kind::Tool, "search-v1"), "Accepted").0, "True");
    catalog.delete(&ObjectKey::new(Kind::Tool, "team", "search-v1"));
    assert_eq!(condition(&status_in(&catalog, Kind::Tool, "search-v2"), "Accepted").0, "True");
}

#[test]
fn a_tool_that_breaks_a_rule_is_told_every_error_and_offered_by_nobody() {
    let mut tool = mk_tool("search");
    tool["spec"]["name"] = "a b".into();
    tool["spec"]["service"]["port"] = 0.into();
    let status = status_in(&mk_catalog(&[server("main"), (Kind::Tool, tool)]), Kind::Tool, "search");
    let (held, reason, message) = condition(&status, "Accepted");
    assert_eq!((held, reason), ("False", "Invalid"));
    assert!(message.contains("spec.name: Invalid value: \"a b\""), "{message}");
    assert!(message.contains("spec.service.port: Invalid value: 0"), "{message}");
    assert_eq!(status.server_count, 0);
}

#[test]
fn errors_of_a_schema_alone_have_a_reason_of_their_own() {
    let mut tool = mk_tool("search");
    tool["spec"]["inputSchema"] = json!([]);
    let catalog = mk_catalog(&[(Kind::Tool, tool.clone())]);
    let status = status_in(&catalog, Kind::Tool, "search");
    assert_eq!(condition(&status, "Accepted").1, "InvalidSchema");
    tool["spec"]["service"]["port"] = 0.into();
    let status = status_in(&mk_catalog(&[(Kind::Tool, tool)]), Kind::Tool, "search");
    assert_eq!(condition(&status, "Accepted").1, "Invalid");
}

#[test]
fn a_server_that_is_deleted_or_invalid_offers_nothing() {
    let mut leaving = server("leaving");
    leaving.1["metadata"]["deletionTimestamp"] = at(NOW).to_string().into();
    let mut broken = server("broken");
    broken.1["spec"]["port"] = 0.into();
    let catalog = mk_catalog(&[leaving, broken, server("main"), (Kind::Tool, mk_tool("search"))]);
    assert_eq!(status_in(&catalog, Kind::Tool, "search").servers, ["main"]);
}

#[test]
fn a_missing_service_is_named_until_it_comes() {
    let mut catalog = mk_catalog(&[server("main"), (Kind::Tool, mk_tool("search"))]);
    catalog.delete_service("team", "backend");
    let status = status_in(&catalog, Kind::Tool, "search");
    assert_eq!(
        condition(&status, "ServiceResolved"),
        ("False", "ServiceNotFound", "Service \"backend\" does not exist in namespace \"team\"")
    );
    assert_eq!(condition(&status, "Accepted").0, "True");
}

#[test]
fn what_calls_no_service_has_no_such_condition() {
    let prompt = mk_object(Kind::Prompt, "greeting", json!({"name": "greeting", "template": "hello"}));
    let status = status_in(&mk_catalog(&[(Kind::Prompt, prompt)]), Kind::Prompt, "greeting");
    let types: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Accepted"]);
}

#[test]
fn past_a_hundred_servers_are_counted() {
    let mut objects: Vec<_> = (0..130).map(|i| server(&format!("server-{i:03}"))).collect();
    objects.push((Kind::Tool, mk_tool("search")));
    let status = status_in(&mk_catalog(&objects), Kind::Tool, "search");
    assert_eq!((status.servers.len(), status.server_count), (100, 130));
    assert_eq!(status.servers[99], "server-099");
    assert!(condition(&status, "Accepted").2.contains("130 servers"));
}

#[test]
fn a_secret_is_sent_only_with_its_owners_consent() {
    let mut tool = mk_tool("search");
    let from =
        |name: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}});
    tool["spec"]["headers"] = json!([from("key"), {"name": "Accept", "value": "text/plain"}, from("token")]);
    let mut catalog = mk_catalog(&[server("main"), (Kind::Tool, tool)]);
    let of = |catalog: &Catalog| {
        let status = status_in(catalog, Kind::Tool, "search");
        let (held, reason, message) = condition(&status, "CredentialsResolved");
        (held.to_owned(), reason.to_owned(), message.to_owned())
    };
    let (held, reason, message) = of(&catalog);
    assert_eq!((held.as_str(), reason.as_str()), ("False", "ConsentMissing"));
    assert!(
        message.starts_with("there are no Secrets \"key\", \"token\" in namespace \"team\""),
        "{message}"
    );
    let concerned = catalog.apply_credential("team", "token");
    let names: Vec<_> = concerned.iter().map(|key| &*key.id.name).collect();
    assert_eq!(names, ["main", "search"], "the server may read it now");
    assert!(of(&catalog).2.starts_with("there is no Secret \"key\""));
    catalog.apply_credential("team", "key");
    assert_eq!(of(&catalog).1, "Resolved");
    catalog.reset_credentials([("team", "key"), ("other", "token")]);
    assert!(of(&catalog).2.starts_with("there is no Secret \"token\""));
}
