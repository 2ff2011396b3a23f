//! Whether the server can do its work.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::kubernetes::Kubernetes;

/// The first pause between two questions to the API server, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What keeps the server from being ready. All clones are one.
///
/// It is ready once the API server has answered it, so that wrong credentials show. After that it stays ready: an API server
/// that is away is said to be in each answer, and taking every pod out of the Service would help nobody.
#[derive(Clone, Debug)]
pub struct Readiness {
    why_not: Arc<watch::Sender<Option<String>>>,
}

impl Default for Readiness {
    fn default() -> Self {
        let (why_not, _) = watch::channel(Some("the API server has not been asked yet".to_owned()));
        Self { why_not: Arc::new(why_not) }
    }
}

impl Readiness {
    /// Why it is not ready; nothing where it is.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        self.why_not.borrow().clone()
    }

    /// Asks the API server until it answers.
    pub async fn await_kubernetes(&self, kubernetes: &Kubernetes) {
        let (mut pause, longest) = PAUSES;
        while let Err(refusal) = kubernetes.answers().await {
            warn!(error = %refusal, "not ready");
            self.why_not.send_replace(Some(refusal.to_string()));
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
        info!("the API server answers");
        self.why_not.send_replace(None);
    }

    /// It is not ready any more, and will not be again.
    pub fn end(&self) {
        self.why_not.send_replace(Some("ending".to_owned()));
    }
}
