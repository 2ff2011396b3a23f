//! Which object a pass is about, and which children are its own.

use std::fmt;
use std::sync::Arc;

use kube::api::ObjectMeta;
use mcp_crds::catalog::{Entry, ObjectKey};
use mcp_crds::kind::Kind;

use super::MANAGER;
use super::build::labels;

/// Which object a pass is about. An object of the same name that is made later is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Box<str>,
    pub(crate) generation: i64,
}

impl Identity {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            kind: entry.key.id.kind,
            namespace: Arc::clone(&entry.key.namespace),
            name: Arc::clone(&entry.key.id.name),
            uid: entry.uid.clone(),
            generation: entry.generation,
        }
    }

    /// Under which key the catalog has it.
    pub(super) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.kind, Arc::clone(&self.namespace), Arc::clone(&self.name))
    }

    /// Whose a child is, if not this server's.
    ///
    /// A child without any controller that carries the operator's labels for this server is its own again: deleting a
    /// server with `--cascade=orphan` leaves such.
    pub(super) fn stranger(&self, child: &ObjectMeta) -> Option<Stranger> {
        let controller = child.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        if let Some(controller) = controller {
            let own = *controller.uid == *self.uid;
            return (!own).then(|| Stranger::Controller(controller.kind.clone(), controller.name.clone()));
        }
        let label = |key: &str| child.labels.as_ref()?.get(key).map(String::as_str);
        if label(labels::MANAGED_BY) == Some(MANAGER) && label(labels::INSTANCE) == Some(&self.name) {
            return None;
        }
        let label = label(labels::MANAGED_BY).filter(|manager| *manager != MANAGER);
        let writer = child.managed_fields.iter().flatten().find_map(|entry| entry.manager.as_deref());
        Some(label.or(writer).map_or(Stranger::Unknown, |manager| Stranger::Manager(manager.to_owned())))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Who has made an object whose name a server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stranger {
    /// Kind and name of its controller.
    Controller(String, String),
    /// Who manages its fields.
    Manager(String),
    /// Nobody says.
    Unknown,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(kind, name) => write!(f, "it belongs to {kind} \"{name}\""),
            Self::Manager(manager) => write!(f, "it was made by \"{manager}\""),
            Self::Unknown => f.write_str("it was made by somebody else"),
        }
    }
}
