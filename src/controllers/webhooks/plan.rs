//! Decides what a live webhook configuration needs, and reads and builds the parts of one. Pure.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::diff::{Difference, diff, name};
use super::{INSTALLER, MANAGER, OWNER, WebhookError};

/// What has to be done to a live configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// It is as it should be.
    None,
    /// Only the caBundle differs.
    Bundle,
    /// More differs.
    Whole(Vec<Difference>),
}

/// Decides what has to be done to `live`; without a `bundle` the live caBundle is left alone. Pure.
#[must_use]
pub fn plan(desired: &[Value], bundle: Option<&[u8]>, live: &[Value]) -> Repair {
    let differences = diff(desired, live);
    if !differences.is_empty() {
        return Repair::Whole(differences);
    }
    let Some(bundle) = bundle else { return Repair::None };
    let stale = live.iter().any(|webhook| ca_bundle(webhook).as_deref() != Some(bundle));
    if stale { Repair::Bundle } else { Repair::None }
}

/// Reads the desired list as the chart renders it.
///
/// # Errors
/// When it is no list of objects with names, or empty: an empty list would take the whole gate away.
pub fn desired(yaml: &str) -> Result<Vec<Value>, WebhookError> {
    let webhooks: Vec<Value> = serde_saphyr::from_str(yaml).map_err(WebhookError::Parse)?;
    if webhooks.is_empty() || webhooks.iter().any(|webhook| name(webhook).is_empty()) {
        return Err(WebhookError::Empty);
    }
    Ok(webhooks)
}

/// How long to wait before the next look after so many repairs within a minute.
pub(super) fn patience(recent: usize) -> Duration {
    match recent {
        0..5 => Duration::ZERO,
        5..9 => Duration::from_secs(1 << (recent - 5)),
        _ => Duration::from_secs(15),
    }
}

pub(super) fn entries(object: &DynamicObject) -> Vec<Value> {
    object.data["webhooks"].as_array().cloned().unwrap_or_default()
}

pub(super) fn ca_bundle(webhook: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(webhook["clientConfig"]["caBundle"].as_str()?).ok()
}

/// The desired entries with the bundle; where that is not known yet, with what is live, because what an applier once
/// owned and then leaves out is taken away.
pub(super) fn with_bundle(desired: &[Value], bundle: Option<&[u8]>, live: &[Value]) -> Vec<Value> {
    let mut wanted = desired.to_vec();
    for webhook in &mut wanted {
        let bundle = bundle.map(|bundle| json!(STANDARD.encode(bundle))).or_else(|| {
            let live = live.iter().find(|live| name(live) == name(webhook))?;
            live["clientConfig"].get("caBundle").cloned()
        });
        if let Some(bundle) = bundle {
            webhook["clientConfig"]["caBundle"] = bundle;
        }
    }
    wanted
}

/// The entries with nothing but their caBundle: all that we own in quiet times.
pub(super) fn bundles(wanted: &[Value]) -> Vec<Value> {
    let one = |webhook: &Value| match &webhook["clientConfig"]["caBundle"] {
        Value::Null => json!({"name": webhook["name"]}),
        bundle => json!({"name": webhook["name"], "clientConfig": {"caBundle": bundle}}),
    };
    wanted.iter().map(one).collect()
}

/// Whether our last apply owned more than the caBundle: then leaving the rest out would take it away.
pub(super) fn owns_all(live: &DynamicObject) -> bool {
    appliers(live).any(|manager| manager == MANAGER)
}

/// In whose name a repair of everything is written: whoever installed the configuration by server-side apply.
pub(super) fn installer(live: &DynamicObject) -> String {
    let mut others = appliers(live).filter(|manager| *manager != MANAGER);
    let first = others.next().unwrap_or(INSTALLER);
    if others.any(|manager| manager == INSTALLER) { INSTALLER.to_owned() } else { first.to_owned() }
}

/// The managers that own rules by server-side apply.
fn appliers(live: &DynamicObject) -> impl Iterator<Item = &str> {
    let owns = |fields: &Value| {
        fields["f:webhooks"]
            .as_object()
            .is_some_and(|all| all.values().any(|one| one.get("f:rules").is_some()))
    };
    live.managed_fields()
        .iter()
        .filter(|entry| entry.operation.as_deref() == Some("Apply"))
        .filter(move |entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)))
        .filter_map(|entry| entry.manager.as_deref())
}

/// The owner reference that we gave a recreated configuration.
pub(super) fn our_owner(live: &DynamicObject) -> Option<Value> {
    let owner =
        live.owner_references().iter().find(|owner| owner.kind == "ClusterRole" && owner.name == OWNER)?;
    serde_json::to_value(owner).ok()
}

/// Who wrote last, if it was not us.
pub(super) fn last_writer(live: &DynamicObject) -> Option<String> {
    let entries = live.managed_fields().iter().filter(|entry| entry.manager.as_deref() != Some(MANAGER));
    let last = entries.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    let (manager, operation) = (last.manager.as_deref()?, last.operation.as_deref()?);
    let at = last.time.as_ref().map(|time| format!(" at {}", time.0)).unwrap_or_default();
    Some(format!("{manager:?} ({operation}){at}"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
