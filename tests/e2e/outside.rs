//! Services of a cluster that are on this machine.

use http::Uri;
use kube::config::Kubeconfig;
use serde_json::json;

use crate::support::namespace::Namespace;

/// The address of this machine by which pods reach it: that of the API server.
fn this_machine(ns: &Namespace) -> String {
    let kubeconfig = Kubeconfig::read_from(ns.cluster.kubeconfig()).expect("a kubeconfig");
    let server = kubeconfig.clusters[0].cluster.as_ref().and_then(|cluster| cluster.server.clone());
    let server: Uri = server.expect("a server").parse().expect("a URL");
    server.host().expect("a host").to_owned()
}

/// Makes a Service, at port 80, whose only endpoint is a port of this machine.
pub(crate) async fn create_service(ns: &Namespace, name: &str, port: u16) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "ports": [{ "name": "http", "port": 80 }] },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": name } },
        "endpoints": [{ "addresses": [this_machine(ns)], "conditions": { "ready": true } }],
        "ports": [{ "name": "http", "port": port }],
    });
    let both = json!({ "apiVersion": "v1", "kind": "List", "items": [service, slice] });
    ns.kubectl(&["apply", "-f", "-"], &both.to_string()).await.ok();
}
