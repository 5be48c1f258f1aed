//! The time that the engines are given.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds. Engines bear that the system's clock is set back.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long to wait from `now` until `deadline`; a minute at most, so that a clock that was set is noticed.
pub(crate) fn wait_until(deadline: Option<u64>, now: u64) -> Duration {
    let wait = deadline.map_or(u64::MAX, |deadline| deadline.saturating_sub(now));
    Duration::from_millis(wait.min(60_000))
}
