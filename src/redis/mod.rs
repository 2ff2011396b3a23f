//! What the operator has to do with the Redis of gateways: to say whether it answers them, and to remove what a server that is
//! deleted has left there ([`removal`]).
//!
//! Whether it answers, only the pods know: they have the password, the authorities, and the way through the cluster's network.
//! Passes say which servers use Redis ([`Redis::observe`]); a task of the leader's asks their pods ([`run`]), and calls for a pass
//! where the answer has become another.

mod capabilities;
pub mod removal;
mod task;

use std::collections::HashMap;

use mcp_crds::catalog::ObjectKey;
use parking_lot::Mutex;

pub use capabilities::Capabilities;
pub use task::{Ask, run};

/// The servers that use Redis, and whether it answers them.
#[derive(Debug, Default)]
pub struct Redis {
    servers: Mutex<HashMap<ObjectKey, Server>>,
}

#[derive(Debug)]
struct Server {
    uid: Box<str>,
    /// Where the pods tell.
    port: u16,
    answers: Option<bool>,
}

impl Redis {
    /// There is such a server, whose pods tell at this port.
    pub fn observe(&self, key: &ObjectKey, uid: &str, port: u16) {
        let mut servers = self.servers.lock();
        match servers.get_mut(key) {
            Some(server) if *server.uid == *uid => server.port = port,
            _ => {
                servers.insert(key.clone(), Server { uid: uid.into(), port, answers: None });
            }
        }
    }

    /// There is no such server any more, or it uses none.
    pub fn forget(&self, key: &ObjectKey) {
        self.servers.lock().remove(key);
    }

    /// Whether it answers all pods of a server, where they have said so since this replica leads.
    #[must_use]
    pub fn answers(&self, key: &ObjectKey, uid: &str) -> Option<bool> {
        self.servers.lock().get(key).filter(|server| *server.uid == *uid)?.answers
    }

    fn all(&self) -> Vec<(ObjectKey, Box<str>, u16)> {
        let servers = self.servers.lock();
        servers.iter().map(|(key, server)| (key.clone(), server.uid.clone(), server.port)).collect()
    }

    /// Whether that is another answer than before.
    pub(crate) fn told(&self, key: &ObjectKey, uid: &str, answers: bool) -> bool {
        let mut servers = self.servers.lock();
        let Some(server) = servers.get_mut(key).filter(|server| *server.uid == *uid) else { return false };
        server.answers.replace(answers) != Some(answers)
    }
}
