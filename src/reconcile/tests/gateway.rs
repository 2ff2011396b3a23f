//! Passes over servers without an image.

use super::*;

const ACCESS: [&str; 3] =
    ["PATCH serviceaccounts/main-gateway", "PATCH roles/main-gateway", "PATCH rolebindings/main-gateway"];

fn gateway() -> Value {
    mk_server(json!({"toolSelector": {}}))
}

/// The calls, without the numbers of shards.
fn kinds(calls: &[Call]) -> Vec<String> {
    lines(calls).iter().map(|line| line.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()).collect()
}

#[tokio::test]
async fn the_catalog_and_who_may_read_it_are_there_before_the_pods() {
    let mut cluster = Cluster::with(&gateway());
    cluster.store(Kind::Tool, &mk_tool("search"));
    let (_, calls) = cluster.pass().await;
    let [account, role, binding] = ACCESS;
    let catalog = ["PATCH configmaps/main-catalog-", "PATCH configmaps/main-catalog"];
    let [shard, index] = catalog;
    assert_eq!(
        kinds(&calls),
        [shard, index, account, role, binding, "PATCH services/main", "PATCH deployments/main"]
    );
    let told = cluster.told();
    assert!(!told[0].1.contains("main-catalog-"), "{told:?}");
    cluster.watch(&calls);
    cluster.settle().await;
    assert!(cluster.pass().await.1.is_empty());
}

#[tokio::test]
async fn a_tool_is_one_write_of_its_shard_one_of_the_index_and_one_of_the_status() {
    let mut cluster = Cluster::with(&gateway());
    cluster.store(Kind::Tool, &mk_tool("search"));
    cluster.settle().await;
    cluster.told();
    cluster.store(Kind::Tool, &mk_tool("fetch"));
    let (_, calls) = cluster.pass().await;
    assert_eq!(kinds(&calls), ["PATCH configmaps/main-catalog-", "PATCH configmaps/main-catalog", STATUS]);
    assert_eq!(calls[2].body["status"]["tools"], 2);
    assert!(cluster.told().is_empty());
}

#[tokio::test]
async fn an_index_never_names_a_shard_that_is_not_there() {
    let mut cluster = Cluster::with(&gateway());
    cluster.settle().await;
    cluster.store(Kind::Tool, &mk_tool("search"));
    // Wherever the tool's shard is.
    for shard in 0..16 {
        let path: &'static str = Box::leak(format!("configmaps/main-catalog-{shard}").into_boxed_str());
        cluster.answer(path, 403, failure(403, "Forbidden", "exceeded quota: configmaps"));
    }
    let (outcome, calls) = cluster.pass().await;
    assert_eq!(kinds(&calls), ["PATCH configmaps/main-catalog-", STATUS]);
    assert!(outcome.is_err(), "it is tried again");
    assert_eq!(calls[1].body["status"]["conditions"][0]["reason"], "Forbidden");
}

#[tokio::test]
async fn a_shard_goes_after_the_index_that_does_not_name_it_any_more() {
    let mut cluster = Cluster::with(&gateway());
    cluster.store(Kind::Tool, &mk_tool("search"));
    cluster.settle().await;
    cluster.told();
    cluster.context.catalog.write().delete(&ObjectKey::new(Kind::Tool, "team", "search"));
    let (_, calls) = cluster.pass().await;
    assert_eq!(kinds(&calls), ["PATCH configmaps/main-catalog", "DELETE configmaps/main-catalog-", STATUS]);
    assert!(cluster.told().is_empty());
}

#[tokio::test]
async fn with_an_image_of_its_own_a_server_needs_nothing_of_the_gateways() {
    let mut cluster = Cluster::with(&gateway());
    cluster.store(Kind::Tool, &mk_tool("search"));
    cluster.settle().await;
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"image": "server:1"});
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    let deleted: Vec<String> = kinds(&calls).into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert_eq!(
        deleted,
        [
            "DELETE configmaps/main-catalog",
            "DELETE configmaps/main-catalog-",
            "DELETE serviceaccounts/main-gateway",
            "DELETE roles/main-gateway",
            "DELETE rolebindings/main-gateway",
        ]
    );
}

#[tokio::test]
async fn a_secret_is_granted_when_its_owner_consents_and_no_longer_than_that() {
    let mut tool = mk_tool("search");
    let from = json!({"secretKeyRef": {"name": "token", "key": "key"}});
    tool["spec"]["headers"] = json!([{"name": "Authorization", "valueFrom": from}]);
    let mut cluster = Cluster::with(&gateway());
    cluster.store(Kind::Tool, &tool);
    cluster.settle().await;
    for (change, rules) in [(true, 3), (false, 2)] {
        let concerned = match change {
            true => cluster.context.catalog.write().apply_credential("team", "token"),
            false => cluster.context.catalog.write().delete_credential("team", "token"),
        };
        assert!(concerned.contains(&ObjectKey::new(Kind::Server, "team", "main")));
        let (_, calls) = cluster.pass().await;
        assert_eq!(lines(&calls), ["PATCH roles/main-gateway"]);
        assert_eq!(calls[0].body["rules"].as_array().map(Vec::len), Some(rules));
        cluster.watch(&calls);
    }
}

#[tokio::test]
async fn a_role_that_somebody_widened_is_put_right() {
    let mut cluster = Cluster::with(&gateway());
    cluster.settle().await;
    cluster.change(ChildKind::Role, "main-gateway", |role| {
        let all = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]});
        role["rules"].as_array_mut().unwrap().push(all);
    });
    assert_eq!(lines(&cluster.pass().await.1), ["PATCH roles/main-gateway"]);
}

#[tokio::test]
async fn whether_redis_answers_is_told_once_the_pods_say_so_and_stays_over_a_restart() {
    let spec = json!({"toolSelector": {}, "redis": {"serviceName": "redis"}});
    let mut document = mk_server(spec);
    document["metadata"]["finalizers"] = json!(["mcp.example.com/finalizer"]);
    let mut cluster = Cluster::with(&document);
    cluster.settle().await;
    let told = |cluster: &Cluster| {
        let status = cluster.document(Kind::Server, "main")["status"]["conditions"].clone();
        let conditions = status.as_array().into_iter().flatten();
        conditions.filter(|it| it["type"] == "RedisReady").map(|it| it["status"].clone()).collect::<Vec<_>>()
    };
    assert!(told(&cluster).is_empty(), "nobody has said anything");
    let key = ObjectKey::new(Kind::Server, "team", "main");
    for (answers, expected) in [(true, "True"), (false, "False")] {
        assert!(cluster.context.redis.told(&key, "uid-of-main", answers));
        let (_, calls) = cluster.pass().await;
        assert_eq!(lines(&calls), [STATUS]);
        cluster.watch(&calls);
        assert_eq!(told(&cluster), [expected]);
        assert!(cluster.pass().await.1.is_empty());
    }
    assert_eq!(cluster.document(Kind::Server, "main")["status"]["phase"], "Ready", "it serves on");
    // As a replica that has just begun to lead.
    cluster.context.redis = Arc::default();
    assert!(cluster.pass().await.1.is_empty());
    let mut document = cluster.document(Kind::Server, "main");
    document["spec"] = json!({"toolSelector": {}});
    document["metadata"]["finalizers"] = json!([]);
    cluster.store(Kind::Server, &document);
    let (_, calls) = cluster.pass().await;
    cluster.watch(&calls);
    assert!(told(&cluster).is_empty());
}
