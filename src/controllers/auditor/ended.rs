//! Workloads that are gone: where their histories ended, as far as this controller or an earlier one has seen them.

use std::collections::{BTreeMap, HashSet};

use super::stored::{Stored, Written};
use crate::api::compliance::{AIComplianceStatus, WorkloadChain};
use crate::policy::facts::Namespace;

/// Histories of workloads that a row keeps the state of.
const CHAINS: usize = 256;

/// The workloads of `namespace` that are gone and whose end its history does not tell yet.
///
/// What the controller remembers is newer than what the row says; the row is what is left where the controller was not
/// there when they were deleted.
pub(super) fn of(namespace: &Namespace, written: &Written, row: &AIComplianceStatus) -> Vec<WorkloadChain> {
    let alive: HashSet<&str> =
        namespace.workloads.values().filter_map(|workload| workload.metadata.uid.as_deref()).collect();
    let here = written.workloads.iter().filter(|((home, _), _)| *home == namespace.name);
    let remembered = here.filter_map(|((_, name), stored)| chain(name, stored));
    let waiting = written.ended.get(&namespace.name).into_iter().flatten().cloned();
    let mut gone: BTreeMap<String, WorkloadChain> = BTreeMap::new();
    for chain in remembered.chain(waiting).chain(row.chains.iter().cloned()) {
        if !alive.contains(chain.uid.as_str())
            && gone.get(&chain.uid).is_none_or(|known| known.length < chain.length)
        {
            gone.insert(chain.uid.clone(), chain);
        }
    }
    gone.into_values().collect()
}

/// Where the histories of the workloads of a namespace stand by their statuses, and those that ended and are not told yet.
pub(super) fn chains(namespace: &str, written: &Written, ended: &[WorkloadChain]) -> Vec<WorkloadChain> {
    let here = written.workloads.iter().filter(|((home, _), _)| home == namespace);
    let mut chains: Vec<WorkloadChain> = here.filter_map(|((_, name), stored)| chain(name, stored)).collect();
    chains.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    chains.truncate(CHAINS);
    ended.iter().take(CHAINS).cloned().chain(chains).collect()
}

fn chain(name: &str, stored: &Stored) -> Option<WorkloadChain> {
    let (length, head) = stored.end.clone()?;
    Some(WorkloadChain { name: name.to_owned(), uid: stored.uid.clone()?, length, head })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::outcome::History;
    use crate::api::workload::AIWorkloadStatus;
    use crate::policy::testing::Bench;
    use serde_json::json;

    fn stored(uid: &str, length: u64) -> Stored {
        let history = History { length, head: format!("{length:064}"), ..History::default() };
        let status = AIWorkloadStatus { history: Some(history), ..AIWorkloadStatus::default() };
        Stored::of(Some(uid.to_owned()), status)
    }

    fn said(chains: &[WorkloadChain]) -> Vec<(&str, &str, u64)> {
        chains.iter().map(|chain| (chain.name.as_str(), chain.uid.as_str(), chain.length)).collect()
    }

    #[test]
    fn a_workload_that_went_is_missed_whether_anybody_was_there_or_not() {
        let mut namespace = Bench::new("production", "internal").workload(&json!({})).namespace;
        let mut chat = (*namespace.workloads["chat"]).clone();
        chat.metadata.uid = Some("new".to_owned());
        namespace.workloads.insert("chat".to_owned(), std::sync::Arc::new(chat));
        let home = namespace.name.clone();
        let mut written = Written::default();
        // One that was made anew is another; the audit takes the old one for gone.
        written.workloads.insert((home.clone(), "chat".to_owned()), stored("old", 7));
        written.workloads.insert((home.clone(), "gone".to_owned()), stored("gone", 5));
        written.workloads.insert(("other".to_owned(), "gone".to_owned()), stored("elsewhere", 5));
        let chain = |name: &str, uid: &str, length: u64| WorkloadChain {
            name: name.to_owned(),
            uid: uid.to_owned(),
            length,
            head: format!("{length:064}"),
        };
        // The row knows less of what this controller saw, and more of what went before it came.
        let row = AIComplianceStatus {
            chains: vec![chain("before", "before", 3), chain("chat", "new", 2), chain("gone", "gone", 4)],
            ..AIComplianceStatus::default()
        };
        let ended = of(&namespace, &written, &row);
        assert_eq!(said(&ended), [("before", "before", 3), ("gone", "gone", 5), ("chat", "old", 7)]);
        // What could not be written yet is told later, as it was seen.
        written.workloads.clear();
        written.ended.insert(home.clone(), ended);
        assert_eq!(said(&of(&namespace, &written, &row)).len(), 3);
        assert_eq!(said(&of(&namespace, &written, &row))[1], ("gone", "gone", 5));
        written.workloads.insert((home.clone(), "chat".to_owned()), stored("new", 9));
        let rest = [chain("gone", "gone", 5)];
        assert_eq!(said(&chains(&home, &written, &rest)), [("gone", "gone", 5), ("chat", "new", 9)]);
    }

    #[test]
    fn looking_at_all_that_is_stored_forgets_nothing_that_is_gone() {
        let mut written = Written::default();
        let key = |name: &str| ("a".to_owned(), name.to_owned());
        for (name, uid) in [("same", "1"), ("other", "2"), ("anew", "3"), ("gone", "4")] {
            written.workloads.insert(key(name), stored(uid, 3));
        }
        let mut seen = Written::default();
        seen.workloads.insert(key("same"), stored("1", 3));
        seen.workloads.insert(key("other"), stored("2", 2));
        seen.workloads.insert(key("anew"), stored("5", 1));
        written.compare(&seen);
        let mut all: Vec<_> =
            written.workloads.iter().map(|((_, name), stored)| (name.as_str(), stored)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["anew", "gone", "other", "same"]);
        let stands: Vec<&str> =
            all.iter().filter(|(_, stored)| stored.stands()).map(|(name, _)| *name).collect();
        assert_eq!(
            stands,
            ["anew", "gone", "same"],
            "what somebody changed is written again, with all that it told"
        );
    }
}
