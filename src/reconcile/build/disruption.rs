//! The PodDisruptionBudget: where there is more than one pod, evictions take one at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::deployment::pod_selector;
use super::{Intent, json, metadata, most_pods};
use crate::children::ChildKind;
use crate::reconcile::validate::ValidServer;

pub(super) fn build(server: &ValidServer) -> Option<Intent> {
    let given = server.spec().pod_disruption_budget.clone();
    // For a single pod a budget would either say nothing or keep its node from being drained.
    if given.is_none() && most_pods(server) <= 1 {
        return None;
    }
    let given = given.unwrap_or_default();
    let one = given.min_available.is_none().then_some(IntOrString::Int(1));
    let name = &server.identity().name;
    let budget = PodDisruptionBudget {
        metadata: metadata(server, name),
        spec: Some(PodDisruptionBudgetSpec {
            selector: Some(pod_selector(name)),
            max_unavailable: given.max_unavailable.or(one),
            min_available: given.min_available,
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    };
    Some(Intent::new(ChildKind::PodDisruptionBudget, server, name, json(&budget)))
}
