//! What the operator may do in a cluster, rule by rule, each with its reason.
//!
//! This is the one place: the manifests and the chart are printed from it, and the tests hold it against what an operator
//! asks an API server for, both ways: nothing is refused, and nothing is granted that is not used.

mod manifest;
mod users;

use mcp_crds::kind::GROUP;

pub use manifest::{NAMESPACE, operator_roles, self_signed_roles, user_roles};

/// What the operator's objects are called, unless a flag says otherwise: its service account, its roles, its Lease and its
/// webhook configurations.
pub const NAME: &str = "mcp-operator";
/// What the roles are called that it only needs while it issues the webhook's certificate itself.
pub const SELF_SIGNED: &str = "mcp-operator-self-signed";
/// The Secret of the webhook's certificate, unless a flag says otherwise.
pub const SECRET: &str = "mcp-operator-webhook-cert";

/// Where a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In every namespace, and outside of all.
    Cluster,
    /// In the namespace that the operator runs in.
    OwnNamespace,
}

/// Whose a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Every operator's.
    Operator,
    /// That of one which issues the webhook's certificate itself; with cert-manager it goes without.
    SelfSigned,
}

/// A permission, and why it is needed.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Whose it is.
    pub part: Part,
    /// Where it holds.
    pub scope: Scope,
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The resources, with a subresource after a slash.
    pub resources: &'static [&'static str],
    /// The names of the only objects that it holds for; those of all where empty.
    pub names: &'static [&'static str],
    /// What may be done.
    pub verbs: &'static [&'static str],
    /// Why, in a sentence.
    pub reason: &'static str,
}

const CLUSTER: Rule = Rule {
    part: Part::Operator,
    scope: Scope::Cluster,
    group: "",
    resources: &[],
    names: &[],
    verbs: &[],
    reason: "",
};
const OWN_NAMESPACE: Rule = Rule { scope: Scope::OwnNamespace, ..CLUSTER };

/// Read where the watch is late, kept by a watch, made and mended by server-side apply.
const KEEP: &[&str] = &["get", "list", "watch", "create", "patch"];
/// Likewise, and removed where a server no longer asks for it.
const KEEP_OR_REMOVE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// Every permission of the operator.
pub const RULES: &[Rule] = &[
    Rule {
        group: GROUP,
        resources: &["mcpservers", "mcptools", "mcpprompts", "mcpresources"],
        verbs: &["list", "watch"],
        reason: "Every replica keeps all objects in memory, to answer admission from there.",
        ..CLUSTER
    },
    Rule {
        group: GROUP,
        resources: &["mcpservers/status", "mcptools/status", "mcpprompts/status", "mcpresources/status"],
        verbs: &["patch"],
        reason: "Conditions and counts are written by server-side apply.",
        ..CLUSTER
    },
    Rule {
        group: GROUP,
        resources: &["mcpservers"],
        verbs: &["patch"],
        reason: "Its own finalizer, on servers with redis.",
        ..CLUSTER
    },
    Rule {
        group: GROUP,
        resources: &["mcpservers/finalizers"],
        verbs: &["update"],
        reason: "Owner references that hold back their owner's deletion, where the cluster guards them \
                 (OwnerReferencesPermissionEnforcement).",
        ..CLUSTER
    },
    Rule {
        group: "apps",
        resources: &["deployments"],
        verbs: KEEP,
        reason: "Every server runs in one.",
        ..CLUSTER
    },
    Rule {
        resources: &["services"],
        verbs: KEEP,
        reason: "Every server has one; of others the names are known, so that a tool's backend that is not there is reported.",
        ..CLUSTER
    },
    Rule {
        resources: &["configmaps"],
        verbs: KEEP_OR_REMOVE,
        reason: "What a server is configured with.",
        ..CLUSTER
    },
    Rule {
        resources: &["serviceaccounts"],
        verbs: KEEP_OR_REMOVE,
        reason: "Gateways have one each.",
        ..CLUSTER
    },
    Rule {
        group: "rbac.authorization.k8s.io",
        resources: &["roles", "rolebindings"],
        verbs: KEEP_OR_REMOVE,
        reason: "A gateway may read its own catalog, by name, and the Secrets whose owners consent to that. Nobody can grant \
                 what he may not do himself, so nothing else can be granted by this.",
        ..CLUSTER
    },
    Rule {
        resources: &["secrets"],
        verbs: &["list", "watch"],
        reason: "The webhook's certificate, which every replica serves; the password of a deleted server's Redis, to remove its \
                 keys; and the names of Secrets whose owners consent, by a label, to their being sent as headers. What is in \
                 those is not asked for; but gateways, which read it, can only be granted what the operator may do.",
        ..CLUSTER
    },
    Rule {
        group: "networking.k8s.io",
        resources: &["ingresses", "networkpolicies"],
        verbs: KEEP_OR_REMOVE,
        reason: "For servers that ask for them.",
        ..CLUSTER
    },
    Rule {
        group: "autoscaling",
        resources: &["horizontalpodautoscalers"],
        verbs: KEEP_OR_REMOVE,
        reason: "For servers that ask for one.",
        ..CLUSTER
    },
    Rule {
        group: "policy",
        resources: &["poddisruptionbudgets"],
        verbs: KEEP_OR_REMOVE,
        reason: "For servers of several replicas.",
        ..CLUSTER
    },
    Rule {
        resources: &["pods"],
        verbs: &["list", "watch"],
        reason: "Why a server's pods do not come up.",
        ..CLUSTER
    },
    Rule {
        resources: &["events"],
        verbs: &["list", "watch"],
        reason: "What the kubelet says of a pod, and its status does not.",
        ..CLUSTER
    },
    Rule {
        group: "events.k8s.io",
        resources: &["events"],
        verbs: &["create", "patch"],
        reason: "What happened to a server, for who describes it; what repeats is counted.",
        ..CLUSTER
    },
    Rule {
        group: "coordination.k8s.io",
        resources: &["leases"],
        names: &[NAME],
        verbs: &["get", "update"],
        reason: "Which replica writes.",
        ..OWN_NAMESPACE
    },
    Rule {
        group: "coordination.k8s.io",
        resources: &["leases"],
        verbs: &["create"],
        reason: "A request to create has no name that a rule could hold it to.",
        ..OWN_NAMESPACE
    },
    Rule {
        part: Part::SelfSigned,
        resources: &["secrets"],
        names: &[SECRET],
        verbs: &["get", "update"],
        reason: "The certificate is rotated.",
        ..OWN_NAMESPACE
    },
    Rule {
        part: Part::SelfSigned,
        resources: &["secrets"],
        verbs: &["create"],
        reason: "A request to create has no name that a rule could hold it to.",
        ..OWN_NAMESPACE
    },
    Rule {
        part: Part::SelfSigned,
        group: "admissionregistration.k8s.io",
        resources: &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        names: &[NAME],
        verbs: &["get", "list", "watch", "patch"],
        reason: "The CA is published in its own two configurations.",
        ..CLUSTER
    },
];
