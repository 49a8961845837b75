//! `data-controller-approval`: whoever controls the data took part, approved the use and had the privacy
//! impact assessed.

use serde_json::json;

use crate::api::dataset::PersonalData;
use crate::api::workload::DatasetUse;
use crate::api::{AIDataset, AIWorkload};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, By, Question, Shortfall, ask, fails, unnamed};
use crate::policy::facts::{Facts, Place};

/// Who decides on the data took part and knows what it means for people.
pub(super) const CONTROL: Control = Control {
    id: "data-controller-approval",
    title: "whoever controls the data took part, approved the use and had the privacy impact assessed",
    room: Room::Governance,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Warn, Mode::Audit),
    provisions: &["CoP-2.1.1", "CoP-2.3", "CoP-2.4", "CoP-3.2", "CoP-4.2", "CfV-LAW"],
    why: "the people the data is about have one advocate in the project, and it is the controller",
    remedy: "have a controller of each dataset record DataControllerReview, and a DPIA where personal data \
        is used",
    gaps: &[],
    limits: &[
        "whether a person belongs to a group of controllers cannot be seen, so controllers are named as users",
        "whether a control that a controller asks for in words was built is taken from DataControlVerification",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    for used in &workload.spec.datasets {
        let home = facts.namespace_named(used.namespace.as_deref());
        // A dataset that does not exist is the finding of another control.
        if let Some(dataset) = home.and_then(|home| home.datasets.get(&used.name)) {
            of_dataset(facts, workload, used, dataset, report);
        }
    }
}

fn of_dataset<'a>(
    facts: &Facts<'a>,
    workload: &'a AIWorkload,
    used: &DatasetUse,
    dataset: &'a AIDataset,
    report: &mut Report<'_>,
) {
    let about = About::Dataset(dataset);
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    if dataset.spec.controllers.is_empty() {
        short.require(false, || format!("{about} names no controllers who could approve its use"));
        short.fix("name who decides on the data");
        short.set(about.object(), "spec.controllers", json!([{"user": "USER"}]));
    } else {
        short.hint("datasets", vec![used.name.clone()]);
        let review = Question::of("DataControllerReview", About::Workload(workload))
            .by(By::OneOf(&dataset.spec.controllers))
            .with(&["datasets"])
            .undocumented();
        if let Some(held) = short.ask(review.clone()) {
            let left = unnamed(held, "datasets", &[used.name.as_str()]);
            if !left.is_empty() {
                short.require(false, || {
                    format!("{} does not approve the use of {about}", Shortfall::name(held))
                });
                short.fix("ask a controller of the dataset");
                short.renew(review, held, [Shortfall::also(held, "datasets", &left)]);
            }
        }
    }
    short.tell(report, place(), &["CoP-2.1.1", "CoP-2.4"]);

    let mut short = Shortfall::new(facts);
    // What is asked for in words somebody has to have looked at, in what runs now.
    let mut worded: Vec<&str> = Vec::new();
    for id in &dataset.spec.required_controls {
        match fails(facts, id) {
            None => worded.push(id),
            Some(Some(why)) => {
                short.require(false, || {
                    format!("the controllers of {about} ask for {id}, which is not kept: {why}")
                });
                short.fix(format!("bring {id} into line"));
            }
            Some(None) => {}
        }
    }
    if !worded.is_empty() {
        short.hint("controlIds", worded.iter().map(|id| (*id).to_owned()).collect());
        let verified = Question::of("DataControlVerification", About::Workload(workload)).bound();
        if let Some(verified) = short.ask(verified.with(&["controlIds"])) {
            let left = unnamed(verified, "controlIds", &worded);
            short.require(left.is_empty(), || {
                format!(
                    "{} does not verify {}, which the controllers of {about} ask for",
                    Shortfall::name(verified),
                    Shortfall::list(&left)
                )
            });
        }
    }
    short.tell(report, place(), &["CoP-4.2"]);

    if matches!(dataset.spec.personal_data, None | Some(PersonalData::Nothing)) {
        return;
    }
    let mut short = Shortfall::new(facts);
    if dataset.spec.lawful_basis.as_deref().is_none_or(str::is_empty) {
        short.require(false, || format!("{about} tells of persons and states no lawful basis"));
        short.fix("let a controller of the dataset state it");
        short.set(about.object(), "spec.lawfulBasis", "LAWFUL-BASIS");
    }
    if let Some(organisation) = facts.governance(workload) {
        short.ask(Question::of("LegalObligations", About::Organisation(organisation)));
    }
    short.tell(report, place(), &["CfV-LAW"]);

    let mut short = Shortfall::new(facts);
    let excused = dataset.spec.dpia.as_ref().is_some_and(|dpia| {
        dataset.spec.controllers.iter().any(|party| party.user.as_deref() == Some(&dpia.attested_by))
    });
    if !excused {
        let question = Question::of("DPIA", about);
        if !matches!(ask(facts, &Question::of("DPIA", About::Workload(workload))), Answer::Held(_)) {
            short.ask(question);
        }
        if dataset.spec.dpia.is_some() {
            short.require(false, || {
                format!("spec.dpia of {about} is attested by nobody among its controllers")
            });
        }
    }
    short.tell(report, place(), &["CoP-3.2"]);
}

#[cfg(test)]
#[path = "tests/data_controller_approval.rs"]
mod tests;
