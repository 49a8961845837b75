//! The history of an asset: who wrote it, and which versions and bytes it had. Pure.
//!
//! The webhook tells who wrote an asset before the API server has stored it, so what it tells enters only as what the object
//! is known to have become: by what is seen of it, or by what it was when it was written next. What the object became without
//! anybody telling of it enters without a user.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::core::ObjectMeta;
use sha2::{Digest as _, Sha256};

use crate::api::common::{AssetStatus, HistoryEntry};
use crate::controllers::blocked::{Edited, Lost, may_have_written};
use crate::webhook::attempts::Edit;

/// Entries that a status keeps, as many as its schema lets in.
const KEPT: usize = 20;

/// A version and a digest.
type State<'a> = (Option<&'a str>, Option<&'a str>);

fn state(entry: &HistoryEntry) -> State<'_> {
    (entry.version.as_deref(), entry.digest.as_deref())
}

/// An asset as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    uid: Option<&'a str>,
    generation: i64,
    created: Option<Timestamp>,
    state: State<'a>,
}

impl<'a> Seen<'a> {
    /// What is seen of an object.
    #[must_use]
    pub fn of(metadata: &'a ObjectMeta, version: Option<&'a String>, digest: Option<&'a String>) -> Self {
        Self {
            uid: metadata.uid.as_deref(),
            generation: metadata.generation.unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            state: (version.map(String::as_str), digest.map(String::as_str)),
        }
    }

    /// An entry of what it is now.
    fn entry(&self, at: String, user: Option<String>) -> HistoryEntry {
        entry(at, user, self.generation, self.state)
    }
}

fn entry(at: String, user: Option<String>, generation: i64, (version, digest): State<'_>) -> HistoryEntry {
    let (version, digest) = (version.map(str::to_owned), digest.map(str::to_owned));
    HistoryEntry { at, user, version, digest, generation: Some(generation), hash: None }
}

/// What an object is known to have been, by generation.
struct Known<'a> {
    of: BTreeMap<i64, State<'a>>,
    /// The newest generation that the history tells of.
    told: Option<i64>,
}

impl<'a> Known<'a> {
    fn of(history: &'a [HistoryEntry], edits: &[&'a Edited], seen: &Seen<'a>) -> Self {
        let kept = history.iter().filter_map(|entry| Some((entry.generation?, state(entry))));
        let former = edits.iter().filter_map(|edited| edited.edit.former.as_ref());
        let former = former.map(|it| (it.generation, (it.version.as_deref(), it.digest.as_deref())));
        let of = kept.chain(former).chain([(seen.generation, seen.state)]).collect();
        Self { of, told: history.iter().filter_map(|entry| entry.generation).max() }
    }

    /// What an edit adds: what it made of the object, if it is that which is known next. If that is something else and of a
    /// later generation, somebody nobody told of wrote it meanwhile: then the name stands beside what is known.
    fn entry(&self, edited: &Edited) -> Option<HistoryEntry> {
        let edit = &edited.edit;
        let own = edit.generation;
        let (next, state) = self.of.range(own..).next()?;
        let at = edited.at.to_string();
        if *state == (edit.version.as_deref(), edit.digest.as_deref()) {
            return Some(entry(at, edit.user.clone(), own, *state));
        }
        // What was as before afterwards was not written, and what was looked at already is settled.
        let before = self.of.range(..own).next_back().map(|(_, state)| state);
        let may_be = *next > own && Some(own) > self.told && before != Some(state) && edit.user.is_some();
        may_be.then(|| entry(at, edit.user.clone(), *next, *state))
    }
}

/// The history as it is to be written: the `former` one, or that of an object of this name that is gone, with what `edits` and
/// the object itself add, and those who are `lost`: they may have written it.
///
/// Guarantees: what is told twice stands once, in the order of its generations; no version and digest stands there that the
/// object did not have; [`KEPT`] entries at most, and an edit of one user is not forgotten for many of another.
#[must_use]
pub fn kept(
    former: &[HistoryEntry],
    past: Option<&AssetStatus>,
    (edits, lost): (&[Edited], Option<&Lost>),
    seen: &Seen<'_>,
    now: Timestamp,
) -> Vec<HistoryEntry> {
    let past = past.filter(|_| former.is_empty()).map_or(&[][..], |past| &past.history);
    // Another object counted anew.
    let past = past.iter().map(|entry| HistoryEntry { generation: None, ..entry.clone() });
    let mut all: Vec<HistoryEntry> = past.chain(former.iter().cloned()).collect();
    let mut edits: Vec<&Edited> =
        edits.iter().filter(|edited| seen.uid == Some(edited.edit.uid.as_str())).collect();
    let known = Known::of(former, &edits, seen);
    // What a full history tells no more, it has forgotten already.
    let settled = |edit: &Edit| {
        former.len() >= KEPT
            && Some(edit.generation) <= known.told
            && former.iter().any(|entry| entry.user == edit.user)
    };
    edits.retain(|edited| edited.edit.generation <= seen.generation && !settled(&edited.edit));
    for entry in edits.into_iter().filter_map(|edited| known.entry(edited)) {
        if !all.iter().any(|known| known.at == entry.at && known.user == entry.user) {
            all.push(entry);
        }
    }
    for (user, at) in may_have_written(lost, seen.created) {
        if !all.iter().any(|entry| entry.user.as_ref() == Some(user)) {
            all.push(seen.entry(at.to_string(), Some(user.clone())));
        }
    }
    all.sort_by_key(place);
    // What is seen may be older than what was told already.
    let is_told = |last: &HistoryEntry| state(last) == seen.state || last.generation > Some(seen.generation);
    if !all.last().is_some_and(is_told) {
        all.push(seen.entry(crate::policy::dates::second(now).to_string(), None));
    }
    unnamed(&mut all);
    while all.len() > KEPT {
        all.remove(spare(&all));
    }
    chain(&mut all);
    all
}

/// Where an entry stands: first what has no generation, as it stood; of one generation in the order of the times.
fn place(entry: &HistoryEntry) -> Option<(i64, Timestamp)> {
    Some((entry.generation?, entry.at.parse().unwrap_or_default()))
}

/// The place of what is forgotten first, which is never the last one, and which leaves every user named, except where all are
/// different: what repeats the version and digest of its neighbour, then those of an earlier one, then the oldest of whoever
/// stands here most often.
fn spare(all: &[HistoryEntry]) -> usize {
    let same = |a: usize, b: usize| state(&all[a]) == state(&all[b]);
    let count = |place: usize| all.iter().filter(|one| one.user == all[place].user).count();
    let again = |place: &usize| all[*place].user.is_none() || count(*place) > 1;
    let some: Vec<usize> = (0..all.len().saturating_sub(1)).filter(again).collect();
    let find = |which: &dyn Fn(usize) -> bool| some.iter().copied().find(|place| which(*place));
    find(&|place| place > 0 && same(place - 1, place))
        .or_else(|| find(&|place| same(place, place + 1)))
        .or_else(|| find(&|place| (0..place).any(|before| same(before, place))))
        .or_else(|| some.iter().copied().rev().max_by_key(|place| count(*place)))
        .unwrap_or_default()
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
