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
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
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
    /// What could not be told.
    pub open: Vec<String>,
}

/// The state of one chain while lines are read.
struct Reading {
    first: u64,
    last: u64,
    hash: String,
    /// Entries again, as a new leader repeats its newest ones: the last few hashes by their place.
    recent: BTreeMap<u64, String>,
    broken: bool,
    line: u64,
}

/// Repeated entries that are recognised, counted back from the newest.
const REPEATED: usize = 64;
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
            let recent = BTreeMap::from([(sequence, line.hash.clone())]);
            self.reading.insert(
                line.chain,
                Reading { first: sequence, last: sequence, hash: line.hash, recent, broken, line: self.line },
            );
            self.checked.entries += 1;
            if broken {
                self.fault(format!("{named} says that another stood before it"));
            }
            return;
        };
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
        known.broken |= said.is_some();
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
            if read.first > 1 {
                let open = format!(
                    "{chain} begins with entry {}: what stood before is not in these lines",
                    read.first
                );
                self.checked.open.push(open);
            }
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
mod tests {
    use super::*;

    fn written(entries: usize) -> (History, Vec<String>) {
        let mut history = History::default();
        let chain = of_workload("a", "chat", "u");
        for n in 0..entries {
            let at = Timestamp::from_second(1_800_000_000 + i64::try_from(n).unwrap()).unwrap();
            append(&mut history, &chain, at, HistoryKind::Verdict, format!("change {n}"), None);
        }
        let lines = history.entries.iter().map(|e| serde_json::to_string(&Line::new(&chain, e)).unwrap());
        let lines = lines.collect();
        (history, lines)
    }

    fn checked(lines: &[String], head: Option<&History>) -> Checked {
        let mut checker = Checker::default();
        for line in lines {
            checker.line(line);
        }
        let heads = head.map(|history| {
            let head = Head { length: history.length, hash: history.head.clone() };
            BTreeMap::from([(of_workload("a", "chat", "u"), head)])
        });
        checker.finish(heads.as_ref())
    }

    fn only_fault(lines: &[String], head: Option<&History>) -> (u64, String) {
        let mut checked = checked(lines, head);
        assert_eq!(checked.faults.len(), 1, "{:?}", checked.faults);
        checked.faults.remove(0)
    }

    #[test]
    fn whole_chains_hold_repeated_entries_and_other_lines_included() {
        let (history, mut lines) = written(5);
        lines.insert(2, "{\"level\":\"info\",\"message\":\"all is well\"}".to_owned());
        lines.extend_from_within(4..6);
        let checked = checked(&lines, Some(&history));
        assert_eq!((checked.faults.len(), checked.entries, checked.other, checked.chains), (0, 5, 1, 1));
    }

    #[test]
    fn what_breaks_a_chain_is_named_with_its_line() {
        let (history, lines) = written(5);
        let mut altered = lines.clone();
        altered[2] = altered[2].replace("change 2", "change 9");
        let (line, said) = only_fault(&altered, None);
        assert_eq!(line, 3);
        assert!(said.contains("entry 3 of AIWorkload/a/chat/u was altered"), "{said}");

        let mut missing = lines.clone();
        missing.remove(2);
        let (line, said) = only_fault(&missing, None);
        assert!(line == 3 && said.ends_with("entry 3 is missing"), "{line}: {said}");

        let mut reordered = lines.clone();
        reordered.swap(2, 3);
        let faults = checked(&reordered, None).faults;
        assert!(faults[0].0 == 3 && faults[1].1.contains("lines were reordered"), "{faults:?}");

        let (line, said) = only_fault(&lines[..3], Some(&history));
        assert!(
            line == 0 && said.contains("ends with entry 3 on line 3, and by its status there are 5"),
            "{said}"
        );
        let (_, said) = only_fault(&[], Some(&history));
        assert!(said.contains("none of them is here"), "{said}");

        let mut cut = lines.clone();
        cut[4].truncate(40);
        let (line, said) = only_fault(&cut, None);
        assert!(line == 5 && said.contains("no entry that can be read"), "{said}");
    }

    #[test]
    fn a_forged_entry_does_not_fit_between_its_neighbours() {
        let (_, lines) = written(4);
        let mut forged: Line = serde_json::from_str(&lines[1]).unwrap();
        forged.entry.change = "nothing happened".to_owned();
        forged.hash = hash(&forged.chain, &forged.entry);
        let mut lines = lines;
        lines[1] = serde_json::to_string(&forged).unwrap();
        let (line, said) = only_fault(&lines, None);
        assert!(line == 3 && said.contains("continues"), "{line}: {said}");
    }

    #[test]
    fn a_chain_without_its_beginning_is_open() {
        let (_, lines) = written(4);
        let checked = checked(&lines[2..], None);
        assert!(checked.faults.is_empty());
        assert!(checked.open[0].contains("begins with entry 3"), "{:?}", checked.open);
    }
}
