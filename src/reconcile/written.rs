//! Statuses that were written and that the watch does not show yet.
//!
//! A child's change can start a pass before the watch has brought back the status that the last pass wrote. Judged by what
//! the watch shows, that pass would write the same status once more. So each status that was written stands in for the
//! stored one for as long as the watch shows the very object that it was decided from.

use std::collections::HashMap;
use std::sync::Arc;

use mcp_crds::catalog::ObjectKey;
use parking_lot::Mutex;
use serde_json::Value;

/// The statuses, by object. An object is in it between a write and the pass that the write's own watch event starts, so
/// there are never many.
#[derive(Debug, Default)]
pub struct Written(Mutex<HashMap<ObjectKey, Write>>);

#[derive(Debug)]
struct Write {
    /// What the watch showed when the status was decided.
    document: Arc<str>,
    latest: Latest,
}

/// What an object has become by the write of its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Latest {
    pub(super) status: Value,
    /// Its `resourceVersion`.
    pub(super) version: Option<String>,
}

impl Written {
    /// Remembers a status that was decided from this document.
    pub(super) fn put(&self, key: &ObjectKey, document: &Arc<str>, latest: Latest) {
        self.0.lock().insert(key.clone(), Write { document: Arc::clone(document), latest });
    }

    /// What was written, where the watch still shows this document; forgets what the watch has passed.
    pub(super) fn latest(&self, key: &ObjectKey, document: &Arc<str>) -> Option<Latest> {
        let mut writes = self.0.lock();
        match writes.get(key) {
            // Every event of the watch makes a document of its own, also where it says the same.
            Some(write) if Arc::ptr_eq(&write.document, document) => Some(write.latest.clone()),
            Some(_) => {
                writes.remove(key);
                None
            }
            None => None,
        }
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use mcp_crds::kind::Kind;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_stands_in_until_the_watch_shows_something_else() {
        let (written, key) = (Written::default(), ObjectKey::new(Kind::Tool, "default", "search"));
        let [before, after]: [Arc<str>; 2] = ["{}".into(), "{}".into()];
        assert_eq!(written.latest(&key, &before), None);
        let latest = Latest { status: json!({ "phase": "Running" }), version: Some("2".to_owned()) };
        written.put(&key, &before, latest.clone());
        assert_eq!(written.latest(&key, &before).as_ref(), Some(&latest));
        assert_eq!(written.latest(&key, &after), None);
        assert_eq!(written.latest(&key, &before), None, "it is forgotten");
        written.put(&key, &after, latest);
        written.forget(&key);
        assert!(written.0.lock().is_empty());
    }
}
