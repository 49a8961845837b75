//! The audit trail at work: what an audit adds to the histories in statuses.

mod heard;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::AIWorkload;
use crate::api::common::OverallVerdict;
use crate::api::compliance::{EndedChain, Tombstone, WorkloadChain};
use crate::api::outcome::{History, HistoryEntry, HistoryKind};
use crate::api::workload::{KnownGood, Lineage};
use crate::controllers::export::Standing;
use crate::gather::world::World;
use crate::policy::composition;
use crate::policy::dates;
use crate::policy::decide::exemption_holds;
use crate::policy::evidence::fails;
use crate::policy::facts::{Asset, Cluster, Namespace, Subject};
use crate::policy::preview;
use crate::policy::trail::{KEPT, ROOM, append, beginning, deleted, dropped, short_digest, tells};

use self::heard::Heard;
pub use self::heard::Source;

/// Entries that one look adds for what the webhook has noted; the others wait for the next look.
pub const NOTES: usize = 4;

/// Something that the webhook let in and that belongs into a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Which replica remembers it, and where.
    pub source: Source,
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

/// What would be left of a namespace if it ended now: assets whose copies no record covers, and quarantines.
///
/// The end of a namespace asks nobody, so that it never waits; what was seen last before it is all that can be told.
#[must_use]
pub fn left_open(world: &World, namespace: &Namespace, now: Timestamp) -> Vec<Tombstone> {
    let settings = world.settings(namespace);
    let models = namespace.models.iter().map(|(name, model)| (name, Asset::Model(model), &model.spec.digest));
    let datasets = namespace.datasets.iter();
    let datasets = datasets.map(|(name, dataset)| (name, Asset::Dataset(dataset), &dataset.spec.digest));
    let prompts = namespace.prompts.iter();
    let prompts = prompts.map(|(name, prompt)| (name, Asset::Prompt(prompt), &prompt.spec.digest));
    let at = dates::second(now).to_string();
    let quarantined = namespace
        .workloads
        .iter()
        .filter(|(_, workload)| workload.is_quarantined() && !namespace.terminating);
    let quarantined = quarantined.map(|(name, _)| Tombstone {
        kind: "AIWorkload".to_owned(),
        name: name.clone(),
        namespace: Some(namespace.name.clone()),
        disposed_at: Some(at.clone()),
        open: Some("its quarantine was not over, and what was to be looked into is gone".to_owned()),
        ..Tombstone::default()
    });
    let assets = models.chain(datasets).chain(prompts).filter_map(|(name, asset, digest)| {
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
    });
    // Many of the one leave room for the other.
    quarantined.take(TOMBSTONES / 4).chain(assets).take(TOMBSTONES).collect()
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

/// Histories of namespaces that are gone, of which the row of the cluster keeps the ends.
const ENDED: usize = 256;

/// The ends of histories after `more` have ended: the newest ones, each chain once.
#[must_use]
pub fn ended(former: &[EndedChain], more: &[EndedChain]) -> Vec<EndedChain> {
    let again = |known: &&EndedChain| !more.iter().any(|one| one.chain == known.chain);
    let mut all: Vec<EndedChain> = former.iter().filter(again).chain(more).cloned().collect();
    all.drain(..all.len().saturating_sub(ENDED));
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
    /// How far its history is exported.
    pub standing: Standing,
}

/// The history of a workload after a look at it; equal to `former` where nothing changed.
///
/// That its state turned is told by what is found and by what the webhook has noted of it. Both stand: the one names who asked
/// and every turn between two looks, the other holds also where the webhook was not asked or its memory was lost.
#[must_use]
pub fn of_workload(former: Option<&History>, chain: &str, look: &Look<'_>, now: Timestamp) -> History {
    let mut history = former.cloned().unwrap_or_default();
    let mut parts = composition::fingerprint(look.workload, look.namespace, look.cluster);
    let state = look.workload.state();
    let known = read(former.and_then(|former| former.parts.as_deref()));
    let digest = Some(look.composition.to_owned());
    tell_lost(&mut history, chain, look.standing, now);
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
    trimmed(history, former, look.standing)
}

/// What is looked at of a namespace.
pub struct NamespaceLook<'a> {
    /// The namespace.
    pub namespace: &'a Namespace,
    /// What the webhook has noted of its assets.
    pub noted: &'a [Noted],
    /// Workloads that are gone, with where their histories ended. The first [`NOTES`] are told of.
    pub ended: &'a [WorkloadChain],
    /// How far its history is exported.
    pub standing: Standing,
}

/// The history of a namespace: its exemptions, the workloads that are gone, and what the webhook has noted of its assets.
/// Of many things the first few are told at each look.
#[must_use]
pub fn of_namespace(
    former: Option<&History>,
    chain: &str,
    look: &NamespaceLook<'_>,
    now: Timestamp,
) -> Option<History> {
    let namespace = look.namespace;
    let mut history = former.cloned().unwrap_or_default();
    tell_lost(&mut history, chain, look.standing, now);
    let known: BTreeSet<&str> =
        former.and_then(|h| h.parts.as_deref()).into_iter().flat_map(str::split_whitespace).collect();
    let mut counting = BTreeSet::new();
    let mut told = 0;
    for (name, exemption) in &namespace.exemptions {
        let mark = short_digest(name);
        let (knew, counts) = (known.contains(mark.as_str()), exemption_holds(exemption, now).is_ok());
        let turned = knew != counts;
        // What finds no room at this look is told at the next.
        let tells = turned && told < NOTES;
        if tells {
            let change = if counts {
                format!(
                    "AIExemption/{name} counts for {}, approved by {}",
                    exemption.spec.controls.join(", "),
                    exemption.spec.approved_by.as_deref().unwrap_or("nobody")
                )
            } else {
                format!("AIExemption/{name} counts no longer")
            };
            append(&mut history, chain, now, HistoryKind::Exemption, change, None);
            told += 1;
        }
        if if turned && !tells { knew } else { counts } {
            counting.insert(mark);
        }
    }
    let existing: BTreeSet<String> = namespace.exemptions.keys().map(|name| short_digest(name)).collect();
    let gone = known.iter().filter(|mark| !existing.contains(**mark)).count();
    if gone > 0 {
        let change = format!("{gone} exemptions that counted were deleted");
        append(&mut history, chain, now, HistoryKind::Exemption, change, None);
    }
    for ended in look.ended.iter().take(NOTES) {
        let (change, digest) =
            (deleted(&ended.name, &ended.uid, ended.length), format!("sha256:{}", ended.head));
        append(&mut history, chain, now, HistoryKind::Lifecycle, change, Some(digest));
    }
    take_notes(&mut history, chain, look.noted);
    // The line has room for 28 marks; an exemption beyond them would be told of again, so the first ones are kept.
    let marks: Vec<String> = counting.into_iter().take(28).collect();
    history.parts = (!marks.is_empty()).then(|| marks.join(" "));
    (history.length > 0).then(|| trimmed(history, former, look.standing))
}

/// Tells the first [`NOTES`] of what was noted, apart from what is told already.
fn take_notes(history: &mut History, chain: &str, noted: &[Noted]) {
    let mut heard = Heard::read(history.heard.as_deref());
    for note in noted.iter().take(NOTES) {
        // A new leader hears once more what its predecessor wrote down.
        if !heard.knows(&note.source) && !tells(history, note.at, note.kind, &note.change) {
            append(history, chain, note.at, note.kind, note.change.clone(), note.digest.clone());
        }
        heard.note(&note.source);
    }
    history.heard = heard.written();
}

/// Tells of entries that no status keeps and that may not stand in the export.
fn tell_lost(history: &mut History, chain: &str, standing: Standing, now: Timestamp) {
    if let Some((from, to)) = standing.lost.filter(|(_, to)| *to <= history.length) {
        append(history, chain, now, HistoryKind::Trail, dropped(from, to), None);
    }
}

/// How many of the entries of a history wait for the export, those that are new included, within [`ROOM`]: they stay.
#[must_use]
pub fn held(history: &History, former: Option<&History>, standing: Standing) -> usize {
    let fresh = former.map_or(0, |former| former.length) + 1;
    let from = standing.waits.map_or(fresh, |waits| waits.min(fresh));
    history.entries.iter().filter(|entry| entry.sequence >= from).count().min(ROOM)
}

/// Forgets the oldest entries, never one that waits while there is room; where there is none, it says from which on.
fn trimmed(mut history: History, former: Option<&History>, standing: Standing) -> History {
    let kept = KEPT.max(held(&history, former, standing));
    let over = history.entries.len().saturating_sub(kept);
    history.entries.drain(..over);
    let oldest = history.entries.first().map_or(history.length, |entry| entry.sequence);
    history.unexported = standing.waits.filter(|waits| *waits < oldest);
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

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
