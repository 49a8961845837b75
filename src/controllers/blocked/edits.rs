//! Who wrote which asset, as the replicas tell it, until the status of the asset says so.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::webhook::attempts::{Attempt, Edit};

/// Assets of which it is remembered.
const ASSETS: usize = 512;
/// Edits of one asset that are remembered.
const EDITS: usize = 32;

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
pub struct Edits(BTreeMap<(String, String), Vec<Edited>>);

impl Edits {
    /// Takes in what a replica tells of an asset. Of too many assets the one that was written longest ago is forgotten: who wrote
    /// it stands in its status by then.
    pub(super) fn take(&mut self, attempt: &Attempt) {
        let Some(edit) = &attempt.edit else { return };
        let key = (attempt.namespace.clone(), attempt.object.clone());
        let edits = self.0.entry(key).or_default();
        let one = Edited { at: attempt.at, edit: edit.clone() };
        if edits.contains(&one) {
            return;
        }
        edits.push(one);
        edits.sort_by_key(|edited| edited.at);
        if edits.len() > EDITS {
            edits.remove(spare(edits, |edited| edited.edit.user.as_deref()));
        }
        if self.0.len() > ASSETS {
            let newest = |edits: &Vec<Edited>| edits.last().map(|edited| edited.at);
            let oldest = self.0.iter().min_by_key(|(_, edits)| newest(edits)).map(|(key, _)| key.clone());
            oldest.map(|key| self.0.remove(&key));
        }
    }

    /// The edits of one asset.
    #[must_use]
    pub fn of(&self, key: &(String, String)) -> &[Edited] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn forget(&mut self, namespace: &str) {
        self.0.retain(|(own, _), _| own != namespace);
    }
}

/// The place of what is forgotten first: the oldest one whose user stands elsewhere too, so that nobody goes unnamed by many
/// edits of another; where all are different, the oldest.
#[must_use]
pub fn spare<T>(all: &[T], user: impl Fn(&T) -> Option<&str>) -> usize {
    let again = |place: usize| {
        let own = user(&all[place]);
        own.is_none() || all.iter().enumerate().any(|(other, one)| other != place && user(one) == own)
    };
    (0..all.len()).find(|place| again(*place)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(object: &str, user: &str, second: i64) -> Attempt {
        let edit = Edit { user: Some(user.to_owned()), uid: "u".to_owned(), ..Edit::default() };
        serde_json::from_value(serde_json::json!({
            "sequence": 1, "at": Timestamp::from_second(second).unwrap(), "namespace": "chat", "object": object,
            "control": "audit-trail-kept", "message": "m", "noted": "asset", "edit": edit}))
        .unwrap()
    }

    #[test]
    fn it_is_bounded_and_many_edits_of_one_hide_nobody_else() {
        let mut edits = Edits::default();
        edits.take(&attempt("AIModel/m", "mallory", 1));
        edits.take(&attempt("AIModel/m", "mallory", 1));
        (2..200).for_each(|second| edits.take(&attempt("AIModel/m", "ada", second)));
        let of = edits.of(&("chat".to_owned(), "AIModel/m".to_owned()));
        assert_eq!(of.len(), EDITS);
        assert_eq!(of[0].edit.user.as_deref(), Some("mallory"));
        assert!(of.iter().filter(|edited| edited.edit.user.as_deref() == Some("mallory")).count() == 1);
        (1000..2000).for_each(|n| edits.take(&attempt(&format!("AIModel/m{n}"), "ada", n)));
        assert_eq!(edits.0.len(), ASSETS);
        assert_eq!(edits.of(&("chat".to_owned(), "AIModel/m".to_owned())), [], "the one of long ago");
        edits.forget("chat");
        assert!(edits.0.is_empty());
    }
}
