//! The loop of a controller that keeps one thing as it should be: look and act, then rest until something changes.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::runtime::watcher;

use crate::telemetry::metrics::Metrics;

/// Longest rest after failures in a row, as a power of two of seconds.
const LONGEST: u32 = 5;

/// Somebody who keeps one thing.
pub(super) trait Keeper {
    /// Why a look ended early.
    type Error: std::error::Error + 'static;
    /// What it watches, as metrics label it.
    const WATCHES: &'static str;

    /// Looks, and acts until nothing is left to do; how long to rest then.
    async fn reconcile(&mut self) -> Result<Duration, Self::Error>;

    /// Counts and tells that a look failed.
    fn failed(&self, error: &Self::Error);

    /// Is ready when another controller has news.
    async fn news(&mut self);

    /// A breath between two looks, however much changes.
    fn breath(&mut self) -> Duration {
        Duration::ZERO
    }
}

/// Keeps for ever, and looks again when `changes` or the keeper's own news ask for it.
pub(super) async fn keep<K: Keeper, T>(
    mut keeper: K,
    mut changes: impl Stream<Item = Result<T, watcher::Error>> + Unpin,
    metrics: &Metrics,
) {
    let mut failures = 0_u32;
    loop {
        let rest = match keeper.reconcile().await {
            Ok(rest) => {
                failures = 0;
                rest
            }
            Err(error) => {
                keeper.failed(&error);
                failures = failures.saturating_add(1);
                Duration::from_secs(1 << failures.min(LONGEST))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = keeper.news() => {}
            Some(change) = changes.next() => if let Err(error) = change {
                metrics.watch_failed(K::WATCHES);
                tracing::warn!(resource = K::WATCHES, %error, "a watch failed and starts again");
            }
        }
        tokio::time::sleep(keeper.breath()).await;
    }
}
