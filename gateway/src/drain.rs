//! How the process ends in good order: first it says that it is not ready and goes on as before, for as long as it takes
//! until nobody sends any more; then it accepts no connection, ends its streams, and finishes what has begun.

use tokio_util::sync::CancellationToken;

/// What everything is handed that has to learn of the end. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    closing: CancellationToken,
}

impl Drain {
    /// The end has begun: the process is not ready any more.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Servers and streams end.
    pub fn close(&self) {
        self.begun.cancel();
        self.closing.cancel();
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits for the end to begin.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits for servers and streams to end.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }
}
