//! Waits: for a condition, with a bound, and with what was last seen where the bound is passed.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that should take a moment. Long, because two busy cores are slow.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// How many looks there are at least. A connection to a Service that was made a moment too early is lost for as long as it is
/// tried: the kernel has decided by its first packet that it is for nobody, and only another one fares better.
const LOOKS: u32 = 4;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(50);

/// Waits at most [`BOUND`] until `look` finds what it looks for; its error says what it found instead.
///
/// # Panics
/// Where it does not.
pub(crate) async fn until<T>(what: impl Display, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    within(BOUND, what, look).await
}

/// Waits at most `bound` until `look` finds what it looks for, within a quarter of that; its error says what it found instead.
///
/// # Panics
/// Where it does not.
pub(crate) async fn within<T>(
    bound: Duration,
    what: impl Display,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let end = Instant::now() + bound;
    let mut seen = "nothing was seen at all".to_owned();
    while Instant::now() < end {
        match timeout((bound / LOOKS).min(end - Instant::now()), look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(other)) => seen = other,
            Err(_) => seen = format!("no end of a look; before that: {seen}"),
        }
        sleep(PERIOD).await;
    }
    panic!("{what}: not within {bound:?}; last seen: {seen}");
}
