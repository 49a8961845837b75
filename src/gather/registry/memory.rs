//! Answers that are remembered: so many and no more, and each for as long as it is good for.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::stats::Stats;
use super::verification::Verification;

/// An answer, and for how long it is remembered.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub(super) verification: Arc<Verification>,
    pub(super) life: Duration,
}

struct Life;

impl<K> moka::Expiry<K, Remembered> for Life {
    fn expire_after_create(&self, _: &K, value: &Remembered, _: Instant) -> Option<Duration> {
        Some(value.life)
    }

    fn expire_after_update(
        &self,
        _: &K,
        value: &Remembered,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(value.life)
    }
}

/// A memory of `capacity` answers. What has to go because more did not fit is counted.
pub(super) fn answers<K: Hash + Eq + Send + Sync + 'static>(
    capacity: u64,
    stats: &Arc<Stats>,
) -> Cache<K, Remembered> {
    let stats = Arc::clone(stats);
    Cache::builder()
        .max_capacity(capacity)
        .expire_after(Life)
        .eviction_listener(move |_, _, cause| {
            if cause == RemovalCause::Size {
                stats.evicted.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
}
