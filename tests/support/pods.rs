//! What nodes would do: there are none here, so pods wait for ever unless a test says that they run.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

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

/// The only pod of a server, once it is made.
///
/// # Panics
/// Where it is not made.
pub(crate) async fn of(namespace: &Namespace, server: &str) -> Value {
    wait::until(format_args!("the pod of {server} is made"), async || {
        let pods = namespace.list("Pod").await;
        let found = pods.into_iter().find(|pod| {
            pod["metadata"]["labels"]["app.kubernetes.io/instance"] == server
                && pod["metadata"]["deletionTimestamp"].is_null()
        });
        found.ok_or_else(|| "there is none".to_owned())
    })
    .await
}
