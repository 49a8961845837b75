//! Who wrote a declaration: what its status keeps of it, so that nobody vouches for the own work as somebody else. Pure.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use kube::core::ObjectMeta;

use crate::controllers::blocked::{Edited, Edits, may_have_written};
use crate::policy::owners::{is_account, may_be};

/// Names that a status keeps, as many as its schema lets in.
const KEPT: usize = 16;
/// Bytes of all of them together, so that the findings find room beside them.
const BYTES: usize = 768;
/// Declarations of one namespace that are gone and whose authors are remembered.
const GONE: usize = 64;
/// Namespaces with such declarations.
const NAMESPACES: usize = 256;

/// The authors of declarations that are gone, by namespace, the last one at the end: whoever declares the same anew does not
/// make it the own work of nobody else.
#[derive(Debug, Default)]
pub(super) struct Gone(BTreeMap<String, VecDeque<(String, Vec<String>)>>);

impl Gone {
    /// Remembers who wrote the declaration of this name.
    pub(super) fn note(&mut self, (namespace, name): &(String, String), authors: Vec<String>) {
        if authors.is_empty() || (self.0.len() >= NAMESPACES && !self.0.contains_key(namespace)) {
            return;
        }
        let own = self.0.entry(namespace.clone()).or_default();
        own.retain(|(known, _)| known != name);
        own.push_back((name.clone(), authors));
        while own.len() > GONE {
            own.pop_front();
        }
    }

    /// Who wrote the one that had this name.
    pub(super) fn of(&self, namespace: &str, name: &str) -> &[String] {
        let own = self.0.get(namespace).into_iter().flatten();
        own.rev().find(|(known, _)| known == name).map_or(&[], |(_, authors)| authors)
    }

    /// Forgets a namespace.
    pub(super) fn forget(&mut self, namespace: &str) {
        self.0.remove(namespace);
    }
}

/// The authors after what was told: the `former` ones and who wrote this object since, whoever wrote it last at the end,
/// without programs. A request that was stored by nobody counts as well where a later one was: nobody can tell.
///
/// Guarantees: each stands once; [`KEPT`] of them and [`BYTES`] at most, and the oldest go first; what is told twice changes
/// nothing.
pub(super) fn kept(former: &[String], metadata: &ObjectMeta, edits: &Edits) -> Vec<String> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let object = format!("AIWorkload/{}", metadata.name.as_deref().unwrap_or_default());
    let own = |edited: &&Edited| {
        metadata.uid.as_deref() == Some(edited.edit.uid.as_str())
            && Some(edited.edit.generation) <= metadata.generation
    };
    let of_it = edits.of(namespace, &object).iter().filter(own);
    let of_it = of_it.filter_map(|edited| Some((edited.at, edited.edit.user.as_ref()?)));
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let lost = may_have_written(edits.lost(namespace), created).map(|(user, at)| (*at, user));
    let mut told: Vec<(Timestamp, &String)> =
        of_it.chain(lost).filter(|(_, user)| !is_account(user)).collect();
    told.sort_by_key(|(at, _)| *at);
    let mut all = former.to_vec();
    for (_, user) in told {
        all.retain(|known| !may_be(Some(known), user));
        all.push(user.clone());
    }
    while all.len() > KEPT || (all.len() > 1 && all.iter().map(String::len).sum::<usize>() > BYTES) {
        all.remove(0);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::blocked::Book;
    use crate::webhook::attempts::{Attempt, Attempts, Edit};
    use serde_json::json;

    fn edit(sequence: u64, user: &str, uid: &str, generation: i64) -> Attempt {
        let edit = Edit { user: Some(user.to_owned()), uid: uid.to_owned(), generation, ..Edit::default() };
        serde_json::from_value(json!({
            "sequence": sequence, "at": Timestamp::from_second(sequence.cast_signed()).unwrap(), "namespace": "chat",
            "workload": "chat", "object": "AIWorkload/chat", "control": "audit-trail-kept", "message": "",
            "noted": "lifecycle", "edit": edit}))
        .unwrap()
    }

    fn looked(former: &[String], attempts: Vec<Attempt>, generation: i64) -> Vec<String> {
        let mut book = Book::default();
        book.take(&Attempts { replica: "r".to_owned(), attempts });
        assert_eq!(book.noted("chat", Some("chat")), [], "a history has nothing to tell of it");
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "namespace": "chat", "name": "chat", "uid": "u", "generation": generation,
            "creationTimestamp": "1970-01-01T00:00:00Z"}))
        .unwrap();
        let edits = &book.told_of_assets().edits;
        let authors = kept(former, &metadata, edits);
        assert_eq!(kept(&authors, &metadata, edits), authors, "and hears it again");
        authors
    }

    #[test]
    fn whoever_wrote_it_stays_named_and_programs_are_not() {
        let bot = "system:serviceaccount:argocd:argocd";
        let first = looked(&[], vec![edit(1, "ada", "u", 1), edit(2, bot, "u", 2)], 2);
        assert_eq!(first, ["ada"]);
        let told = vec![edit(3, "mallory", "u", 3), edit(4, "Ada", "u", 4), edit(5, "eve", "other", 1)];
        assert_eq!(looked(&first, told, 4), ["mallory", "Ada"], "one name in two spellings is one");
        assert_eq!(looked(&first, vec![edit(3, "mallory", "u", 3)], 2), ["ada"], "it did not get there");
    }

    #[test]
    fn they_are_bounded_and_the_newest_stay() {
        let many = |from: u64, name: &dyn Fn(u64) -> String| {
            (from..from + 24).map(|n| edit(n, &name(n), "u", n.cast_signed())).collect()
        };
        let all = looked(&["ada".to_owned()], many(1, &|n| format!("u{n}")), 24);
        assert_eq!((all.len(), all.last().map(String::as_str)), (KEPT, Some("u24")));
        let long = looked(&all, many(25, &|n| format!("{n}{}", "x".repeat(250))), 48);
        assert_eq!(long.len(), BYTES / 252, "{long:?}");
        let lost = Attempt { lost: vec!["v".to_owned()], edit: None, ..edit(1, "", "u", 1) };
        assert_eq!(looked(&["ada".to_owned()], vec![lost], 1), ["ada", "v"]);
    }

    #[test]
    fn the_authors_of_what_is_gone_are_remembered_by_namespace() {
        let mut gone = Gone::default();
        let key = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        gone.note(&key("chat", "chat"), vec!["ada".to_owned()]);
        gone.note(&key("chat", "other"), Vec::new());
        assert_eq!((gone.of("chat", "chat"), gone.of("chat", "other")), (&["ada".to_owned()][..], &[][..]));
        (0..2 * GONE).for_each(|n| gone.note(&key("vision", &n.to_string()), vec!["eve".to_owned()]));
        assert_eq!(gone.of("chat", "chat").len(), 1, "nobody pushes out another's");
        assert_eq!((gone.of("vision", "0").len(), gone.of("vision", "127").len()), (0, 1));
        (0..NAMESPACES).for_each(|n| gone.note(&key(&n.to_string(), "chat"), vec!["eve".to_owned()]));
        assert_eq!(gone.0.len(), NAMESPACES);
        gone.forget("chat");
        assert_eq!(gone.of("chat", "chat"), [""; 0]);
    }
}
