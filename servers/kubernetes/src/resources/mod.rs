//! The resources: what a model can read.

mod node;
mod pod;

use rmcp::model::{Resource, ResourceTemplate};
use serde::Serialize;
use serde_json::json;

use crate::kubernetes::{Kubernetes, Listing};
use crate::name::{InvalidName, Namespace};
use crate::refusal::Refusal;

pub use node::NodeSummary;
pub use pod::{ContainerSummary, PodSummary};

/// What every resource is written in.
pub const MIME_TYPE: &str = "application/json";
const NODES: &str = "k8s://cluster/nodes";
const PODS: (&str, &str) = ("k8s://namespace/", "/pods");

/// What a URI stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// The nodes of the cluster.
    Nodes,
    /// The pods of a namespace.
    Pods(Namespace),
}

/// A URI that stands for nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownUri {
    /// Not one of the forms.
    #[error("no such resource: there are k8s://cluster/nodes and k8s://namespace/{{namespace}}/pods")]
    Form,
    /// The right form with no namespace's name in it.
    #[error("no such resource: {0}")]
    Namespace(#[from] InvalidName),
}

impl std::str::FromStr for Uri {
    type Err = UnknownUri;

    fn from_str(uri: &str) -> Result<Self, UnknownUri> {
        if uri == NODES {
            return Ok(Self::Nodes);
        }
        let namespace = uri.strip_prefix(PODS.0).and_then(|rest| rest.strip_suffix(PODS.1));
        Ok(Self::Pods(namespace.ok_or(UnknownUri::Form)?.parse()?))
    }
}

/// The resources that have one URI.
#[must_use]
pub fn all() -> Vec<Resource> {
    vec![
        Resource::new(NODES, "nodes")
            .with_title("Nodes of the cluster")
            .with_description(
                "Each node: whether it is ready, its roles, versions, capacity, conditions and taints.",
            )
            .with_mime_type(MIME_TYPE),
    ]
}

/// The resources whose URI has a variable.
#[must_use]
pub fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("k8s://namespace/{namespace}/pods", "pods")
            .with_title("Pods of a namespace")
            .with_description(
                "Each pod: its status as kubectl shows it, node, owner, and each container with its image, state and \
                 restarts.",
            )
            .with_mime_type(MIME_TYPE),
    ]
}

/// Reads a resource, as JSON.
///
/// # Errors
/// [`Refusal`].
pub async fn read(kubernetes: &Kubernetes, uri: &Uri) -> Result<String, Refusal> {
    Ok(match uri {
        Uri::Nodes => list("nodes", kubernetes.nodes(|node| NodeSummary::of(&node)).await?),
        Uri::Pods(namespace) => list("pods", kubernetes.pods(namespace, |pod| PodSummary::of(&pod)).await?),
    })
}

/// `complete` is false where there are more than are listed.
fn list<T: Serialize>(kind: &str, listing: Listing<T>) -> String {
    json!({ kind: listing.items, "complete": !listing.is_cut }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_one_of_two() {
        assert_eq!("k8s://cluster/nodes".parse(), Ok(Uri::Nodes));
        assert_eq!("k8s://namespace/shop/pods".parse(), Ok(Uri::Pods("shop".parse().unwrap())));
        for other in [
            "",
            "k8s://cluster/nodes/",
            "k8s://namespace/pods",
            "k8s://namespace/shop/pods/web",
            "file:///etc/passwd",
        ] {
            assert!(other.parse::<Uri>().is_err(), "{other}");
        }
    }

    #[test]
    fn no_path_gets_through_a_namespace() {
        for namespace in ["", "..", "a/b", "a%2fb", "A", "../../nodes"] {
            let uri = format!("k8s://namespace/{namespace}/pods");
            let error = uri.parse::<Uri>().unwrap_err();
            assert!(matches!(error, UnknownUri::Namespace(_)), "{uri}: {error}");
        }
    }
}
