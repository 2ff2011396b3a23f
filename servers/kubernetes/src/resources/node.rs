//! What is said of a node.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use serde::Serialize;

const ROLE: &str = "node-role.kubernetes.io/";
/// The resources of which nodes have much to say are few.
const RESOURCES: [&str; 4] = ["cpu", "memory", "pods", "ephemeral-storage"];

/// A node, short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    name: String,
    ready: bool,
    /// Whether no new pod is put here.
    unschedulable: bool,
    roles: Vec<String>,
    /// What is not as it should be: each condition's type, with its reason and message.
    problems: Vec<String>,
    /// `key=value:effect`.
    taints: Vec<String>,
    capacity: BTreeMap<&'static str, String>,
    allocatable: BTreeMap<&'static str, String>,
    kubelet_version: Option<String>,
    operating_system: Option<String>,
    architecture: Option<String>,
    created: Option<Timestamp>,
}

impl NodeSummary {
    /// The summary of a node.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let metadata = &node.metadata;
        let status = node.status.clone().unwrap_or_default();
        let spec = node.spec.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let labels = metadata.labels.iter().flatten();
        let picked = |quantities: Option<BTreeMap<String, _>>| {
            let quantities: BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity> =
                quantities.unwrap_or_default();
            let pick = |name: &'static str| Some((name, quantities.get(name)?.0.clone()));
            RESOURCES.into_iter().filter_map(pick).collect()
        };
        let taints = spec.taints.into_iter().flatten().map(|taint| match taint.value {
            Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
            None => format!("{}:{}", taint.key, taint.effect),
        });
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            ready: conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            unschedulable: spec.unschedulable.unwrap_or_default(),
            roles: labels.filter_map(|(label, _)| label.strip_prefix(ROLE)).map(str::to_owned).collect(),
            problems: conditions.iter().filter_map(problem).collect(),
            taints: taints.collect(),
            capacity: picked(status.capacity),
            allocatable: picked(status.allocatable),
            kubelet_version: status.node_info.as_ref().map(|info| info.kubelet_version.clone()),
            operating_system: status.node_info.as_ref().map(|info| info.os_image.clone()),
            architecture: status.node_info.as_ref().map(|info| info.architecture.clone()),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
        }
    }
}

/// `Ready` should be true, and everything else false.
fn problem(condition: &NodeCondition) -> Option<String> {
    let wanted = if condition.type_ == "Ready" { "True" } else { "False" };
    (condition.status != wanted).then(|| {
        let said = [&condition.reason, &condition.message].into_iter().flatten();
        let said: Vec<&str> = said.map(String::as_str).filter(|text| !text.is_empty()).collect();
        format!("{}={}: {}", condition.type_, condition.status, said.join(": "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_said_in_short() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {
                "name": "one",
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "labels": { "node-role.kubernetes.io/control-plane": "", "other": "label" },
            },
            "spec": { "unschedulable": true, "taints": [
                { "key": "a", "effect": "NoSchedule" }, { "key": "b", "value": "c", "effect": "NoExecute" },
            ] },
            "status": {
                "capacity": { "cpu": "2", "memory": "8Gi", "hugepages-2Mi": "0" },
                "allocatable": { "cpu": "1900m" },
                "conditions": [
                    { "type": "MemoryPressure", "status": "True", "reason": "KubeletHasInsufficientMemory", "message": "low" },
                    { "type": "DiskPressure", "status": "False" },
                    { "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "" },
                ],
            },
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_value(NodeSummary::of(&node)).unwrap(),
            json!({
                "name": "one",
                "ready": false,
                "unschedulable": true,
                "roles": ["control-plane"],
                "problems": [
                    "MemoryPressure=True: KubeletHasInsufficientMemory: low",
                    "Ready=Unknown: NodeStatusUnknown",
                ],
                "taints": ["a:NoSchedule", "b=c:NoExecute"],
                "capacity": { "cpu": "2", "memory": "8Gi" },
                "allocatable": { "cpu": "1900m" },
                "kubeletVersion": null,
                "operatingSystem": null,
                "architecture": null,
                "created": "2026-01-02T03:04:05Z",
            })
        );
    }

    #[test]
    fn a_node_that_says_nothing_is_not_ready() {
        assert!(!NodeSummary::of(&Node::default()).ready);
    }
}
