use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::field::{Findings, Reason};

fn mk_server(name: &str, selector: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {"toolSelector": selector}})
}

fn mk_tool(name: &str, offered_as: &str, labels: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "ns", "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"},
           "spec": {"name": offered_as, "service": {"name": "backend", "port": 80}}})
}

fn created(mut object: Value, at: &str) -> Value {
    object["metadata"]["creationTimestamp"] = at.into();
    object
}

fn server(object: &Value) -> Entry {
    Entry::read(Kind::Server, "ns", object)
}

fn tool(object: &Value) -> Entry {
    Entry::read(Kind::Tool, "ns", object)
}

fn resource(object: &Value) -> Entry {
    Entry::read(Kind::Resource, "ns", object)
}

fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, "ns", name)
}

/// A server `main` that selects `app: a`, and the tool `search-v1`, which it offers as `search`.
fn one_tool() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.apply(server(&mk_server("main", json!({"matchLabels": {"app": "a"}}))));
    catalog.apply(tool(&mk_tool("search-v1", "search", json!({"app": "a"}))));
    catalog.apply_service("ns", "backend");
    catalog
}

fn messages(findings: &Findings) -> Vec<String> {
    findings.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_second_tool_of_the_same_name_is_refused_and_names_the_first() {
    let findings =
        one_tool().check(&tool(&mk_tool("search-v2", "search", json!({"app": "a"}))), Instant::now());
    assert_eq!(
        messages(&findings),
        [
            "spec.name: Duplicate value: \"search\": tool \"search\" is already offered on server \"main\" by MCPTool \"search-v1\""
        ]
    );
}

#[test]
fn a_tool_of_the_same_name_on_no_common_server_is_accepted() {
    let findings =
        one_tool().check(&tool(&mk_tool("search-v2", "search", json!({"app": "b"}))), Instant::now());
    assert_eq!(findings, Findings::default());
}

#[test]
fn an_object_is_no_duplicate_of_itself() {
    let findings =
        one_tool().check(&tool(&mk_tool("search-v1", "search", json!({"app": "a"}))), Instant::now());
    assert!(findings.errors.is_empty());
}

#[test]
fn a_selector_that_brings_two_of_one_name_is_refused() {
    let mut catalog = one_tool();
    catalog.apply(tool(&mk_tool("search-v2", "search", json!({"app": "b"}))));
    let findings = catalog.check(&server(&mk_server("all", json!({}))), Instant::now());
    let [error] = findings.errors.as_slice() else { panic!("{findings:?}") };
    assert_eq!((error.field.to_string().as_str(), error.reason), ("spec.toolSelector", Reason::Duplicate));
    assert!(error.message.contains("MCPTool \"search-v1\" and MCPTool \"search-v2\""), "{}", error.message);
}

#[test]
fn an_admitted_tool_is_reserved_until_the_watch_shows_it_or_five_seconds_pass() {
    let mut catalog = Catalog::default();
    catalog.apply(server(&mk_server("main", json!({}))));
    catalog.apply_service("ns", "backend");
    let now = Instant::now();
    let mut first = mk_tool("search-v1", "search", json!({}));
    first["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    catalog.reserve(tool(&first), now);

    let second = tool(&mk_tool("search-v2", "search", json!({})));
    let refused = messages(&catalog.check(&second, now + Duration::from_secs(4)));
    assert!(refused[0].ends_with("by MCPTool \"search-v1\", which is being created"), "{refused:?}");
    assert!(catalog.check(&second, now + Duration::from_secs(5)).errors.is_empty(), "expired");

    catalog.apply(tool(&mk_tool("search-v1", "search", json!({}))));
    catalog.delete(&key(Kind::Tool, "search-v1"));
    assert!(catalog.check(&second, now).errors.is_empty(), "seen, and then deleted");
}

#[test]
fn resources_contend_for_uris_and_routes_whatever_their_placeholders_are_called() {
    let mut catalog = Catalog::default();
    catalog.apply(server(&mk_server("main", json!({}))));
    let docs = |name: &str, path: &str| {
        json!({"metadata": {"name": name, "namespace": "ns"},
               "spec": {"name": name, "operations": [{"method": "POST", "ingressPath": path, "service": {"name": "s", "port": 80}}]}})
    };
    catalog.apply(resource(&docs("a", "/docs/{id}")));
    let findings = catalog.check(&resource(&docs("b", "/docs/{name}")), Instant::now());
    let [error] = findings.errors.as_slice() else { panic!("{findings:?}") };
    assert_eq!(error.field.to_string(), "spec.operations[0].ingressPath");
    assert!(catalog.check(&resource(&docs("c", "/docs")), Instant::now()).errors.is_empty());
}

#[test]
fn a_service_that_does_not_exist_is_a_warning() {
    let mut catalog = one_tool();
    catalog.delete_service("ns", "backend");
    let findings = catalog.check(&tool(&mk_tool("other", "other", json!({}))), Instant::now());
    let said = "spec.service.name: Service \"backend\" does not exist in namespace \"ns\" (yet)";
    assert_eq!(findings.warnings, [said]);
}

#[test]
fn a_service_that_does_not_exist_is_told_where_it_is_first_named() {
    let operation = |path: &str, service: &str| json!({"method": "POST", "ingressPath": path, "service": {"name": service, "port": 80}});
    let operations =
        [operation("/a", "here"), operation("/b", "b"), operation("/c", "a"), operation("/d", "b")];
    let docs = json!({"metadata": {"name": "docs", "namespace": "ns"}, "spec": {"operations": operations}});
    let mut catalog = Catalog::default();
    catalog.apply_service("ns", "here");
    assert_eq!(
        catalog.check(&resource(&docs), Instant::now()).warnings,
        [
            "spec.operations[2].service.name: Service \"a\" does not exist in namespace \"ns\" (yet)",
            "spec.operations[1].service.name: Service \"b\" does not exist in namespace \"ns\" (yet)",
        ]
    );
}

#[test]
fn scaling_a_stdio_server_is_refused() {
    let mut catalog = Catalog::default();
    catalog.apply(server(
        &json!({"metadata": {"name": "files", "namespace": "ns"}, "spec": {"transport": "stdio"}}),
    ));
    assert_eq!(
        messages(&catalog.check_scale("ns", "files", 3)),
        ["spec.replicas: Invalid value: 3: stdio transport does not support multiple replicas"]
    );
    assert!(catalog.check_scale("ns", "files", 1).errors.is_empty());
    assert!(catalog.check_scale("ns", "unknown", 3).errors.is_empty());
}

#[test]
fn a_change_concerns_the_servers_that_select_it_now_or_did_before() {
    let mut catalog = one_tool();
    catalog.apply(server(&mk_server("other", json!({"matchLabels": {"app": "b"}}))));
    catalog.apply(server(&mk_server("unrelated", json!({"matchLabels": {"app": "c"}}))));
    let affected = catalog.apply(tool(&mk_tool("search-v1", "search", json!({"app": "b"}))));
    let expected = [key(Kind::Server, "main"), key(Kind::Server, "other"), key(Kind::Tool, "search-v1")];
    assert_eq!(affected, Affected::from(expected));
}

#[test]
fn a_change_concerns_those_that_contend_through_others() {
    let content = |name: &str, offered_as: &str, uri: &str, day: u8| {
        let object = json!({
            "metadata": {"name": name, "namespace": "ns"},
            "spec": {"name": offered_as, "content": {"uri": uri, "text": ""}},
        });
        resource(&created(object, &format!("2026-01-0{day}T00:00:00Z")))
    };
    let mut catalog = Catalog::default();
    catalog.apply(server(&mk_server("main", json!({}))));
    catalog.apply(content("a", "one", "x://1", 1));
    catalog.apply(content("b", "one", "x://2", 2));
    catalog.apply(content("c", "three", "x://2", 3));
    // Without `a`, `b` is served, and `c` no longer is.
    let affected = catalog.delete(&key(Kind::Resource, "a"));
    let concerned = ["a", "b", "c"].map(|name| key(Kind::Resource, name));
    assert_eq!(affected, concerned.into_iter().chain([key(Kind::Server, "main")]).collect());
}

#[test]
fn a_server_that_does_not_stand_is_in_nobodys_way() {
    let second = tool(&mk_tool("search-v2", "search", json!({"app": "a"})));
    let refused = |catalog: &Catalog, now| !catalog.check(&second, now).errors.is_empty();
    let now = Instant::now();
    assert!(refused(&one_tool(), now));

    let mut catalog = one_tool();
    let mut going = mk_server("main", json!({"matchLabels": {"app": "a"}}));
    going["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z".into();
    catalog.apply(server(&going));
    assert!(!refused(&catalog, now), "it is being deleted");

    let mut catalog = one_tool();
    catalog.delete(&key(Kind::Server, "main"));
    catalog.reserve(server(&mk_server("main", json!({"matchLabels": {"app": "a"}}))), now);
    assert!(refused(&catalog, now + Duration::from_secs(4)));
    assert!(!refused(&catalog, now + Duration::from_secs(5)), "it was never made");
}

#[test]
fn a_status_that_comes_back_concerns_only_its_object() {
    let mut catalog = one_tool();
    let affected = catalog.apply(tool(&mk_tool("search-v1", "search", json!({"app": "a"}))));
    assert_eq!(affected, Affected::from([key(Kind::Tool, "search-v1")]));
}

#[test]
fn the_oldest_is_served_and_the_next_when_it_goes() {
    let mut catalog = one_tool();
    catalog
        .apply(tool(&created(mk_tool("search-v0", "search", json!({"app": "a"})), "2026-02-01T00:00:00Z")));
    let index = catalog.namespace("ns").unwrap();
    let selector = catalog.server("ns", "main").unwrap().selector.clone().unwrap();
    let offers = settle(index, &selector);
    assert_eq!(offers.served.iter().map(|entry| &*entry.key.id.name).collect::<Vec<_>>(), ["search-v1"]);
    assert_eq!(offers.left_out[0].1.winner, key(Kind::Tool, "search-v1").id);

    catalog.delete(&key(Kind::Tool, "search-v1"));
    let offers = settle(catalog.namespace("ns").unwrap(), &selector);
    assert_eq!(offers.served.iter().map(|entry| &*entry.key.id.name).collect::<Vec<_>>(), ["search-v0"]);
}

#[test]
fn what_is_left_out_takes_nothing() {
    let mut catalog = Catalog::default();
    let content = |name: &str, offered_as: &str, uri: &str, at: &str| {
        created(
            json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {"name": offered_as, "content": {"uri": uri, "text": ""}}}),
            at,
        )
    };
    catalog.apply(server(&mk_server("main", json!({}))));
    catalog.apply(resource(&content("a", "one", "x://1", "2026-01-01T00:00:00Z")));
    catalog.apply(resource(&content("b", "one", "x://2", "2026-01-02T00:00:00Z")));
    catalog.apply(resource(&content("c", "three", "x://2", "2026-01-03T00:00:00Z")));
    let index = catalog.namespace("ns").unwrap();
    let offers = settle(index, catalog.server("ns", "main").unwrap().selector.as_ref().unwrap());
    assert_eq!(offers.served.iter().map(|entry| &*entry.key.id.name).collect::<Vec<_>>(), ["a", "c"]);
}

#[derive(Debug, Clone)]
enum Event {
    Apply(Kind, Value),
    Delete(Kind, String),
    Reset(Kind),
}

fn an_object() -> impl Strategy<Value = (Kind, Value)> {
    let label = prop_oneof![
        Just(json!({})),
        Just(json!({"app": "a"})),
        Just(json!({"app": "b"})),
        Just(json!({"app": "a", "x": "y"}))
    ];
    let selector = prop_oneof![
        Just(json!({})),
        Just(json!({"matchLabels": {"app": "a"}})),
        Just(json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]})),
        Just(json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]})),
        Just(Value::Null),
    ];
    let name = 0..4_u8;
    let day = 1..4_u8;
    prop_oneof![
        (name.clone(), selector).prop_map(|(name, selector)| (Kind::Server, mk_server(&format!("s{name}"), selector))),
        (name.clone(), 0..3_u8, label.clone(), day.clone()).prop_map(|(name, offered_as, labels, day)| {
            let tool = mk_tool(&format!("t{name}"), &format!("n{offered_as}"), labels);
            (Kind::Tool, created(tool, &format!("2026-01-0{day}T00:00:00Z")))
        }),
        (name, 0..3_u8, 0..3_u8, label, day).prop_map(|(name, offered_as, uri, labels, day)| {
            let object = json!({
                "metadata": {"name": format!("r{name}"), "namespace": "ns", "labels": labels, "creationTimestamp": format!("2026-01-0{day}T00:00:00Z")},
                "spec": {"name": format!("n{offered_as}"), "content": {"uri": format!("x://{uri}"), "text": ""}}
            });
            (Kind::Resource, object)
        }),
    ]
}

fn an_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => an_object().prop_map(|(kind, object)| Event::Apply(kind, object)),
        2 => (0..4_u8, prop_oneof![Just(Kind::Server), Just(Kind::Tool), Just(Kind::Resource)]).prop_map(|(name, kind)| {
            let prefix = match kind { Kind::Server => "s", Kind::Tool => "t", _ => "r" };
            Event::Delete(kind, format!("{prefix}{name}"))
        }),
        1 => prop_oneof![Just(Kind::Server), Just(Kind::Tool)].prop_map(Event::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The catalog after any order of events equals the one built at once from what is left.
    #[test]
    fn events_and_a_fresh_list_lead_to_the_same_catalog(events in proptest::collection::vec(an_event(), 0..40)) {
        let mut catalog = Catalog::default();
        let mut left: std::collections::BTreeMap<(Kind, String), Value> = std::collections::BTreeMap::new();
        for event in events {
            match event {
                Event::Apply(kind, object) => {
                    catalog.apply(Entry::read(kind, "ns", &object));
                    left.insert((kind, object["metadata"]["name"].as_str().unwrap().to_owned()), object);
                }
                Event::Delete(kind, name) => {
                    catalog.delete(&key(kind, &name));
                    left.remove(&(kind, name));
                }
                Event::Reset(kind) => {
                    // A list that misses every second object of the kind.
                    let kept: Vec<_> = left.iter().filter(|((of, _), _)| *of == kind).step_by(2).map(|(id, object)| (id.clone(), object.clone())).collect();
                    left.retain(|(of, _), _| *of != kind);
                    catalog.reset(kind, kept.iter().map(|(_, object)| Entry::read(kind, "ns", object)));
                    left.extend(kept);
                }
            }
        }
        let mut at_once = Catalog::default();
        for ((kind, _), object) in &left {
            at_once.apply(Entry::read(*kind, "ns", object));
        }
        prop_assert_eq!(catalog, at_once);
    }

    /// Looking at one object's rivals gives the same answer as settling the whole server.
    #[test]
    fn an_objects_standing_is_what_settling_the_server_says(objects in proptest::collection::vec(an_object(), 0..30)) {
        let mut catalog = Catalog::default();
        for (kind, object) in &objects {
            catalog.apply(Entry::read(*kind, "ns", object));
        }
        let Some(index) = catalog.namespace("ns") else { return Ok(()) };
        for server in index.of_kind(Kind::Server) {
            let Some(selector) = &server.selector else { continue };
            let offers = settle(index, selector);
            for entry in index.selected(selector) {
                let left_out = offers.left_out.iter().find(|(loser, _)| loser.key == entry.key).map(|(_, conflict)| conflict.clone());
                prop_assert_eq!(standing(index, selector, entry).err(), left_out);
            }
        }
    }

    /// Who is concerned by a change includes every object whose standing it changes.
    #[test]
    fn whose_standing_changes_is_concerned(objects in proptest::collection::vec(an_object(), 0..30), (kind, object) in an_object()) {
        let mut catalog = Catalog::default();
        for (kind, object) in &objects {
            catalog.apply(Entry::read(*kind, "ns", object));
        }
        let standings = |catalog: &Catalog| -> std::collections::BTreeMap<ObjectKey, Vec<_>> {
            let Some(index) = catalog.namespace("ns") else { return std::collections::BTreeMap::new() };
            let of = |entry: &Entry| index.selecting(&entry.labels).into_iter().map(|name| {
                let server = index.get(&Id { kind: Kind::Server, name: name.clone() });
                (name, server.and_then(|server| server.selector.as_ref()).map(|selector| standing(index, selector, entry)))
            }).collect();
            let offered = index.entries().filter(|entry| entry.key.id.kind != Kind::Server);
            offered.map(|entry| (entry.key.clone(), of(entry))).collect()
        };
        let before = standings(&catalog);
        let affected = catalog.apply(Entry::read(kind, "ns", &object));
        for (offered, now) in standings(&catalog) {
            if before.get(&offered) != Some(&now) {
                prop_assert!(affected.contains(&offered), "{} is not among {:?}", offered, affected);
            }
        }
    }

    /// Who is concerned by a change includes everyone whose view of the world it changes.
    #[test]
    fn whose_offers_change_is_concerned(objects in proptest::collection::vec(an_object(), 0..20), (kind, object) in an_object()) {
        let mut catalog = Catalog::default();
        for (kind, object) in &objects {
            catalog.apply(Entry::read(*kind, "ns", object));
        }
        let view = |catalog: &Catalog| -> std::collections::BTreeMap<ObjectKey, Vec<ObjectKey>> {
            let index = catalog.namespace("ns");
            let servers = index.into_iter().flat_map(|index| index.of_kind(Kind::Server).map(move |server| (index, server)));
            servers.map(|(index, server)| {
                let served = server.selector.iter().flat_map(|selector| settle(index, selector).served).map(|entry| entry.key.clone());
                (server.key.clone(), served.collect())
            }).collect()
        };
        let before = view(&catalog);
        let affected = catalog.apply(Entry::read(kind, "ns", &object));
        for (server, served) in view(&catalog) {
            if before.get(&server) != Some(&served) {
                prop_assert!(affected.contains(&server), "{} is not among {:?}", server, affected);
            }
        }
    }
}
