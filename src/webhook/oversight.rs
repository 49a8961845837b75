//! Looks whether the audit still runs: where its row grows old, a replica of the webhook says so on it, because a controller
//! that is gone cannot.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::api::AICompliance;
use crate::api::common::FRESH;
use crate::policy::dates;

/// Between two looks.
const EVERY: Duration = Duration::from_mins(1);
/// A row of this age is stale: a healthy audit writes it each minute.
const STALE: SignedDuration = SignedDuration::from_mins(5);
/// The reason of the condition.
const REASON: &str = "Stale";
/// The name under which the webhook writes.
const MANAGER: &str = "portcullis-webhook";

/// Looks after the row of the cluster until it is dropped.
///
/// Reads one object a minute, and writes only that the row is stale, once. The next audit writes the whole row again.
pub async fn keep(client: Client) {
    let rows: Api<AICompliance> = Api::all(client);
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let row = match rows.get_opt("cluster").await {
            Ok(Some(row)) => row,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(%error, "the row of the cluster cannot be read");
                continue;
            }
        };
        let Some(stale) = stale(&row, Timestamp::now()) else { continue };
        tracing::error!(message = stale.message, "the audit is stale");
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"status": {"conditions": [stale]}}));
        if let Err(error) = rows.patch_status("cluster", &parameters, &patch).await {
            tracing::warn!(%error, "that the audit is stale could not be written");
        }
    }
}

/// What is to be written on a row that is stale and does not say so yet.
fn stale(row: &AICompliance, now: Timestamp) -> Option<Condition> {
    let status = row.status.as_ref()?;
    let last = dates::from(status.last_audit_time.as_deref()?)?;
    let told = |condition: &Condition| condition.type_ == FRESH && condition.status == "False";
    if now.duration_since(last) < STALE || status.conditions.iter().any(told) {
        return None;
    }
    Some(Condition {
        type_: FRESH.to_owned(),
        status: "False".to_owned(),
        reason: REASON.to_owned(),
        message: format!(
            "nothing was audited since {last}: look at the pods of portcullis-controller and their log"
        ),
        observed_generation: None,
        last_transition_time: Time(dates::second(now)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_row_is_called_stale_once() {
        let row = |at: &str, conditions: serde_json::Value| -> AICompliance {
            serde_json::from_value(json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AICompliance",
                "metadata": {"name": "cluster"}, "spec": {"scope": "Cluster"},
                "status": {"lastAuditTime": at, "conditions": conditions}}))
            .unwrap()
        };
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        assert_eq!(stale(&row("2026-01-01T00:08:00Z", json!([])), now), None);
        let told = stale(&row("2026-01-01T00:00:00Z", json!([])), now).unwrap();
        assert_eq!((told.status.as_str(), told.reason.as_str()), ("False", "Stale"));
        assert!(told.message.contains("2026-01-01T00:00:00Z"), "{}", told.message);
        assert_eq!(stale(&row("2026-01-01T00:00:00Z", json!([told])), now), None);
    }
}
