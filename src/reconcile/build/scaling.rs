//! The HorizontalPodAutoscaler.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};

use super::{Intent, json, metadata};
use crate::children::ChildKind;
use crate::reconcile::validate::ValidServer;

pub(super) fn build(server: &ValidServer) -> Option<Intent> {
    let given = server.spec().autoscaling.as_ref()?;
    let name = &server.identity().name;
    let cpu = MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(given.target_cpu_utilization_percentage),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    };
    let autoscaler = HorizontalPodAutoscaler {
        metadata: metadata(server, name),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: name.to_string(),
            },
            min_replicas: Some(given.min_replicas),
            max_replicas: given.max_replicas,
            metrics: Some(vec![cpu]),
            ..HorizontalPodAutoscalerSpec::default()
        }),
        status: None,
    };
    Some(Intent::new(ChildKind::HorizontalPodAutoscaler, server, name, json(&autoscaler)))
}
