//! What holds of models, datasets and prompts, apart from their verification, which others write. Pure.

use jiff::Timestamp;

use super::record::judged;
use crate::api::common::{AssetStatus, Retention};
use crate::api::model::{ModelSourceKind, Stage};
use crate::api::{AIDataset, AIModel, AIPrompt};
use crate::controllers::conditions::{CURRENT, DECLARED, READY, Said, conditions};
use crate::policy::facts::Namespace;
use crate::policy::{Decision, dates};

/// The conditions of an asset that are written here; others belong to whoever verifies it.
pub const CONDITIONS: [&str; 3] = [READY, DECLARED, CURRENT];
/// Workloads that a status names.
const CONSUMERS: usize = 32;

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
        [ready, declared, current],
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
    status(said, users.map(|(name, _)| name), namespace, dataset.metadata.generation, former, now)
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
    status(said, users.map(|(name, _)| name), namespace, prompt.metadata.generation, former, now)
}

fn status<'a>(
    said: [Said; 3],
    users: impl Iterator<Item = &'a String>,
    namespace: &Namespace,
    generation: Option<i64>,
    former: &AssetStatus,
    now: Timestamp,
) -> AssetStatus {
    AssetStatus {
        observed_generation: generation,
        consumers: users.take(CONSUMERS).map(|name| format!("{}/{name}", namespace.name)).collect(),
        conditions: conditions(said, &former.conditions, generation, now),
        ..AssetStatus::default()
    }
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
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_model_says_what_is_missing_who_uses_it_and_when_it_is_due() {
        let object: AIModel = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIModel", "metadata": {"name": "m", "namespace": "a"},
            "spec": {"digest": format!("sha256:{}", "0".repeat(64)), "version": "1", "reviewEvery": "P90D",
                     "lastReviewedAt": "2026-01-01"}}))
        .unwrap();
        let workload = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": "chat"},
            "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "inference", "models": [{"name": "m"}],
                     "owners": {"accountable": {"user": "j"}}}}))
        .unwrap();
        let mut namespace = Namespace { name: "a".to_owned(), ..Namespace::default() };
        namespace.workloads.insert("chat".to_owned(), std::sync::Arc::new(workload));
        let status = model(
            &object,
            &namespace,
            &Decision::default(),
            &AssetStatus::default(),
            "2026-06-01T00:00:00Z".parse().unwrap(),
        );
        let said: Vec<_> = status
            .conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.status.as_str(), c.message.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                ("Ready", "True", "every control that looks at it by itself is kept"),
                ("Declared", "False", "not given: spec.source, spec.stage, spec.owners.owner"),
                ("Current", "False", "reviewed last on 2026-01-01, and due again after P90D"),
            ]
        );
        assert_eq!(status.consumers, ["a/chat"]);
        assert!(status.verification.is_none(), "others write it");
    }
}
