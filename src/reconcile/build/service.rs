//! The Service in front of the pods.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Intent, json, labels, metadata};
use crate::children::ChildKind;
use crate::reconcile::validate::ValidServer;

/// Name of the port, on the Service and on the container. The Service goes by it, so that pods of before and after
/// a change of the number are both reached while they roll.
pub(super) const PORT: &str = "mcp";

pub(super) fn build(server: &ValidServer) -> Intent {
    let name = &server.identity().name;
    let service = Service {
        metadata: metadata(server, name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::selector(name)),
            ports: Some(vec![ServicePort {
                name: Some(PORT.to_owned()),
                port: server.spec().port,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(PORT.to_owned())),
                ..ServicePort::default()
            }]),
            // Sessions of older clients are in the pod that began them, where they are not in Redis.
            session_affinity: (server.gateway().is_some() && server.spec().redis.is_none())
                .then(|| "ClientIP".to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    Intent::new(ChildKind::Service, server, name, json(&service))
}
