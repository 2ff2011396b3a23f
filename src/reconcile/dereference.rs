//! Everything that a pass over a server needs to know, from memory: one look at the catalog, and the children as watched.

use std::collections::BTreeSet;
use std::sync::Arc;

use mcp_crds::catalog::{self, Catalog, Conflict, Id, ObjectKey};

use super::Context;
use super::identity::Identity;
use crate::children::{ChildKey, Observed};
use crate::pods::Trouble;

/// A server, what it selects, and what it consists of now.
#[derive(Debug, Clone)]
pub(super) struct Dereferenced {
    pub(super) identity: Identity,
    pub(super) deleting: bool,
    /// The object, as compact JSON.
    pub(super) document: Arc<str>,
    pub(super) offered: Offered,
    /// The children that are its own, or say so.
    pub(super) children: Vec<(ChildKey, Arc<Observed>)>,
    /// Why its pods do not come up, as far as they say so.
    pub(super) trouble: Option<Trouble>,
}

/// What a server's selector picks up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    /// What it is to serve, by kind and name.
    pub(crate) served: Vec<Offer>,
    /// What it leaves out because something older has the same name, by kind and name.
    pub(crate) left_out: Vec<(Id, Conflict)>,
    /// The Secrets that it is to send as headers and whose owners consent, by name.
    pub(crate) credentials: BTreeSet<Box<str>>,
}

/// A tool, prompt or resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) id: Id,
    /// The object, as compact JSON.
    pub(crate) document: Arc<str>,
}

/// `None` where there is no such server.
pub(super) fn server(key: &ObjectKey, context: &Context) -> Option<Dereferenced> {
    let catalog = context.catalog.read();
    let entry = catalog.get(key)?;
    let (identity, deleting, document) = (Identity::of(entry), entry.deleting, Arc::clone(&entry.document));
    let offered = offered(&catalog, key);
    drop(catalog);
    let (children, trouble) = (context.children.of(key), context.pods.trouble(key));
    Some(Dereferenced { identity, deleting, document, offered, children, trouble })
}

fn offered(catalog: &Catalog, key: &ObjectKey) -> Offered {
    let selector = catalog.get(key).and_then(|server| server.selector.as_ref());
    let (Some(index), Some(selector)) = (catalog.namespace(&key.namespace), selector) else {
        return Offered::default();
    };
    let offers = catalog::settle(index, selector);
    let offer =
        |entry: &catalog::Entry| Offer { id: entry.key.id.clone(), document: Arc::clone(&entry.document) };
    let secrets = offers.served.iter().flat_map(|entry| &entry.secrets);
    let credentials = secrets.filter(|name| catalog.has_credential(&key.namespace, name)).cloned().collect();
    Offered {
        credentials,
        served: offers.served.into_iter().map(offer).collect(),
        left_out: offers.left_out.into_iter().map(|(entry, why)| (entry.key.id.clone(), why)).collect(),
    }
}
