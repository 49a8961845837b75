//! What holds of models, datasets and prompts, apart from their verification, which others write. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::events::Event;

use super::record::judged;
use super::{expiry, warning};
use crate::api::common::{AssetStatus, Retention, Verification, VerificationState};
use crate::api::dataset::DatasetSourceKind;
use crate::api::model::{ModelSourceKind, Stage};
use crate::api::{AIDataset, AIModel, AIPrompt};
use crate::controllers::conditions::{
    BYTES_VERIFIED, CURRENT, DECLARED, Holds, READY, SIGNATURE_VERIFIED, Said, UNUSUAL_CHANGE, conditions,
};
use crate::policy::facts::{Cluster, Namespace};
use crate::policy::verified::{of_dataset, of_model};
use crate::policy::{Decision, dates};

/// The conditions of an asset that are written here.
pub const CONDITIONS: [&str; 6] =
    [READY, DECLARED, CURRENT, SIGNATURE_VERIFIED, BYTES_VERIFIED, UNUSUAL_CHANGE];
/// Workloads that a status names.
pub(super) const CONSUMERS: usize = 32;

/// When an asset has to be looked at again, and when it ends.
struct Dates<'a> {
    retention: Option<&'a Retention>,
    review_every: Option<&'a str>,
    last_reviewed_at: Option<&'a str>,
}

/// The dates of any kind of asset: their specifications share the fields and no type.
macro_rules! dates {
    ($spec:expr) => {
        Dates {
            retention: $spec.retention.as_ref(),
            review_every: $spec.review_every.as_deref(),
            last_reviewed_at: $spec.last_reviewed_at.as_deref(),
        }
    };
}

/// The status of a model.
#[must_use]
pub fn model(
    model: &AIModel,
    namespace: &Namespace,
    cluster: &Cluster,
    decision: &Decision,
    former: &AssetStatus,
    now: Timestamp,
) -> AssetStatus {
    let spec = &model.spec;
    let outside = spec.source.as_ref().is_some_and(|source| source.kind == ModelSourceKind::Api);
    let declared = declared(&[
        ("spec.source", spec.source.is_some()),
        ("spec.digest", spec.digest.is_some() || outside),
        ("spec.version", spec.version.is_some()),
        ("spec.stage", spec.stage.is_some()),
        ("spec.owners.owner", spec.owners.as_ref().is_some_and(|owners| owners.owner.is_some())),
    ]);
    let ready = if spec.stage == Some(Stage::Retired) {
        Said::new(READY, false, "Retired", "spec.stage \"retired\": it may not run any more")
    } else {
        judged(decision)
    };
    let current = current(&dates!(spec), now);
    let name = model.metadata.name.as_deref();
    let users = namespace
        .workloads
        .iter()
        .filter(|(_, w)| w.spec.models.iter().any(|m| Some(m.name.as_str()) == name));
    status(
        [ready, declared, current].into_iter().chain(verified(model, namespace, cluster)),
        &dates!(spec),
        users.map(|(name, _)| name),
        namespace,
        model.metadata.generation,
        former,
        now,
    )
}

/// The status of a dataset.
#[must_use]
pub fn dataset(
    dataset: &AIDataset,
    namespace: &Namespace,
    cluster: &Cluster,
    decision: &Decision,
    former: &AssetStatus,
    now: Timestamp,
) -> AssetStatus {
    let spec = &dataset.spec;
    let declared = declared(&[
        ("spec.source", spec.source.is_some()),
        ("spec.digest", spec.digest.is_some()),
        ("spec.class", spec.class.is_some()),
        ("spec.sensitivity", spec.sensitivity.is_some()),
    ]);
    let current = current(&dates!(spec), now);
    let name = dataset.metadata.name.as_deref();
    let users = namespace
        .workloads
        .iter()
        .filter(|(_, w)| w.spec.datasets.iter().any(|d| Some(d.name.as_str()) == name));
    let said = [judged(decision), declared, current];
    status(
        said.into_iter().chain(read(dataset, namespace, cluster)),
        &dates!(spec),
        users.map(|(name, _)| name),
        namespace,
        dataset.metadata.generation,
        former,
        now,
    )
}

/// The status of a prompt.
#[must_use]
pub fn prompt(
    prompt: &AIPrompt,
    namespace: &Namespace,
    decision: &Decision,
    former: &AssetStatus,
    now: Timestamp,
) -> AssetStatus {
    let spec = &prompt.spec;
    let declared = declared(&[
        ("spec.source", spec.source.is_some()),
        ("spec.digest", spec.digest.is_some()),
        ("spec.version", spec.version.is_some()),
    ]);
    let current = current(&dates!(spec), now);
    let name = prompt.metadata.name.as_deref();
    let users = namespace
        .workloads
        .iter()
        .filter(|(_, w)| w.spec.prompts.iter().any(|p| Some(p.name.as_str()) == name));
    let said = [judged(decision), declared, current];
    status(
        said,
        &dates!(spec),
        users.map(|(name, _)| name),
        namespace,
        prompt.metadata.generation,
        former,
        now,
    )
}

fn status<'a>(
    said: impl IntoIterator<Item = Said>,
    dates: &Dates<'_>,
    users: impl Iterator<Item = &'a String>,
    namespace: &Namespace,
    generation: Option<i64>,
    former: &AssetStatus,
    now: Timestamp,
) -> AssetStatus {
    AssetStatus {
        observed_generation: generation,
        consumers: users.take(CONSUMERS).map(|name| format!("{}/{name}", namespace.name)).collect(),
        warned_days: warned(dates, former, now),
        conditions: conditions(said, &former.conditions, generation, now),
        ..AssetStatus::default()
    }
}

/// What was verified of a model, as conditions; none of a model that has no bytes here.
fn verified(model: &AIModel, home: &Namespace, cluster: &Cluster) -> Vec<Said> {
    let source = model.spec.source.as_ref().filter(|source| source.kind != ModelSourceKind::Api);
    let Some(source) = source else { return Vec::new() };
    let within_reach =
        source.claim().is_some() || matches!(source.kind, ModelSourceKind::Oci | ModelSourceKind::Image);
    found(of_model(model, Some(home), cluster), within_reach)
}

/// The same of a dataset; none of one that lies on no claim, since nobody reads those.
fn read(dataset: &AIDataset, home: &Namespace, cluster: &Cluster) -> Vec<Said> {
    let spec = &dataset.spec;
    if spec.digest.is_none()
        || spec.source.as_ref().is_none_or(|source| source.kind != DatasetSourceKind::Pvc)
    {
        return Vec::new();
    }
    found(of_dataset(dataset, Some(home), cluster), true)
}

/// What is known of the present digest, as conditions.
fn found(known: Option<&Verification>, within_reach: bool) -> Vec<Said> {
    let unread = if within_reach {
        "nobody has looked yet"
    } else {
        "what is fetched when a pod starts is not here to be read: keep it on a claim or in a registry"
    };
    let say = |kind, state: Option<VerificationState>, holds: String| {
        let why = known.and_then(|known| known.message.clone());
        match state {
            Some(VerificationState::Verified) => Said::new(kind, true, "Verified", holds),
            Some(VerificationState::Failed) => Said::new(kind, false, "Failed", why.unwrap_or_default()),
            Some(VerificationState::NotRequired) => Said::new(
                kind,
                true,
                "BoundByDigest",
                "the digest in the reference binds the bytes, and whoever pulls them compares",
            ),
            Some(VerificationState::Pending) => {
                Said::new(kind, Holds::Unknown, "Pending", why.unwrap_or_else(|| unread.to_owned()))
            }
            Some(VerificationState::Unknown) => {
                Said::new(kind, Holds::Unknown, "Unknown", why.unwrap_or_else(|| unread.to_owned()))
            }
            None if within_reach => Said::new(kind, Holds::Unknown, "Pending", unread),
            None => Said::new(kind, Holds::Unknown, "OutOfReach", unread),
        }
    };
    let by = known.and_then(|known| known.authority.as_deref()).unwrap_or("an authority");
    vec![
        say(SIGNATURE_VERIFIED, known.and_then(|known| known.signature_verified), format!("signed by {by}")),
        say(
            BYTES_VERIFIED,
            known.and_then(|known| known.bytes_verified),
            "every file was read and is as signed".to_owned(),
        ),
    ]
}

/// The next day that somebody has to act by: a review, or the end of retention.
fn next(of: &Dates<'_>) -> Option<(Timestamp, &'static str)> {
    let ends = of.retention.and_then(|retention| dates::until(retention.until.as_deref()?));
    let reviewed = of.last_reviewed_at.and_then(dates::until);
    let due = reviewed.zip(of.review_every.and_then(dates::duration));
    let due = due.and_then(|(last, every)| last.checked_add(every).ok());
    let ends = ends.map(|at| (at, "its retention"));
    let due = due.map(|at| (at, "the time until its next review"));
    [ends, due].into_iter().flatten().min_by_key(|(at, _)| *at)
}

/// The nearest mark on the way to that day. It begins anew once the day is moved.
fn warned(of: &Dates<'_>, former: &AssetStatus, now: Timestamp) -> Option<u8> {
    let mark = next(of).and_then(|(until, _)| expiry::mark(until, now))?;
    Some(former.warned_days.map_or(mark, |warned| warned.min(mark)))
}

fn event(
    what: &str,
    of: &Dates<'_>,
    status: &AssetStatus,
    former: &AssetStatus,
    now: Timestamp,
) -> Option<Event> {
    if !expiry::is_news(status.warned_days, former.warned_days) {
        return None;
    }
    let (until, which) = next(of)?;
    let reason = if status.warned_days == Some(0) { "AssetOverdue" } else { "AssetDue" };
    Some(warning(
        reason,
        format!("{which} of {what} {}: review it, or dispose of it", expiry::left(until, now)),
    ))
}

/// The warning that comes with the status of a model, where it has one.
#[must_use]
pub fn model_event(
    model: &AIModel,
    status: &AssetStatus,
    former: &AssetStatus,
    now: Timestamp,
) -> Option<Event> {
    event(&format!("AIModel {}", model.name_any()), &dates!(model.spec), status, former, now)
}

/// The warning that comes with the status of a dataset, where it has one.
#[must_use]
pub fn dataset_event(
    dataset: &AIDataset,
    status: &AssetStatus,
    former: &AssetStatus,
    now: Timestamp,
) -> Option<Event> {
    event(&format!("AIDataset {}", dataset.name_any()), &dates!(dataset.spec), status, former, now)
}

/// The warning that comes with the status of a prompt, where it has one.
#[must_use]
pub fn prompt_event(
    prompt: &AIPrompt,
    status: &AssetStatus,
    former: &AssetStatus,
    now: Timestamp,
) -> Option<Event> {
    event(&format!("AIPrompt {}", prompt.name_any()), &dates!(prompt.spec), status, former, now)
}

fn declared(fields: &[(&str, bool)]) -> Said {
    let missing: Vec<&str> = fields.iter().filter(|(_, given)| !given).map(|(field, _)| *field).collect();
    if missing.is_empty() {
        return Said::new(DECLARED, true, "Complete", "it says which bytes are meant and where they are");
    }
    Said::new(DECLARED, false, "Incomplete", format!("not given: {}", missing.join(", ")))
}

fn current(of: &Dates<'_>, now: Timestamp) -> Said {
    let end = of.retention.and_then(|retention| retention.until.as_deref());
    if let Some(end) = end.filter(|end| dates::until(end).is_some_and(|until| until < now)) {
        let message =
            format!("spec.retention.until {end:?} is past: no pod may mount it, and its disposal is due");
        return Said::new(CURRENT, false, "RetentionEnded", message);
    }
    let Some((every, length)) = of.review_every.and_then(|every| Some((every, dates::duration(every)?)))
    else {
        return Said::new(CURRENT, true, "NoReviewAsked", "it names no time between two reviews");
    };
    let Some(last) = of.last_reviewed_at else {
        let message =
            format!("spec.reviewEvery {every:?} asks for reviews, and spec.lastReviewedAt is missing");
        return Said::new(CURRENT, false, "NeverReviewed", message);
    };
    let due = dates::until(last).and_then(|last| last.checked_add(length).ok());
    if due.is_none_or(|due| due < now) {
        let message = format!("reviewed last on {last}, and due again after {every}");
        return Said::new(CURRENT, false, "ReviewOverdue", message);
    }
    Said::new(CURRENT, true, "Reviewed", format!("reviewed last on {last}, due again after {every}"))
}

#[cfg(test)]
#[path = "asset_tests.rs"]
mod tests;
