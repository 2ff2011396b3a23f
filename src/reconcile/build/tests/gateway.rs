//! Servers without an image, and the gateway's binary in the pods of others.

use std::collections::BTreeMap;

use mcp_crds::snapshot::{INDEX_KEY, Index, Snapshot, shard_key};

use super::*;
use crate::children::ChildKey;

fn serving(spec: Value, offered: &Offered) -> Children {
    super::super::server(&valid(spec), GATEWAY, offered)
}

fn tools(names: &[&str]) -> Offered {
    offered(&names.iter().map(|name| (Kind::Tool, mk_tool(name))).collect::<Vec<_>>())
}

/// The data of each of the catalog's ConfigMaps, by its name.
fn config_maps(children: &Children) -> BTreeMap<&str, &Value> {
    let config_maps = children.intents.iter().filter(|intent| intent.key().kind == ChildKind::ConfigMap);
    config_maps.map(|intent| (&*intent.key().name, &intent.json()["data"])).collect()
}

/// What a gateway would make of it.
fn loaded(children: &Children) -> Snapshot {
    let data = config_maps(children);
    let index = Index::parse(data["main-catalog"][INDEX_KEY].as_str().unwrap()).unwrap();
    let text = |shard: u8| {
        let data = data.get(format!("main-catalog-{shard}").as_str())?;
        data[shard_key(shard)].as_str()
    };
    index.load(text).unwrap()
}

fn rules(children: &Children) -> Vec<Value> {
    child(children, ChildKind::Role)["rules"].as_array().unwrap().clone()
}

#[test]
fn without_an_image_the_gateway_runs_as_an_account_of_its_own() {
    let children = built(json!({"toolSelector": {}, "replicas": 2, "port": 8000}));
    let container = container(&children);
    assert_eq!((&container["image"], &container["args"]), (&json!(GATEWAY), &json!(["serve"])));
    assert_eq!(container.get("command"), None);
    assert_eq!(pod(&children)["spec"]["serviceAccountName"], "main-gateway");
    let value = |name: &str| env(&children, name)[0]["value"].as_str().unwrap_or_default().to_owned();
    assert_eq!(value("MCP_GATEWAY_CATALOG"), "main");
    assert_eq!(value("MCP_GATEWAY_PORT"), "8000");
    assert_eq!(value("MCP_GATEWAY_CATALOG_DIR"), "/etc/mcp-catalog");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/ready");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/health");
    let ports: Vec<_> =
        container["ports"].as_array().unwrap().iter().map(|it| &it["containerPort"]).collect();
    assert_eq!(ports, [&json!(8000), &json!(9090)]);
    let account = built(json!({"serviceAccount": "own"}));
    assert_eq!(pod(&account)["spec"]["serviceAccountName"], "own");
    for kind in [ChildKind::ServiceAccount, ChildKind::Role, ChildKind::RoleBinding] {
        assert!(children.of(kind).is_some() && account.of(kind).is_none(), "{kind}");
    }
}

#[test]
fn metrics_are_on_a_port_that_the_server_does_not_have() {
    let children = built(json!({"port": 9090}));
    assert_eq!(env(&children, "MCP_GATEWAY_ADMIN_PORT")[0]["value"], "9091");
    assert_eq!(container(&children)["ports"][1]["containerPort"], 9091);
}

#[test]
fn what_is_offered_is_what_a_gateway_loads_and_no_matter_of_order() {
    let names = ["search", "fetch", "delete", "create"];
    let children = serving(json!({"toolSelector": {}}), &tools(&names));
    let snapshot = loaded(&children);
    let served: Vec<&str> = snapshot.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(served, ["create", "delete", "fetch", "search"]);
    assert_eq!(snapshot.server.hosts[3], "main.team.svc.cluster.local");
    let backwards: Vec<&str> = names.into_iter().rev().collect();
    assert_eq!(serving(json!({"toolSelector": {}}), &tools(&backwards)), children);
    assert!(matches!(&children.catalog, CatalogState::Written { counts, .. } if counts.tools == 4));
}

#[test]
fn a_tool_more_changes_the_index_and_one_shard_and_nothing_else() {
    let spec = json!({"toolSelector": {}});
    let before = serving(spec.clone(), &tools(&["a", "b", "c", "d"]));
    let after = serving(spec, &tools(&["a", "b", "c", "d", "e"]));
    let changed: Vec<&str> = after
        .intents
        .iter()
        .filter(|intent| !before.intents.contains(intent))
        .map(|intent| &*intent.key().name)
        .collect();
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert_eq!(changed[1], "main-catalog", "the index comes last");
    assert!(is_shard("main", &after.intents[0].key().clone()));
}

#[test]
fn neither_the_selector_nor_what_it_picks_up_is_in_the_pods() {
    let of = |spec: Value, names: &[&str]| serving(spec, &tools(names));
    let none = of(json!({}), &[]);
    let some = of(json!({"toolSelector": {"matchLabels": {"a": "b"}}}), &["a", "b"]);
    assert_eq!(none.of(ChildKind::Deployment), some.of(ChildKind::Deployment));
    assert_eq!(none.of(ChildKind::Role), some.of(ChildKind::Role));
    // Also where there is none yet, every ConfigMap may come.
    let sources = volume(&none, "mcp-catalog").unwrap()["projected"]["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 17);
    assert!(sources.iter().all(|source| source["configMap"]["optional"] == true));
}

#[test]
fn a_gateway_may_read_its_catalog_and_the_secrets_that_are_granted_by_name() {
    let children = built(json!({"toolSelector": {}}));
    let [index, shards] = &rules(&children)[..] else { panic!("two rules") };
    assert_eq!(
        (&index["resourceNames"], &index["verbs"]),
        (&json!(["main-catalog"]), &json!(["list", "watch"]))
    );
    assert_eq!((shards["resourceNames"].as_array().unwrap().len(), &shards["verbs"]), (16, &json!(["get"])));
    let mut consented = tools(&["a"]);
    consented.credentials = ["token".into(), "key".into()].into();
    let [_, _, secrets] = &rules(&serving(json!({"toolSelector": {}}), &consented))[..] else {
        panic!("three")
    };
    assert_eq!(
        secrets,
        &json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["key", "token"], "verbs": ["list", "watch"]})
    );
}

#[test]
fn clients_stay_on_their_pod_only_where_their_sessions_do() {
    let affinity =
        |spec: Value| child(&built(spec), ChildKind::Service)["spec"].get("sessionAffinity").cloned();
    assert_eq!(affinity(json!({})), Some(json!("ClientIP")));
    assert_eq!(affinity(json!({"redis": {"serviceName": "redis"}})), None);
    assert_eq!(affinity(json!({"image": "server:1"})), None);
}

#[test]
fn the_pods_know_their_redis_and_its_password_is_a_file_that_follows_its_secret() {
    let children =
        built(json!({"redis": {"serviceName": "redis.infra.svc", "port": 6380, "database": 2, "tls": true,
        "passwordSecretRef": {"name": "redis", "key": "requirepass"}}}));
    let of = |name: &str| env(&children, name)[0].clone();
    assert_eq!(of("MCP_GATEWAY_SERVER_UID")["value"], "uid-of-main");
    assert_eq!(of("MCP_GATEWAY_REDIS")["value"], "redis.infra.svc:6380");
    assert_eq!(of("MCP_GATEWAY_REDIS_DATABASE")["value"], "2");
    assert_eq!(of("MCP_GATEWAY_REDIS_TLS")["value"], "true");
    assert_eq!(of("MCP_GATEWAY_REDIS_PASSWORD_FILE")["value"], "/etc/mcp-redis/password");
    let items = json!([{"key": "requirepass", "path": "password"}]);
    assert_eq!(
        volume(&children, "mcp-redis").unwrap()["secret"],
        json!({"secretName": "redis", "items": items, "defaultMode": 0o444, "optional": true})
    );
    assert_eq!(
        mount(&children, "/etc/mcp-redis").unwrap(),
        &json!({"name": "mcp-redis", "mountPath": "/etc/mcp-redis", "readOnly": true})
    );
    let plain = built(json!({"redis": {"serviceName": "redis"}}));
    assert!(env(&plain, "MCP_GATEWAY_REDIS_TLS").is_empty());
    assert!(env(&plain, "MCP_GATEWAY_REDIS_PASSWORD_FILE").is_empty());
    assert_eq!((volume(&plain, "mcp-redis"), mount(&plain, "/etc/mcp-redis")), (None, None));
    let without = built(json!({}));
    assert!(
        env(&without, "MCP_GATEWAY_REDIS").is_empty() && env(&without, "MCP_GATEWAY_SERVER_UID").is_empty()
    );
}

#[test]
fn a_catalog_that_is_too_large_is_not_written_and_the_old_one_stays() {
    let tool = |number: usize| {
        let mut tool = mk_tool(&format!("tool-{number}"));
        tool["spec"]["description"] = "x".repeat(900_000).into();
        (Kind::Tool, tool)
    };
    let large = offered(&(0..19).map(tool).collect::<Vec<_>>());
    let children = serving(json!({"toolSelector": {}, "config": {"a": 1}}), &large);
    assert!(matches!(children.catalog, CatalogState::TooLarge { bytes } if bytes > 17_000_000));
    assert_eq!(config_maps(&children).into_keys().collect::<Vec<_>>(), ["main-config"]);
    let key =
        |name: &str| ChildKey { kind: ChildKind::ConfigMap, namespace: "team".into(), name: name.into() };
    assert!(children.kept.contains(&key("main-catalog")) && children.kept.contains(&key("main-catalog-15")));
}

#[test]
fn probes_by_mcp_bring_the_binary_into_the_pods_of_others() {
    let children = built(json!({"image": "server:1", "port": 3001, "probes": {"type": "MCP"},
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}}}));
    let install = &pod(&children)["spec"]["initContainers"][0];
    assert_eq!(
        (&install["image"], &install["args"]),
        (&json!(GATEWAY), &json!(["install", "/opt/mcp-gateway/mcp-gateway"]))
    );
    assert_eq!(install["resources"], container(&children)["resources"]);
    assert_eq!(install["securityContext"]["runAsNonRoot"], true);
    assert_eq!(mount(&children, "/opt/mcp-gateway").unwrap()["readOnly"], true);
    let probe = &container(&children)["readinessProbe"];
    let command = ["/opt/mcp-gateway/mcp-gateway", "probe", "--timeout=14s", "http://127.0.0.1:3001/mcp"];
    assert_eq!(probe["exec"]["command"], json!(command));
    assert_eq!(probe["timeoutSeconds"], 15);
    let gateway = built(json!({"probes": {"type": "MCP"}}));
    assert_eq!(pod(&gateway)["spec"].get("initContainers"), None);
    assert_eq!(container(&gateway)["livenessProbe"]["exec"]["command"][0], "/mcp-gateway");
}
