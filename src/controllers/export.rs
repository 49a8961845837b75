//! The export of the audit trail: what waits for the sink, what found no room to wait, and what was lost of it.

mod sink;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::trouble::Trouble;
use crate::api::outcome::HistoryEntry;
use crate::policy::trail::{Line, ROOM, dropped};

/// Lines that wait in memory for a sink that does not take them: about 6 MiB.
const WAITING: usize = 10_000;
/// Losses that are told of one by one.
const LOSSES: usize = 8;

/// Where entries are exported to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Standard output, for a collector of logs.
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "none" => Ok(Self::Nowhere),
            "stdout" | "-" => Ok(Self::Stdout),
            path if path.starts_with('/') => Ok(Self::File(path.into())),
            other => Err(format!("{other:?} is neither none nor stdout nor an absolute path")),
        }
    }
}

/// How far the export of one chain has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The oldest entry that waits.
    pub waits: Option<u64>,
    /// The first and the last entry of those that are lost, where the chain does not tell of it yet.
    pub lost: Option<(u64, u64)>,
}

/// Writes entries as lines of JSON. What could not be written waits and is tried again.
///
/// The lines wait in memory, [`WAITING`] of them; the newest [`ROOM`] entries of each chain that wait stand in its status
/// besides, where they outlive the controller. What is lost for want of both is told in the chain and in the findings.
#[derive(Debug)]
pub struct Export {
    target: Target,
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    /// Chains of which entries wait that no longer stand in a status.
    alone: BTreeSet<String>,
    /// The oldest entry of each chain that had no room here.
    shed: BTreeMap<String, u64>,
    /// What is lost, until the chain tells of it.
    lost: BTreeMap<String, (u64, u64)>,
    /// What was lost and when, for people.
    losses: VecDeque<(Timestamp, String)>,
    fault: Option<String>,
    trouble: Trouble,
}

/// Lines to be written together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: usize,
    /// The oldest line of each chain.
    first: HashMap<String, u64>,
}

impl Export {
    /// An export to `target`.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { target, most: WAITING, waiting: Mutex::default() }
    }

    /// Whether entries go anywhere.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.target != Target::Nowhere
    }

    /// What waits because it could not be written, and why.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let waiting = self.waiting();
        let why = waiting.fault.as_ref()?;
        let mut said = match waiting.batch.lines {
            1 => "1 entry waits".to_owned(),
            lines => format!("{lines} entries wait"),
        };
        if !waiting.alone.is_empty() {
            let _ = write!(
                said,
                ", those of {} chains in the memory of the controller alone, since a status keeps {ROOM} that wait",
                waiting.alone.len()
            );
        }
        if !waiting.shed.is_empty() {
            let _ = write!(
                said,
                ", and for those of {} chains only their statuses have room, for {ROOM} of each: later ones drop older ones",
                waiting.shed.len()
            );
        }
        Some(format!("{said}: {why}"))
    }

    /// What was lost within the last day.
    #[must_use]
    pub fn losses(&self, now: Timestamp) -> Option<String> {
        let waiting = self.waiting();
        let recent = waiting.losses.iter().filter(|(at, _)| now.duration_since(*at).as_hours() < 24);
        let told: Vec<&str> = recent.map(|(_, said)| said.as_str()).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// How far the export of `chain` has come.
    #[must_use]
    pub fn standing(&self, chain: &str) -> Standing {
        let waiting = self.waiting();
        let both = waiting.batch.first.get(chain).into_iter().chain(waiting.shed.get(chain));
        Standing { waits: both.min().copied(), lost: waiting.lost.get(chain).copied() }
    }

    /// Takes entries of `chain` to be written.
    pub fn add<'e>(&self, chain: &str, entries: impl IntoIterator<Item = &'e HistoryEntry>) {
        if !self.is_on() {
            return;
        }
        let mut waiting = self.waiting();
        for entry in entries {
            // What comes after an entry without room waits behind it.
            if waiting.batch.lines >= self.most || waiting.shed.contains_key(chain) {
                waiting.shed.entry(chain.to_owned()).or_insert(entry.sequence);
            } else if let Ok(line) = serde_json::to_vec(&Line::new(chain, entry)) {
                waiting.batch.bytes.extend(line);
                waiting.batch.bytes.push(b'\n');
                waiting.batch.lines += 1;
                waiting.batch.first.entry(chain.to_owned()).or_insert(entry.sequence);
            }
        }
    }

    /// Notes that all entries of `chain` that its status keeps are to be exported again, from `first` on.
    pub fn repeat(&self, chain: &str, first: u64) {
        if self.is_on() {
            self.waiting().shed.entry(chain.to_owned()).or_insert(first);
        }
    }

    /// Notes that `chain` has entries that wait and no longer stand in its status.
    pub fn alone(&self, chain: &str) {
        self.waiting().alone.insert(chain.to_owned());
    }

    /// Whether `chain` has entries that wait for room.
    #[must_use]
    pub fn is_shed(&self, chain: &str) -> bool {
        self.waiting().shed.contains_key(chain)
    }

    /// Whether entries of any chain wait for room, and there is room now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let waiting = self.waiting();
        !waiting.shed.is_empty() && waiting.fault.is_none() && waiting.batch.lines < self.most
    }

    /// Takes the entries of `chain` that wait for room, out of those that its status keeps. What is not among them is lost.
    pub fn refill(&self, chain: &str, kept: &[HistoryEntry], now: Timestamp) {
        let from = {
            let mut waiting = self.waiting();
            let room = waiting.batch.lines < self.most;
            match waiting.shed.get(chain).copied().filter(|_| room) {
                Some(from) => waiting.shed.remove(chain).unwrap_or(from),
                None => return,
            }
        };
        if let Some(oldest) = kept.first().map(|entry| entry.sequence).filter(|oldest| *oldest > from) {
            self.lose(chain, (from, oldest - 1), now);
        }
        self.add(chain, kept.iter().filter(|entry| entry.sequence >= from));
    }

    /// Forgets those chains that wait for room and whose status is gone: their entries are lost.
    pub fn abandon(&self, gone: impl Fn(&str) -> bool, now: Timestamp) {
        let mut waiting = self.waiting();
        let chains: Vec<String> = waiting.shed.keys().filter(|chain| gone(chain)).cloned().collect();
        for chain in chains {
            let from = waiting.shed.remove(&chain).unwrap_or_default();
            waiting.loss(now, format!("entries of {chain} from {from} on, with its status"));
        }
    }

    /// Notes that entries of `chain` are lost as far as can be told.
    pub fn lose(&self, chain: &str, (from, to): (u64, u64), now: Timestamp) {
        if !self.is_on() {
            return;
        }
        let mut waiting = self.waiting();
        waiting.loss(now, format!("{}, of {chain}", dropped(from, to)));
        let known = waiting.lost.entry(chain.to_owned()).or_insert((from, to));
        *known = (known.0.min(from), known.1.max(to));
    }

    /// Notes that `chain` tells now of what it has lost.
    pub fn told(&self, chain: &str) {
        self.waiting().lost.remove(chain);
    }

    /// Writes what waits. Returns whether that went well after it had failed.
    pub async fn flush(&self) -> bool {
        let (Batch { bytes, lines, first }, again) = {
            let mut waiting = self.waiting();
            (std::mem::take(&mut waiting.batch), waiting.fault.is_some())
        };
        if lines == 0 {
            return false;
        }
        let (bytes, result) = sink::write(self.target.clone(), bytes, again).await;
        let mut waiting = self.waiting();
        if let Err(error) = result {
            if waiting.trouble.is_to_be_said() {
                tracing::warn!(%error, "entries of the audit trail could not be exported");
            }
            let later = std::mem::replace(&mut waiting.batch, Batch { bytes, lines, first });
            waiting.batch.bytes.extend(later.bytes);
            waiting.batch.lines += later.lines;
            for (chain, sequence) in later.first {
                waiting.batch.first.entry(chain).or_insert(sequence);
            }
            waiting.fault = Some(error.to_string());
            return false;
        }
        waiting.alone.clear();
        waiting.fault = None;
        if waiting.trouble.is_over() {
            tracing::info!("entries of the audit trail are exported again");
        }
        again
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn loss(&mut self, now: Timestamp, said: String) {
        tracing::error!("the audit trail has a gap: {said}");
        if self.losses.len() == LOSSES {
            self.losses.pop_front();
        }
        self.losses.push_back((now, said));
    }
}

#[cfg(test)]
#[path = "export/tests.rs"]
mod tests;
