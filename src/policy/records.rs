//! Records of what became of assets: which of them has to stay, and which are lost.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::dates;
use super::evidence::words;
use super::facts::{Facts, Namespace};
use crate::api::AIEvidence;
use crate::api::compliance::Tombstone;
use crate::api::workload::LifecycleState;

/// The types of such records.
pub const TYPES: [&str; 2] = ["DisposalRecord", "TransferRecord"];

/// The record about an asset in a namespace, and its name: one of this digest before one of another.
#[must_use]
pub fn of<'n>(
    namespace: &'n Namespace,
    kind: &str,
    name: &str,
    digest: Option<&str>,
) -> Option<(&'n String, &'n AIEvidence)> {
    let all = || {
        namespace.evidence.iter().map(|(name, evidence)| (name, evidence.as_ref())).filter(|(_, evidence)| {
            let subject = &evidence.spec.subject;
            TYPES.contains(&evidence.spec.type_.as_str()) && subject.kind == kind && subject.name == name
        })
    };
    let same = |(_, evidence): &(&String, &AIEvidence)| {
        digest.is_some() && evidence.spec.subject.digest.as_deref() == digest
    };
    all().find(same).or_else(|| all().next())
}

/// What is left of an asset that goes at `at`: when it went, and the record of what became of it.
#[must_use]
pub fn tombstone(
    namespace: &Namespace,
    kind: &str,
    name: &str,
    digest: Option<String>,
    at: Timestamp,
) -> Tombstone {
    let record = of(namespace, kind, name, digest.as_deref());
    let shown = record.map(|(_, evidence)| &evidence.spec);
    Tombstone {
        open: None,
        record: record.map(|(name, _)| name.clone()),
        record_digest: shown.and_then(|spec| spec.digest.clone()),
        recorded_at: shown.map(|spec| spec.issued_at.clone()),
        recorded_by: shown.and_then(|spec| spec.attested_by.clone()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.name.clone()),
        digest: digest.filter(|digest| digest.len() == 71),
        disposed_at: Some(dates::second(at).to_string()),
    }
}

/// Whether a record has to stay, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// It may go.
    No,
    /// What it is about is gone.
    Gone,
    /// This workload is said to be disposed of by it.
    Disposed(String),
}

/// Whether `record` has to stay.
///
/// In: facts and a proof of any type. Out: no for one of another type, about an asset that still stands and that no workload
/// which is Disposed names, or where another record says all that it says.
#[must_use]
pub fn needed(facts: &Facts<'_>, record: &AIEvidence) -> Needed {
    let subject = &record.spec.subject;
    if !TYPES.contains(&record.spec.type_.as_str()) || replaced(facts.namespace, record) {
        return Needed::No;
    }
    let name = subject.name.as_str();
    let disposed = |workload: &crate::api::AIWorkload| {
        workload.spec.lifecycle.as_ref().is_some_and(|life| life.state == LifecycleState::Disposed)
    };
    let Some(home) = facts.namespace_named(subject.namespace.as_deref()) else { return Needed::Gone };
    let (stands, names): (bool, fn(&crate::api::AIWorkload, &str) -> bool) = match subject.kind.as_str() {
        "AIModel" => (home.models.contains_key(name), |w, name| w.spec.models.iter().any(|m| m.name == name)),
        "AIDataset" => {
            (home.datasets.contains_key(name), |w, name| w.spec.datasets.iter().any(|d| d.name == name))
        }
        "AIPrompt" => {
            (home.prompts.contains_key(name), |w, name| w.spec.prompts.iter().any(|p| p.name == name))
        }
        "AIWorkload" => {
            (home.workloads.contains_key(name), |w, name| w.metadata.name.as_deref() == Some(name))
        }
        _ => return Needed::No,
    };
    let by = home.workloads.values().find(|workload| disposed(workload) && names(workload, name));
    match by {
        Some(workload) => Needed::Disposed(workload.metadata.name.clone().unwrap_or_default()),
        None if stands => Needed::No,
        None => Needed::Gone,
    }
}

/// Whether another record of the namespace says of the same state all that this one says.
fn replaced(namespace: &Namespace, record: &AIEvidence) -> bool {
    let spec = &record.spec;
    let copies = words(record, "copies");
    namespace.evidence.iter().any(|(name, other)| {
        let said = words(other, "copies");
        record.metadata.name.as_ref() != Some(name)
            && TYPES.contains(&other.spec.type_.as_str())
            && other.spec.subject == spec.subject
            && other.spec.ref_.is_some()
            && other.spec.digest.is_some()
            && copies.iter().all(|copy| said.contains(copy))
    })
}

/// Lost records that are told of.
const LOST: usize = 32;

/// Assets whose record is gone or is another one now, though the tombstone names it, and what is still known of it.
#[must_use]
pub fn lost(stones: &[Tombstone], namespace: &Namespace) -> Vec<(String, String)> {
    let all = stones.iter().rev().filter_map(|stone| {
        let named = stone.record.as_deref()?;
        let same = |evidence: &AIEvidence| {
            evidence.spec.subject.kind == stone.kind
                && evidence.spec.subject.name == stone.name
                && (stone.record_digest.is_none() || evidence.spec.digest == stone.record_digest)
        };
        let kept = namespace.evidence.get(named).is_some_and(|evidence| same(evidence));
        let instead = || {
            let other = of(namespace, &stone.kind, &stone.name, stone.digest.as_deref());
            other.is_some_and(|(name, other)| name != named && other.spec.subject.digest == stone.digest)
        };
        if kept || instead() {
            return None;
        }
        let day =
            stone.disposed_at.as_deref().and_then(|at| at.get(..10)).unwrap_or("a day that nobody knows");
        let mut what = format!("went on {day}, and its record AIEvidence {named:?} is there no more");
        if let Some(digest) = &stone.record_digest {
            let at = stone.recorded_at.as_deref().unwrap_or("an unknown day");
            let by = stone.recorded_by.as_deref().unwrap_or("nobody");
            let _ = write!(what, "; it was of document {digest} of {at}, attested by {by}");
        }
        Some((format!("{} {}/{}", stone.kind, namespace.name, stone.name), what))
    });
    all.take(LOST).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::testing::{Bench, DIGEST};

    fn stone() -> Tombstone {
        Tombstone {
            kind: "AIModel".to_owned(),
            name: "old".to_owned(),
            digest: Some(DIGEST.to_owned()),
            disposed_at: Some("2026-06-01T10:00:00Z".to_owned()),
            record: Some("erased".to_owned()),
            record_digest: Some("sha256:9".to_owned()),
            recorded_at: Some("2026-05-30".to_owned()),
            recorded_by: Some("a.smith".to_owned()),
            ..Tombstone::default()
        }
    }

    #[test]
    fn a_record_that_a_tombstone_names_is_missed() {
        let record = |document: &str| {
            json!({"type": "DisposalRecord", "subject": {"kind": "AIModel", "name": "old", "digest": DIGEST},
                   "ref": "https://x.example/1", "digest": document, "issuedAt": "2026-05-30"})
        };
        let erased = Bench::new("production", "internal").evidence("erased", &record("sha256:9"));
        let at = "2026-06-01T10:00:00.5Z".parse().unwrap();
        let kept = tombstone(&erased.namespace, "AIModel", "old", Some(DIGEST.to_owned()), at);
        assert_eq!(
            (kept.record_digest.as_deref(), kept.recorded_at.as_deref()),
            (Some("sha256:9"), Some("2026-05-30"))
        );
        assert_eq!(kept.disposed_at.as_deref(), Some("2026-06-01T10:00:00Z"));
        let bench = Bench::new("production", "internal");
        let found = lost(&[stone()], &bench.namespace);
        let wanted = "went on 2026-06-01, and its record AIEvidence \"erased\" is there no more; it was of document \
                      sha256:9 of 2026-05-30, attested by a.smith";
        assert_eq!(found, [("AIModel chat-prod/old".to_owned(), wanted.to_owned())]);
        let forged = bench.evidence("erased", &record("sha256:8"));
        assert_eq!(lost(&[stone()], &forged.namespace).len(), 1, "another document under the same name");
        let kept = Bench::new("production", "internal").evidence("erased", &record("sha256:9"));
        assert!(lost(&[stone()], &kept.namespace).is_empty());
        let instead = Bench::new("production", "internal").evidence("again", &record("sha256:8"));
        assert!(lost(&[stone()], &instead.namespace).is_empty(), "another record took its place");
        let unnamed = Tombstone { record: None, ..stone() };
        assert!(lost(&[unnamed], &Bench::new("production", "internal").namespace).is_empty());
    }
}
