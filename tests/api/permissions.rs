//! What the operator may do is what it does: an API server says what it asks its authorizer in an operator's whole life.

use std::collections::BTreeSet;
use std::path::Path;

use mcp_operator::permissions::{NAME, NAMESPACE, RULES, Rule, SELF_SIGNED, Scope};
use serde_json::{Value, json};

use crate::support::authorizer::{Authorizer, Question};
use crate::support::cluster::Cluster;
use crate::support::manifest::{
    Manifest, mk_gateway, mk_prompt, mk_resource, mk_selecting_server, mk_server, mk_tool,
};
use crate::support::namespace::Namespace;
use crate::support::object::{self, condition};
use crate::support::operator::Installation;
use crate::support::{pods, wait};

/// One thing that may be done.
#[derive(Debug, Clone, Copy)]
struct Grant {
    rule: &'static Rule,
    resource: &'static str,
    verb: &'static str,
}

impl Grant {
    fn all() -> Vec<Self> {
        let of = |rule: &'static Rule| {
            let verbs = move |&resource| rule.verbs.iter().map(move |&verb| Self { rule, resource, verb });
            rule.resources.iter().flat_map(verbs)
        };
        RULES.iter().flat_map(of).collect()
    }

    fn answers(&self, question: &Question) -> bool {
        (self.rule.group, self.resource, self.verb) == (&question.group, &question.resource, &question.verb)
            && (self.rule.scope == Scope::Cluster || question.namespace == NAMESPACE)
            && (self.rule.names.is_empty() || self.rule.names.contains(&question.name.as_str()))
    }

    /// Whether something was asked that nothing else would allow, and no narrower form of this either.
    fn is_needed(&self, questions: &BTreeSet<Question>) -> bool {
        let others = |question: &Question| {
            let answers = |other: &Self| !std::ptr::eq(other.rule, self.rule) && other.answers(question);
            Self::all().iter().any(answers)
        };
        questions
            .iter()
            .any(|question| self.answers(question) && !others(question) && !self.is_wider(question))
    }

    fn is_wider(&self, question: &Question) -> bool {
        self.rule.scope == Scope::Cluster && question.namespace == NAMESPACE
    }
}

#[tokio::test]
async fn everything_that_is_asked_for_is_granted_and_everything_granted_is_asked_for() {
    let authorizer = Authorizer::of(format!("system:serviceaccount:{NAMESPACE}:{NAME}")).await;
    let mut flags = authorizer.flags();
    // Which asks whether an owner's deletion may be held back.
    flags.push("--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned());
    let cluster = Cluster::empty_with(&flags).await;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default").display().to_string();
    cluster.kubectl(&["apply", "--kustomize", &manifests], "").await.ok();
    // Long enough for a life, short enough to see the certificate replaced.
    let lifetimes = [("--leaf-lifetime", "30s"), ("--ca-lifetime", "60s")];
    let installed = Installation::shipped(&cluster).await.with(lifetimes);
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("life").await;
    live(&ns).await;
    wait::until("the certificate is replaced", async || {
        let steps = operator.logged("certificate step done");
        if steps.len() > 2 { Ok(()) } else { Err(format!("{steps:?}")) }
    })
    .await;
    let refused = operator.logged("forbidden");
    operator.terminate().await;

    let mut questions = authorizer.questions();
    // The plugin's way to ask about all at once, before it asks about one.
    questions.retain(|question| question.resource != "*/finalizers");
    // Who may do these may grant anything. All others may grant what they may do themselves, which is looked at next.
    questions.retain(|question| !["bind", "escalate"].contains(&question.verb.as_str()));
    let grants = Grant::all();
    let unanswered: Vec<_> =
        questions.iter().filter(|question| !grants.iter().any(|grant| grant.answers(question))).collect();
    let unneeded: Vec<_> = grants
        .iter()
        .filter(|grant| !grant.is_needed(&questions))
        .map(|grant| format!("{} {}: {}", grant.verb, grant.resource, grant.rule.reason))
        .collect();
    assert!(
        unanswered.is_empty() && unneeded.is_empty(),
        "asked for: {unanswered:#?}\nnot needed: {unneeded:#?}"
    );
    assert_eq!(refused, Vec::<String>::new());
}

#[tokio::test]
async fn with_cert_manager_it_goes_without_what_only_an_issuer_needs() {
    let cluster = Cluster::empty().await;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default").display().to_string();
    cluster.kubectl(&["apply", "--kustomize", &manifests], "").await.ok();
    let installed = Installation::shipped(&cluster).await;
    // Fills the Secret and the configurations, in cert-manager's place.
    installed.start_ready().await.terminate().await;
    let roles = "role,rolebinding,clusterrole,clusterrolebinding";
    let delete = ["delete", roles, SELF_SIGNED, "--namespace", NAMESPACE];
    cluster.kubectl(&delete, "").await.ok();

    let installed = installed.with([("--cert-mode", "cert-manager")]);
    let operator = installed.start_ready().await;
    let ns = cluster.namespace("cert-manager").await;
    ns.create(&mk_server("weather")).await;
    ns.until("Deployment", "weather", "is made", |_| true).await;
    assert_eq!(operator.logged("forbidden"), Vec::<String>::new());
    operator.terminate().await;
}

#[tokio::test]
async fn who_may_view_or_edit_a_namespace_may_do_so_with_our_kinds() {
    let cluster = Cluster::empty().await;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default").display().to_string();
    cluster.kubectl(&["apply", "--kustomize", &manifests], "").await.ok();
    let ns = cluster.namespace("team").await;
    for role in ["view", "edit", "admin"] {
        let bind =
            ["create", "rolebinding", role, &format!("--clusterrole={role}"), &format!("--user={role}er")];
        ns.kubectl(&bind, "").await.ok();
    }
    let may = async |user: &str, verb: &str, what: &str| {
        // kubectl takes what follows a slash for a name.
        let (kind, subresource) = what.split_once('/').unwrap_or((what, ""));
        let subresource = format!("--subresource={subresource}");
        let asked = ns.kubectl(&["auth", "can-i", verb, kind, &subresource, "--as", user], "").await;
        asked.stdout.trim() == "yes"
    };
    // A controller adds the rules.
    for (user, verb) in [("viewer", "watch"), ("editer", "create"), ("adminer", "create")] {
        wait::until("a role has its rules", async || match may(user, verb, "mcpservers").await {
            true => Ok(()),
            false => Err(format!("{user} may not {verb}")),
        })
        .await;
    }
    for kind in ["mcpservers", "mcptools", "mcpprompts", "mcpresources"] {
        for verb in ["get", "list", "watch"] {
            assert!(may("viewer", verb, kind).await, "{verb} {kind}");
        }
        for verb in ["create", "update", "patch", "delete"] {
            assert!(may("editer", verb, kind).await && may("adminer", verb, kind).await, "{verb} {kind}");
            assert!(!may("viewer", verb, kind).await, "{verb} {kind}");
        }
        assert!(!may("editer", "patch", &format!("{kind}/status")).await, "{kind}");
    }
    assert!(
        may("editer", "patch", "mcpservers/scale").await && !may("viewer", "patch", "mcpservers/scale").await
    );
    assert!(!may("editer", "delete", "customresourcedefinitions").await);
}

/// Everything that a server can ask for, and then no more; names that others have taken; a deletion.
async fn live(ns: &Namespace) {
    for tool in ["search", "fetch"] {
        ns.create(&mk_tool(tool).for_server("full")).await;
    }
    ns.create(&mk_prompt("greet").for_server("full")).await;
    ns.create(&mk_resource("guide").for_server("full")).await;
    ns.create(&mk_gateway("gateway")).await;
    let full = with_everything(mk_selecting_server("full").with("/spec/config/LOG_LEVEL", "debug"));
    ns.create(&full).await;
    pods::run(ns, "full").await;
    for (kind, name) in [("MCPTool", "search"), ("MCPPrompt", "greet"), ("MCPResource", "guide")] {
        ns.until(kind, name, "has a status", |found| condition(found, "Accepted").is_some()).await;
    }
    let off = json!({ "config": null, "toolSelector": null, "ingress": null, "autoscaling": null, "networkPolicy": null });
    ns.patch("MCPServer", "full", &json!({ "spec": off })).await.accepted();
    ns.until_gone("ConfigMap", "full-config").await;
    for kind in OPTIONAL {
        ns.until_gone(kind, "full").await;
    }
    for _ in 0..2 {
        ns.patch("MCPServer", "full", &json!({ "spec": { "networkPolicy": { "enabled": true } } }))
            .await
            .accepted();
        ns.until("NetworkPolicy", "full", "is made", |_| true).await;
        ns.patch("MCPServer", "full", &json!({ "spec": { "networkPolicy": null } })).await.accepted();
        ns.until_gone("NetworkPolicy", "full").await;
    }
    wait::until("what repeats is counted", async || {
        let query = ["get", "events.events.k8s.io", "--output", "jsonpath={.items[*].series.count}"];
        let counts = ns.kubectl(&query, "").await.ok();
        if counts.trim().is_empty() { Err("nothing is".to_owned()) } else { Ok(()) }
    })
    .await;

    let own = json!({ "spec": { "image": "registry.example.com/weather:1.4.0" } });
    ns.until("RoleBinding", "gateway-gateway", "is made", |_| true).await;
    ns.patch("MCPServer", "gateway", &own).await.accepted();
    for kind in ["ServiceAccount", "Role", "RoleBinding"] {
        ns.until_gone(kind, "gateway-gateway").await;
    }

    foreign(ns).await;
    let taken = mk_server("taken").with("/spec/config/LOG_LEVEL", "debug");
    for server in [taken, with_everything(mk_server("occupied")), mk_gateway("guarded")] {
        ns.create(&server).await;
        let taken = |found: &Value| condition(found, "Ready") == Some(("False", "NameTaken"));
        ns.until("MCPServer", object::name(&server), "says so", taken).await;
    }
    let password = json!({ "name": "redis", "key": "password" });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "redis" }, "stringData": { "password": "x" } });
    ns.create(&secret).await;
    let cached = mk_gateway("cached").with("/spec/redis/serviceName", "redis");
    ns.create(&cached.with("/spec/redis/passwordSecretRef", password)).await;
    ns.until("Deployment", "cached", "is made", |_| true).await;
    ns.delete("MCPServer", "cached").await.accepted();
    ns.until_gone("MCPServer", "cached").await;
}

/// What a server has if it asks for it, by its own name.
const OPTIONAL: [&str; 4] = ["Ingress", "NetworkPolicy", "HorizontalPodAutoscaler", "PodDisruptionBudget"];

fn with_everything(server: Value) -> Value {
    server
        .with("/spec/ingress", json!({ "host": "weather.example.com" }))
        .with("/spec/autoscaling", json!({ "minReplicas": 2, "maxReplicas": 5 }))
        .with("/spec/networkPolicy", json!({ "enabled": true }))
}

/// Objects of the names that two servers would give their own.
async fn foreign(ns: &Namespace) {
    let labels = json!({ "app": "foreign" });
    let container = json!({ "name": "app", "image": "registry.example.com/app:1" });
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "occupied" });
    let template = json!({ "metadata": { "labels": labels }, "spec": { "containers": [container] } });
    let backend = json!({ "service": { "name": "foreign", "port": { "number": 80 } } });
    let named = |kind: &str, api: &str, name: &str| json!({ "apiVersion": api, "kind": kind, "metadata": { "name": name } });
    let objects = [
        named("ConfigMap", "v1", "taken-config"),
        named("ServiceAccount", "v1", "guarded-gateway"),
        named("Role", "rbac.authorization.k8s.io/v1", "guarded-gateway").with("/rules", json!([])),
        named("RoleBinding", "rbac.authorization.k8s.io/v1", "guarded-gateway").with(
            "/roleRef",
            json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "guarded-gateway" }),
        ),
        named("Service", "v1", "occupied").with("/spec/ports", json!([{ "port": 80 }])),
        named("Deployment", "apps/v1", "occupied").with(
            "/spec",
            json!({ "replicas": 0, "selector": { "matchLabels": labels }, "template": template }),
        ),
        named("Ingress", "networking.k8s.io/v1", "occupied").with("/spec/defaultBackend", backend),
        named("NetworkPolicy", "networking.k8s.io/v1", "occupied")
            .with("/spec/podSelector/matchLabels", labels.clone()),
        named("HorizontalPodAutoscaler", "autoscaling/v2", "occupied")
            .with("/spec", json!({ "scaleTargetRef": target, "maxReplicas": 2 })),
        named("PodDisruptionBudget", "policy/v1", "occupied")
            .with("/spec", json!({ "maxUnavailable": 1, "selector": { "matchLabels": labels } })),
    ];
    for object in objects {
        ns.create(&object).await;
    }
}
