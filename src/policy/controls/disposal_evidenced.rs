//! `disposal-evidenced`: assets and workloads are disposed of or handed over with evidence for every
//! copy.

use crate::api;
use crate::api::workload::LifecycleState;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, Question, sound, words};
use crate::policy::facts::{Asset, Facts, Place, Subject};
use crate::policy::fix::Fix;
use crate::policy::records::{self, Needed};
use crate::policy::selector;

/// Assets and workloads are disposed of or handed over with evidence for every copy.
pub(super) const CONTROL: Control = Control {
    id: "disposal-evidenced",
    title: "assets and workloads are disposed of or handed over with evidence for every copy",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::all(Mode::Enforce),
    provisions: &["NCSC-V4.2", "CfV-SCOPE", "FC-13", "ETSI-5"],
    why: "what a retired system leaves behind is guarded by nobody",
    remedy: "record DisposalRecord or TransferRecord for every copy, then delete the asset",
    gaps: &[],
    limits: &[
        "copies that nobody declared, and what a model remembers of its data, are not seen",
        "that an identity or a key outside the cluster is really gone is taken from its record",
        "a Secret may go at any time, because what it opens is safer without it",
        "a record about an asset, or a digest of it, that never was stays too, because nothing tells it from one that is gone",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        // A namespace that ends takes everything with it; holding one asset back would hold back all of it.
        Subject::Deletion(asset) if !facts.namespace.terminating => deleted(facts, *asset, report),
        Subject::RecordDeletion(record) if !facts.namespace.terminating => record_goes(facts, record, report),
        Subject::Namespace => lost(facts, report),
        Subject::ClaimDeletion(claim) if !facts.namespace.terminating => claim_goes(facts, claim, report),
        Subject::Workload(workload) if workload.state() == LifecycleState::Disposed => {
            left_behind(facts, workload, report);
        }
        Subject::Cluster => {
            for (what, open) in &facts.cluster.undisposed {
                let violation =
                    report.violated(Place::object(what), format!("went with its namespace: {open}"));
                let (provisions, fix): (&'static [&'static str], _) = if what.starts_with("AIWorkload ") {
                    (
                        &["CfV-SCOPE"],
                        "ask who acts in incidents what was found, and keep it with the records of the organisation",
                    )
                } else {
                    (
                        &["FC-13"],
                        "look for the copies, and keep what you find out with the records of the organisation",
                    )
                };
                violation.under(provisions).fix(Fix::Text(fix.to_owned()));
            }
        }
        _ => {}
    }
}

/// Every place where an asset is known to lie.
fn copies<'a>(facts: &Facts<'a>, asset: Asset<'a>) -> Vec<&'a str> {
    let (source, digest) = match asset {
        Asset::Model(model) => {
            let source = model.spec.source.as_ref();
            let at = source.and_then(|s| s.claim_name.as_deref().or(s.reference.as_deref()));
            (at, model.spec.digest.as_deref())
        }
        Asset::Dataset(dataset) => {
            let source = dataset.spec.source.as_ref();
            let at = source.and_then(|s| s.claim_name.as_deref().or(s.reference.as_deref()));
            (at, dataset.spec.digest.as_deref())
        }
        Asset::Prompt(prompt) => (
            prompt.spec.source.as_ref().and_then(|source| source.name.as_deref()),
            prompt.spec.digest.as_deref(),
        ),
    };
    let mut out: Vec<&str> = source.into_iter().collect();
    for workload in facts.namespace.workloads.values() {
        let backup = workload.spec.recovery.as_ref().and_then(|recovery| recovery.backup.as_ref());
        let holds =
            |backup: &&api::workload::Backup| backup.digests.iter().any(|held| Some(held.as_str()) == digest);
        if let Some(backup) = backup.filter(holds)
            && !out.contains(&backup.ref_.as_str())
        {
            out.push(&backup.ref_);
        }
    }
    out
}

/// The copies that no record covers.
fn uncovered<'a>(facts: &Facts<'a>, asset: Asset<'a>) -> Vec<&'a str> {
    unrecorded(facts, asset, copies(facts, asset))
}

/// Those of `left` that no record about the asset covers.
fn unrecorded<'l>(facts: &Facts<'_>, asset: Asset<'_>, left: Vec<&'l str>) -> Vec<&'l str> {
    let about = match asset {
        Asset::Model(model) => About::Model(model),
        Asset::Dataset(dataset) => About::Dataset(dataset),
        Asset::Prompt(prompt) => About::Prompt(prompt),
    };
    open(facts, left, |type_| Question::of(type_, about).bound().with(&["copies"]))
}

/// Those of `left` that no record covers: each record adds its copies to those of the others, and of several records about
/// one copy the newest speaks. A record that failed and names no copy is about all of them.
fn open<'a, T: AsRef<str>>(
    facts: &Facts<'a>,
    mut left: Vec<T>,
    question: impl Fn(&'static str) -> Question<'a>,
) -> Vec<T> {
    for type_ in records::TYPES {
        if left.is_empty() {
            break;
        }
        let answers = sound(facts, &question(type_));
        left.retain(|copy| {
            let named = |record| words(record, "copies").contains(&copy.as_ref());
            let speaks = answers.iter().find_map(|answer| match answer {
                Answer::Held(record) => named(record).then_some(true),
                Answer::Failed(record, _) => {
                    (named(record) || words(record, "copies").is_empty()).then_some(false)
                }
                _ => None,
            });
            speaks != Some(true)
        });
    }
    left
}

fn deleted(facts: &Facts<'_>, asset: Asset<'_>, report: &mut Report<'_>) {
    let left = uncovered(facts, asset);
    if left.is_empty() {
        return;
    }
    let (kind, name) = asset.named();
    report
        .violated(
            Place::object(format!("{kind} {}/{name}", facts.namespace.name)),
            format!("may not go: no record says what became of its copies at {}", left.join(", ")),
        )
        .under(&["FC-13"])
        .fix(Fix::Text(format!(
            "erase or hand over each copy, and record an AIEvidence of type DisposalRecord or TransferRecord about {kind} \
             {name:?} with its digest, a document, and facts {{copies: [{}]}}",
            left.join(", ")
        )));
}

/// A record of what became of an asset stays when the asset is gone: it is all that tells of it.
fn record_goes(facts: &Facts<'_>, record: &api::AIEvidence, report: &mut Report<'_>) {
    let subject = &record.spec.subject;
    let why = match records::needed(facts, record) {
        Needed::No => return,
        Needed::Gone => format!(
            "may not go: {} {:?} is gone, and this record is all that tells what became of it",
            subject.kind, subject.name
        ),
        Needed::Changed(state) => format!(
            "may not go: {} {:?} at {state} is gone, and this record is all that tells what became of it",
            subject.kind, subject.name
        ),
        Needed::Disposed(workload) => {
            format!("may not go: that AIWorkload {workload:?} is Disposed rests on it")
        }
    };
    let name = record.metadata.name.as_deref().unwrap_or_default();
    report
        .violated(Place::object(format!("AIEvidence {}/{name}", facts.namespace.name)), why)
        .under(&["FC-13"])
        .fix(Fix::Text(format!(
            "keep it for as long as its namespace stands; to correct it, first record another AIEvidence of type \
             DisposalRecord or TransferRecord about {} {:?} with the same digest, a document, and all of its facts.copies",
            subject.kind, subject.name
        )));
}

/// The audit knows from its own tombstones which records there were.
fn lost(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (asset, what) in &facts.namespace.lost_records {
        report
            .violated(Place::object(asset), what.as_str())
            .under(&["FC-13"])
            .fix(Fix::Text(
                "record it again as AIEvidence of that name, with the document of that digest".to_owned(),
            ))
            .of_namespace();
    }
}

/// A claim that holds an asset goes once a record covers it, and with it the volume, where that outlives its claim.
fn claim_goes(facts: &Facts<'_>, claim: &str, report: &mut Report<'_>) {
    let namespace = facts.namespace;
    let models = namespace.models.values().map(|model| Asset::Model(model));
    let datasets = namespace.datasets.values().map(|dataset| Asset::Dataset(dataset));
    let holds = |asset: &Asset<'_>| {
        let at = match asset {
            Asset::Model(model) => model.spec.source.as_ref().and_then(|s| s.claim_name.as_deref()),
            Asset::Dataset(dataset) => dataset.spec.source.as_ref().and_then(|s| s.claim_name.as_deref()),
            Asset::Prompt(_) => None,
        };
        at == Some(claim)
    };
    let volume = namespace.claims.get(claim).and_then(|known| known.volume.as_deref());
    let kept = volume.filter(|name| facts.cluster.kept_volumes.contains(*name));
    let volume = kept.map(|name| format!("PersistentVolume/{name}"));
    for asset in models.chain(datasets).filter(holds) {
        let wanted: Vec<&str> = [claim].into_iter().chain(volume.as_deref()).collect();
        let left = unrecorded(facts, asset, wanted);
        if left.is_empty() {
            continue;
        }
        let (kind, name) = asset.named();
        let stays = volume.as_ref().map_or("", |_| ", whose volume stays with all that is on it");
        report
            .violated(
                Place::object(format!("PersistentVolumeClaim {}/{claim}", namespace.name)),
                format!("may not go: it holds {kind} {name:?}{stays}, and no record covers {}", left.join(", ")),
            )
            .under(&["FC-13"])
            .fix(Fix::Text(format!(
                "erase or hand over what is on it, and record an AIEvidence of type DisposalRecord or TransferRecord about \
                 {kind} {name:?} with its digest, a document, and facts {{copies: [{}]}}",
                left.join(", ")
            )));
    }
}

/// A workload is disposed of once nothing of it is left, or every rest is accounted for.
fn left_behind(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    let namespace = facts.namespace;
    let own = workload.metadata.name.as_deref();
    let others =
        || namespace.workloads.iter().filter(|(name, _)| Some(name.as_str()) != own).map(|(_, other)| other);
    let mut left = Vec::new();
    for used in &spec.models {
        let shared = others().any(|other| other.spec.models.iter().any(|model| model.name == used.name));
        if let Some(model) = namespace.models.get(&used.name).filter(|_| !shared)
            && !uncovered(facts, Asset::Model(model)).is_empty()
        {
            left.push(format!("AIModel {:?}", used.name));
        }
    }
    for used in &spec.prompts {
        let shared = others().any(|other| other.spec.prompts.iter().any(|prompt| prompt.name == used.name));
        if let Some(prompt) = namespace.prompts.get(&used.name).filter(|_| !shared)
            && !uncovered(facts, Asset::Prompt(prompt)).is_empty()
        {
            left.push(format!("AIPrompt {:?}", used.name));
        }
    }
    for used in spec
        .datasets
        .iter()
        .filter(|used| used.namespace.as_ref().is_none_or(|other| *other == namespace.name))
    {
        let shared =
            others().any(|other| other.spec.datasets.iter().any(|dataset| dataset.name == used.name));
        if let Some(dataset) = namespace.datasets.get(&used.name).filter(|_| !shared)
            && !uncovered(facts, Asset::Dataset(dataset)).is_empty()
        {
            left.push(format!("AIDataset {:?}", used.name));
        }
    }
    for (name, service) in &namespace.services {
        if selector::contains(&service.selector, &spec.selector.match_labels) {
            left.push(format!("Service {name:?}"));
        }
    }
    left.extend(keys(facts, workload));
    if left.is_empty() {
        return;
    }
    // A quarantine that is not over goes on: what retires has its network.
    let cut_off =
        facts.requester.and_then(|asking| asking.former).is_some_and(api::AIWorkload::is_quarantined);
    let before = if cut_off { LifecycleState::Quarantined } else { LifecycleState::Retiring };
    report
        .violated(
            Place::field(Facts::name_of(workload), "spec.lifecycle.state").value("Disposed"),
            format!("is not true yet, left behind are {}", left.join(", ")),
        )
        .under(&["ETSI-5", "CfV-SCOPE"])
        .fix(
            Fix::set_at(&Place::field(Facts::name_of(workload), "spec.lifecycle.state"), "", before.as_str()).after(
                "erase or hand over each, record it as AIEvidence of type DisposalRecord or TransferRecord, and delete what \
                 is no asset; Secrets, cloud identities and keys for outside programs stand in facts.copies of a record about \
                 the workload; until then",
            ),
        )
        .in_declaration(facts);
}

/// Secrets, and identities and keys outside the cluster, that open a way to what the workload used; those without a record.
fn keys<'a>(facts: &Facts<'a>, workload: &'a api::AIWorkload) -> Vec<String> {
    let spec = &workload.spec;
    let cloud = spec.identity.iter().flat_map(|identity| &identity.cloud_identities);
    let all = spec.secrets.iter().map(|name| format!("Secret/{name}"));
    let all = all.chain(cloud.map(|one| format!("CloudIdentity/{}", one.principal)));
    let left: Vec<String> =
        all.chain(spec.external_apis.iter().map(|api| format!("ExternalApi/{}", api.name))).collect();
    open(facts, left, |type_| Question::of(type_, About::Workload(workload)).with(&["copies"]))
}

#[cfg(test)]
#[path = "tests/disposal_evidenced.rs"]
mod tests;
