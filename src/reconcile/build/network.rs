//! The NetworkPolicy.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::deployment::pod_selector;
use super::gateway::ADMIN;
use super::service::PORT;
use super::{Intent, json, metadata};
use crate::children::ChildKind;
use crate::reconcile::validate::ValidServer;

/// Where names are asked for. To any address: on many clusters the pods' resolver is a cache on their node, which no
/// selector of pods covers.
const DNS: i32 = 53;

pub(super) fn build(server: &ValidServer) -> Option<Intent> {
    let given = server.spec().network_policy.as_ref().filter(|policy| policy.enabled)?;
    let name = &server.identity().name;
    let port = |port, protocol: &str| NetworkPolicyPort {
        port: Some(port),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    };
    let to_server = NetworkPolicyIngressRule {
        from: Some(given.ingress_from.clone()).filter(|peers| !peers.is_empty()),
        ports: Some(vec![port(IntOrString::String(PORT.to_owned()), "TCP")]),
    };
    // For the operator and whoever collects metrics: no Service leads to it, and so no Ingress.
    let to_admin = server.gateway().is_some().then(|| NetworkPolicyIngressRule {
        from: Some(vec![NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector::default()),
            ..NetworkPolicyPeer::default()
        }]),
        ports: Some(vec![port(IntOrString::String(ADMIN.to_owned()), "TCP")]),
    });
    let egress = (!given.egress_to.is_empty()).then(|| {
        let dns = ["UDP", "TCP"].map(|protocol| port(IntOrString::Int(DNS), protocol));
        vec![
            NetworkPolicyEgressRule { to: Some(given.egress_to.clone()), ports: None },
            NetworkPolicyEgressRule { to: None, ports: Some(dns.into()) },
        ]
    });
    let types = ["Ingress"].into_iter().chain(egress.is_some().then_some("Egress"));
    let policy = NetworkPolicy {
        metadata: metadata(server, name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pod_selector(name)),
            policy_types: Some(types.map(str::to_owned).collect()),
            ingress: Some(std::iter::once(to_server).chain(to_admin).collect()),
            egress,
        }),
    };
    Some(Intent::new(ChildKind::NetworkPolicy, server, name, json(&policy)))
}
