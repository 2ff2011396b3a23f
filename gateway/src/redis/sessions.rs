//! Sessions: a small record each, whose lifetime begins anew with each use, and an index by the end of their time, which
//! bounds and counts them. What a session subscribes to is a hash beside it.

use std::sync::LazyLock;
use std::time::Duration;

use ::redis::Script;

use super::events::What;
use super::{Away, Redis};

/// Keys: session, index. Arguments: id, record, lifetime in milliseconds, how many there may be. Says whether there was room.
static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
        if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
        redis.call('PEXPIRE', KEYS[2], ARGV[3])
        return 1
        ",
    )
});

/// Keys: session, index, subscriptions. Arguments: id, lifetime. Gives the record.
static USE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local record = redis.call('GETEX', KEYS[1], 'PX', ARGV[2])
        if not record then return false end
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
        redis.call('PEXPIRE', KEYS[2], ARGV[2])
        redis.call('PEXPIRE', KEYS[3], ARGV[2])
        return record
        ",
    )
});

/// Keys: session, index, subscriptions. Arguments: id, channel, event. Says whether there was one.
static END: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local ended = redis.call('DEL', KEYS[1])
        redis.call('DEL', KEYS[3])
        redis.call('ZREM', KEYS[2], ARGV[1])
        if ended == 1 then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
        return ended
        ",
    )
});

/// Keys: subscriptions. Arguments: URI, what it is known by, how many there may be, lifetime. Says whether there was room.
static SUBSCRIBE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
            return 0
        end
        redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
        return 1
        ",
    )
});

/// How many sessions there are, and how long ago they were last used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: usize,
    /// At the 50th and the 99th percentile, and the most.
    pub(crate) idle: [Option<Duration>; 3],
}

impl Redis {
    fn session(&self, id: &str) -> String {
        self.key("session", id)
    }

    fn subscriptions_of(&self, id: &str) -> String {
        self.key("subscriptions", id)
    }

    fn index(&self) -> String {
        format!("{}sessions", self.prefix)
    }

    /// Keeps a session that begins. `false` where there are `max` already.
    pub(crate) async fn begin_session(
        &self,
        id: &str,
        record: &str,
        lifetime: Duration,
        max: usize,
    ) -> Result<bool, Away> {
        let mut begin = BEGIN.prepare_invoke();
        begin
            .key(self.session(id))
            .key(self.index())
            .arg(id)
            .arg(record)
            .arg(milliseconds(lifetime))
            .arg(max);
        self.script(&begin).await
    }

    /// The record of a session, whose lifetime begins anew; `None` where there is none.
    pub(crate) async fn use_session(&self, id: &str, lifetime: Duration) -> Result<Option<String>, Away> {
        let mut used = USE.prepare_invoke();
        used.key(self.session(id)).key(self.index()).key(self.subscriptions_of(id));
        used.arg(id).arg(milliseconds(lifetime));
        self.script(&used).await
    }

    /// Writes the record of a session that there is.
    pub(crate) async fn write_session(&self, id: &str, record: &str) -> Result<(), Away> {
        let mut set = ::redis::cmd("SET");
        set.arg(self.session(id)).arg(record).arg("XX").arg("KEEPTTL");
        self.command(&set).await
    }

    /// Ends a session, for every pod. `false` where there is none.
    pub(crate) async fn end_session(&self, id: &str) -> Result<bool, Away> {
        let mut end = END.prepare_invoke();
        end.key(self.session(id)).key(self.index()).key(self.subscriptions_of(id));
        end.arg(id).arg(self.channel()).arg(self.event(id, What::Ended));
        self.script(&end).await
    }

    /// Has a session subscribe to a URI. `false` where it does to `max` already.
    pub(crate) async fn subscribe(
        &self,
        id: &str,
        uri: &str,
        known_by: &str,
        max: usize,
        lifetime: Duration,
    ) -> Result<bool, Away> {
        let mut subscribe = SUBSCRIBE.prepare_invoke();
        subscribe.key(self.subscriptions_of(id)).arg(uri).arg(known_by).arg(max).arg(milliseconds(lifetime));
        self.script(&subscribe).await
    }

    /// Has a session no longer subscribe to a URI.
    pub(crate) async fn unsubscribe(&self, id: &str, uri: &str) -> Result<(), Away> {
        self.command(::redis::cmd("HDEL").arg(self.subscriptions_of(id)).arg(uri)).await
    }

    /// What a session subscribes to, and what each was known by when the client was last told.
    pub(crate) async fn subscriptions(&self, id: &str) -> Result<Vec<(String, String)>, Away> {
        self.command(::redis::cmd("HGETALL").arg(self.subscriptions_of(id))).await
    }

    /// How many sessions there are, and how idle.
    pub(crate) async fn count_sessions(&self, lifetime: Duration) -> Result<Counted, Away> {
        let index = self.index();
        let (now, micros): (u64, u64) = self.command(&::redis::cmd("TIME")).await?;
        let now = Duration::from_secs(now) + Duration::from_micros(micros);
        let mut counting = ::redis::cmd("ZCOUNT");
        counting.arg(&index).arg(milliseconds(now)).arg("+inf");
        let count: usize = self.command(&counting).await?;
        let mut idle = [None; 3];
        for (place, percent) in idle.iter_mut().zip([50, 99, 100]) {
            // The longer unused, the sooner over.
            let rank = count.saturating_sub(1) * (100 - percent) / 100;
            let mut range = ::redis::cmd("ZRANGE");
            range.arg(&index).arg(milliseconds(now)).arg("+inf").arg("BYSCORE");
            range.arg("LIMIT").arg(rank).arg(1).arg("WITHSCORES");
            let found: Vec<(String, f64)> = self.command(&range).await?;
            let until = found.first().and_then(|(_, until)| Duration::try_from_secs_f64(until / 1000.0).ok());
            *place = until.map(|until| (now + lifetime).saturating_sub(until));
        }
        Ok(Counted { count, idle })
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
