//! Results that any replica may use again.

use std::time::Duration;

use ::redis::Cmd;
use sha2::{Digest as _, Sha256};

use super::sessions::milliseconds;
use super::{Away, Redis};

impl Redis {
    /// A result that is kept under a key of any length.
    pub(crate) async fn cached(&self, key: &str) -> Result<Option<Vec<u8>>, Away> {
        self.command(Cmd::new().arg("GET").arg(self.cache_key(key))).await
    }

    /// Keeps a result for its time.
    pub(crate) async fn cache(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Away> {
        let mut set = Cmd::new();
        set.arg("SET").arg(self.cache_key(key)).arg(value).arg("PX").arg(milliseconds(ttl));
        self.command(&set).await
    }

    fn cache_key(&self, key: &str) -> String {
        let digest = Sha256::digest(key.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.key("result", &hex)
    }
}
