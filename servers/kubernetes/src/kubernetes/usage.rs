//! The metrics API, as far as it is used here: what containers use now.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ObjectMeta;
use serde::Deserialize;

use crate::name::Namespace;

pub(super) const GROUP: &str = "metrics.k8s.io";

pub(super) fn path(namespace: &Namespace) -> String {
    format!("/apis/{GROUP}/v1beta1/namespaces/{namespace}/pods")
}

#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) items: Vec<PodUsage>,
}

/// What a pod uses.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PodUsage {
    /// Which pod.
    pub metadata: ObjectMeta,
    /// Its containers.
    pub containers: Vec<ContainerUsage>,
}

/// What a container uses.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ContainerUsage {
    /// Which container.
    pub name: String,
    /// `cpu` and `memory`.
    pub usage: BTreeMap<String, Quantity>,
}
