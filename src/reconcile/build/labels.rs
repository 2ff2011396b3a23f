//! Labels and annotations of what the operator makes, and the selector of the pods.

use std::collections::BTreeMap;

use mcp_crds::v1alpha1::Transport;

use crate::reconcile::MANAGER;

/// The name of the application: the same for every server.
pub const NAME: &str = "app.kubernetes.io/name";
/// Which server.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Which part of it.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Who made it. The operator's watches of children select by this label.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// How the server speaks.
pub const TRANSPORT: &str = "example.com/transport";

/// Fingerprint of all that was last applied to a child.
pub const APPLIED: &str = "mcp.example.com/applied";
/// On a Deployment whose replicas somebody else decides: who.
pub const REPLICAS_FROM: &str = "mcp.example.com/replicas-from";
/// On pods: fingerprint of `config.json`, so that a change of it rolls them.
pub const CONFIG: &str = "mcp.example.com/config";

const APPLICATION: &str = "mcp-server";

/// Labels of every child of a server, and of its pods.
pub(super) fn labels(server: &str, transport: Transport) -> BTreeMap<String, String> {
    let mut labels = selector(server);
    for (key, value) in [(COMPONENT, "server"), (MANAGED_BY, MANAGER), (TRANSPORT, transport.as_str())] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// What selects the pods of a server. A Deployment's selector can never change, so nothing may stand here that can.
pub(crate) fn selector(server: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(NAME.to_owned(), APPLICATION.to_owned()), (INSTANCE.to_owned(), server.to_owned())])
}

/// The selector as `kubectl -l` and autoscalers read it.
pub(crate) fn selector_text(server: &str) -> String {
    let pairs: Vec<String> =
        selector(server).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}
