//! What servers consist of, as the watches see it: reduced on arrival to what passes decide from, so that thousands of
//! objects take little room and most of their events concern nobody.

mod kind;
mod observed;
mod store;
mod watch;

use std::fmt;
use std::sync::Arc;

pub use kind::ChildKind;
pub(crate) use observed::comparable;
pub use observed::{Facts, Observed, Owner, Rollout, Sight};
pub use store::{Children, Found, Writing};
pub(crate) use watch::watch;

/// Which child.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildKey {
    /// Its kind.
    pub kind: ChildKind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl fmt::Display for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}/{}\"", self.kind, self.namespace, self.name)
    }
}
