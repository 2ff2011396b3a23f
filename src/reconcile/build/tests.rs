use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::reconcile::fixture::{mk_object, mk_tool, offered, valid};

mod children;
mod gateway;

/// The gateway's image.
const GATEWAY: &str = "mcp-gateway:1";

fn built(spec: Value) -> Children {
    let server = valid(spec);
    super::server(&server, GATEWAY, &Offered::default())
}

fn child(children: &Children, kind: ChildKind) -> &Value {
    children.of(kind).expect("a child").json()
}

fn pod(children: &Children) -> &Value {
    child(children, ChildKind::Deployment).pointer("/spec/template").unwrap()
}

fn container(children: &Children) -> &Value {
    pod(children).pointer("/spec/containers/0").unwrap()
}

fn env<'a>(children: &'a Children, name: &str) -> Vec<&'a Value> {
    container(children)["env"].as_array().unwrap().iter().filter(|var| var["name"] == name).collect()
}

fn mount<'a>(children: &'a Children, path: &str) -> Option<&'a Value> {
    container(children)["volumeMounts"].as_array()?.iter().find(|mount| mount["mountPath"] == path)
}

fn volume<'a>(children: &'a Children, name: &str) -> Option<&'a Value> {
    pod(children)["spec"]["volumes"].as_array()?.iter().find(|volume| volume["name"] == name)
}

#[test]
fn a_scheduled_server_gets_a_deployment_and_a_service() {
    // Port, image and a schedule; transport left to its default.
    let children = built(json!({"image": "ollama-mcp:latest", "port": 8000, "schedule": "*/5 * * * *"}));
    assert_eq!(children.of(ChildKind::ConfigMap), None);
    let deployment = child(&children, ChildKind::Deployment);
    assert_eq!(deployment["metadata"]["name"], "main");
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(
        deployment["metadata"]["labels"],
        json!({
            "app.kubernetes.io/name": "mcp-server",
            "app.kubernetes.io/instance": "main",
            "app.kubernetes.io/component": "server",
            "app.kubernetes.io/managed-by": "mcp-operator",
            "example.com/transport": "streamable-http",
        })
    );
    let selector = json!({"app.kubernetes.io/name": "mcp-server", "app.kubernetes.io/instance": "main"});
    assert_eq!(deployment["spec"]["selector"], json!({ "matchLabels": selector }));
    assert_eq!(
        deployment["metadata"]["ownerReferences"],
        json!([{
            "apiVersion": "mcp.example.com/v1alpha1",
            "kind": "MCPServer",
            "name": "main",
            "uid": "uid-of-main",
            "controller": true,
            "blockOwnerDeletion": true,
        }])
    );
    let container = container(&children);
    assert_eq!(container["name"], "mcp-server");
    assert_eq!(container["image"], "ollama-mcp:latest");
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["ports"], json!([{"name": "mcp", "containerPort": 8000, "protocol": "TCP"}]));
    assert_eq!(container["resources"], json!({"requests": {"cpu": "200m", "memory": "256Mi"}}));
    assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/health", "port": "mcp"}));
    assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/ready", "port": "mcp"}));
    assert_eq!(
        child(&children, ChildKind::Service)["spec"],
        json!({
            "type": "ClusterIP",
            "selector": selector,
            "ports": [{"name": "mcp", "port": 8000, "targetPort": "mcp", "protocol": "TCP"}],
        })
    );
}

#[test]
fn pods_pass_the_restricted_pod_security_standard() {
    let children = built(json!({"image": "server:1"}));
    assert_eq!(
        container(&children)["securityContext"],
        json!({
            "runAsUser": 1000,
            "runAsNonRoot": true,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        })
    );
    assert_eq!(mount(&children, "/tmp").unwrap()["name"], "mcp-tmp");
    assert_eq!(volume(&children, "mcp-tmp"), Some(&json!({"name": "mcp-tmp", "emptyDir": {}})));
    assert_eq!(
        pod(&children)["spec"]["securityContext"],
        json!({"seccompProfile": {"type": "RuntimeDefault"}})
    );
}

#[test]
fn a_given_security_context_replaces_the_default_whole() {
    let context = json!({
        "runAsNonRoot": true,
        "runAsUser": 1001,
        "runAsGroup": 1001,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
    });
    let children = built(json!({"image": "server:1", "securityContext": context}));
    assert_eq!(container(&children)["securityContext"], context);
    assert_eq!(mount(&children, "/tmp"), None);
    assert_eq!(volume(&children, "mcp-tmp"), None);
    assert_eq!(
        pod(&children)["spec"]["securityContext"],
        json!({"seccompProfile": {"type": "RuntimeDefault"}})
    );
}

#[test]
fn the_advanced_server_keeps_what_it_says() {
    let children = built(json!({
        "image": "mcp-k8s-server:latest",
        "transport": "streamable-http",
        "port": 3001,
        "replicas": 2,
        "config": {
            "MCP_SERVER_NAME": "production-k8s-server",
            "LOG_LEVEL": "warn",
            "ENABLE_METRICS": "true",
            "RATE_LIMIT_REQUESTS": "100",
        },
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        },
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
    }));
    assert_eq!(
        container(&children)["resources"],
        json!({
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        })
    );
    assert_eq!(
        env(&children, "MCP_SERVER_NAME"),
        [&json!({"name": "MCP_SERVER_NAME", "value": "production-k8s-server"})]
    );
    assert_eq!(env(&children, "MCP_PORT"), [&json!({"name": "MCP_PORT", "value": "3001"})]);
    assert_eq!(env(&children, "POD_NAME").len(), 1);
    let spread = &pod(&children)["spec"]["topologySpreadConstraints"];
    assert_eq!(spread[0]["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(spread[0]["whenUnsatisfiable"], "ScheduleAnyway");
    let config_map = children.of(ChildKind::ConfigMap).unwrap();
    assert_eq!(&*config_map.key().name, "main-config");
    let config: Value =
        serde_json::from_str(config_map.json()["data"]["config.json"].as_str().unwrap()).unwrap();
    assert_eq!(config["RATE_LIMIT_REQUESTS"], "100");
    assert_eq!(config_map.json()["data"].get("catalog.json"), None);
    let mount = mount(&children, "/etc/mcp").unwrap();
    assert_eq!(mount, &json!({"name": "mcp-config", "mountPath": "/etc/mcp", "readOnly": true}));
    assert_eq!(volume(&children, "mcp-config").unwrap()["configMap"]["name"], "main-config");
}

#[test]
fn env_wins_over_config_and_config_over_the_operators() {
    let children = built(json!({
        "image": "server:1",
        "config": {"MCP_PORT": 9000, "LEVEL": "warn", "not-a-name": "x", "PRICE": "$(HOME) $5"},
        "env": [{"name": "LEVEL", "value": "debug"}, {"name": "AFTER", "value": "$(MCP_PORT)"}],
        "envFrom": [{"configMapRef": {"name": "more"}}],
    }));
    assert_eq!(
        env(&children, "MCP_TRANSPORT"),
        [&json!({"name": "MCP_TRANSPORT", "value": "streamable-http"})]
    );
    assert_eq!(env(&children, "MCP_PORT"), [&json!({"name": "MCP_PORT", "value": "9000"})]);
    assert_eq!(env(&children, "LEVEL"), [&json!({"name": "LEVEL", "value": "debug"})]);
    assert_eq!(env(&children, "MCP_CONFIG_FILE")[0]["value"], "/etc/mcp/config.json");
    assert!(env(&children, "not-a-name").is_empty());
    // As it stands in `config`, where nothing is expanded; in `env` Kubernetes' own rules hold.
    assert_eq!(env(&children, "PRICE")[0]["value"], "$$(HOME) $$5");
    assert_eq!(env(&children, "AFTER")[0]["value"], "$(MCP_PORT)");
    assert_eq!(container(&children)["envFrom"], json!([{"configMapRef": {"name": "more"}}]));
    let config = child(&children, ChildKind::ConfigMap)["data"]["config.json"].as_str().unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    assert_eq!(config, json!({"MCP_PORT": 9000, "LEVEL": "warn", "not-a-name": "x", "PRICE": "$(HOME) $5"}));
}

#[test]
fn a_change_of_config_rolls_the_pods_and_a_tool_does_not() {
    let spec = |level: &str| json!({"image": "server:1", "toolSelector": {}, "config": {"level": level}});
    assert_ne!(built(spec("warn")).of(ChildKind::Deployment), built(spec("info")).of(ChildKind::Deployment));
    let server = valid(spec("warn"));
    let without = super::server(&server, GATEWAY, &Offered::default());
    let with = super::server(&server, GATEWAY, &offered(&[(Kind::Tool, mk_tool("search"))]));
    assert_eq!(with.of(ChildKind::Deployment), without.of(ChildKind::Deployment));
    assert_ne!(with.of(ChildKind::ConfigMap), without.of(ChildKind::ConfigMap));
}

#[test]
fn the_catalog_holds_each_spec_as_it_is_stored() {
    let server = valid(json!({"image": "server:1", "toolSelector": {}}));
    let nameless = mk_object(Kind::Prompt, "greeting", json!({"template": "hello"}));
    let mut tool = mk_tool("search");
    tool["status"] = json!({"serverCount": 1});
    let children =
        super::server(&server, GATEWAY, &offered(&[(Kind::Tool, tool.clone()), (Kind::Prompt, nameless)]));
    let data = &child(&children, ChildKind::ConfigMap)["data"];
    let catalog: Value = serde_json::from_str(data["catalog.json"].as_str().unwrap()).unwrap();
    assert_eq!(catalog["tools"], json!([tool["spec"]]));
    assert_eq!(catalog["prompts"], json!([{"name": "greeting", "template": "hello"}]));
    assert_eq!(catalog["resources"], json!([]));
    assert_eq!(data.get("config.json"), None);
    assert!(matches!(children.catalog, CatalogState::Written { .. }));
    tool["status"] = json!({"serverCount": 2});
    let later = super::server(&server, GATEWAY, &offered(&[(Kind::Tool, tool)]));
    assert_ne!(later.catalog, children.catalog, "the prompt is gone");
}

#[test]
fn a_status_of_a_tool_leaves_the_catalog_alone() {
    let server = valid(json!({"image": "server:1", "toolSelector": {}}));
    let mut tool = mk_tool("search");
    let before = super::server(&server, GATEWAY, &offered(&[(Kind::Tool, tool.clone())]));
    tool["status"] = json!({"serverCount": 2});
    assert_eq!(super::server(&server, GATEWAY, &offered(&[(Kind::Tool, tool)])), before);
}

#[test]
fn a_catalog_over_the_size_of_a_config_map_is_left_out() {
    let server = valid(json!({"image": "server:1", "toolSelector": {}, "config": {"a": 1}}));
    let tools: Vec<_> = (0..12)
        .map(|i| {
            let mut tool = mk_tool(&format!("tool-{i}"));
            tool["spec"]["description"] = "x".repeat(100_000).into();
            (Kind::Tool, tool)
        })
        .collect();
    let children = super::server(&server, GATEWAY, &offered(&tools));
    assert!(matches!(children.catalog, CatalogState::TooLarge { bytes } if bytes > 1_200_000));
    let data = child(&children, ChildKind::ConfigMap)["data"].as_object().unwrap().clone();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["config.json"]);
}

#[test]
fn stdio_keeps_standard_input_open_and_is_not_probed() {
    let children = built(json!({"image": "server:1", "transport": "stdio"}));
    let container = container(&children);
    assert_eq!(container["stdin"], true);
    assert_eq!(container.get("livenessProbe"), None);
    assert_eq!(container.get("readinessProbe"), None);
    assert_eq!(container["resources"]["requests"]["cpu"], "50m");
}

#[test]
fn probes_are_of_the_type_that_is_asked_for() {
    let probes = |probes: Value| {
        let children = built(json!({"image": "server:1", "probes": probes}));
        let container = container(&children).clone();
        (container.get("livenessProbe").cloned(), container.get("readinessProbe").cloned())
    };
    let tcp = Some(json!({"tcpSocket": {"port": "mcp"}, "periodSeconds": 5, "failureThreshold": 2}));
    let numbers = |type_: &str| json!({"type": type_, "periodSeconds": 5, "failureThreshold": 2});
    assert_eq!(probes(numbers("TCP")), (tcp.clone(), tcp));
    assert_eq!(probes(numbers("None")), (None, None));
    let (liveness, _) = probes(json!({"livenessPath": "/alive", "initialDelaySeconds": 3}));
    assert_eq!(
        liveness,
        Some(json!({"httpGet": {"path": "/alive", "port": "mcp"}, "initialDelaySeconds": 3}))
    );
}

#[test]
fn an_autoscaled_server_leaves_its_replicas_to_the_autoscaler() {
    let children = built(json!({"image": "server:1", "replicas": 2, "autoscaling": {"maxReplicas": 5}}));
    let deployment = child(&children, ChildKind::Deployment);
    assert_eq!(deployment["spec"].get("replicas"), None);
    assert_eq!(deployment["metadata"]["annotations"][labels::REPLICAS_FROM], "autoscaler");
}

#[test]
fn another_number_of_pods_is_no_other_pod() {
    let pods = |spec: Value| pod(&built(spec)).clone();
    let one = pods(json!({"image": "server:1"}));
    assert_eq!(one, pods(json!({"image": "server:1", "replicas": 7})));
    assert_eq!(one, pods(json!({"image": "server:1", "autoscaling": {"maxReplicas": 7}})));
}

#[test]
fn a_pod_has_what_the_user_gives_it() {
    let children = built(json!({
        "image": "server:1",
        "command": ["serve"],
        "args": ["--quiet"],
        "serviceAccount": "robot",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "replicas": 3,
        "volumes": [{"name": "data", "newerThanUs": {"size": 1}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "podLabels": {"team": "ai"},
        "podAnnotations": {"note": "x"},
    }));
    let pod = pod(&children);
    assert_eq!(container(&children)["command"], json!(["serve"]));
    assert_eq!(container(&children)["args"], json!(["--quiet"]));
    assert_eq!(pod["spec"]["serviceAccountName"], "robot");
    assert_eq!(pod["spec"]["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(pod["spec"]["nodeSelector"], json!({"disk": "fast"}));
    assert_eq!(pod["spec"]["tolerations"], json!([{"key": "gpu", "operator": "Exists"}]));
    assert_eq!(pod["spec"]["topologySpreadConstraints"].as_array().unwrap().len(), 1);
    assert_eq!(pod["spec"]["topologySpreadConstraints"][0]["topologyKey"], "zone");
    assert_eq!(volume(&children, "data"), Some(&json!({"name": "data", "newerThanUs": {"size": 1}})));
    assert_eq!(mount(&children, "/data").unwrap()["name"], "data");
    assert_eq!(pod["metadata"]["labels"]["team"], "ai");
    assert_eq!(pod["metadata"]["labels"]["app.kubernetes.io/instance"], "main");
    assert_eq!(pod["metadata"]["annotations"], json!({"note": "x"}));
}

#[test]
fn what_the_user_mounts_stays_where_it_is() {
    let children = built(json!({
        "image": "server:1",
        "config": {"a": 1},
        "volumes": [{"name": "own", "emptyDir": {}}],
        "volumeMounts": [{"name": "own", "mountPath": "/tmp/"}, {"name": "own", "mountPath": "/etc/mcp"}],
    }));
    assert_eq!(container(&children)["volumeMounts"].as_array().unwrap().len(), 2);
    assert_eq!(pod(&children)["spec"]["volumes"], json!([{"name": "own", "emptyDir": {}}]));
}

#[test]
fn an_intent_carries_a_fingerprint_of_itself() {
    let applied = |children: &Children| {
        child(children, ChildKind::Service)["metadata"]["annotations"][labels::APPLIED].clone()
    };
    let one = built(json!({"image": "server:1"}));
    assert_eq!(applied(&one), applied(&built(json!({"image": "server:2"}))), "the Service is the same");
    assert_ne!(applied(&one), applied(&built(json!({"image": "server:1", "port": 81}))));
    assert_eq!(applied(&one).as_str().unwrap().len(), 16);
}

proptest! {
    #[test]
    fn building_is_deterministic_and_no_variable_is_set_twice(
        config in prop::collection::btree_map("[A-Z_]{1,8}", "[a-z$()]{0,8}", 0..6),
        env in prop::collection::btree_map("[A-Z_]{1,8}", "[a-z]{0,8}", 0..6),
        replicas in 0..5_i32,
    ) {
        let env: Vec<_> = env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let spec = json!({"image": "server:1", "config": config, "env": env, "replicas": replicas});
        let children = built(spec.clone());
        prop_assert_eq!(&children, &built(spec));
        let names: Vec<_> = container(&children)["env"].as_array().unwrap().iter().map(|var| var["name"].clone()).collect();
        let mut unique = names.clone();
        unique.sort_by_key(ToString::to_string);
        unique.dedup();
        prop_assert_eq!(unique.len(), names.len());
    }
}
