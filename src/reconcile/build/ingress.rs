//! The Ingress, and the address that it gives a server.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use mcp_crds::v1alpha1::{self, MCPServerSpec};

use super::service::PORT;
use super::{Intent, json, metadata};
use crate::children::ChildKind;
use crate::reconcile::validate::ValidServer;

pub(super) fn build(server: &ValidServer) -> Option<Intent> {
    let given = server.spec().ingress.as_ref()?;
    let name = &server.identity().name;
    let mut metadata = metadata(server, name);
    metadata.annotations = Some(given.annotations.clone()).filter(|annotations| !annotations.is_empty());
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: name.to_string(),
            port: Some(ServiceBackendPort { name: Some(PORT.to_owned()), number: None }),
        }),
        resource: None,
    };
    let path =
        HTTPIngressPath { path: Some(given.path_prefix.clone()), path_type: "Prefix".to_owned(), backend };
    let tls = given
        .tls_secret_name
        .clone()
        .map(|secret| vec![IngressTLS { hosts: Some(vec![given.host.clone()]), secret_name: Some(secret) }]);
    let ingress = Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: given.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(given.host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls,
            default_backend: None,
        }),
        status: None,
    };
    Some(Intent::new(ChildKind::Ingress, server, name, json(&ingress)))
}

/// Host and path prefix, as a person writes them.
pub(crate) fn root(ingress: &v1alpha1::Ingress) -> String {
    let scheme = if ingress.tls_secret_name.is_some() { "https" } else { "http" };
    format!("{scheme}://{}{}", ingress.host, ingress.path_prefix)
}

/// What a client outside the cluster connects to: `path` below the Ingress's prefix, or the prefix itself where the two are
/// equal. `None` for a host with a wildcard, which is no address.
pub(crate) fn url(spec: &MCPServerSpec) -> Option<String> {
    let ingress = spec.ingress.as_ref().filter(|ingress| !ingress.host.starts_with('*'))?;
    let root = root(ingress);
    if ingress.path_prefix == spec.path {
        return Some(root);
    }
    Some(format!("{}{}", root.trim_end_matches('/'), spec.path))
}
