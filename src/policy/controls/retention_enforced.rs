//! `retention-enforced`: assets past their retention time are not mounted.

use crate::api::common::Retention;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::{self, Data};
use crate::policy::dates;
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// Assets past their retention time are not mounted.
pub(super) const CONTROL: Control = Control {
    id: "retention-enforced",
    title: "assets past their retention time are not mounted",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-8.1.1", "FC-13"],
    why: "data that should be gone can still be stolen and still be sued over",
    remedy: "dispose of the asset and record it, or have its controller extend spec.retention with a reason",
    gaps: &[],
    limits: &["copies that nobody declared are not seen"],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let own = |kind: &str, name: Option<&String>| {
        format!("{kind} {}/{}", facts.namespace.name, name.map_or("", String::as_str))
    };
    match &facts.subject {
        Subject::Model(model) => {
            due(facts, &own("AIModel", model.metadata.name.as_ref()), model.spec.retention.as_ref(), report);
        }
        Subject::Dataset(dataset) => {
            due(
                facts,
                &own("AIDataset", dataset.metadata.name.as_ref()),
                dataset.spec.retention.as_ref(),
                report,
            );
        }
        Subject::Prompt(prompt) => {
            due(
                facts,
                &own("AIPrompt", prompt.metadata.name.as_ref()),
                prompt.spec.retention.as_ref(),
                report,
            );
        }
        Subject::Pod(_) | Subject::Workload(_) => used(facts, report),
        _ => {}
    }
}

/// Whether the last day has passed, or the reason why that cannot be told.
fn over<'r>(facts: &Facts<'_>, retention: Option<&'r Retention>) -> Option<Result<&'r str, &'r str>> {
    let until = retention?.until.as_deref()?;
    match dates::until(until) {
        None => Some(Err(until)),
        Some(end) => (end < facts.now).then_some(Ok(until)),
    }
}

/// An asset by itself: its disposal is due. What is due must not hinder the change that mends it.
fn due(facts: &Facts<'_>, object: &str, retention: Option<&Retention>, report: &mut Report<'_>) {
    match over(facts, retention) {
        Some(Ok(until)) => {
            report
                .violated(
                    Place::field(object, "spec.retention.until").value(until),
                    "has passed, so its disposal is due",
                )
                .under(&["FC-13"])
                .fix(later(object).after(
                    "erase every copy, record an AIEvidence of type DisposalRecord, then delete it; or let its owner extend \
                     the date",
                ))
                .of_namespace();
        }
        Some(Err(text)) => unreadable(object, text, report),
        None => {}
    }
}

fn unreadable(object: &str, text: &str, report: &mut Report<'_>) {
    report
        .unknown(Place::field(object, "spec.retention.until").value(text), "is no date")
        .under(&["FC-13"])
        .fix(later(object).after("write a day such as 2027-01-31"));
}

fn later(object: &str) -> Fix {
    Fix::set_at(&Place::field(object, "spec.retention.until"), "", "LAST-DAY")
}

/// What a workload uses: models, prompts, data, and what its pod mounts beside.
fn used(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.declaration() else { return };
    let spec = &workload.spec;
    let namespace = facts.namespace;
    for used in &spec.models {
        let retention = namespace.models.get(&used.name).and_then(|model| model.spec.retention.as_ref());
        ended(facts, || format!("AIModel {}/{}", namespace.name, used.name), retention, report);
    }
    for used in &spec.prompts {
        let retention = namespace.prompts.get(&used.name).and_then(|prompt| prompt.spec.retention.as_ref());
        ended(facts, || format!("AIPrompt {}/{}", namespace.name, used.name), retention, report);
    }
    let mut known: Vec<Data<'_>> = spec
        .datasets
        .iter()
        .filter_map(|used| Data::named(facts, used.namespace.as_deref(), &used.name))
        .collect();
    if let Some(pod) = facts.governed_pod().filter(|_| !namespace.datasets.is_empty()) {
        for mounted in data::mounted(facts, pod) {
            if !known.iter().any(|data| data.is(&mounted.data)) {
                known.push(mounted.data);
            }
        }
    }
    for data in known {
        ended(facts, || data.object(), data.dataset.spec.retention.as_ref(), report);
    }
}

fn ended(
    facts: &Facts<'_>,
    object: impl Fn() -> String,
    retention: Option<&Retention>,
    report: &mut Report<'_>,
) {
    match over(facts, retention) {
        Some(Ok(until)) => {
            report
                .violated(
                    Place::field(object(), "spec.retention.until").value(until),
                    "has passed, so nothing may use it any more",
                )
                .under(&["FC-13"])
                .fix(
                    later(&object())
                        .after("use a newer version, or let the owner of the asset extend the date"),
                )
                .may_arrive();
        }
        Some(Err(text)) => unreadable(&object(), text, report),
        None => {}
    }
}

#[cfg(test)]
#[path = "tests/retention_enforced.rs"]
mod tests;
