//! Records of what became of assets: which of them has to stay, and which are lost.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::dates;
use super::evidence::words;
use super::facts::{Facts, Namespace};
use crate::api::compliance::{FurtherRecord, Tombstone};
use crate::api::evidence::EvidenceResult;
use crate::api::workload::LifecycleState;
use crate::api::{AIEvidence, AIWorkload};

/// The types of such records.
pub const TYPES: [&str; 2] = ["DisposalRecord", "TransferRecord"];

/// The records about an asset in a namespace.
fn about<'n>(
    namespace: &'n Namespace,
    kind: &'n str,
    name: &'n str,
) -> impl Iterator<Item = (&'n String, &'n AIEvidence)> {
    namespace.evidence.iter().map(|(name, evidence)| (name, evidence.as_ref())).filter(
        move |(_, evidence)| {
            let subject = &evidence.spec.subject;
            TYPES.contains(&evidence.spec.type_.as_str()) && subject.kind == kind && subject.name == name
        },
    )
}

/// Whether a record can count: it has a document, and did not fail.
fn counts(record: &AIEvidence) -> bool {
    let spec = &record.spec;
    spec.ref_.is_some() && spec.digest.is_some() && spec.result != Some(EvidenceResult::Fail)
}

/// How many copies a record names.
fn copies(record: &AIEvidence) -> i32 {
    i32::try_from(words(record, "copies").len()).unwrap_or(i32::MAX)
}

/// Records that a tombstone names beside the first.
const FURTHER: usize = 7;

/// The records that tell what became of a digest, each of which says what no other one does; the one of most copies first.
fn telling<'n>(
    namespace: &'n Namespace,
    kind: &'n str,
    name: &'n str,
    digest: Option<&str>,
) -> Vec<(&'n String, &'n AIEvidence)> {
    let of_it = |(_, record): &(&String, &AIEvidence)| {
        digest.is_some() && record.spec.subject.digest.as_deref() == digest && counts(record)
    };
    let mut all: Vec<_> = about(namespace, kind, name).filter(of_it).collect();
    // Of two that say the same the newer one stays.
    all.sort_by_key(|(_, record)| std::cmp::Reverse((copies(record), dates::from(&record.spec.issued_at))));
    let mut kept: Vec<(&String, &AIEvidence)> = Vec::new();
    for (name, record) in all {
        if !kept.iter().any(|(_, other)| says_all(other, record)) {
            kept.push((name, record));
        }
    }
    kept
}

/// What is left of an asset that goes at `at`: when it went, and the records of what became of it.
#[must_use]
pub fn tombstone(
    namespace: &Namespace,
    kind: &str,
    name: &str,
    digest: Option<String>,
    at: Timestamp,
) -> Tombstone {
    let mut records = telling(namespace, kind, name, digest.as_deref());
    if records.is_empty() {
        records.extend(about(namespace, kind, name).next());
    }
    let mut records = records.into_iter();
    let record = records.next();
    let shown = record.map(|(_, evidence)| &evidence.spec);
    let further = records.take(FURTHER).map(|(name, evidence)| FurtherRecord {
        record: name.clone(),
        record_digest: evidence.spec.digest.clone(),
        copies: Some(copies(evidence)),
    });
    Tombstone {
        open: None,
        record: record.map(|(name, _)| name.clone()),
        record_digest: shown.and_then(|spec| spec.digest.clone()),
        recorded_at: shown.map(|spec| spec.issued_at.clone()),
        recorded_by: shown.and_then(|spec| spec.attested_by.clone()),
        copies: record.map(|(_, evidence)| copies(evidence)),
        further: further.collect(),
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
    /// What it is about is gone in that state: what stands under the name has another digest than this.
    Changed(String),
    /// This workload is said to be disposed of by it.
    Disposed(String),
}

/// Whether a workload names an asset.
type Names = fn(&AIWorkload, &str) -> bool;

/// Whether `record` has to stay.
///
/// In: facts and a proof of any type. Out: no for one of another type, about an asset that still stands and that no workload
/// which is Disposed names, or where another record says all that it says. An asset of that name with another digest is
/// another asset.
#[must_use]
pub fn needed(facts: &Facts<'_>, record: &AIEvidence) -> Needed {
    let subject = &record.spec.subject;
    if !TYPES.contains(&record.spec.type_.as_str()) || replaced(facts.namespace, record) {
        return Needed::No;
    }
    let name = subject.name.as_str();
    let disposed = |workload: &AIWorkload| workload.state() == LifecycleState::Disposed;
    let Some(home) = facts.namespace_named(subject.namespace.as_deref()) else { return Needed::Gone };
    // The digest of what stands under the name, where something does.
    let (stands, names): (Option<Option<&str>>, Names) = match subject.kind.as_str() {
        "AIModel" => (home.models.get(name).map(|model| model.spec.digest.as_deref()), |w, name| {
            w.spec.models.iter().any(|m| m.name == name)
        }),
        "AIDataset" => (home.datasets.get(name).map(|dataset| dataset.spec.digest.as_deref()), |w, name| {
            w.spec.datasets.iter().any(|d| d.name == name)
        }),
        "AIPrompt" => (home.prompts.get(name).map(|prompt| prompt.spec.digest.as_deref()), |w, name| {
            w.spec.prompts.iter().any(|p| p.name == name)
        }),
        "AIWorkload" => {
            (home.workloads.get(name).map(|_| None), |w, name| w.metadata.name.as_deref() == Some(name))
        }
        _ => return Needed::No,
    };
    let by = home.workloads.values().find(|workload| disposed(workload) && names(workload, name));
    if let Some(workload) = by {
        return Needed::Disposed(workload.metadata.name.clone().unwrap_or_default());
    }
    match (stands, subject.digest.as_deref()) {
        (None, _) => Needed::Gone,
        (Some(Some(present)), Some(recorded)) if present != recorded => {
            Needed::Changed(recorded.chars().take(19).collect())
        }
        (Some(_), _) => Needed::No,
    }
}

/// Whether `other` names every copy that `record` names.
fn says_all(other: &AIEvidence, record: &AIEvidence) -> bool {
    let said = words(other, "copies");
    words(record, "copies").iter().all(|copy| said.contains(copy))
}

/// Whether another record of the namespace says of the same state all that this one says.
fn replaced(namespace: &Namespace, record: &AIEvidence) -> bool {
    namespace.evidence.iter().any(|(name, other)| {
        record.metadata.name.as_ref() != Some(name)
            && TYPES.contains(&other.spec.type_.as_str())
            && other.spec.subject == record.spec.subject
            && counts(other)
            && says_all(other, record)
    })
}

/// Lost records that are told of.
const LOST: usize = 32;

/// Assets of whose records one is gone or is another one now, though the tombstone names it, and what is still known of it.
///
/// A record that the tombstone names takes the place of no other one: each said what the others did not.
#[must_use]
pub fn lost(stones: &[Tombstone], namespace: &Namespace) -> Vec<(String, String)> {
    stones.iter().rev().filter_map(|stone| lost_of(stone, namespace)).take(LOST).collect()
}

fn lost_of(stone: &Tombstone, namespace: &Namespace) -> Option<(String, String)> {
    let first = stone.record.iter().map(|record| FurtherRecord {
        record: record.clone(),
        record_digest: stone.record_digest.clone(),
        copies: stone.copies,
    });
    let named: Vec<FurtherRecord> = first.chain(stone.further.iter().cloned()).collect();
    let there = |one: &FurtherRecord| {
        namespace.evidence.get(&one.record).is_some_and(|evidence| {
            evidence.spec.subject.kind == stone.kind
                && evidence.spec.subject.name == stone.name
                && (one.record_digest.is_none() || evidence.spec.digest == one.record_digest)
        })
    };
    let lost = named.iter().find(|one| !there(one))?;
    let (record, digest) = (&lost.record, &lost.record_digest);
    let instead = about(namespace, &stone.kind, &stone.name).any(|(name, other)| {
        named.iter().all(|one| one.record != *name)
            && other.spec.subject.digest == stone.digest
            && other.spec.result != Some(EvidenceResult::Fail)
            && lost.copies.is_none_or(|named| copies(other) >= named)
    });
    if instead {
        return None;
    }
    let day = stone.disposed_at.as_deref().and_then(|at| at.get(..10)).unwrap_or("a day that nobody knows");
    let mut what = format!("went on {day}, and its record AIEvidence {record:?} is there no more");
    if let Some(digest) = digest {
        let _ = write!(what, "; it was of document {digest}");
        if stone.record.as_ref() == Some(record) {
            let at = stone.recorded_at.as_deref().unwrap_or("an unknown day");
            let by = stone.recorded_by.as_deref().unwrap_or("nobody");
            let _ = write!(what, " of {at}, attested by {by}");
        }
    }
    Some((format!("{} {}/{}", stone.kind, namespace.name, stone.name), what))
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
    #[test]
    fn the_tombstone_names_every_record_that_says_something_of_its_own() {
        let record = |document: &str, copies: &[&str]| {
            json!({"type": "DisposalRecord", "subject": {"kind": "AIModel", "name": "old", "digest": DIGEST},
                   "ref": "https://x.example/1", "digest": document, "issuedAt": "2026-05-30", "facts": {"copies": copies}})
        };
        let without = |gone: &[&str]| {
            let records = [
                ("abad", record("sha256:1", &["elsewhere"])),
                ("less", record("sha256:2", &["c"])),
                ("zgood", record("sha256:3", &["c", "s3://offline"])),
            ];
            records
                .iter()
                .filter(|(name, _)| !gone.contains(name))
                .fold(Bench::new("production", "internal"), |bench, (name, spec)| bench.evidence(name, spec))
        };
        let at = "2026-06-01T10:00:00Z".parse().unwrap();
        let stone = tombstone(&without(&[]).namespace, "AIModel", "old", Some(DIGEST.to_owned()), at);
        assert_eq!(stone.record.as_deref(), Some("zgood"));
        let further: Vec<&str> = stone.further.iter().map(|more| more.record.as_str()).collect();
        assert_eq!(further, ["abad"], "what another one says too is not needed");
        let stones = [stone];
        assert!(lost(&stones, &without(&["less"]).namespace).is_empty());
        // The other ones that stand say something else, or less.
        let found = lost(&stones, &without(&["zgood"]).namespace);
        let wanted = "went on 2026-06-01, and its record AIEvidence \"zgood\" is there no more; it was of document sha256:3 \
                      of 2026-05-30, attested by nobody";
        assert_eq!(found, [("AIModel chat-prod/old".to_owned(), wanted.to_owned())]);
        let found = lost(&stones, &without(&["abad", "less"]).namespace);
        assert!(found[0].1.ends_with("it was of document sha256:1"), "{found:?}");
        let again = without(&["zgood"]).evidence("again", &record("sha256:4", &["c", "s3://offline"]));
        assert!(lost(&stones, &again.namespace).is_empty(), "another record took its place");
    }
}
