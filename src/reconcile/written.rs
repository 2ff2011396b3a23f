//! Statuses that were written and that the watch does not show yet.
//!
//! A child's change can start a pass before the watch has brought back the status that the last pass wrote. Judged by what
//! the watch shows, that pass would write the same status once more, and tell of it once more. So each status that was
//! written stands in for the stored one until the watch shows that write or a later one. It may show earlier ones first.

use std::collections::HashMap;
use std::sync::Arc;

use mcp_crds::catalog::ObjectKey;
use parking_lot::Mutex;
use serde::Deserialize;
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

    /// What was written, where this document, which the watch shows, is from before that; forgets what the watch has passed.
    pub(super) fn latest(&self, key: &ObjectKey, document: &Arc<str>) -> Option<Latest> {
        let mut writes = self.0.lock();
        match writes.get(key) {
            // Every event of the watch makes a document of its own, also where it says the same.
            Some(write) if Arc::ptr_eq(&write.document, document) || is_before(document, &write.latest) => {
                Some(write.latest.clone())
            }
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

/// Whether a document is from before a write. Versions of one object can be compared: they are numbers that grow (KEP-5504).
fn is_before(document: &str, latest: &Latest) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata<'a> {
        #[serde(borrow)]
        resource_version: Option<&'a str>,
    }
    #[derive(Deserialize)]
    struct Shown<'a> {
        #[serde(borrow)]
        metadata: Metadata<'a>,
    }
    let number = |version: &str| version.parse::<u128>().ok();
    let shown = serde_json::from_str::<Shown<'_>>(document).ok();
    let shown = shown.and_then(|shown| number(shown.metadata.resource_version?));
    let written = latest.version.as_deref().and_then(number);
    shown.zip(written).is_some_and(|(shown, written)| shown < written)
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

    #[test]
    fn what_the_watch_shows_from_before_is_no_reason_to_forget() {
        let (written, key) = (Written::default(), ObjectKey::new(Kind::Server, "default", "main"));
        let shown = |version: &str| -> Arc<str> {
            json!({ "metadata": { "name": "main", "resourceVersion": version } }).to_string().into()
        };
        let latest = Latest { status: json!({ "phase": "Terminating" }), version: Some("100".to_owned()) };
        written.put(&key, &shown("98"), latest.clone());
        assert_eq!(written.latest(&key, &shown("99")).as_ref(), Some(&latest));
        assert_eq!(written.latest(&key, &shown("100")), None);
        assert_eq!(written.latest(&key, &shown("99")), None, "it is forgotten");
    }
}
