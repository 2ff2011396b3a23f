use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::default;

fn mk_server() -> Value {
    mk(Kind::Server, json!({"metadata": {"name": "main", "namespace": "ns"}, "spec": {"toolSelector": {}}}))
}

fn mk_tool(name: &str, description: &str) -> Value {
    let spec = json!({"description": description, "service": {"name": "backend", "port": 80}});
    mk(Kind::Tool, json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec}))
}

fn mk_prompt(name: &str) -> Value {
    mk(Kind::Prompt, json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {"template": "hello"}}))
}

fn mk_resource(name: &str) -> Value {
    let spec = json!({"content": {"uri": format!("docs://{name}"), "text": "hello"}});
    mk(Kind::Resource, json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec}))
}

fn mk(kind: Kind, mut object: Value) -> Value {
    default::apply(kind, &mut object, None);
    object
}

fn compile(objects: &[(Kind, Value)]) -> Snapshot {
    let offered = objects.iter().map(|(kind, object)| (*kind, object));
    Snapshot::compile(&mk_server(), "cluster.local", offered).expect("valid objects")
}

fn load(encoded: &Encoded) -> Result<Snapshot, LoadError> {
    Index::parse(&encoded.index)?.load(|shard| encoded.shards.get(&shard))
}

use crate::kind::Kind;

#[test]
fn a_server_is_compiled_with_its_defaults() {
    let server = compile(&[]).server;
    assert_eq!((server.path.as_str(), server.path_prefix.as_str()), ("/mcp", "/"));
    assert_eq!((server.request_timeout_ms, server.max_concurrent_requests), (30_000, 100));
    assert_eq!(server.hosts, ["main", "main.ns", "main.ns.svc", "main.ns.svc.cluster.local"]);
}

#[test]
fn a_server_is_compiled_with_its_settings() {
    let server = mk(
        Kind::Server,
        json!({"metadata": {"name": "main", "namespace": "ns"}, "spec": {
            "path": "/x", "ingress": {"host": "mcp.example.com", "pathPrefix": "/p"},
            "config": {"requestTimeout": "1500us", "maxConcurrentRequests": "7",
                       "allowedOrigins": "https://a.example, https://b.example"},
        }}),
    );
    let server = Snapshot::compile(&server, "cluster.local", []).expect("a valid server").server;
    assert_eq!((server.path.as_str(), server.path_prefix.as_str()), ("/x", "/p"));
    assert_eq!((server.request_timeout_ms, server.max_concurrent_requests), (2, 7));
    assert_eq!(server.hosts.last().map(String::as_str), Some("mcp.example.com"));
    assert_eq!(server.allowed_origins, ["https://a.example", "https://b.example"]);
}

#[test]
fn a_tool_is_compiled_into_what_is_counted() {
    let spec = json!({
        "service": {"name": "backend", "port": 80, "path": "/x/{id}"}, "method": "GET",
        "inputSchema": {"properties": {"id": {"type": "string"}}, "required": ["id"]},
        "timeout": "1.5s", "cacheTTL": "1m", "retries": 2, "maxResponseBytes": "2Ki",
        "rateLimit": {"requestsPerSecond": 2.5},
    });
    let tool = mk(Kind::Tool, json!({"metadata": {"name": "t"}, "spec": spec}));
    let snapshot = compile(&[(Kind::Tool, tool)]);
    let [tool] = snapshot.tools.as_slice() else { panic!("one tool") };
    assert_eq!((tool.timeout_ms, tool.cache_ttl_ms), (Some(1_500), Some(60_000)));
    assert_eq!((tool.retries, tool.max_response_bytes), (2, 2048));
    assert_eq!(tool.rate_limit, Some(RateLimit { per_second: 2.5, burst: 3 }));
}

#[test]
fn a_get_operation_has_a_uri_and_another_has_none() {
    let service = json!({"name": "docs", "port": 80, "path": "/api/{id}"});
    let spec = json!({"operations": [
        {"ingressPath": "/docs/{id}", "service": service},
        {"ingressPath": "/docs/{id}", "service": service, "method": "PUT"},
    ]});
    let resource = mk(Kind::Resource, json!({"metadata": {"name": "docs"}, "spec": spec}));
    let snapshot = compile(&[(Kind::Resource, resource)]);
    let ResourceSource::Operations(operations) = &snapshot.resources[0].source else { panic!("operations") };
    assert_eq!(operations[0].uri.as_deref(), Some("resource://docs/docs/{id}"));
    assert_eq!(operations[1].uri, None);
}

#[test]
fn what_is_not_valid_is_not_compiled() {
    let tool = json!({"metadata": {"name": "t"}, "spec": {"service": {"name": "s", "port": "http"}}});
    let error = Snapshot::compile(&mk_server(), "cluster.local", [(Kind::Tool, &tool)]).unwrap_err();
    assert!(error.to_string().starts_with("MCPTool \"t\" is not valid: "), "{error}");
}

#[test]
fn a_newer_catalog_is_refused_by_saying_so() {
    let mut index: Value = serde_json::from_str(&compile(&[]).encode().unwrap().index).unwrap();
    index["version"] = (VERSION + 1).into();
    index["server"] = "in another form".into();
    let error = Index::parse(&index.to_string()).unwrap_err();
    assert!(error.to_string().contains("update the gateway"), "{error}");
}

#[test]
fn what_was_changed_on_its_way_is_refused() {
    let encoded = compile(&[(Kind::Tool, mk_tool("t", "before"))]).encode().unwrap();
    let index = encoded.index.replace("\"ns\"", "\"other\"");
    assert!(matches!(Index::parse(&index), Err(LoadError::Unreadable { .. })));
    let changed = |shard: u8| encoded.shards.get(&shard).map(|text| text.replace("before", "after!"));
    let error = Index::parse(&encoded.index).unwrap().load(changed).unwrap_err();
    assert!(error.is_pending(), "{error}");
}

#[test]
fn a_shard_that_is_missing_is_waited_for() {
    let encoded = compile(&[(Kind::Tool, mk_tool("t", "x"))]).encode().unwrap();
    let error = Index::parse(&encoded.index).unwrap().load(|_| None::<String>).unwrap_err();
    assert!(error.is_pending(), "{error}");
}

#[test]
fn full_shards_spill_into_others_until_there_is_no_room() {
    let big = "x".repeat(200 * 1024);
    let tools = |count: usize| -> Vec<(Kind, Value)> {
        (0..count).map(|n| (Kind::Tool, mk_tool(&format!("t{n}"), &big))).collect()
    };
    // Five fit into a shard.
    let encoded = compile(&tools(16 * 5)).encode().expect("it fits exactly");
    assert_eq!(encoded.shards.len(), usize::from(MAX_SHARDS));
    assert!(encoded.shards.values().all(|text| text.len() <= MAX_SHARD_BYTES));
    assert_eq!(load(&encoded).unwrap().tools.len(), 80);
    let error = compile(&tools(16 * 5 + 1)).encode().unwrap_err();
    assert!(error.bytes > 80 * big.len(), "{error}");
}

#[derive(Debug, Clone)]
enum Item {
    Tool(String, String),
    Prompt(String),
    Resource(String),
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        3 => ("[a-z]{1,4}", ".{0,8}").prop_map(|(name, text)| Item::Tool(name, text)),
        1 => "[a-z]{1,4}".prop_map(Item::Prompt),
        1 => "[a-z]{1,4}".prop_map(Item::Resource),
    ];
    prop::collection::vec(item, 0..40).prop_map(|mut items| {
        let key = |item: &Item| match item {
            Item::Tool(name, _) => (0, name.clone()),
            Item::Prompt(name) => (1, name.clone()),
            Item::Resource(name) => (2, name.clone()),
        };
        items.sort_by_key(key);
        items.dedup_by_key(|item| key(item));
        items
    })
}

fn objects(items: &[Item]) -> Vec<(Kind, Value)> {
    let object = |item: &Item| match item {
        Item::Tool(name, description) => (Kind::Tool, mk_tool(name, description)),
        Item::Prompt(name) => (Kind::Prompt, mk_prompt(name)),
        Item::Resource(name) => (Kind::Resource, mk_resource(name)),
    };
    items.iter().map(object).collect()
}

proptest! {
    #[test]
    fn any_order_of_objects_gives_the_same_bytes(
        (items, shuffled) in items().prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle()))
    ) {
        prop_assert_eq!(compile(&objects(&items)).encode(), compile(&objects(&shuffled)).encode());
    }

    #[test]
    fn what_is_written_is_loaded(items in items()) {
        let encoded = compile(&objects(&items)).encode().unwrap();
        let loaded = load(&encoded).unwrap();
        prop_assert_eq!(loaded.tools.len() + loaded.prompts.len() + loaded.resources.len(), items.len());
        prop_assert_eq!(loaded.encode().unwrap(), encoded);
    }

    #[test]
    fn a_change_of_one_tool_touches_its_shard_and_the_index(items in items(), name in "[a-z]{5}") {
        let with = |description: &str| {
            let mut objects = objects(&items);
            objects.push((Kind::Tool, mk_tool(&name, description)));
            compile(&objects).encode().unwrap()
        };
        let (before, after) = (with("before"), with("after"));
        prop_assert_ne!(&before.index, &after.index);
        prop_assert_ne!(&before.revision, &after.revision);
        let numbers: std::collections::BTreeSet<u8> =
            before.shards.keys().chain(after.shards.keys()).copied().collect();
        let changed = numbers.into_iter().filter(|n| before.shards.get(n) != after.shards.get(n)).count();
        prop_assert_eq!(changed, 1);
    }

    #[test]
    fn anything_is_answered(text in "[\\[\\]{}\":,a-z0-9]{0,40}") {
        let _ = Index::parse(&text);
    }
}
