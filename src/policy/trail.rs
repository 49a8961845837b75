//! The audit trail: entries that each carry the hash of the one before, so that nobody drops, reorders or alters one
//! unseen; how they are written as lines, and what lines prove. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::api::outcome::{History, HistoryEntry, HistoryKind};

/// Entries that a status keeps; all others are in the export.
pub const KEPT: usize = 6;
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

/// Where a chain stands according to a status: its length and the hash of its newest entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub length: u64,
    /// Hash of the newest.
    pub hash: String,
}

/// What lines prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Chains that were found.
    pub chains: usize,
    /// Entries that were found, each once.
    pub entries: u64,
    /// Lines that are no entry, such as other log lines.
    pub other: u64,
    /// What breaks a chain, by line; 0 where no line is at fault but one is missing at the end.
    pub faults: Vec<(u64, String)>,
    /// Where a chain begins once more in the midst of the lines, by line.
    pub restarts: Vec<(u64, String)>,
    /// What could not be told.
    pub open: Vec<String>,
    /// Chains whose first entry says that it came later than what it tells of.
    pub late: Vec<String>,
}

impl Checked {
    /// Notes what is missing before the first entry of a chain.
    fn beginning(&mut self, chain: &str, read: &Reading) {
        if read.first > 1 {
            self.open.push(format!(
                "{chain} starts in the middle, with entry {}: what stood before is not in these lines",
                read.first
            ));
        }
        if let Some(day) = &read.declared {
            self.late.push(format!(
                "{chain} begins later than what it tells of, which was declared on {day}: a history before it cannot be \
                 linked, if there was one"
            ));
        }
    }
}

/// The state of one chain while lines are read.
struct Reading {
    first: u64,
    /// What its first entry says that stood before it.
    before: String,
    /// Since when what it tells of was declared, where its first entry came later.
    declared: Option<String>,
    last: u64,
    hash: String,
    /// Entries again, as a new leader repeats its newest ones: the last few hashes by their place.
    recent: BTreeMap<u64, String>,
    line: u64,
}

/// Repeated entries that are recognised, counted back from the newest.
const REPEATED: usize = 64;
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

impl Reading {
    fn new(line: Line, number: u64) -> Self {
        let sequence = line.entry.sequence;
        let declared = line.entry.change.strip_prefix(TAKEN_UP).filter(|_| sequence == 1).map(str::to_owned);
        Self {
            first: sequence,
            before: line.entry.previous,
            declared,
            last: sequence,
            recent: BTreeMap::from([(sequence, line.hash.clone())]),
            hash: line.hash,
            line: number,
        }
    }
}

/// Faults that are told.
const FAULTS: usize = 100;

/// Checks lines one by one.
#[derive(Default)]
pub struct Checker {
    reading: BTreeMap<String, Reading>,
    checked: Checked,
    line: u64,
}

impl Checker {
    /// Takes in the next line.
    pub fn line(&mut self, text: &str) {
        self.line += 1;
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let line: Line = match serde_json::from_str(text) {
            Ok(line) => line,
            Err(error) => {
                // What names a chain and cannot be read was an entry once.
                if text.contains("\"chain\"") {
                    self.fault(format!("is no entry that can be read: {error}"));
                }
                self.checked.other += 1;
                return;
            }
        };
        let (sequence, wanted) = (line.entry.sequence, hash(&line.chain, &line.entry));
        let named = format!("entry {sequence} of {}", line.chain);
        if line.hash != wanted {
            self.fault(format!(
                "{named} was altered: its hash is {}, it says {}",
                cut(&wanted),
                cut(&line.hash)
            ));
        }
        let Some(known) = self.reading.get_mut(&line.chain) else {
            let broken = sequence == 1 && line.entry.previous != NOTHING;
            self.reading.insert(line.chain.clone(), Reading::new(line, self.line));
            self.checked.entries += 1;
            if broken {
                self.fault(format!("{named} says that another stood before it"));
            }
            return;
        };
        let repeated = known.recent.get(&sequence) == Some(&line.hash);
        if sequence == 1 && line.entry.previous == NOTHING && !repeated && line.hash != known.before {
            let chain = line.chain.clone();
            let said = format!(
                "{chain} begins again after entry {} of line {}: the history before it cannot be linked",
                known.last, known.line
            );
            let former = std::mem::replace(known, Reading::new(line, self.line));
            self.checked.beginning(&chain, &former);
            self.checked.entries += 1;
            if self.checked.restarts.len() < FAULTS {
                self.checked.restarts.push((self.line, said));
            }
            return;
        }
        let said = if sequence <= known.last {
            match known.recent.get(&sequence) {
                Some(hash) if *hash == line.hash => return,
                Some(_) => Some(format!("{named} stands here a second time and says something else")),
                None => Some(format!("{named} stands after entry {}: lines were reordered", known.last)),
            }
        } else if sequence > known.last + 1 {
            let missing = if sequence == known.last + 2 {
                format!("entry {} is missing", known.last + 1)
            } else {
                format!("entries {} to {} are missing", known.last + 1, sequence - 1)
            };
            Some(format!("{named} follows entry {} of line {}: {missing}", known.last, known.line))
        } else if line.entry.previous != known.hash {
            let (here, there) = (cut(&line.entry.previous), cut(&known.hash));
            Some(format!(
                "{named} continues {here}, and the entry before it on line {} is {there}",
                known.line
            ))
        } else {
            None
        };
        if sequence > known.last {
            known.recent.insert(sequence, line.hash.clone());
            if known.recent.len() > REPEATED {
                known.recent.pop_first();
            }
            (known.last, known.hash, known.line) = (sequence, line.hash, self.line);
            self.checked.entries += 1;
        }
        if let Some(said) = said {
            self.fault(said);
        }
    }

    fn fault(&mut self, said: String) {
        if self.checked.faults.len() < FAULTS {
            self.checked.faults.push((self.line, said));
        }
    }

    /// What the lines prove, beside where the statuses say that chains stand, where these are known.
    #[must_use]
    pub fn finish(mut self, heads: Option<&BTreeMap<String, Head>>) -> Checked {
        self.line = 0;
        for (chain, read) in &self.reading {
            self.checked.beginning(chain, read);
        }
        for (chain, head) in heads.into_iter().flatten() {
            let said = match self.reading.get(chain) {
                None => {
                    format!("{chain} has {} entries by its status, and none of them is here", head.length)
                }
                Some(read) if read.last < head.length => format!(
                    "{chain} ends with entry {} on line {}, and by its status there are {}",
                    read.last, read.line, head.length
                ),
                Some(read) if read.last == head.length && read.hash != head.hash => format!(
                    "{chain} ends on line {} with {}, and by its status with {}",
                    read.line,
                    cut(&read.hash),
                    cut(&head.hash)
                ),
                Some(_) => continue,
            };
            if self.checked.faults.len() < FAULTS {
                self.checked.faults.push((0, said));
            }
        }
        self.checked.chains = self.reading.len();
        self.checked
    }
}

fn cut(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
