//! `public-data-validated`: what anybody may write is examined before a model learns from it.

use crate::api;
use crate::api::Environment;
use crate::api::workload::WorkloadType;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, By, Question, Shortfall};
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// Public data leaves quarantine once validated, and its sources are watched.
pub(super) const CONTROL: Control = Control {
    id: "public-data-validated",
    title: "public training data is validated by digest before it leaves quarantine, and its sources are \
        watched",
    room: Room::SupplyChain,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-7.3.1", "CoP-7.3.2", "CoP-3.1.2-n1", "ETSI-2"],
    why: "anyone on the internet can write what you will train on tomorrow",
    remedy: "validate the data and record PublicDataValidation for its digest; until then mount it only in \
        quarantine",
    gaps: &[],
    limits: &[
        "the operator reaches no public source itself: that one changed is known from who watches it, by SourceWatch evidence",
    ],
    check: Check::Rule(check),
};

/// The longest time between two looks at a source, in days.
const WATCH_DAYS: i64 = 7;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Dataset(dataset) => sources(facts, dataset, report),
        Subject::Pod(_) => {
            let Some((_, workload)) = facts.ai_pod() else { return };
            for used in &workload.spec.datasets {
                let home = facts.namespace_named(used.namespace.as_deref());
                // A dataset that nobody knows is the matter of dataset-integrity.
                let Some(dataset) = home.and_then(|home| home.datasets.get(&used.name)) else { continue };
                if public(dataset) {
                    sources(facts, dataset, report);
                    validated(facts, workload, dataset, report);
                }
            }
        }
        _ => {}
    }
}

/// Whether any of it was taken from public places.
fn public(dataset: &api::AIDataset) -> bool {
    dataset.spec.public_source == Some(true) || !dataset.spec.sources.is_empty()
}

fn named(dataset: &api::AIDataset) -> String {
    format!(
        "AIDataset {}/{}",
        dataset.metadata.namespace.as_deref().unwrap_or_default(),
        dataset.metadata.name.as_deref().unwrap_or_default()
    )
}

fn validated<'a>(
    facts: &Facts<'a>,
    workload: &api::AIWorkload,
    dataset: &'a api::AIDataset,
    report: &mut Report<'_>,
) {
    let prepares = matches!(workload.spec.type_, WorkloadType::DataPreparation | WorkloadType::Import);
    if prepares && facts.namespace.environment() == Some(Environment::Quarantine) {
        return;
    }
    let by =
        if dataset.spec.controllers.is_empty() { By::Another } else { By::OneOf(&dataset.spec.controllers) };
    let mut short = Shortfall::new(facts);
    if short
        .ask(Question::of("PublicDataValidation", About::Dataset(dataset)).bound().passed().by(by))
        .is_none()
    {
        short.fix("validate it in a quarantine namespace with a workload of type dataPreparation");
    }
    short.tell(report, Place::field(named(dataset), "spec.digest"), &["CoP-7.3.1", "ETSI-2"]);
}

/// Each public place is named with what was read there and when, and is looked at again.
fn sources(facts: &Facts<'_>, dataset: &api::AIDataset, report: &mut Report<'_>) {
    if !public(dataset) {
        return;
    }
    let object = named(dataset);
    if dataset.spec.sources.is_empty() {
        report
            .violated(Place::field(&object, "spec.sources"), "names no place, though publicSource is true")
            .under(&["CoP-7.3.1"])
            .fix(Fix::Text(
                "name url, retrievedAt and digest of each place that the data came from".to_owned(),
            ))
            .in_declaration(facts);
        return;
    }
    let most = facts.settings.days("publicSource.watch", WATCH_DAYS);
    for (index, source) in dataset.spec.sources.iter().enumerate() {
        let at = |field: &str| Place::field(&object, format!("spec.sources[{index}].{field}"));
        for (field, missing) in
            [("retrievedAt", source.retrieved_at.is_none()), ("digest", source.digest.is_none())]
        {
            if missing {
                report
                    .violated(
                        at(field),
                        format!("is not set, so nobody can tell whether {:?} has changed", source.url),
                    )
                    .under(&["CoP-7.3.1"])
                    .fix(Fix::Text(
                        "write when the place was read and the digest of what was read".to_owned(),
                    ))
                    .in_declaration(facts);
            }
        }
        if let Some(text) = source.retrieved_at.as_deref()
            && dates::from(text).is_none_or(|read| read.duration_since(facts.now).as_hours() >= 24)
        {
            report
                .violated(at("retrievedAt").value(text), "is no date that has come")
                .under(&["CoP-7.3.1"])
                .in_declaration(facts);
        }
        let Some(watch) = &source.watch else { continue };
        if dates::duration(&watch.interval).is_none_or(|every| every.as_hours() > most * 24) {
            report
                .violated(
                    at("watch.interval").value(&watch.interval),
                    format!("is no duration of at most {most} days"),
                )
                .under(&["CoP-7.3.2"])
                .fix(Fix::Text(format!("set it to P{most}D or less")))
                .in_declaration(facts);
        }
    }
    let mut short = Shortfall::new(facts);
    short.ask(Question::of("SourceWatch", About::Dataset(dataset)).passed().undocumented().within(most));
    short.tell(report, Place::field(&object, "spec.sources"), &["CoP-7.3.2"]);
}

#[cfg(test)]
#[path = "tests/public_data_validated.rs"]
mod tests;
