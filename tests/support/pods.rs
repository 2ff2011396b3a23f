//! What nodes would do: there are none here, so pods wait for ever unless a test says that they run.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::namespace::Namespace;
use super::object;
use super::wait;

/// Says of every pod of the namespace that it runs and is ready, until the server does.
///
/// # Panics
/// Where the server does not become ready.
pub(crate) async fn run(namespace: &Namespace, server: &str) {
    wait::within(Duration::from_secs(60), format_args!("{server} is ready"), async || {
        for pod in namespace.list("Pod").await {
            if pod["status"]["phase"] != "Running" {
                let condition = json!({ "type": "Ready", "status": "True" });
                let status = json!({ "status": { "phase": "Running", "conditions": [condition] } });
                let path =
                    format!("/api/v1/namespaces/{}/pods/{}/status", namespace.name, object::name(&pod));
                namespace.request(Method::PATCH, &path, "application/merge-patch+json", Some(&status)).await;
            }
        }
        let found = namespace.get("MCPServer", server).await;
        match object::condition(&found, "Ready") {
            Some(("True", _)) => Ok(()),
            _ => Err(format!("{:#}", found["status"])),
        }
    })
    .await;
}
