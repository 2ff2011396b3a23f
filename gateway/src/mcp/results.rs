//! Results of tools that are used again: in Redis, or here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Outcome;
use super::content::ToolResult;
use crate::policy::cache::Cache;
use crate::redis::{Away, Redis};

/// Results that are larger are not worth sending to Redis and back, in bytes.
const MAX_SHARED: usize = 1 << 20;

/// Results that are used again.
#[derive(Debug)]
pub(crate) struct Results {
    /// Used where there is no Redis, or it does not answer.
    here: Cache<Arc<Outcome>>,
    redis: Option<Arc<Redis>>,
}

impl Results {
    /// None are kept yet, and at most `max_bytes` of them here.
    pub(crate) fn new(max_bytes: usize, redis: Option<Arc<Redis>>) -> Self {
        Self { here: Cache::new(max_bytes), redis }
    }

    pub(super) async fn get(&self, key: &str, now: Instant) -> Option<Arc<Outcome>> {
        if let Some(redis) = &self.redis
            && let Ok(kept) = redis.cached(key).await
        {
            return Outcome::from_kept(kept?).map(Arc::new);
        }
        self.here.get(key, now)
    }

    pub(super) async fn put(
        &self,
        key: String,
        outcome: Arc<Outcome>,
        size: usize,
        ttl: Duration,
        now: Instant,
    ) {
        if let Some(redis) = &self.redis {
            let Some(text) = outcome.to_kept().filter(|_| size <= MAX_SHARED) else { return };
            if redis.cache(&key, text.as_bytes(), ttl).await != Err(Away) {
                return;
            }
        }
        self.here.put(key, outcome, size, ttl, now);
    }

    /// How many bytes of them are here, about.
    pub(crate) fn bytes(&self) -> usize {
        self.here.bytes()
    }
}

/// An outcome, as Redis has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kept {
    /// Made by the backend.
    Raw(String),
    /// Made here, of a backend's answer.
    Mapped { content: String, structured: Option<String> },
}

impl Outcome {
    fn to_kept(&self) -> Option<String> {
        let kept = match self {
            Self::Raw(text) => Kept::Raw(std::str::from_utf8(text).ok()?.to_owned()),
            Self::Mapped(result) => {
                let (content, structured) = result.parts();
                Kept::Mapped { content: content.to_owned(), structured: structured.map(str::to_owned) }
            }
            Self::Error(_) => return None,
        };
        serde_json::to_string(&kept).ok()
    }

    fn from_kept(bytes: Vec<u8>) -> Option<Self> {
        Some(match serde_json::from_slice(&bytes).ok()? {
            Kept::Raw(text) => Self::Raw(Bytes::from(text)),
            Kept::Mapped { content, structured } => Self::Mapped(ToolResult::from_parts(content, structured)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let raw = Outcome::Raw(r#"{"content":[],"x":1.0}"#.into());
        let structured = Some(r#"{"a":1e5}"#.to_owned());
        let mapped = Outcome::Mapped(ToolResult::from_parts("[]".into(), structured));
        for outcome in [raw, mapped] {
            let text = outcome.to_kept().expect("it is kept");
            let back = Outcome::from_kept(text.into_bytes()).expect("it is read");
            assert_eq!(format!("{back:?}"), format!("{outcome:?}"));
        }
        assert!(Outcome::from_kept(b"[]".to_vec()).is_none());
    }
}
