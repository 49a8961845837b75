//! The state of one chain while lines are read.

use std::collections::BTreeMap;

use super::super::{Line, NOTHING, TAKEN_UP, cut, lost};
use super::{FAULTS, Files};

/// Entries that are recognised when they stand there again, counted back from the newest: a controller that starts writes
/// all that its statuses keep once more.
const REPEATED: usize = 64;

/// One chain, as far as it was read.
pub(super) struct Reading {
    /// Its first entry.
    pub(super) first: u64,
    /// What that says that stood before it.
    before: String,
    /// Since when what it tells of was declared, where its first entry came later.
    pub(super) declared: Option<String>,
    /// Its last entry.
    pub(super) last: u64,
    /// The hash of that.
    pub(super) hash: String,
    /// Where it stands.
    pub(super) line: u64,
    /// The last few hashes, by their place.
    recent: BTreeMap<u64, String>,
    /// Entries from before the first that are written again, until they have come up to it.
    again: Option<Again>,
    /// What is missing, by the line that shows it.
    pub(super) gaps: Vec<(u64, (u64, u64))>,
    /// What an entry says is lost, with its place.
    lost: Vec<(u64, (u64, u64))>,
}

struct Again {
    line: u64,
    first: u64,
    before: String,
    last: u64,
    hash: String,
}

/// What became of an entry.
pub(super) enum Placed {
    /// It stood there before.
    Known,
    /// It comes next.
    New,
    /// It is out of place.
    Wrong {
        /// How.
        said: String,
        /// Whether it is a new one all the same.
        new: bool,
    },
    /// With it the chain begins again.
    Again(Box<Reading>),
}

impl Reading {
    pub(super) fn new(line: Line, number: u64) -> Self {
        let sequence = line.entry.sequence;
        let declared = line.entry.change.strip_prefix(TAKEN_UP).filter(|_| sequence == 1).map(str::to_owned);
        let lost = lost(&line.entry).map(|range| (sequence, range));
        Self {
            first: sequence,
            before: line.entry.previous,
            declared,
            last: sequence,
            recent: BTreeMap::from([(sequence, line.hash.clone())]),
            hash: line.hash,
            line: number,
            again: None,
            gaps: Vec::new(),
            lost: lost.into_iter().collect(),
        }
    }

    /// Takes in the next entry of the chain, which stands on line `number`.
    pub(super) fn place(&mut self, line: Line, number: u64, files: &Files) -> Placed {
        let sequence = line.entry.sequence;
        let repeated = self.recent.get(&sequence) == Some(&line.hash);
        if self.comes_up(&line, repeated) {
            return if repeated { Placed::Known } else { Placed::New };
        }
        if let Some(again) = self.again.take() {
            // What came before did not lead up to where these lines begin.
            let mut said =
                format!("follows entry {} of {}: lines were reordered", again.last, files.spot(again.line));
            let new = sequence > self.last;
            if new {
                let more = self.follows(&line, number, files);
                said += &more.map_or_else(String::new, |more| format!("; it {more}"));
                self.next(line, number);
            }
            return Placed::Wrong { said, new };
        }
        let begins = sequence == 1 && line.entry.previous == NOTHING;
        if begins && !repeated && line.hash != self.before {
            return Placed::Again(Box::new(std::mem::replace(self, Self::new(line, number))));
        }
        if repeated {
            return Placed::Known;
        }
        if sequence < self.first {
            self.again = Some(Again {
                line: number,
                first: sequence,
                before: line.entry.previous,
                last: sequence,
                hash: line.hash,
            });
            return Placed::New;
        }
        if sequence <= self.last {
            let said = if self.recent.contains_key(&sequence) {
                "stands here a second time and says something else".to_owned()
            } else {
                format!("stands after entry {}: lines were reordered", self.last)
            };
            return Placed::Wrong { said, new: false };
        }
        let said = self.follows(&line, number, files);
        self.next(line, number);
        said.map_or(Placed::New, |said| Placed::Wrong { said, new: true })
    }

    /// Whether the entry goes on with those from before the first that are written again.
    fn comes_up(&mut self, line: &Line, repeated: bool) -> bool {
        let Some(again) = &mut self.again else { return false };
        let sequence = line.entry.sequence;
        if sequence != again.last + 1 || line.entry.previous != again.hash {
            return false;
        }
        if sequence < self.first {
            (again.last, again.hash) = (sequence, line.hash.clone());
            return true;
        }
        if repeated && let Some(again) = self.again.take() {
            (self.first, self.before) = (again.first, again.before);
        }
        repeated
    }

    /// What is wrong with an entry after the last one.
    fn follows(&mut self, line: &Line, number: u64, files: &Files) -> Option<String> {
        let (sequence, spot) = (line.entry.sequence, files.spot(self.line));
        if sequence > self.last + 1 {
            let (from, to) = (self.last + 1, sequence - 1);
            let missing = if from == to {
                format!("entry {from} is missing")
            } else {
                format!("entries {from} to {to} are missing")
            };
            if self.gaps.len() < FAULTS {
                self.gaps.push((number, (from, to)));
            }
            return Some(format!("follows entry {} of {spot}: {missing}", self.last));
        }
        (line.entry.previous != self.hash).then(|| {
            let (here, there) = (cut(&line.entry.previous), cut(&self.hash));
            format!("continues {here}, and the entry before it on {spot} is {there}")
        })
    }

    fn next(&mut self, line: Line, number: u64) {
        let sequence = line.entry.sequence;
        self.recent.insert(sequence, line.hash.clone());
        if self.recent.len() > REPEATED {
            self.recent.pop_first();
        }
        if let Some(range) = lost(&line.entry).filter(|_| self.lost.len() < FAULTS) {
            self.lost.push((sequence, range));
        }
        (self.last, self.hash, self.line) = (sequence, line.hash, number);
    }

    /// Whether the entry of that place was read. With very many gaps nobody can tell.
    pub(super) fn has(&self, sequence: u64) -> bool {
        let missing = self.gaps.iter().any(|(_, (from, to))| (*from..=*to).contains(&sequence));
        (self.first..=self.last).contains(&sequence) && !missing && self.gaps.len() < FAULTS
    }

    /// The entry that says that these are lost.
    pub(super) fn says_lost(&self, from: u64, to: u64) -> Option<u64> {
        let covers = |range: &(u64, u64)| range.0 <= from && to <= range.1;
        self.lost.iter().find(|(_, range)| covers(range)).map(|(entry, _)| *entry)
    }

    /// Whether the entry of that place may have that digest: of old ones nobody can tell.
    pub(super) fn fits(&self, sequence: u64, digest: Option<&str>) -> bool {
        let digest = digest.and_then(|digest| digest.strip_prefix("sha256:"));
        let known = self.recent.get(&sequence);
        known.zip(digest).is_none_or(|(known, digest)| known == digest)
    }

    /// Entries from before the first that led nowhere, by line.
    pub(super) fn finish(&mut self) -> Option<(u64, String)> {
        self.again.take().map(|again| (again.line, format!("entry {}", again.first)))
    }
}
