//! What could not be brought about: every status says it, the log when it begins, when its words change, and now and then.

use std::collections::{BTreeMap, BTreeSet};

use crate::controllers::generate::Resource;
use crate::controllers::trouble::Trouble;
use crate::render::words;

/// One object that should be there or should not: its kind, its namespace, and the workload that it is for, empty for what
/// is the namespace's own.
pub(super) type Of = (Resource, (String, String));

#[derive(Debug, Default)]
struct Fault {
    words: String,
    trouble: Trouble,
}

/// All that could not be brought about, by namespace and workload.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<(String, String), BTreeMap<Resource, Fault>>);

impl Faults {
    /// Notes that something could not be brought about. Returns whether that is to be said now.
    pub(super) fn note(&mut self, (resource, key): &Of, words: &str) -> bool {
        let fault = self.0.entry(key.clone()).or_default().entry(*resource).or_default();
        if fault.words != words {
            *fault = Fault { words: words.to_owned(), ..Fault::default() };
        }
        fault.trouble.is_to_be_said()
    }

    /// Forgets what of a namespace is not among `seen`. Returns it.
    pub(super) fn keep(&mut self, namespace: &str, seen: &BTreeSet<Of>) -> Vec<Of> {
        let mut over = Vec::new();
        for (key, faults) in self.0.iter_mut().filter(|((home, _), _)| home == namespace) {
            let gone = faults.keys().map(|resource| (*resource, key.clone())).filter(|of| !seen.contains(of));
            over.extend(gone);
            faults.retain(|resource, _| seen.contains(&(*resource, key.clone())));
        }
        self.0.retain(|_, faults| !faults.is_empty());
        over
    }

    /// Forgets whatever is of a namespace and of none of these workloads; what is the namespace's own stays.
    pub(super) fn keep_workloads(&mut self, namespace: &str, alive: &BTreeSet<String>) {
        self.0.retain(|(home, name), _| home != namespace || name.is_empty() || alive.contains(name));
    }

    /// Forgets a namespace.
    pub(super) fn forget(&mut self, namespace: &str) {
        self.0.retain(|(home, _), _| home != namespace);
    }

    /// What could not be brought about for a workload, its own first, then what it shares with its namespace.
    pub(super) fn of(&self, namespace: &str, workload: &str) -> Option<String> {
        self.said(namespace, &[workload, ""])
    }

    /// What could not be brought about for a namespace itself.
    pub(super) fn of_namespace(&self, namespace: &str) -> Option<String> {
        self.said(namespace, &[""])
    }

    fn said(&self, namespace: &str, names: &[&str]) -> Option<String> {
        let of = names.iter().filter_map(|name| self.0.get(&(namespace.to_owned(), (*name).to_owned())));
        let said: Vec<String> =
            of.flat_map(BTreeMap::values).map(|fault| words::cut(fault.words.clone(), 300)).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(resource: Resource, workload: &str) -> Of {
        (resource, ("chat-prod".to_owned(), workload.to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_said_when_it_begins_when_its_words_change_and_seldom() {
        let mut faults = Faults::default();
        let role = of(Resource::Role, "chat");
        let mut said = 0;
        for _ in 0..600 {
            said += u32::from(faults.note(&role, "taken"));
            tokio::time::advance(std::time::Duration::from_secs(3)).await;
        }
        assert_eq!(said, 10);
        assert!(faults.note(&role, "refused") && !faults.note(&role, "refused"), "other words");
        assert!(faults.note(&of(Resource::RoleBinding, "chat"), "refused"), "another object");
        assert_eq!(
            faults.keep("chat-prod", &BTreeSet::from([role.clone()])),
            [of(Resource::RoleBinding, "chat")]
        );
        assert!(!faults.note(&role, "refused"), "it stayed");
        assert_eq!(faults.keep("other", &BTreeSet::new()), []);
        assert_eq!(faults.keep("chat-prod", &BTreeSet::new()), std::slice::from_ref(&role));
        assert!(faults.note(&role, "refused"), "a new one is said at once");
    }

    #[tokio::test]
    async fn a_status_says_all_of_its_own_and_what_its_namespace_lacks() {
        let mut faults = Faults::default();
        faults.note(&of(Resource::NetworkPolicy, ""), "the network is not closed");
        faults.note(&of(Resource::RoleBinding, "chat"), "the binding is taken");
        faults.note(&of(Resource::Role, "chat"), "the role is taken");
        let said = "the role is taken; the binding is taken; the network is not closed";
        assert_eq!(faults.of("chat-prod", "chat").as_deref(), Some(said));
        assert_eq!(faults.of("chat-prod", "search").as_deref(), Some("the network is not closed"));
        assert_eq!(faults.of("other", "chat"), None);
        assert_eq!(faults.of_namespace("chat-prod").as_deref(), Some("the network is not closed"));
        assert_eq!(faults.of_namespace("other"), None);
        faults.keep_workloads("chat-prod", &BTreeSet::new());
        assert_eq!(faults.of("chat-prod", "chat").as_deref(), Some("the network is not closed"));
        faults.forget("chat-prod");
        assert_eq!(faults.of("chat-prod", "chat"), None);
    }
}
