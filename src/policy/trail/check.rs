//! What lines of an exported trail prove: which entries are missing, altered or out of place. Pure.

mod reading;

use std::collections::BTreeMap;

use super::{Line, cut, hash};
use crate::api::outcome::History;
use reading::{Placed, Reading};

/// Where a chain stands according to a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub length: u64,
    /// Hash of the newest.
    pub hash: String,
    /// The oldest entry that the status keeps.
    pub oldest: Option<u64>,
}

impl Head {
    /// Where `history` stands.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let oldest = history.entries.first().map(|entry| entry.sequence);
        Self { length: history.length, hash: history.head.clone(), oldest }
    }
}

/// The files that lines came from, with the number of lines before each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<(u64, String)>);

impl Files {
    /// The file of a line, counted over all of them, and its number there.
    #[must_use]
    pub fn place(&self, line: u64) -> (&str, u64) {
        let file = self.0.iter().rev().find(|(before, _)| *before < line);
        file.map_or(("", line), |(before, name)| (name, line - before))
    }

    /// A line in the midst of a sentence.
    fn spot(&self, line: u64) -> String {
        match self.place(line) {
            (name, line) if self.0.len() > 1 => format!("line {line} of {name}"),
            (_, line) => format!("line {line}"),
        }
    }
}

/// What lines prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The files they came from.
    pub files: Files,
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
    /// What is left of entries that were not written whole and stand whole elsewhere, by line.
    pub remnants: Vec<(u64, String)>,
    /// What could not be told.
    pub open: Vec<String>,
    /// Chains whose first entry says that it came later than what it tells of.
    pub late: Vec<String>,
}

impl Checked {
    /// Notes what is missing before the first entry of a chain.
    fn beginning(&mut self, chain: &str, read: &Reading, head: Option<&Head>) {
        if read.first > 1 {
            let why = if let Some(entry) = read.says_lost(1, read.first - 1) {
                format!("entry {entry} says that it was dropped before it was known to be exported")
            } else if head.and_then(|head| head.oldest) == Some(read.first) {
                "as far as can be told it was never exported, since they begin with the oldest entry that its status keeps"
                    .to_owned()
            } else {
                "it was never exported, or stands in an older file, to be given before this one".to_owned()
            };
            self.open.push(format!(
                "{chain} starts in the middle, with entry {}: what stood before is not in these lines; {why}",
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

    fn fault(&mut self, line: u64, said: String) {
        if self.faults.len() < FAULTS {
            self.faults.push((line, said));
        }
    }
}

/// Faults that are told.
const FAULTS: usize = 100;
/// How the line of an entry begins.
const BEGINS: &str = "{\"chain\":\"";

/// The end of the chain of a workload, as the chain of its namespace tells it.
struct End {
    length: u64,
    digest: Option<String>,
    /// Who says so.
    said: String,
    line: u64,
}

/// Checks lines one by one.
#[derive(Default)]
pub struct Checker {
    reading: BTreeMap<String, Reading>,
    /// Ends of chains of workloads, by namespace and UID.
    ends: BTreeMap<(String, String), End>,
    /// What is left of entries, by line.
    remnants: Vec<(u64, String)>,
    checked: Checked,
    line: u64,
}

impl Checker {
    /// The lines that come next are from this file.
    pub fn file(&mut self, name: &str) {
        self.checked.files.0.push((self.line, name.to_owned()));
    }

    /// Takes in the next line.
    pub fn line(&mut self, text: &str) {
        self.line += 1;
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match serde_json::from_str(text) {
            Ok(line) => self.entry(text, line),
            Err(error) => self.unreadable(text, &error),
        }
    }

    fn unreadable(&mut self, text: &str, error: &serde_json::Error) {
        // Earlier versions wrote on where a line had ended in its midst.
        if let Some(at) = text.rfind(BEGINS).filter(|at| *at > 0) {
            let (rest, whole) = text.split_at(at);
            if (BEGINS.starts_with(rest) || rest.starts_with(BEGINS))
                && let Ok(line) = serde_json::from_str(whole)
            {
                self.remnant(rest);
                self.entry(whole, line);
                return;
            }
        }
        self.checked.other += 1;
        if text.starts_with(BEGINS) && error.is_eof() {
            self.remnant(text);
        } else if text.contains("\"chain\"") {
            // What names a chain and cannot be read was an entry once.
            self.checked.fault(self.line, format!("is no entry that can be read: {error}"));
        }
    }

    fn remnant(&mut self, text: &str) {
        if self.remnants.len() < FAULTS {
            self.remnants.push((self.line, text.to_owned()));
        } else {
            self.checked.fault(self.line, "is no entry that can be read: it ends in its midst".to_owned());
        }
    }

    /// Whoever could not write an entry whole writes it again.
    fn written_again(&mut self, text: &str) {
        let spot = self.checked.files.spot(self.line);
        let remnants = &mut self.checked.remnants;
        self.remnants.retain(|(line, rest)| {
            let again = text.starts_with(rest.as_str());
            if again {
                let said =
                    format!("is left of an entry that was not written whole, and stands whole on {spot}");
                remnants.push((*line, said));
            }
            !again
        });
    }

    fn entry(&mut self, text: &str, line: Line) {
        if !self.remnants.is_empty() {
            self.written_again(text);
        }
        let (sequence, wanted) = (line.entry.sequence, hash(&line.chain, &line.entry));
        let named = format!("entry {sequence} of {}", line.chain);
        if line.hash != wanted {
            let (wanted, said) = (cut(&wanted), cut(&line.hash));
            self.checked
                .fault(self.line, format!("{named} was altered: its hash is {wanted}, it says {said}"));
        }
        self.end(&line);
        let chain = line.chain.clone();
        let Some(known) = self.reading.get_mut(&chain) else {
            if sequence == 1 && line.entry.previous != super::NOTHING {
                self.checked.fault(self.line, format!("{named} says that another stood before it"));
            }
            self.checked.entries += 1;
            self.reading.insert(chain, Reading::new(line, self.line));
            return;
        };
        match known.place(line, self.line, &self.checked.files) {
            Placed::Known => {}
            Placed::New => self.checked.entries += 1,
            Placed::Wrong { said, new } => {
                self.checked.entries += u64::from(new);
                self.checked.fault(self.line, format!("{named} {said}"));
            }
            Placed::Again(former) => {
                let spot = self.checked.files.spot(former.line);
                let said = format!(
                    "{chain} begins again after entry {} of {spot}: the history before it cannot be linked",
                    former.last
                );
                self.checked.beginning(&chain, &former, None);
                self.checked.entries += 1;
                if self.checked.restarts.len() < FAULTS {
                    self.checked.restarts.push((self.line, said));
                }
            }
        }
    }

    /// Remembers the end of a chain where the chain of a namespace tells of one.
    fn end(&mut self, line: &Line) {
        let Some(namespace) = line.chain.strip_prefix("AICompliance/").and_then(|rest| rest.split_once('/'))
        else {
            return;
        };
        let Some((uid, length)) = super::ended(&line.entry) else { return };
        let end = End {
            length,
            digest: line.entry.digest.clone(),
            said: format!("entry {} of {}", line.entry.sequence, line.chain),
            line: self.line,
        };
        self.ends.entry((namespace.0.to_owned(), uid.to_owned())).or_insert(end);
    }

    /// What the lines prove, beside where the statuses say that chains stand, where these are known.
    #[must_use]
    pub fn finish(mut self, heads: Option<&BTreeMap<String, Head>>) -> Checked {
        self.line = 0;
        for (chain, read) in &mut self.reading {
            self.checked.beginning(chain, read, heads.and_then(|heads| heads.get(chain)));
            if let Some((line, said)) = read.finish() {
                self.checked
                    .fault(line, format!("{said} of {chain} stands out of place: lines were reordered"));
            }
            for (line, (from, to)) in &read.gaps {
                let Some(entry) = read.says_lost(*from, *to) else { continue };
                let said =
                    format!(", and entry {entry} says that they were dropped before they were exported");
                let mut faults = self.checked.faults.iter_mut();
                if let Some((_, fault)) = faults.find(|(at, fault)| at == line && fault.ends_with("missing"))
                {
                    *fault += &said;
                }
            }
        }
        self.finish_remnants();
        self.finish_ends();
        self.checked.faults.sort_by_key(|(line, _)| *line);
        for (chain, head) in heads.into_iter().flatten() {
            if let Some(said) = self.beside(chain, head) {
                self.checked.fault(0, said);
            }
        }
        self.checked.chains = self.reading.len();
        self.checked
    }

    fn finish_remnants(&mut self) {
        for (line, text) in std::mem::take(&mut self.remnants) {
            let known = legible(&text).and_then(|(chain, sequence)| {
                let read = self.reading.get(chain)?;
                read.has(sequence).then(|| format!("entry {sequence} of {chain}"))
            });
            match known {
                Some(entry) => {
                    self.checked.remnants.push((line, format!("is left of {entry}, which stands whole elsewhere")));
                }
                None => self.checked.fault(
                    line,
                    "is no entry that can be read: it ends in its midst, and was not written again after that".to_owned(),
                ),
            }
        }
        self.checked.remnants.sort_unstable();
    }

    fn finish_ends(&mut self) {
        for ((namespace, uid), end) in &self.ends {
            let (begins, ends) = (format!("AIWorkload/{namespace}/"), format!("/{uid}"));
            let mut chains = self.reading.range(begins.clone()..);
            let chain = chains.by_ref().take_while(|(chain, _)| chain.starts_with(&begins));
            let found = chain.into_iter().find(|(chain, _)| chain.ends_with(&ends));
            let said = match found {
                None => format!(
                    "{} tells that {begins}...{ends} was deleted after {} entries, and none of them is here; {OLDER}",
                    end.said, end.length
                ),
                Some((chain, read)) if read.last < end.length => format!(
                    "{} tells that {chain} was deleted after {} entries, and it ends with entry {} on {}",
                    end.said,
                    end.length,
                    read.last,
                    self.checked.files.spot(read.line)
                ),
                Some((chain, read)) if !read.fits(end.length, end.digest.as_deref()) => format!(
                    "{} tells that entry {} of {chain} was another than the one that stands here",
                    end.said, end.length
                ),
                Some(_) => continue,
            };
            self.checked.fault(end.line, said);
        }
    }

    /// What is wrong with a chain beside where its status says that it stands.
    fn beside(&self, chain: &str, head: &Head) -> Option<String> {
        let Some(read) = self.reading.get(chain) else {
            return Some(format!(
                "{chain} has {} entries by its status, and none of them is here; {OLDER}",
                head.length
            ));
        };
        let spot = self.checked.files.spot(read.line);
        if read.last < head.length {
            let (last, length) = (read.last, head.length);
            Some(format!("{chain} ends with entry {last} on {spot}, and by its status there are {length}"))
        } else if read.last == head.length && read.hash != head.hash {
            let (here, there) = (cut(&read.hash), cut(&head.hash));
            Some(format!("{chain} ends on {spot} with {here}, and by its status with {there}"))
        } else {
            None
        }
    }
}

/// What to do where a chain may stand in files that were not given.
const OLDER: &str = "where files are rotated, give all of them, the oldest first";

/// The chain and the place of an entry that is not whole.
fn legible(text: &str) -> Option<(&str, u64)> {
    let (chain, rest) = text.strip_prefix(BEGINS)?.split_once('"')?;
    let (sequence, _) = rest.strip_prefix(",\"sequence\":")?.split_once(',')?;
    Some((chain, sequence.parse().ok()?))
}
