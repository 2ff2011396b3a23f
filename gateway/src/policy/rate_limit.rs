//! Token buckets, one a tool.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_crds::snapshot::RateLimit;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::Instant;

use crate::redis::{Away, OnFailure, Redis};

/// How many buckets are kept before those that are full, and so say nothing, are dropped.
const MANY: usize = 1024;

/// A call that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Limited {
    /// There is no token before that.
    #[error("the tool's rate limit is reached; try again in {:.1} s", (.0.as_secs_f64() * 10.0).ceil() / 10.0)]
    For(Duration),
    /// Nobody can be asked.
    #[error("the tool's rate limit cannot be counted now; try again later")]
    Away,
}

/// Token buckets, one a tool: in Redis, or here.
#[derive(Debug, Default)]
pub struct RateLimits {
    here: Buckets,
    redis: Option<Arc<Redis>>,
}

impl RateLimits {
    /// Full buckets.
    #[must_use]
    pub fn new(redis: Option<Arc<Redis>>) -> Self {
        Self { here: Buckets::default(), redis }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn take(&self, tool: &str, limit: &RateLimit, now: Instant) -> Result<(), Limited> {
        if let Some(redis) = &self.redis {
            match redis.take_token(tool, limit).await {
                Ok(None) => return Ok(()),
                Ok(Some(wait)) => return Err(Limited::For(wait)),
                Err(Away) if redis.on_failure == OnFailure::Closed => return Err(Limited::Away),
                Err(Away) => {}
            }
        }
        self.here.take(tool, limit, now).map_err(Limited::For)
    }
}

/// The buckets of one pod.
#[derive(Debug, Default)]
struct Buckets {
    buckets: Mutex<HashMap<Box<str>, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
    /// When it is full again.
    full: Instant,
}

impl Buckets {
    /// Takes a token, or says how long until there is one.
    fn take(&self, tool: &str, limit: &RateLimit, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock();
        if buckets.len() > MANY {
            buckets.retain(|_, bucket| now < bucket.full);
        }
        let burst = f64::from(limit.burst);
        let before = buckets.get(tool).copied().unwrap_or(Bucket { tokens: burst, at: now, full: now });
        let since = now.saturating_duration_since(before.at).as_secs_f64();
        let tokens = (before.tokens + since * limit.per_second).min(burst);
        let missing = 1.0 - tokens;
        let left = if missing > 0.0 { tokens } else { tokens - 1.0 };
        let full = now + seconds((burst - left) / limit.per_second);
        let bucket = Bucket { tokens: left, at: now, full };
        match buckets.get_mut(tool) {
            Some(known) => *known = bucket,
            None => {
                buckets.insert(tool.into(), bucket);
            }
        }
        if missing > 0.0 { Err(seconds(missing / limit.per_second)) } else { Ok(()) }
    }
}

/// At most a day: beyond that nobody waits.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(Duration::from_secs(24 * 60 * 60))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let (limits, start) = (Buckets::default(), Instant::now());
        let limit = RateLimit { per_second: 2.0, burst: 3 };
        for _ in 0..3 {
            assert_eq!(limits.take("t", &limit, start), Ok(()));
        }
        assert_eq!(limits.take("t", &limit, start), Err(Duration::from_millis(500)));
        assert_eq!(limits.take("other", &limit, start), Ok(()));
        assert_eq!(limits.take("t", &limit, start + Duration::from_millis(500)), Ok(()));
        assert!(limits.take("t", &limit, start + Duration::from_millis(500)).is_err());
    }

    #[test]
    fn buckets_that_are_full_are_not_kept() {
        let (limits, start) = (Buckets::default(), Instant::now());
        let limit = RateLimit { per_second: 1.0, burst: 1 };
        for n in 0..5_000 {
            let now = start + Duration::from_secs(n);
            assert_eq!(limits.take(&format!("t{n}"), &limit, now), Ok(()));
        }
        assert!(limits.buckets.lock().len() <= MANY + 1);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_came_in(
            waits in prop::collection::vec(0_u64..2_000, 1..200), burst in 1_u32..10, rate in 1_u32..20
        ) {
            let limits = Buckets::default();
            let limit = RateLimit { per_second: f64::from(rate), burst };
            let (start, mut now, mut taken) = (Instant::now(), Instant::now(), 0.0);
            for wait in waits {
                now += Duration::from_millis(wait);
                if limits.take("t", &limit, now).is_ok() {
                    taken += 1.0;
                }
            }
            let most = f64::from(burst) + (now - start).as_secs_f64() * f64::from(rate);
            prop_assert!(taken <= most + 0.001, "{taken} of {most}");
        }
    }
}
