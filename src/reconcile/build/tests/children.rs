//! Which children a server has, and what those beside its Deployment and its Service say.

use super::*;

fn kinds(spec: Value) -> Vec<ChildKind> {
    built(spec).intents.iter().map(|intent| intent.key().kind).collect()
}

#[test]
fn a_plain_server_is_a_service_and_a_deployment() {
    assert_eq!(kinds(json!({"image": "server:1"})), [ChildKind::Service, ChildKind::Deployment]);
}

#[test]
fn every_child_is_there_where_it_is_asked_for_and_in_the_order_of_writing() {
    let all = kinds(json!({
        "image": "server:1",
        "config": {"a": 1},
        "ingress": {"host": "mcp.example.com"},
        "autoscaling": {"maxReplicas": 3},
        "networkPolicy": {"enabled": true},
    }));
    let of_gateways = kinds(json!({}));
    let mut both = [all.clone(), of_gateways.clone()].concat();
    both.sort();
    both.dedup();
    assert_eq!(both, ChildKind::ALL);
    assert!(all.is_sorted() && of_gateways.is_sorted());
    let off =
        json!({"image": "server:1", "networkPolicy": {"enabled": false, "egressTo": [{"podSelector": {}}]}});
    assert_eq!(kinds(off), [ChildKind::Service, ChildKind::Deployment]);
}

#[test]
fn every_child_belongs_to_the_server_and_is_labelled() {
    let children = built(json!({
        "image": "server:1", "config": {"a": 1}, "ingress": {"host": "mcp.example.com"}, "replicas": 2,
        "autoscaling": {"maxReplicas": 3}, "networkPolicy": {"enabled": true},
    }));
    for intent in &children.intents {
        let metadata = &intent.json()["metadata"];
        assert_eq!(intent.json()["kind"], intent.key().kind.as_str());
        assert_eq!(intent.json()["apiVersion"], intent.key().kind.api_version());
        assert_eq!(metadata["ownerReferences"][0]["uid"], "uid-of-main");
        assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "mcp-operator");
        assert_eq!(
            (&metadata["name"], &metadata["namespace"]),
            (&json!(&*intent.key().name), &json!("team"))
        );
    }
}

#[test]
fn an_ingress_leads_a_host_and_a_prefix_to_the_service() {
    let children = built(json!({"image": "server:1", "ingress": {
        "host": "mcp.example.com", "tlsSecretName": "tls", "pathPrefix": "/team-a", "className": "nginx",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
    }}));
    let ingress = child(&children, ChildKind::Ingress);
    let backend = json!({"service": {"name": "main", "port": {"name": "mcp"}}});
    assert_eq!(
        ingress["spec"],
        json!({
            "ingressClassName": "nginx",
            "rules": [{
                "host": "mcp.example.com",
                "http": {"paths": [{"path": "/team-a", "pathType": "Prefix", "backend": backend}]},
            }],
            "tls": [{"hosts": ["mcp.example.com"], "secretName": "tls"}],
        })
    );
    assert_eq!(ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"], "off");
}

#[test]
fn the_url_is_the_ingresss_where_it_has_one() {
    let url = |path: &str, ingress: Value| {
        ingress::url(valid(json!({"image": "server:1", "path": path, "ingress": ingress})).spec())
    };
    let at = |prefix: &str| json!({"host": "mcp.example.com", "pathPrefix": prefix});
    for (path, prefix, expected) in [
        ("/mcp", "/", "http://mcp.example.com/mcp"),
        ("/mcp", "/team-a", "http://mcp.example.com/team-a/mcp"),
        ("/mcp", "/team-a/", "http://mcp.example.com/team-a/mcp"),
        ("/mcp", "/mcp", "http://mcp.example.com/mcp"),
        ("/", "/", "http://mcp.example.com/"),
    ] {
        assert_eq!(url(path, at(prefix)).as_deref(), Some(expected), "{path} below {prefix}");
    }
    let tls = json!({"host": "mcp.example.com", "tlsSecretName": "tls"});
    assert_eq!(url("/mcp", tls).as_deref(), Some("https://mcp.example.com/mcp"));
    assert_eq!(url("/mcp", json!({"host": "*.example.com"})), None);
}

#[test]
fn an_autoscaler_aims_at_a_share_of_the_requested_cpu() {
    let children = built(json!({"image": "server:1", "autoscaling": {
        "minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 70,
    }}));
    let target = json!({"type": "Utilization", "averageUtilization": 70});
    assert_eq!(
        child(&children, ChildKind::HorizontalPodAutoscaler)["spec"],
        json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "main"},
            "minReplicas": 2,
            "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        })
    );
    assert_eq!(children.of(ChildKind::Deployment).unwrap().least_replicas(), Some(2));
}

#[test]
fn more_than_one_pod_has_a_disruption_budget() {
    let budget = |spec: Value| {
        let children = built(spec);
        let budget = children.of(ChildKind::PodDisruptionBudget)?.json()["spec"].clone();
        Some((budget.get("minAvailable").cloned(), budget.get("maxUnavailable").cloned()))
    };
    let one = Some((None, Some(json!(1))));
    assert_eq!(budget(json!({"image": "server:1"})), None);
    assert_eq!(budget(json!({"image": "server:1", "replicas": 2})), one);
    assert_eq!(budget(json!({"image": "server:1", "autoscaling": {"maxReplicas": 2}})), one);
    // What is asked for is made, also for a single pod.
    assert_eq!(budget(json!({"image": "server:1", "podDisruptionBudget": {}})), one);
    let given = json!({"image": "server:1", "podDisruptionBudget": {"minAvailable": "50%"}});
    assert_eq!(budget(given), Some((Some(json!("50%")), None)));
}

#[test]
fn a_network_policy_lets_its_peers_to_the_port_and_the_pods_to_dns() {
    let policy = |policy: Value| {
        let children = built(json!({"image": "server:1", "networkPolicy": policy}));
        child(&children, ChildKind::NetworkPolicy)["spec"].clone()
    };
    let selector = json!({"matchLabels": {
        "app.kubernetes.io/name": "mcp-server", "app.kubernetes.io/instance": "main",
    }});
    let port = json!([{"port": "mcp", "protocol": "TCP"}]);
    assert_eq!(
        policy(json!({"enabled": true})),
        json!({"podSelector": selector, "policyTypes": ["Ingress"], "ingress": [{"ports": port}]})
    );
    let from = json!([{"namespaceSelector": {"matchLabels": {"team": "ai"}}}]);
    let to = json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]);
    assert_eq!(
        policy(json!({"enabled": true, "ingressFrom": from, "egressTo": to})),
        json!({
            "podSelector": selector,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": from, "ports": port}],
            "egress": [
                {"to": to},
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
            ],
        })
    );
}
