//! The catalog that is served now, and who wants to know when it is another.
//!
//! Nothing is queued for those: they look at what is served now and compare it with what they knew, so a slow one skips
//! what came between.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::{Catalog, List};

/// The catalog that is served now. Clones are one.
#[derive(Debug, Clone)]
pub struct Live {
    current: Arc<ArcSwapOption<Catalog>>,
    changes: Arc<watch::Sender<Changes>>,
}

/// How often each list has changed since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Every swap counts.
    pub swaps: u64,
    /// `tools/list`
    pub tools: u64,
    /// `prompts/list`
    pub prompts: u64,
    /// `resources/list` and `resources/templates/list`
    pub resources: u64,
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// Nothing is served yet.
    #[must_use]
    pub fn new() -> Self {
        Self { current: Arc::default(), changes: Arc::new(watch::Sender::new(Changes::default())) }
    }

    /// What is served now; `None` before the first catalog.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Catalog>> {
        self.current.load_full()
    }

    /// Serves another catalog from here on. Returns the one before it: dropping a large one takes a while, and is the
    /// caller's.
    pub fn swap(&self, catalog: Catalog) -> Option<Arc<Catalog>> {
        let catalog = Arc::new(catalog);
        let before = self.current.swap(Some(Arc::clone(&catalog)));
        self.changes.send_modify(|changes| {
            changes.swaps += 1;
            let Some(before) = &before else { return };
            let differs = |list| catalog.lists.differs(&before.lists, list);
            changes.tools += u64::from(differs(List::Tools));
            changes.prompts += u64::from(differs(List::Prompts));
            changes.resources += u64::from(differs(List::Resources) || differs(List::Templates));
        });
        before
    }

    /// Tells about every swap from here on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }
}
