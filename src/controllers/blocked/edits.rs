//! Who wrote which asset, as the replicas tell it, until the status of the asset says so.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::webhook::attempts::{Attempt, Edit};

/// Edits of one asset that are remembered.
const EDITS: usize = 32;
/// Edits of the assets of one namespace.
const OWN: usize = 1024;
/// Edits in all.
const ALL: usize = 8192;
/// What was told so long ago stands in a status, or its object is gone.
const WRITTEN: SignedDuration = SignedDuration::from_mins(10);
/// Users of one namespace who are remembered where their edits found no room.
const NAMES: usize = 8;
/// How much later than the webhook's clock that of the API server may be.
const APART: SignedDuration = SignedDuration::from_mins(1);

/// Somebody wrote an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// When it was let in.
    pub at: Timestamp,
    /// By whom, and what the asset became.
    pub edit: Edit,
}

/// The newest edits of assets, by namespace and `Kind/name`, in their order.
#[derive(Clone, Debug, Default)]
pub struct Edits(BTreeMap<String, Own>);

/// Users who wrote assets of a namespace, with the last time, of whose edits nothing else is remembered.
pub type Lost = BTreeMap<String, Timestamp>;

/// Those of the `lost` who may have written an object that was `created` then: it was there when they wrote something.
pub fn may_have_written(
    lost: Option<&Lost>,
    created: Option<Timestamp>,
) -> impl Iterator<Item = (&String, &Timestamp)> {
    let there = move |at: Timestamp| created.is_none_or(|created| created.duration_since(at) <= APART);
    lost.into_iter().flatten().filter(move |(_, at)| there(**at))
}

/// The edits of one namespace.
#[derive(Clone, Debug, Default)]
struct Own {
    of: BTreeMap<String, Vec<Edited>>,
    lost: Lost,
}

impl Edits {
    /// Takes in what a replica tells of an asset. Of too many edits those of the asset that was written longest ago are
    /// forgotten, in the namespace that has most of them. Who wrote it stands in its status by then, or else is remembered
    /// for the namespace.
    pub(super) fn take(&mut self, attempt: &Attempt) {
        let own = self.0.entry(attempt.namespace.clone()).or_default();
        for user in &attempt.lost {
            own.lose(user, attempt.at, attempt.at);
        }
        if let Some(edit) = &attempt.edit {
            own.take(&attempt.object, Edited { at: attempt.at, edit: edit.clone() });
        }
        if own.len() > OWN {
            own.forget_oldest(attempt.at);
        }
        let all: usize = self.0.values().map(Own::len).sum();
        if let Some(most) = self.0.values_mut().max_by_key(|own| own.len()).filter(|_| all > ALL) {
            most.forget_oldest(attempt.at);
        }
    }

    /// The edits of one asset.
    #[must_use]
    pub fn of(&self, namespace: &str, object: &str) -> &[Edited] {
        self.0.get(namespace).and_then(|own| own.of.get(object)).map_or(&[], Vec::as_slice)
    }

    /// Who wrote assets of a namespace without its being known which.
    #[must_use]
    pub fn lost(&self, namespace: &str) -> Option<&Lost> {
        self.0.get(namespace).map(|own| &own.lost)
    }

    pub(super) fn forget(&mut self, namespace: &str) {
        self.0.remove(namespace);
    }
}

impl Own {
    fn len(&self) -> usize {
        self.of.values().map(Vec::len).sum()
    }

    fn take(&mut self, object: &str, one: Edited) {
        let edits = self.of.entry(object.to_owned()).or_default();
        if edits.contains(&one) {
            return;
        }
        let now = one.at;
        edits.push(one);
        edits.sort_by_key(|edited| edited.at);
        if edits.len() > EDITS {
            let gone = edits.remove(spare(edits));
            if edits.iter().all(|edited| edited.edit.user != gone.edit.user) {
                self.forget(&gone, now);
            }
        }
    }

    fn forget_oldest(&mut self, now: Timestamp) {
        let newest = |edits: &Vec<Edited>| edits.last().map(|edited| edited.at);
        let oldest = self.of.iter().min_by_key(|(_, edits)| newest(edits)).map(|(object, _)| object.clone());
        let gone = oldest.and_then(|object| self.of.remove(&object)).unwrap_or_default();
        for edited in &gone {
            self.forget(edited, now);
        }
    }

    fn forget(&mut self, edited: &Edited, now: Timestamp) {
        if let Some(user) = edited.edit.user.as_ref().filter(|_| is_recent(edited.at, now)) {
            self.lose(user, edited.at, now);
        }
    }

    fn lose(&mut self, user: &str, at: Timestamp, now: Timestamp) {
        if !self.lost.contains_key(user) && self.lost.len() >= NAMES {
            self.lost.retain(|_, known| is_recent(*known, now));
            if self.lost.len() >= NAMES {
                tracing::error!(
                    user,
                    "somebody who changed assets will stand in no history: too many are told"
                );
                return;
            }
        }
        let known = self.lost.entry(user.to_owned()).or_insert(at);
        *known = at.max(*known);
    }
}

/// Whether no status may tell yet of what was let in at `at`.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < WRITTEN
}

/// The place of what is forgotten first: the oldest one whose user stands elsewhere too, so that nobody goes unnamed by many
/// edits of another; where all are different, the oldest.
fn spare(all: &[Edited]) -> usize {
    let user = |edited: &Edited| edited.edit.user.clone();
    let again =
        |one: &Edited| one.edit.user.is_none() || all.iter().filter(|e| user(e) == user(one)).count() > 1;
    all.iter().position(again).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(namespace: &str, object: &str, user: &str, second: i64) -> Attempt {
        let edit = Edit { user: Some(user.to_owned()), uid: "u".to_owned(), ..Edit::default() };
        serde_json::from_value(serde_json::json!({
            "sequence": 1, "at": Timestamp::from_second(second).unwrap(), "namespace": namespace, "object": object,
            "control": "audit-trail-kept", "message": "m", "noted": "asset", "edit": edit}))
        .unwrap()
    }

    fn lost(edits: &Edits, namespace: &str) -> Vec<String> {
        edits.lost(namespace).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    #[test]
    fn it_is_bounded_and_many_edits_of_one_hide_nobody_else() {
        let mut edits = Edits::default();
        edits.take(&attempt("chat", "AIModel/m", "mallory", 1));
        edits.take(&attempt("chat", "AIModel/m", "mallory", 1));
        (2..200).for_each(|second| edits.take(&attempt("chat", "AIModel/m", "ada", second)));
        let of = edits.of("chat", "AIModel/m");
        assert_eq!(of.len(), EDITS);
        assert_eq!(of[0].edit.user.as_deref(), Some("mallory"));
        assert!(of.iter().filter(|edited| edited.edit.user.as_deref() == Some("mallory")).count() == 1);
        (1000..3000).for_each(|n| edits.take(&attempt("chat", &format!("AIModel/m{n}"), "ada", n)));
        assert_eq!(edits.0["chat"].len(), OWN);
        assert_eq!(edits.of("chat", "AIModel/m"), [], "the one of long ago");
        assert_eq!(lost(&edits, "chat"), [""; 0], "whose status names them");
        edits.forget("chat");
        assert!(edits.0.is_empty());
    }

    #[test]
    fn a_flood_hides_no_writer_and_pushes_out_no_other_namespace() {
        let mut edits = Edits::default();
        edits.take(&attempt("vision", "AIPrompt/v", "ada", 1));
        edits.take(&attempt("chat", "AIPrompt/p", "mallory", 1));
        let flood = |edits: &mut Edits, namespace: &str| {
            (0..OWN).for_each(|n| edits.take(&attempt(namespace, &format!("AIPrompt/p{n}"), "ci", 2)));
        };
        flood(&mut edits, "chat");
        assert_eq!(edits.of("chat", "AIPrompt/p"), []);
        assert_eq!(lost(&edits, "chat"), ["mallory"]);
        (0..10).for_each(|n| flood(&mut edits, &format!("n{n}")));
        assert_eq!(edits.0.values().map(Own::len).sum::<usize>(), ALL);
        assert_eq!(edits.of("vision", "AIPrompt/v").len(), 1);
        assert_eq!(lost(&edits, "vision"), [""; 0]);
    }

    #[test]
    fn of_many_whose_edits_are_lost_some_are_named() {
        let mut edits = Edits::default();
        let told = |second: i64, users: Vec<String>| Attempt {
            lost: users,
            edit: None,
            ..attempt("chat", "", "nobody", second)
        };
        let users = |from: usize, to: usize| (from..to).map(|n| format!("u{n}")).collect::<Vec<_>>();
        edits.take(&told(1, users(0, NAMES + 1)));
        assert_eq!(lost(&edits, "chat"), users(0, NAMES));
        edits.take(&told(2, users(0, 1)));
        edits.take(&told(1 + WRITTEN.as_secs(), vec!["v".to_owned()]));
        assert_eq!(lost(&edits, "chat"), ["u0", "v"], "the others stand in statuses by then");
    }
}
