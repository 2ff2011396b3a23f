//! Token buckets that every replica takes from, counted by Redis' own clock.

use std::sync::LazyLock;
use std::time::Duration;

use ::redis::Script;
use mcp_crds::snapshot::RateLimit;

use super::{Away, Redis};

/// Keys: bucket. Arguments: tokens a second, burst. Gives for how many microseconds there is no token; 0 where one was taken.
///
/// A bucket is its tokens and when they were counted. One that is full again says nothing, and is forgotten.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] + time[2] / 1000000
        local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
        local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
        local tokens = math.min(tonumber(bucket[1] or burst), burst)
        local at = tonumber(bucket[2] or now)
        tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
        local wait = 0
        if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
        redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.17g', now))
        redis.call('PEXPIRE', KEYS[1], math.ceil(math.min((burst - tokens) / rate, 86400) * 1000) + 1)
        return math.ceil(wait * 1000000)
        ",
    )
});

impl Redis {
    /// Takes a token of a tool's bucket. Gives how long until there is one, where there is none.
    pub(crate) async fn take_token(&self, tool: &str, limit: &RateLimit) -> Result<Option<Duration>, Away> {
        let mut take = TAKE.prepare_invoke();
        take.key(self.key("rate", tool)).arg(limit.per_second).arg(limit.burst);
        let wait: u64 = self.script(&take).await?;
        Ok((wait > 0).then(|| Duration::from_micros(wait)))
    }
}
