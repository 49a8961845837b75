//! Watches over the audit itself: one that stands still says so on the row of the cluster, from another task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::AICompliance;
use crate::api::common::MANAGER;
use crate::controllers::conditions::{FRESH, Said, seconds};
use crate::telemetry::metrics::Metrics;

/// An audit that did nothing for so long stands still: the longest wait of a healthy one is for signatures.
const STILL: Duration = Duration::from_mins(2);
/// Between two tries to say so.
const AGAIN: Duration = Duration::from_secs(30);

/// The signs of life of the audit.
#[derive(Debug)]
pub(super) struct Pulse {
    beats: watch::Sender<Instant>,
    told: AtomicBool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { beats: watch::Sender::new(Instant::now()), told: AtomicBool::new(false) }
    }
}

impl Pulse {
    /// The audit does something.
    pub(super) fn beat(&self) {
        self.beats.send_replace(Instant::now());
    }

    /// Whether it was said, since this was asked last, that the audit stands still.
    pub(super) fn was_still(&self) -> bool {
        self.told.swap(false, Ordering::Relaxed)
    }
}

/// Looks after `pulse` until what is returned is dropped.
pub(super) fn watch(pulse: Arc<Pulse>, client: Client, metrics: Arc<Metrics>) -> JoinSet<()> {
    // A task of its own: whatever holds the audit up does not hold this up.
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let last = *pulse.beats.borrow();
            let left = STILL.saturating_sub(last.elapsed());
            if !left.is_zero() {
                tokio::time::sleep(left).await;
                continue;
            }
            metrics.reconcile_failed("Still");
            let since = seconds(Timestamp::now() - last.elapsed());
            tracing::error!(%since, "the audit stands still");
            pulse.told.store(true, Ordering::Relaxed);
            if let Err(error) = tell(&client, since).await {
                tracing::warn!(%error, "that the audit stands still could not be written");
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
    task
}

/// Says on the row of the cluster that nothing was audited since `since`.
async fn tell(client: &Client, since: Timestamp) -> Result<(), kube::Error> {
    let message = format!("the audit stands still since {since}: the states below are from before");
    let fresh = Said::new(FRESH, false, "Still", message).condition(&[], None, since);
    let rows: Api<AICompliance> = Api::all(client.clone());
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"status": {"conditions": [fresh]}}));
    rows.patch_status("cluster", &parameters, &patch).await.map(drop)
}
