//! The audit trail: entries that each carry the hash of the one before, so that nobody drops, reorders or alters one
//! unseen; how they are written as lines, and what lines prove. Pure.

mod check;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::check::{Checked, Checker, Files, Head};
use crate::api::outcome::{History, HistoryEntry, HistoryKind};

/// Entries that a status keeps; all others are in the export.
pub const KEPT: usize = 6;
/// Entries that a status keeps at most, while they wait for an export that fails: as many as the schema lets in.
pub const ROOM: usize = 16;
/// What stands before the first entry.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Longest text of a change, in bytes.
const CHANGE: usize = 160;

/// One entry of a chain, as it is exported: one line of JSON.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Whose chain it is: kind, namespace, name and UID, between slashes.
    pub chain: String,
    /// The entry.
    #[serde(flatten)]
    pub entry: HistoryEntry,
    /// Its hash.
    pub hash: String,
}

impl Line {
    /// The line of an entry of `chain`.
    #[must_use]
    pub fn new(chain: &str, entry: &HistoryEntry) -> Self {
        Self { chain: chain.to_owned(), hash: hash(chain, entry), entry: entry.clone() }
    }
}

/// The chain of a declaration. An object that was made anew begins a chain of its own.
#[must_use]
pub fn of_workload(namespace: &str, name: &str, uid: &str) -> String {
    format!("AIWorkload/{namespace}/{name}/{uid}")
}

/// The chain of the assets and exemptions of a namespace, by the namespace's UID.
#[must_use]
pub fn of_namespace(name: &str, uid: &str) -> String {
    format!("AICompliance/{name}/{uid}")
}

/// The hash of an entry: SHA-256 over a JSON array of the chain and all that the entry says, in hexadecimal digits.
#[must_use]
pub fn hash(chain: &str, entry: &HistoryEntry) -> String {
    let all = (
        chain,
        entry.sequence,
        &entry.at,
        entry.kind.as_str(),
        &entry.change,
        entry.digest.as_deref().unwrap_or_default(),
        &entry.previous,
    );
    hex::encode(Sha256::digest(serde_json::to_vec(&all).unwrap_or_default()))
}

/// The first digits of a digest of a name, by which a history remembers it in little room.
#[must_use]
pub fn short_digest(name: &str) -> String {
    hex::encode(&Sha256::digest(name.as_bytes())[..4])
}

/// Appends an entry to the chain.
pub fn append(
    history: &mut History,
    chain: &str,
    at: Timestamp,
    kind: HistoryKind,
    change: impl Into<String>,
    digest: Option<String>,
) {
    let previous = if history.length == 0 { NOTHING.to_owned() } else { history.head.clone() };
    let (at, change) = (told_at(at), shortened(change.into()));
    let entry = HistoryEntry { sequence: history.length + 1, at, kind, change, digest, previous };
    history.length = entry.sequence;
    history.head = hash(chain, &entry);
    history.entries.push(entry);
}

/// Whether one of the entries that are kept tells of this already.
#[must_use]
pub fn tells(history: &History, at: Timestamp, kind: HistoryKind, change: &str) -> bool {
    let (at, change) = (told_at(at), shortened(change.to_owned()));
    history.entries.iter().any(|entry| entry.at == at && entry.kind == kind && entry.change == change)
}

/// A time as entries have it.
fn told_at(at: Timestamp) -> String {
    super::dates::second(at).to_string()
}

fn shortened(mut text: String) -> String {
    if text.len() > CHANGE {
        let mut end = CHANGE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// What the first entry of a chain says of something that was declared before, with the day after it.
const TAKEN_UP: &str = "taken up as declared on ";
/// How much later than its declaration a chain begins at the latest, where nothing was lost.
const PROMPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// What the first entry of the chain of something says that was created at that time.
#[must_use]
pub fn beginning(created: Option<Timestamp>, now: Timestamp) -> String {
    match created.filter(|at| now.duration_since(*at) > PROMPT) {
        Some(at) => format!("{TAKEN_UP}{}", at.strftime("%Y-%m-%d")),
        None => "declared".to_owned(),
    }
}

/// What stands between the UID of a workload and the length of its chain, where an entry tells that it was deleted.
const DELETED_AFTER: &str = " was deleted after ";
/// What stands between that length and the name of the workload.
const ENTRIES_OF: &str = " entries: ";

/// What the chain of a namespace says of a workload that was deleted. Its chain ends with that entry.
#[must_use]
pub fn deleted(name: &str, uid: &str, length: u64) -> String {
    // The name comes last: of a very long one only that is cut.
    format!("{uid}{DELETED_AFTER}{length}{ENTRIES_OF}{name}")
}

/// The UID and the length of the chain that an entry of a namespace tells the end of.
fn ended(entry: &HistoryEntry) -> Option<(&str, u64)> {
    let (uid, rest) =
        entry.change.split_once(DELETED_AFTER).filter(|_| entry.kind == HistoryKind::Lifecycle)?;
    Some((uid, rest.split_once(ENTRIES_OF)?.0.parse().ok()?))
}

/// What follows the numbers of entries that are lost.
const DROPPED: &str = " dropped before known to be exported";

/// What a chain says of entries that no status keeps and that may not stand in the export.
#[must_use]
pub fn dropped(from: u64, to: u64) -> String {
    if from == to { format!("entry {from}{DROPPED}") } else { format!("entries {from} to {to}{DROPPED}") }
}

/// The first and the last of the entries that an entry says are lost.
fn lost(entry: &HistoryEntry) -> Option<(u64, u64)> {
    let said = entry.change.strip_suffix(DROPPED).filter(|_| entry.kind == HistoryKind::Trail)?;
    if let Some(one) = said.strip_prefix("entry ") {
        let one = one.parse().ok()?;
        return Some((one, one));
    }
    let (from, to) = said.strip_prefix("entries ")?.split_once(" to ")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn cut(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
