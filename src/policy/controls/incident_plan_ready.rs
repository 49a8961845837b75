//! `incident-plan-ready`: an exercised incident plan with contact, scenarios and support for users
//! exists.

use serde_json::{Value, json};

use crate::api::AIWorkload;
use crate::api::common::Audience;
use crate::api::workload::LifecycleState;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall, end_users, enrol, trained, unnamed, words};
use crate::policy::facts::{Facts, Place};
use crate::policy::fix::Fix;

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
    gaps: &[],
    limits: &[
        "that the network of this cluster really cuts off what is quarantined is shown by exercises, not by a rule",
        "how people act in an incident",
        "who lifts a quarantine, or names another who acts in incidents while it lasts, is refused only where this control is \
            enforced; elsewhere the history tells who it was",
    ],
    check: Check::Rule(check),
};

/// What a plan prepares for, as `facts.scenarios` names it.
const SCENARIOS: [&str; 4] = ["model-theft", "poisoning", "data-leak", "supplier-compromise"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    lifted(facts, workload, report);
    let about = About::Workload(workload);
    let organisation = facts.governance(workload);
    let place = || Place::object(Facts::name_of(workload));
    let incident = workload.spec.owners.incident.as_ref();

    let mut short = Shortfall::new(facts);
    if incident.is_none_or(|party| party.contact.as_deref().is_none_or(str::is_empty)) {
        short.require(false, || {
            "spec.owners.incident names nobody with a contact who acts in an incident".to_owned()
        });
        short.fix("name who acts, and how they are reached");
        if incident.is_none() {
            short.set(
                about.object(),
                "spec.owners.incident",
                json!({"group": "GROUP", "contact": "mailto:CONTACT"}),
            );
        } else {
            short.set(about.object(), "spec.owners.incident.contact", "mailto:CONTACT");
        }
    }
    let mut scenarios = SCENARIOS.to_vec();
    if !workload.spec.models.is_empty() {
        scenarios.push("prompt-injection");
    }
    short.hint("scenarios", scenarios.iter().map(|name| (*name).to_owned()).collect());
    short.hint("sections", vec!["user-support".to_owned()]);
    let question = Question::of("IncidentPlan", about).with(&["scenarios"]).showing(&["sections", "parts"]);
    short.hint("parts", parts(workload).iter().map(|part| (*part).to_owned()).collect());
    let plan = short.ask_either(question.clone(), organisation);
    short.tell(report, place(), &["CoP-6.4"]);

    let mut short = Shortfall::new(facts);
    if let Some(plan) = plan {
        let left = unnamed(plan, "scenarios", &scenarios);
        if !left.is_empty() {
            short.require(false, || {
                format!("{} prepares for no {}", Shortfall::name(plan), Shortfall::list(&left))
            });
            short.fix("let the plan prepare for it");
            short.renew(question.clone(), plan, [Shortfall::also(plan, "scenarios", &left)]);
        }
        // Whether the switch was tried is asked by human-oversight-designed.
        let switch = workload.spec.oversight.as_ref().and_then(|oversight| oversight.kill_switch);
        let mut exercise = Question::of("IncidentExercise", about);
        if let Some(switch) = switch {
            exercise = exercise.showing(&["exercised"]);
            short.hint_of("IncidentExercise", "exercised", vec![switch.as_str().to_owned()]);
        }
        short.ask_either(exercise, organisation);
        // A plan that was made for another shape leaves the new part without a first step.
        let parts = parts(workload);
        let left = unnamed(plan, "parts", &parts);
        if !left.is_empty() {
            short.require(false, || {
                format!("{} was not made for {}", Shortfall::name(plan), Shortfall::list(&left))
            });
            short.fix("look at the plan again");
            short.renew(question.clone(), plan, [Shortfall::also(plan, "parts", &left)]);
        }
    }
    if let (Some(group), Some(organisation)) =
        (incident.and_then(|party| party.group.as_deref()), organisation)
        && !trained(facts, organisation, "ResponderTraining", None, Some(group))
    {
        short.require(false, || {
            format!("the ResponderTraining of group {group:?} is not on the roster or has ended")
        });
        enrol(&mut short, organisation, "ResponderTraining", None, Some(group));
    }
    short.tell(report, place(), &["NCSC-P3.2", "NCSC-P3.4"]);

    if end_users(workload) == Audience::Nobody {
        return;
    }
    let mut short = Shortfall::new(facts);
    let terms = Question::of("IncidentSupportTerms", about).with(&["audience", "contractual"]);
    short.hint("contractual", vec!["true".to_owned()]);
    if let Some(terms) = short.ask_either(terms, organisation) {
        let yes = Value::Bool(true);
        let agreed =
            terms.spec.facts.get("contractual").is_some_and(|value| {
                *value == yes || value.as_array().is_some_and(|list| list.contains(&yes))
            });
        if !agreed && words(terms, "notContractualBecause").is_empty() {
            short.require(false, || {
                format!("{} neither binds by contract nor says why not", Shortfall::name(terms))
            });
            short.fix("set facts.contractual: true, or say why not in facts.notContractualBecause");
        }
    }
    if let Some(plan) = plan {
        let left = unnamed(plan, "sections", &["user-support"]);
        if !left.is_empty() {
            short.require(false, || {
                format!("{} lacks section user-support in facts.sections", Shortfall::name(plan))
            });
            short.fix("let the plan say how users are helped");
            short.renew(question, plan, [Shortfall::also(plan, "sections", &left)]);
        }
    }
    short.tell(report, place(), &["CoP-10.2"]);
}

/// The kinds of parts that a plan has to cover.
fn parts(workload: &AIWorkload) -> Vec<&'static str> {
    let spec = &workload.spec;
    let kinds = [
        ("actions", spec.actions.is_empty()),
        ("datasets", spec.datasets.is_empty()),
        ("externalApis", spec.external_apis.is_empty()),
        ("exposure", spec.exposure.is_empty()),
        ("models", spec.models.is_empty()),
    ];
    kinds.into_iter().filter(|(_, none)| !none).map(|(kind, _)| kind).collect()
}

/// A quarantine is lifted by those who act in incidents, where the declaration names them; and while it lasts, nobody else
/// says who they are.
fn lifted(facts: &Facts<'_>, workload: &AIWorkload, report: &mut Report<'_>) {
    let Some(requester) = facts.requester else { return };
    let Some(former) = requester.former.filter(|former| former.is_quarantined()) else { return };
    // As they were named before: who lifts it does not name himself.
    let Some(incident) = former.spec.owners.incident.as_ref() else { return };
    let named = incident.user.is_some() || incident.group.is_some();
    if !named || requester.is(incident) {
        return;
    }
    let who = incident.user.as_deref().or(incident.group.as_deref()).unwrap_or_default();
    let name = Facts::name_of(workload);
    let (place, message, fix) = if !workload.is_quarantined() {
        let (what, fix) = match workload.state() {
            LifecycleState::Active => ("the quarantine is lifted".to_owned(), format!("let {who} lift it")),
            state => (format!("what is in quarantine is set to {state}"), format!("let {who} set it")),
        };
        let message = format!("{what} by {:?}, and {who:?} acts in incidents", requester.user);
        (Place::field(name, "spec.lifecycle.state"), message, fix)
    } else if workload.spec.owners.incident.as_ref() != Some(incident) {
        let message = format!(
            "{:?} names another who acts in incidents, and {who:?} does while the quarantine lasts",
            requester.user
        );
        (Place::field(name, "spec.owners.incident"), message, format!("let {who} name the other"))
    } else {
        return;
    };
    report.violated(place, message).under(&["CoP-6.4"]).fix(Fix::Text(fix));
}

#[cfg(test)]
#[path = "tests/incident_plan_ready.rs"]
mod tests;
