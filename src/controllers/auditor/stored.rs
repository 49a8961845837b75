//! What an audit remembers of what it has written, so that nothing is written twice.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::marker::PhantomData;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::authors;
use super::faults::{Faults, Of};
use super::texts;
use crate::api::OverallVerdict;
use crate::api::compliance::{AIComplianceStatus, EndedChain, Tombstone, WorkloadChain};
use crate::api::outcome::History;
use crate::api::workload::{AIWorkloadStatus, KnownGood, Lineage};
use crate::controllers::audit::AuditedWorkload;
use crate::controllers::compliance::Summed;
use crate::controllers::compliance::rows::Told;
use crate::controllers::trouble::{Pause, Trouble};
use crate::policy::trail as chains;

/// What is kept of one governed namespace between two looks.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) summed: Summed,
    pub(super) row: Packed<AIComplianceStatus>,
    /// What of the row bears on the one of the cluster.
    pub(super) told: Told,
    /// The ConfigMaps that were looked into.
    pub(super) texts: texts::Read,
    /// What would be left of it if it ended now.
    pub(super) open: Vec<Tombstone>,
    /// UID of the namespace, by which its history is called.
    pub(super) uid: Option<String>,
    /// Workloads whose new pods would be refused as far as the running ones tell.
    pub(super) blocked: BTreeMap<String, AuditedWorkload>,
}

/// Something as it is stored. Between two looks nobody reads it, and there are as many as governed namespaces or workloads,
/// so it is kept in a fraction of the room.
pub(super) struct Packed<T>(Vec<u8>, PhantomData<T>);

impl<T> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self(Vec::new(), PhantomData)
    }
}

impl<T: Default + Serialize + DeserializeOwned> Packed<T> {
    pub(super) fn of(whole: &T) -> Self {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
        let text = serde_json::to_vec(whole).unwrap_or_default();
        let mut bytes = packed.write_all(&text).and_then(|()| packed.finish()).unwrap_or_default();
        bytes.shrink_to_fit();
        Self(bytes, PhantomData)
    }

    /// The whole again.
    pub(super) fn whole(&self) -> T {
        let mut text = Vec::with_capacity(8 * self.0.len());
        let read = DeflateDecoder::new(self.0.as_slice()).read_to_end(&mut text);
        read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
}

/// What is remembered of the status of one workload as it is stored, and whose it is: an object that was made anew has
/// none yet. The whole would be the largest thing in the memory of the controller.
#[derive(Default, PartialEq)]
pub(super) struct Stored {
    pub(super) uid: Option<String>,
    /// Of the whole; none where somebody changed it.
    digest: Option<[u8; 32]>,
    pub(super) verdict: Option<OverallVerdict>,
    pub(super) warned_days: Option<u8>,
    /// How long its history is, and how it ends.
    pub(super) end: Option<(u64, String)>,
    rest: Packed<Rest>,
}

/// What of a status the next one is made from.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Rest {
    /// Without their words: only since when each holds.
    pub(super) conditions: Vec<Condition>,
    pub(super) history: Option<History>,
    pub(super) known_good: Option<KnownGood>,
    pub(super) lineage: Option<Lineage>,
    #[serde(default)]
    pub(super) authors: Vec<String>,
}

impl Stored {
    pub(super) fn of(uid: Option<String>, status: AIWorkloadStatus) -> Self {
        let digest = Some(digest(&status));
        let wordless = |condition: Condition| Condition { message: String::new(), ..condition };
        let conditions = status.conditions.into_iter().map(wordless).collect();
        let AIWorkloadStatus { verdict, warned_days, history, known_good, lineage, authors, .. } = status;
        let end = history.as_ref().map(|history| (history.length, history.head.clone()));
        let rest = Packed::of(&Rest { conditions, history, known_good, lineage, authors });
        Self { uid, digest, verdict, warned_days, end, rest }
    }

    pub(super) fn is(&self, uid: Option<&String>, status: &AIWorkloadStatus) -> bool {
        self.uid.as_ref() == uid && self.digest == Some(digest(status))
    }

    /// Whether it stands as it was written, as far as anybody looked.
    #[cfg(test)]
    pub(super) fn stands(&self) -> bool {
        self.digest.is_some()
    }

    pub(super) fn rest(&self) -> Rest {
        self.rest.whole()
    }
}

fn digest(status: &AIWorkloadStatus) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(status).unwrap_or_default()).into()
}

/// What was written last, so that nothing is written twice.
#[derive(Default)]
pub(super) struct Written {
    pub(super) namespaces: BTreeMap<String, Kept>,
    pub(super) workloads: HashMap<(String, String), Stored>,
    pub(super) cluster: AIComplianceStatus,
    pub(super) cluster_at: Option<Instant>,
    /// What could not be generated, and why.
    pub(super) faults: Faults,
    /// What stands under the name of a workload that does not ask for it, and was not generated for it.
    pub(super) strange: HashSet<Of>,
    /// What could not be written, and why, by namespace.
    pub(super) unwritten: BTreeMap<String, String>,
    /// What is left of assets that went with their namespaces and does not yet stand on the row of the cluster.
    pub(super) left: Vec<Tombstone>,
    /// Where the histories of such namespaces ended, until that stands on the row of the cluster.
    pub(super) chains_left: Vec<EndedChain>,
    /// What goes on failing to be written, by namespace.
    pub(super) troubles: HashMap<String, (Trouble, Pause)>,
    /// That the row of the cluster goes on failing to be written.
    pub(super) trouble: (Trouble, Pause),
    /// Rows that somebody deleted, to be written again as they were.
    pub(super) missing: BTreeSet<String>,
    /// Workloads that are gone and whose end the history of their namespace does not tell yet.
    pub(super) ended: BTreeMap<String, Vec<WorkloadChain>>,
    /// Who wrote declarations that are gone.
    pub(super) authors: authors::Gone,
    /// Namespaces with a verdict that is held until the pods that do not come in were looked at.
    pub(super) held: BTreeSet<String>,
}

impl Written {
    /// Notes where the histories of a namespace end whose row goes, and those of its workloads as far as its row knows.
    pub(super) fn left_behind(&mut self, name: &str, uid: Option<&str>) {
        let Some(kept) = self.namespaces.get_mut(name) else { return };
        let row = kept.row.whole();
        let of_workloads = row.chains.into_iter().map(|chain| EndedChain {
            chain: chains::of_workload(name, &chain.name, &chain.uid),
            length: chain.length,
            head: chain.head,
        });
        let uid = uid.or(kept.uid.as_deref()).unwrap_or_default();
        let own = row.history.map(|history| EndedChain {
            chain: chains::of_namespace(name, uid),
            length: history.length,
            head: history.head,
        });
        // Of too many the namespace's own, which tells of the ends of others, stays longest.
        let more: Vec<EndedChain> = of_workloads.chain(own).collect();
        self.chains_left = crate::controllers::trail::ended(&self.chains_left, &more);
    }

    /// Whether nothing is to be written of a namespace for now, because it was refused a moment ago.
    pub(super) fn pauses(&self, name: &str) -> bool {
        self.troubles.get(name).is_some_and(|(_, pause)| pause.lasts())
    }

    /// Forgets a namespace whose row is gone.
    pub(super) fn gone(&mut self, name: &str) {
        self.namespaces.remove(name);
        self.troubles.remove(name);
    }

    /// Notes what is no longer there or no longer as it was written, so that it is written again.
    pub(super) fn compare(&mut self, seen: &Self) {
        let missing = self.namespaces.keys().filter(|name| !seen.namespaces.contains_key(*name));
        self.missing.extend(missing.cloned());
        // Those that are gone are forgotten when the history of their namespace tells of it.
        for (key, stored) in &mut self.workloads {
            let seen = seen.workloads.get(key).filter(|seen| seen.uid == stored.uid);
            if seen.is_some_and(|seen| seen != stored) {
                stored.digest = None;
            }
        }
        if seen.cluster != self.cluster {
            self.cluster_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::compliance::FindingRow;

    #[test]
    fn a_packed_row_comes_out_as_it_went_in_and_takes_less_room() {
        let row = AIComplianceStatus {
            last_audit_time: Some("2026-06-01T10:00:00Z".to_owned()),
            findings: (0..64)
                .map(|number| FindingRow {
                    control: "metrics-scraped".to_owned(),
                    state: crate::api::common::State::Fail,
                    provisions: vec!["CoP-12.1".to_owned()],
                    object: format!("AIWorkload chat-prod/app-{number}"),
                    message: Some("no monitor selects its pods".to_owned()),
                    first_seen: Some("2026-05-01T10:00:00Z".to_owned()),
                })
                .collect(),
            ..AIComplianceStatus::default()
        };
        let packed = Packed::of(&row);
        assert_eq!(packed.whole(), row);
        assert!(packed.0.len() * 5 < serde_json::to_vec(&row).unwrap().len(), "{} bytes", packed.0.len());
        assert_eq!(Packed::<AIComplianceStatus>::default().whole(), AIComplianceStatus::default());
    }

    #[test]
    fn the_ends_of_a_namespace_that_goes_are_kept_once() {
        let head = "a".repeat(64);
        let workload =
            WorkloadChain { name: "chat".to_owned(), uid: "w".to_owned(), length: 7, head: head.clone() };
        let history = History { length: 3, head, ..History::default() };
        let row = AIComplianceStatus {
            chains: vec![workload],
            history: Some(history),
            ..AIComplianceStatus::default()
        };
        let mut written = Written::default();
        let kept = Kept { row: Packed::of(&row), uid: Some("n".to_owned()), ..Kept::default() };
        written.namespaces.insert("gone".to_owned(), kept);
        // A row that could not be deleted is left behind once more.
        for _ in 0..2 {
            written.left_behind("gone", None);
        }
        written.left_behind("other", Some("x"));
        let said: Vec<(&str, u64)> =
            written.chains_left.iter().map(|ended| (ended.chain.as_str(), ended.length)).collect();
        assert_eq!(said, [("AIWorkload/gone/chat/w", 7), ("AICompliance/gone/n", 3)]);
    }
}
