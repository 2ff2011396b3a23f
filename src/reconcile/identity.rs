//! Which object a pass is about, and which children are its own.

use std::fmt;
use std::sync::Arc;

use mcp_crds::catalog::{Entry, ObjectKey};
use mcp_crds::kind::Kind;

use crate::children::{Observed, Owner};

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
    pub(super) fn stranger(&self, child: &Observed) -> Option<Stranger> {
        match &child.owner {
            Owner::Controller { uid, .. } if *uid == self.uid => None,
            Owner::Controller { kind, name, .. } => Some(Stranger::Controller(kind.clone(), name.clone())),
            Owner::Labels(server) if **server == *self.name => None,
            Owner::Labels(server) => Some(Stranger::Server(server.clone())),
            Owner::Manager(Some(manager)) => Some(Stranger::Manager(manager.clone())),
            Owner::Manager(None) => Some(Stranger::Unknown),
        }
    }

    /// Whether a child has this server as its controller, so that it may be deleted for it.
    pub(super) fn controls(&self, child: &Observed) -> bool {
        matches!(&child.owner, Owner::Controller { uid, .. } if *uid == self.uid)
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
    Controller(Box<str>, Box<str>),
    /// The server of another name that it is labelled for.
    Server(Box<str>),
    /// Who manages its fields.
    Manager(Box<str>),
    /// Nobody says.
    Unknown,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(kind, name) => write!(f, "it belongs to {kind} \"{name}\""),
            Self::Server(name) => write!(f, "it is labelled for MCPServer \"{name}\""),
            Self::Manager(manager) => write!(f, "it was made by \"{manager}\""),
            Self::Unknown => f.write_str("it was made by somebody else"),
        }
    }
}
