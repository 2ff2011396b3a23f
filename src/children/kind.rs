//! The kinds that servers consist of.

use std::fmt;

use kube::api::ApiResource;

/// A kind of object that servers consist of, in the order in which a server's are written: what pods mount, and what
/// restricts them, is there before they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildKind {
    /// Settings and catalog.
    ConfigMap,
    /// Who a gateway's pods are.
    ServiceAccount,
    /// What they may read.
    Role,
    /// That it is they who may.
    RoleBinding,
    /// Who may reach the pods, and whom they may.
    NetworkPolicy,
    /// In front of the pods.
    Service,
    /// The pods.
    Deployment,
    /// How many of them may be evicted.
    PodDisruptionBudget,
    /// How many there are.
    HorizontalPodAutoscaler,
    /// The way in from outside.
    Ingress,
}

/// Group, version, plural, and the name of the watch where readiness names it.
type Parts = (&'static str, &'static str, &'static str, &'static str);

impl ChildKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ConfigMap,
        Self::ServiceAccount,
        Self::Role,
        Self::RoleBinding,
        Self::NetworkPolicy,
        Self::Service,
        Self::Deployment,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::Ingress,
    ];

    /// As a manifest says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::ServiceAccount => "ServiceAccount",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::Ingress => "Ingress",
        }
    }

    const fn parts(self) -> Parts {
        match self {
            Self::ConfigMap => ("", "v1", "configmaps", "watch-configmaps"),
            Self::ServiceAccount => ("", "v1", "serviceaccounts", "watch-serviceaccounts"),
            Self::Role => ("rbac.authorization.k8s.io", "v1", "roles", "watch-roles"),
            Self::RoleBinding => ("rbac.authorization.k8s.io", "v1", "rolebindings", "watch-rolebindings"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "networkpolicies", "watch-networkpolicies"),
            Self::Service => ("", "v1", "services", "watch-server-services"),
            Self::Deployment => ("apps", "v1", "deployments", "watch-deployments"),
            Self::PodDisruptionBudget => {
                ("policy", "v1", "poddisruptionbudgets", "watch-poddisruptionbudgets")
            }
            Self::HorizontalPodAutoscaler => {
                ("autoscaling", "v2", "horizontalpodautoscalers", "watch-horizontalpodautoscalers")
            }
            Self::Ingress => ("networking.k8s.io", "v1", "ingresses", "watch-ingresses"),
        }
    }

    /// What its watch is called where readiness names it.
    #[must_use]
    pub const fn gate(self) -> &'static str {
        self.parts().3
    }

    /// Group and version, as a manifest says them.
    #[must_use]
    pub fn api_version(self) -> String {
        let (group, version, _, _) = self.parts();
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
    }

    /// How the API server is asked for it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let (group, version, plural, _) = self.parts();
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: self.api_version(),
            kind: self.as_str().to_owned(),
            plural: plural.to_owned(),
        }
    }
}

impl fmt::Display for ChildKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
