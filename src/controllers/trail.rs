//! The audit trail at work: what an audit adds to the histories in statuses, and where their entries are exported to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;

use crate::api::AIWorkload;
use crate::api::common::OverallVerdict;
use crate::api::compliance::Tombstone;
use crate::api::outcome::{History, HistoryEntry, HistoryKind};
use crate::api::workload::{KnownGood, Lineage};
use crate::gather::world::World;
use crate::policy::composition;
use crate::policy::dates;
use crate::policy::decide::exemption_holds;
use crate::policy::evidence::fails;
use crate::policy::facts::{Asset, Cluster, Namespace, Subject};
use crate::policy::preview;
use crate::policy::trail::{KEPT, Line, append, beginning, tells};

/// Entries that one look adds for what the webhook has noted; the others wait for the next look.
pub const NOTES: usize = 4;
/// Lines that wait for a sink that does not take them.
const WAITING: usize = 10_000;

/// Something that the webhook let in and that belongs into a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: HistoryKind,
    /// In words.
    pub change: String,
    /// The digest of an asset afterwards.
    pub digest: Option<String>,
    /// What is left of an asset that was deleted.
    pub tombstone: Option<Tombstone>,
}

/// What would be left of the assets of a namespace if it ended now: those whose copies no record covers.
///
/// The end of a namespace asks nobody, so that it never waits; what was seen last before it is all that can be told.
#[must_use]
pub fn open_assets(world: &World, namespace: &Namespace, now: Timestamp) -> Vec<Tombstone> {
    let settings = world.settings(namespace);
    let models = namespace.models.iter().map(|(name, model)| (name, Asset::Model(model), &model.spec.digest));
    let datasets = namespace.datasets.iter();
    let datasets = datasets.map(|(name, dataset)| (name, Asset::Dataset(dataset), &dataset.spec.digest));
    let prompts = namespace.prompts.iter();
    let prompts = prompts.map(|(name, prompt)| (name, Asset::Prompt(prompt), &prompt.spec.digest));
    let at = dates::second(now).to_string();
    models
        .chain(datasets)
        .chain(prompts)
        .filter_map(|(name, asset, digest)| {
            let facts = world.facts(now, Subject::Deletion(asset), namespace, &settings);
            Some(Tombstone {
                kind: asset.named().0.to_owned(),
                name: name.clone(),
                namespace: Some(namespace.name.clone()),
                digest: digest.clone(),
                disposed_at: Some(at.clone()),
                open: Some(fails(&facts, "disposal-evidenced")??),
                ..Tombstone::default()
            })
        })
        .take(TOMBSTONES)
        .collect()
}

/// Tombstones that a row keeps.
const TOMBSTONES: usize = 48;

/// The tombstones after what was noted: the newest ones.
#[must_use]
pub fn tombstones(former: &[Tombstone], more: impl Iterator<Item = Tombstone>) -> Vec<Tombstone> {
    let mut all: Vec<Tombstone> = former.to_vec();
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all.drain(..all.len().saturating_sub(TOMBSTONES));
    all
}

/// What is looked at of a workload.
pub struct Look<'a> {
    /// The declaration.
    pub workload: &'a AIWorkload,
    /// Its namespace.
    pub namespace: &'a Namespace,
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Digest of its composition.
    pub composition: &'a str,
    /// Its verdict now.
    pub verdict: OverallVerdict,
    /// Its verdict at the last look, where there was one.
    pub former: Option<OverallVerdict>,
    /// The control that matters most, where one is not kept.
    pub reason: Option<&'a str>,
    /// What the webhook has noted of it.
    pub noted: &'a [Noted],
}

/// The history of a workload after a look at it; equal to `former` where nothing changed.
#[must_use]
pub fn of_workload(former: Option<&History>, chain: &str, look: &Look<'_>, now: Timestamp) -> History {
    let mut history = former.cloned().unwrap_or_default();
    let mut parts = composition::fingerprint(look.workload, look.namespace, look.cluster);
    let state = look.workload.state();
    let known = read(former.and_then(|former| former.parts.as_deref()));
    let digest = Some(look.composition.to_owned());
    if former.is_none() {
        let created = look.workload.metadata.creation_timestamp.as_ref().map(|time| time.0);
        append(&mut history, chain, now, HistoryKind::Composition, beginning(created, now), digest);
    } else {
        let changed = changed(&known, &parts);
        if !changed.is_empty() {
            let change = format!("changed: {}", changed.join(", "));
            append(&mut history, chain, now, HistoryKind::Composition, change, digest);
        }
        if let Some(was) = known.get("state").filter(|was| **was != state.as_str()) {
            let change = format!("{was} -> {}", state.as_str());
            append(&mut history, chain, now, HistoryKind::Lifecycle, change, None);
        }
    }
    if look.former.is_some_and(|was| was != look.verdict) || (look.former.is_none() && former.is_none()) {
        let reason = look.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let was = look.former.map(|was| format!("{} -> ", was.as_str())).unwrap_or_default();
        let change = format!("{was}{}{reason}", look.verdict.as_str());
        append(&mut history, chain, now, HistoryKind::Verdict, change, None);
    }
    take_notes(&mut history, chain, look.noted);
    parts.push(("state", state.as_str().to_owned()));
    history.parts = Some(written(&parts));
    trimmed(history, former)
}

/// The history of a namespace: its exemptions, and what the webhook has noted of its assets.
#[must_use]
pub fn of_namespace(
    former: Option<&History>,
    chain: &str,
    namespace: &Namespace,
    noted: &[Noted],
    now: Timestamp,
) -> Option<History> {
    let mut history = former.cloned().unwrap_or_default();
    let known: BTreeSet<&str> =
        former.and_then(|h| h.parts.as_deref()).into_iter().flat_map(str::split_whitespace).collect();
    let mut counting = BTreeSet::new();
    for (name, exemption) in &namespace.exemptions {
        let mark = mark(name);
        let counts = exemption_holds(exemption, now).is_ok();
        let change = match (known.contains(mark.as_str()), counts) {
            (false, true) => Some(format!(
                "AIExemption/{name} counts for {}, approved by {}",
                exemption.spec.controls.join(", "),
                exemption.spec.approved_by.as_deref().unwrap_or("nobody")
            )),
            (true, false) => Some(format!("AIExemption/{name} counts no longer")),
            _ => None,
        };
        if let Some(change) = change {
            append(&mut history, chain, now, HistoryKind::Exemption, change, None);
        }
        if counts {
            counting.insert(mark);
        }
    }
    let existing: BTreeSet<String> = namespace.exemptions.keys().map(|name| mark(name)).collect();
    let gone = known.iter().filter(|mark| !existing.contains(**mark)).count();
    if gone > 0 {
        let change = format!("{gone} exemptions that counted were deleted");
        append(&mut history, chain, now, HistoryKind::Exemption, change, None);
    }
    take_notes(&mut history, chain, noted);
    // The line has room for 28 marks; an exemption beyond them would be told of again, so the first ones are kept.
    let marks: Vec<String> = counting.into_iter().take(28).collect();
    history.parts = (!marks.is_empty()).then(|| marks.join(" "));
    (history.length > 0).then(|| trimmed(history, former))
}

fn mark(name: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(&Sha256::digest(name.as_bytes())[..4])
}

fn take_notes(history: &mut History, chain: &str, noted: &[Noted]) {
    for note in noted.iter().take(NOTES) {
        // A new leader hears once more what its predecessor wrote down.
        if tells(history, note.at, note.kind, &note.change) {
            continue;
        }
        append(history, chain, note.at, note.kind, note.change.clone(), note.digest.clone());
    }
}

/// Forgets the oldest entries, never one that is new and not yet exported.
fn trimmed(mut history: History, former: Option<&History>) -> History {
    let new =
        usize::try_from(history.length - former.map_or(0, |former| former.length)).unwrap_or(usize::MAX);
    let over = history.entries.len().saturating_sub(KEPT.max(new));
    history.entries.drain(..over);
    history
}

/// The entries of a history that were not there before.
#[must_use]
pub fn fresh(history: Option<&History>, former: Option<&History>) -> Vec<HistoryEntry> {
    let known = former.map_or(0, |former| former.length);
    history.into_iter().flat_map(|h| &h.entries).filter(|entry| entry.sequence > known).cloned().collect()
}

fn read(parts: Option<&str>) -> BTreeMap<&str, &str> {
    parts.into_iter().flat_map(str::split_whitespace).filter_map(|part| part.split_once('=')).collect()
}

fn written(parts: &[(&'static str, String)]) -> String {
    parts.iter().map(|(name, digest)| format!("{name}={digest}")).collect::<Vec<_>>().join(" ")
}

fn changed<'a>(known: &BTreeMap<&'a str, &str>, parts: &[(&'static str, String)]) -> Vec<&'a str> {
    let mut out: BTreeSet<&'a str> = BTreeSet::new();
    for (name, digest) in parts {
        if known.get(name).is_none_or(|was| was != digest) {
            out.insert(name);
        }
    }
    let here: BTreeSet<&str> = parts.iter().map(|(name, _)| *name).collect();
    out.extend(known.keys().filter(|name| **name != "state" && !here.contains(**name)));
    out.into_iter().collect()
}

/// The composition to go back to: this one where its pods run and keep all that is enforced, else the one before.
#[must_use]
pub fn known_good<'p>(
    former: Option<&KnownGood>,
    workload: &AIWorkload,
    namespace: &Namespace,
    composition: &str,
    good: bool,
    images: impl Iterator<Item = &'p str>,
    now: Timestamp,
) -> Option<KnownGood> {
    if !good || former.is_some_and(|known| known.composition_digest == composition) {
        return former.cloned();
    }
    let assets = preview::parts(workload, namespace).into_iter();
    let images: BTreeSet<&str> = images.collect();
    let parts = assets.chain(images.into_iter().map(str::to_owned)).take(10).collect();
    let since = dates::second(now).to_string();
    Some(KnownGood { composition_digest: composition.to_owned(), since, parts })
}

/// Since when the present composition is declared, and what came before it. `previewed` is asked until it says yes.
#[must_use]
pub fn lineage(
    former: Option<&Lineage>,
    history: Option<&History>,
    composition: &str,
    previewed: impl FnOnce() -> bool,
    now: Timestamp,
) -> Lineage {
    let at = || dates::second(now).to_string();
    let mut out = match former {
        Some(known) if known.composition_digest == composition => known.clone(),
        Some(known) => Lineage {
            composition_digest: composition.to_owned(),
            since: at(),
            former_digest: Some(known.composition_digest.clone()),
            previewed_at: None,
        },
        None => {
            let changes = history.into_iter().flat_map(|history| &history.entries).rev();
            let same = |entry: &&HistoryEntry| entry.digest.as_deref() == Some(composition);
            let since = changes.into_iter().find(same).map_or_else(at, |entry| entry.at.clone());
            Lineage { composition_digest: composition.to_owned(), since, ..Lineage::default() }
        }
    };
    if out.previewed_at.is_none() && previewed() {
        out.previewed_at = Some(at());
    }
    out
}

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

/// Writes entries as lines of JSON. What could not be written waits and is tried again.
#[derive(Debug)]
pub struct Export {
    target: Target,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lines: usize,
    fault: Option<String>,
}

impl Export {
    /// An export to `target`.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { target, waiting: Mutex::default() }
    }

    /// Whether entries go anywhere.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.target != Target::Nowhere
    }

    /// Why the newest entries could not be written, where they could not.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.waiting().fault.clone()
    }

    /// Takes entries of `chain` to be written.
    pub fn add<'e>(&self, chain: &str, entries: impl IntoIterator<Item = &'e HistoryEntry>) {
        if !self.is_on() {
            return;
        }
        let mut waiting = self.waiting();
        for entry in entries {
            if waiting.lines >= WAITING {
                // The gap shows when the chain is checked, and until then in the fault.
                continue;
            }
            if let Ok(line) = serde_json::to_vec(&Line::new(chain, entry)) {
                waiting.bytes.extend(line);
                waiting.bytes.push(b'\n');
                waiting.lines += 1;
            }
        }
    }

    /// Writes what waits.
    pub async fn flush(&self) {
        let taken = std::mem::take(&mut *self.waiting());
        if taken.lines == 0 {
            self.waiting().fault = taken.fault;
            return;
        }
        let result = match &self.target {
            Target::Nowhere => Ok(()),
            Target::Stdout => print(taken.bytes.clone()).await,
            Target::File(path) => append_to(path, &taken.bytes).await,
        };
        if let Err(error) = result {
            tracing::warn!(%error, "entries of the audit trail could not be exported");
            *self.waiting() = Waiting { fault: Some(error.to_string()), ..taken };
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn append_to(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new().append(true).create(true).open(path).await?;
    file.write_all(bytes).await?;
    file.sync_data().await
}

/// A reader that is slow holds up a thread of its own and nothing else.
async fn print(bytes: Vec<u8>) -> std::io::Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = std::io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    });
    written.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
