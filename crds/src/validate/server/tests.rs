use serde_json::json;

use super::*;
use crate::field::Reason;

fn findings(spec: &Value) -> Findings {
    let mut findings = Findings::default();
    check(&Node::root(&json!({"spec": spec})), &mut findings);
    findings
}

fn errors(spec: Value) -> Vec<(Reason, String)> {
    findings(&spec).errors.into_iter().map(|error| (error.reason, error.to_string())).collect()
}

fn fields(spec: Value) -> Vec<(Reason, String)> {
    findings(&spec).errors.into_iter().map(|error| (error.reason, error.field.to_string())).collect()
}

fn at(reason: Reason, field: &str) -> Vec<(Reason, String)> {
    vec![(reason, field.to_owned())]
}

fn warnings(spec: Value) -> Vec<String> {
    let findings = findings(&spec);
    assert_eq!(findings.errors, [], "{spec}");
    findings.warnings
}

/// Whether the one error of `new` is about what changed since `old`.
fn blames_change(old: Value, new: Value) -> bool {
    let [error] = findings(&new).errors.try_into().expect("one error");
    error.touches_change(&json!({"spec": old}), &json!({"spec": new}))
}

#[test]
fn what_is_a_server() {
    for spec in [
        json!({}),
        json!({"transport": "stdio", "image": "a:1", "command": ["a"], "replicas": 1, "autoscaling": {"maxReplicas": 1}}),
        json!({
            "transport": "streamable-http", "port": 8080, "path": "/mcp", "replicas": 3,
            "redis": {"serviceName": "mcp-redis", "port": 6379},
            "ingress": {"host": "mcp.example.com", "tlsSecretName": "mcp-tls", "pathPrefix": "/mcp"},
            "toolSelector": {"matchLabels": {"mcp-server": "main"}},
            "config": {"requestTimeout": "30s", "maxConcurrentRequests": 100, "LOG_LEVEL": "warn"},
            "schedule": "*/5 * * * *",
            "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
            "podDisruptionBudget": {"minAvailable": 0},
            "podLabels": {"team": "a"},
            "probes": {"type": "HTTP", "livenessPath": "/health", "readinessPath": "/ready"},
        }),
        json!({
            "image": "your-registry/mcp-k8s-server:v1.0.0",
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": 1, "memory": "512Mi"}},
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1001},
            "env": [{"name": "A", "value": ""}, {"name": "b.c", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        }),
    ] {
        assert_eq!(findings(&spec), Findings::default(), "{spec}");
    }
}

#[test]
fn what_the_schema_says_is_not_said_again() {
    for spec in [
        json!([]),
        json!({"transport": 1, "replicas": "3", "autoscaling": 1, "image": 2, "schedule": 3, "config": [], "env": {}}),
        json!({"transport": "stdio", "image": "a:1", "command": 1, "replicas": "3", "autoscaling": {"maxReplicas": "3"}}),
        json!({"config": {"requestTimeout": [], "maxConcurrentRequests": true}, "env": [1, {"name": 1, "valueFrom": 2}]}),
        json!({"resources": {"requests": [], "limits": {"cpu": true, "memory": 1.5}}, "securityContext": 1, "ingress": 1}),
        json!({"ingress": {"host": 1}, "path": 1, "podDisruptionBudget": 1, "podLabels": [], "toolSelector": 1}),
        json!({"autoscaling": {"minReplicas": "3", "maxReplicas": 1}, "replicas": -1, "port": 0}),
    ] {
        assert_eq!(errors(spec.clone()), [], "{spec}");
    }
}

#[test]
fn stdio_is_one_process_in_an_image() {
    let stdio = |more: Value| {
        let mut spec = json!({"transport": "stdio", "image": "a:1", "command": ["a"]});
        spec.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        spec
    };
    assert_eq!(
        errors(stdio(json!({"replicas": 3}))),
        [(
            Reason::Invalid,
            "spec.replicas: Invalid value: 3: stdio transport does not support multiple replicas".to_owned()
        )]
    );
    assert_eq!(
        fields(stdio(json!({"autoscaling": {"maxReplicas": 2}}))),
        at(Reason::Invalid, "spec.autoscaling.maxReplicas")
    );
    assert_eq!(fields(stdio(json!({"replicas": 3.0}))), at(Reason::Invalid, "spec.replicas"));
    assert_eq!(fields(json!({"transport": "stdio"})), at(Reason::Required, "spec.image"));
    assert_eq!(fields(json!({"transport": "stdio", "image": null})), at(Reason::Required, "spec.image"));
    assert_eq!(fields(json!({"transport": "http", "replicas": 3})), []);
    assert!(blames_change(stdio(json!({"transport": "http", "replicas": 3})), stdio(json!({"replicas": 3}))));
    assert!(!blames_change(
        stdio(json!({"replicas": 3, "port": 1})),
        stdio(json!({"replicas": 3, "port": 2}))
    ));
}

#[test]
fn images() {
    for image in ["", "Nginx:1", "a b", "a:", "a@sha256:0"] {
        assert_eq!(fields(json!({"image": image})), at(Reason::Invalid, "spec.image"), "{image}");
    }
    assert_eq!(
        errors(json!({"image": "nginx:"})),
        [(
            Reason::Invalid,
            "spec.image: Invalid value: \"nginx:\": must have a tag after ':', or no ':'".to_owned()
        )]
    );
}

#[test]
fn schedules() {
    for schedule in ["", "* * * *", "0 */5 * * * *", "@every 5m", "@reboot", "30-10 * * * *"] {
        assert_eq!(fields(json!({"schedule": schedule})), at(Reason::Invalid, "spec.schedule"), "{schedule}");
    }
    assert_eq!(
        warnings(json!({"schedule": "0 0 30 2 *"})),
        ["spec.schedule: names no date that exists, so it never comes due"]
    );
}

#[test]
fn autoscaling_has_its_bounds_in_order() {
    assert_eq!(
        errors(json!({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}})),
        [(
            Reason::Invalid,
            "spec.autoscaling.minReplicas: Invalid value: 3: must not be above maxReplicas, which is 2"
                .to_owned()
        )]
    );
    assert_eq!(fields(json!({"autoscaling": {"minReplicas": 2, "maxReplicas": 2}})), []);
}

#[test]
fn settings_of_the_gateway() {
    for (key, value) in [
        ("requestTimeout", json!("30")),
        ("requestTimeout", json!(30)),
        ("requestTimeout", json!("")),
        ("requestTimeout", json!("0s")),
        ("requestTimeout", json!("-1s")),
        ("maxConcurrentRequests", json!(0)),
        ("maxConcurrentRequests", json!(-1)),
        ("maxConcurrentRequests", json!("")),
        ("maxConcurrentRequests", json!("+1")),
        ("maxConcurrentRequests", json!("ten")),
    ] {
        let config = json!({key: value});
        assert_eq!(
            fields(json!({"config": config})),
            at(Reason::Invalid, &format!("spec.config[{key}]")),
            "{config}"
        );
        let [warning] = warnings(json!({"config": config, "image": "a:1"})).try_into().expect("one warning");
        assert!(
            warning.starts_with(&format!("spec.config[{key}]: the gateway would refuse it: must ")),
            "{warning}"
        );
        assert!(blames_change(json!({"config": config, "image": "a:1"}), json!({"config": config})));
    }
    for config in [
        json!({"requestTimeout": "1m30s"}),
        json!({"maxConcurrentRequests": "100"}),
        json!({"A": "", "b c": 1}),
    ] {
        assert_eq!(fields(json!({"config": config})), [], "{config}");
    }
    for spec in [json!({"config": {"": "a"}}), json!({"config": {"": "a"}, "image": "a:1"})] {
        assert_eq!(fields(spec), at(Reason::Invalid, "spec.config[]"));
    }
}

#[test]
fn environment_variables() {
    let env = |env: Value| fields(json!({"env": env}));
    assert_eq!(
        env(json!([{"name": "A"}, {"name": "B"}, {"name": "A"}])),
        at(Reason::Duplicate, "spec.env[2].name")
    );
    for name in ["", "A=B", "A\n", "É"] {
        assert_eq!(env(json!([{"name": name}])), at(Reason::Invalid, "spec.env[0].name"), "{name}");
    }
    let (field, secret) = (json!({"fieldPath": "a"}), json!({"name": "a", "key": "b"}));
    let source = at(Reason::Forbidden, "spec.env[0].valueFrom");
    assert_eq!(env(json!([{"name": "A", "value": "", "valueFrom": {"fieldRef": field}}])), source);
    assert_eq!(env(json!([{"name": "A", "valueFrom": {"fieldRef": field, "secretKeyRef": secret}}])), source);
    assert_eq!(env(json!([{"name": "A", "valueFrom": {}}])), at(Reason::Required, "spec.env[0].valueFrom"));
}

#[test]
fn resources() {
    let resources = |resources: Value| fields(json!({"resources": resources}));
    for amount in [json!("lots"), json!(""), json!("1 Gi"), json!("-1"), json!(-1)] {
        for list in ["requests", "limits"] {
            let expected = at(Reason::Invalid, &format!("spec.resources.{list}[memory]"));
            assert_eq!(resources(json!({list: {"memory": amount}})), expected, "{amount}");
        }
    }
    assert_eq!(
        errors(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}})),
        [(
            Reason::Invalid,
            "spec.resources.requests[cpu]: Invalid value: \"2\": must not be above its limit, which is 500m"
                .to_owned()
        )]
    );
    assert_eq!(resources(json!({"requests": {"memory": "1024Mi"}, "limits": {"memory": "1Gi"}})), []);
    assert_eq!(
        resources(json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}})),
        at(Reason::Invalid, "spec.resources.requests[memory]")
    );
    let amounts = |limit: &str| json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": limit}}});
    assert!(blames_change(amounts("3"), amounts("1")));
}

#[test]
fn root() {
    assert_eq!(
        fields(json!({"securityContext": {"runAsNonRoot": true, "runAsUser": 0}})),
        at(Reason::Invalid, "spec.securityContext.runAsUser")
    );
    assert_eq!(
        warnings(json!({"securityContext": {"runAsUser": 0, "privileged": true}})),
        [
            "spec.securityContext.runAsUser: the container runs as root",
            "spec.securityContext.privileged: the container can do to its node whatever root can",
        ]
    );
}

#[test]
fn names_of_others() {
    for (spec, field) in [
        (json!({"serviceAccount": ""}), "serviceAccount"),
        (json!({"serviceAccount": "No"}), "serviceAccount"),
        (json!({"redis": {"serviceName": "redis_1"}}), "redis.serviceName"),
        (json!({"redis": {"serviceName": "redis:6379"}}), "redis.serviceName"),
        (json!({"ingress": {"host": "10.0.0.1"}}), "ingress.host"),
        (json!({"ingress": {"host": "MCP.example.com"}}), "ingress.host"),
        (json!({"ingress": {"tlsSecretName": "my tls"}}), "ingress.tlsSecretName"),
    ] {
        assert_eq!(fields(spec), at(Reason::Invalid, &format!("spec.{field}")));
    }
    for spec in [
        json!({"redis": {"serviceName": "redis.infra.svc"}}),
        json!({"ingress": {"host": "*.example.com"}}),
        json!({"serviceAccount": "a.b"}),
    ] {
        assert_eq!(fields(spec), []);
    }
}

#[test]
fn paths() {
    let parents = [
        ("path", None),
        ("pathPrefix", Some("ingress")),
        ("livenessPath", Some("probes")),
        ("readinessPath", Some("probes")),
    ];
    for (field, parent) in parents {
        for path in ["", "mcp", "/a b", "/a?b", "/a#b"] {
            let leaf = json!({field: path});
            let (spec, at_parent) = match parent {
                Some(parent) => (json!({parent: leaf}), format!("spec.{parent}.{field}")),
                None => (leaf, format!("spec.{field}")),
            };
            assert_eq!(fields(spec), at(Reason::Invalid, &at_parent), "{path}");
        }
    }
    for path in ["/health", "/ready"] {
        assert_eq!(fields(json!({"path": path})), at(Reason::Invalid, "spec.path"), "{path}");
    }
    assert_eq!(fields(json!({"path": "/health/mcp"})), []);
}

#[test]
fn selectors() {
    assert_eq!(
        fields(json!({"toolSelector": {"matchLabels": {"bad key": "a"}}})),
        at(Reason::Invalid, "spec.toolSelector.matchLabels[bad key]")
    );
}

#[test]
fn disruption_budgets() {
    let both = json!({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": "50%"}});
    assert_eq!(fields(both), at(Reason::Forbidden, "spec.podDisruptionBudget"));
}

#[test]
fn labels_of_the_operator() {
    for key in labels::RESERVED {
        let spec = json!({"podLabels": {key: "a"}});
        assert_eq!(fields(spec), at(Reason::Forbidden, &format!("spec.podLabels[{key}]")));
    }
}

#[test]
fn every_error_is_told_at_once() {
    let spec = json!({"transport": "stdio", "replicas": 2, "schedule": "", "path": "mcp", "config": {"requestTimeout": 1}});
    let expected =
        ["spec.replicas", "spec.image", "spec.schedule", "spec.config[requestTimeout]", "spec.path"];
    assert_eq!(fields(spec).into_iter().map(|(_, field)| field).collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_suspicious() {
    for image in ["ollama-mcp", "mcp-k8s-server:latest"] {
        let text =
            "spec.image: without a tag other than latest, or a digest, pods may come to run different images";
        assert_eq!(warnings(json!({"image": image})), [text]);
    }
    for command in [Value::Null, json!([])] {
        let text = "spec.command: without it the image's entrypoint cannot be wrapped: the server is not reachable over HTTP";
        assert_eq!(warnings(json!({"transport": "stdio", "image": "a:1", "command": command})), [text]);
    }
    assert_eq!(
        warnings(json!({"image": "a:1", "redis": {"serviceName": "redis"}})),
        ["spec.redis: only the gateway uses it, which does not run where there is an image"]
    );
    assert_eq!(
        warnings(json!({"env": [{"name": "MCP_PORT", "value": "1"}, {"name": "MCP_TRANSPORT", "value": "a"}]})),
        ["PORT", "TRANSPORT"].iter().enumerate().map(|(i, name)| format!(
            "spec.env[{i}].name: overrides MCP_{name}, which the operator sets from the server's own fields"
        )).collect::<Vec<_>>()
    );
}

/// The webhook cuts longer ones.
#[test]
fn warnings_are_short() {
    let spec = json!({
        "transport": "stdio", "image": "a", "redis": {}, "schedule": "0 0 30 2 *",
        "securityContext": {"runAsUser": 0, "privileged": true}, "env": [{"name": "MCP_TRANSPORT"}],
        "config": {"requestTimeout": "30", "maxConcurrentRequests": 0},
    });
    let warnings = warnings(spec);
    assert_eq!(warnings.len(), 9);
    assert!(warnings.iter().all(|warning| warning.chars().count() <= 120), "{warnings:#?}");
}
