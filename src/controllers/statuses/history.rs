//! The history of an asset: who wrote it, and which versions and bytes it had. Pure.
//!
//! The webhook tells who wrote an asset before the API server has stored it, so what it tells enters only once the object is
//! seen to have got that far. What the object became without anybody telling of it enters without a user.

use jiff::Timestamp;
use kube::core::ObjectMeta;
use sha2::{Digest as _, Sha256};

use crate::api::common::{AssetStatus, HistoryEntry};
use crate::controllers::blocked::{Edited, spare};

/// Entries that a status keeps, as many as its schema lets in.
const KEPT: usize = 20;

/// An asset as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    uid: Option<&'a str>,
    generation: i64,
    version: Option<&'a String>,
    digest: Option<&'a String>,
}

impl<'a> Seen<'a> {
    /// What is seen of an object.
    #[must_use]
    pub fn of(metadata: &'a ObjectMeta, version: Option<&'a String>, digest: Option<&'a String>) -> Self {
        let generation = metadata.generation.unwrap_or_default();
        Self { uid: metadata.uid.as_deref(), generation, version, digest }
    }

    /// Whether an edit was stored. Of several that would have given the object one generation the last one did.
    fn has_got(&self, edited: &Edited, all: &[Edited]) -> bool {
        let edit = &edited.edit;
        let again = |other: &Edited| {
            other.at > edited.at && other.edit.uid == edit.uid && other.edit.generation == edit.generation
        };
        self.uid == Some(edit.uid.as_str()) && edit.generation <= self.generation && !all.iter().any(again)
    }

    fn is(&self, entry: &HistoryEntry) -> bool {
        (entry.version.as_ref(), entry.digest.as_ref()) == (self.version, self.digest)
    }
}

/// The history as it is to be written: the `former` one, or that of an object of this name that is gone, with what `edits` and
/// the object itself add.
///
/// Guarantees: what is told twice stands once, in the order of its times; [`KEPT`] entries at most, and an edit of one user is
/// not forgotten for many of another.
#[must_use]
pub fn kept(
    former: &[HistoryEntry],
    past: Option<&AssetStatus>,
    edits: &[Edited],
    seen: &Seen<'_>,
    now: Timestamp,
) -> Vec<HistoryEntry> {
    let former = past.filter(|_| former.is_empty()).map_or(former, |past| &past.history);
    let mut all = former.to_vec();
    for edited in edits.iter().filter(|edited| seen.has_got(edited, edits)) {
        let edit = &edited.edit;
        let entry = HistoryEntry {
            at: edited.at.to_string(),
            user: edit.user.clone(),
            version: edit.version.clone(),
            digest: edit.digest.clone(),
            hash: None,
        };
        if !all.iter().any(|known| known.at == entry.at && known.user == entry.user) {
            all.push(entry);
        }
    }
    all.sort_by_key(at);
    if all.last().is_none_or(|last| !seen.is(last)) {
        let at = crate::policy::dates::second(now).to_string();
        let (version, digest) = (seen.version.cloned(), seen.digest.cloned());
        all.push(HistoryEntry { at, user: None, version, digest, hash: None });
    }
    unnamed(&mut all);
    while all.len() > KEPT {
        all.remove(spare(&all, |entry| entry.user.as_deref()));
    }
    chain(&mut all);
    all
}

fn at(entry: &HistoryEntry) -> Timestamp {
    entry.at.parse().unwrap_or_default()
}

/// Drops what was seen without a name where a name is known by now.
fn unnamed(all: &mut Vec<HistoryEntry>) {
    let same = |a: &HistoryEntry, b: Option<&HistoryEntry>| {
        b.is_some_and(|b| (&a.version, &a.digest) == (&b.version, &b.digest))
    };
    let mut place = 0;
    while place < all.len() {
        let one = &all[place];
        let before = place.checked_sub(1).and_then(|before| all.get(before));
        if one.user.is_none() && (same(one, before) || same(one, all.get(place + 1))) {
            all.remove(place);
        } else {
            place += 1;
        }
    }
}

/// Gives entries their hashes from the first one that has none; those before it keep theirs.
fn chain(all: &mut [HistoryEntry]) {
    let first = all.iter().position(|entry| entry.hash.is_none()).unwrap_or(all.len());
    let mut previous = first.checked_sub(1).and_then(|before| all[before].hash.clone()).unwrap_or_default();
    for entry in &mut all[first..] {
        let said = (&previous, &entry.at, &entry.user, &entry.version, &entry.digest);
        previous = hex::encode(Sha256::digest(serde_json::to_vec(&said).unwrap_or_default()));
        entry.hash = Some(previous.clone());
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
