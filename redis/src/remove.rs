//! Removing what a server keeps.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, RedisResult, cmd};

use crate::{Lookup, Prefix};

/// How long it may take to connect, the lookup, TLS and the password included.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an answer may take. Nobody waits but who removes, so a busy Redis may take longer here than a request can.
const ANSWER: Duration = Duration::from_secs(5);

/// How many keys Redis looks at for one answer. It serves nobody else meanwhile; this many take less than a millisecond.
const BATCH: usize = 1000;

/// Removes every key that begins so, and says how many there were.
///
/// Redis has no index of its keys: this looks at all that are in the database, and takes as long as they are many. The caller
/// bounds that. Where the future is dropped some are removed and others are not; to remove what is removed does no harm.
///
/// # Errors
/// Where Redis does not answer, or refuses.
pub async fn remove(client: &Client, lookup: Lookup, prefix: &Prefix) -> RedisResult<u64> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER))
        .set_dns_resolver(lookup);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let pattern = prefix.pattern();
    let (mut cursor, mut removed) = (0_u64, 0_u64);
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(BATCH);
        // Keys are bytes: others' in the database may be anything.
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut connection).await?;
        if !keys.is_empty() {
            removed += cmd("UNLINK").arg(keys).query_async::<u64>(&mut connection).await?;
        }
        if next == 0 {
            return Ok(removed);
        }
        cursor = next;
    }
}
