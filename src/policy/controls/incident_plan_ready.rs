//! `incident-plan-ready`: an exercised incident plan with contact, scenarios and support for users
//! exists.

use crate::api::common::Audience;
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall, end_users, trained, unnamed};
use crate::policy::facts::{Facts, Place};

/// A plan, people, an exercise and help for users.
pub(super) const CONTROL: Control = Control {
    id: "incident-plan-ready",
    title: "an exercised incident plan with contact, scenarios and support for users exists",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-6.4", "CoP-10.2", "NCSC-P3.2", "NCSC-P3.4", "FC-10"],
    why: "the first hour of an incident is no time to look for a phone number",
    remedy: "record IncidentPlan and IncidentExercise evidence and name owners.incident with a contact",
    gaps: &[
        Gap {
            provisions: &["CoP-6.4", "CoP-10.2", "NCSC-P3.2", "NCSC-P3.4", "FC-10"],
            missing: "that the quarantine switch works is not yet tried",
        },
        Gap {
            provisions: &["CoP-6.4", "CoP-10.2", "NCSC-P3.2", "NCSC-P3.4", "FC-10"],
            missing: "a plan is not made stale by a change of the workload's shape",
        },
    ],
    limits: &[],
    check: Check::Rule(check),
};

/// What a plan prepares for, as `facts.scenarios` names it.
const SCENARIOS: [&str; 4] = ["model-theft", "poisoning", "data-leak", "supplier-compromise"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let about = About::Workload(workload);
    let organisation = facts.governance(workload);
    let place = || Place::object(Facts::name_of(workload));
    let incident = workload.spec.owners.incident.as_ref();

    let mut short = Shortfall::new(facts);
    if incident.is_none_or(|party| party.contact.as_deref().is_none_or(str::is_empty)) {
        short.require(false, || {
            "spec.owners.incident names nobody with a contact who acts in an incident".to_owned()
        });
        short.fix("set spec.owners.incident with a group and a contact");
    }
    let mut scenarios = SCENARIOS.to_vec();
    if !workload.spec.models.is_empty() {
        scenarios.push("prompt-injection");
    }
    short.hint("scenarios", scenarios.iter().map(|name| (*name).to_owned()).collect());
    let plan = Question::of("IncidentPlan", about).with(&["scenarios"]);
    let plan = short.ask_either(plan, organisation);
    short.tell(report, place(), &["CoP-6.4"]);

    let mut short = Shortfall::new(facts);
    if let Some(plan) = plan {
        let left = unnamed(plan, "scenarios", &scenarios);
        if !left.is_empty() {
            short.require(false, || {
                format!("{} prepares for no {}", Shortfall::name(plan), Shortfall::list(&left))
            });
            short.fix("add the scenario to the plan and to facts.scenarios");
        }
        short.ask_either(Question::of("IncidentExercise", about), organisation);
    }
    if let (Some(group), Some(organisation)) =
        (incident.and_then(|party| party.group.as_deref()), organisation)
        && !trained(facts, organisation, "ResponderTraining", None, Some(group))
    {
        short.require(false, || {
            format!("the ResponderTraining of group {group:?} is not on the roster or has ended")
        });
        short.fix(format!("train {group} and add it to spec.training.roster of the AIGovernance"));
    }
    short.tell(report, place(), &["NCSC-P3.2", "NCSC-P3.4"]);

    if end_users(workload) == Audience::Nobody {
        return;
    }
    let mut short = Shortfall::new(facts);
    short.ask_either(Question::of("IncidentSupportTerms", about).with(&["audience"]), organisation);
    if let Some(plan) = plan {
        let left = unnamed(plan, "sections", &["user-support"]);
        short.require(left.is_empty(), || {
            format!("{} lacks section user-support in facts.sections", Shortfall::name(plan))
        });
    }
    short.tell(report, place(), &["CoP-10.2"]);
}
