//! `human-oversight-designed`: a trained human group can judge, approve and stop the system.

use serde_json::json;

use crate::api::AIWorkload;
use crate::api::workload::{FailSafeKind, KillSwitch, OversightMode, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, Question, Shortfall, ask, enrol, trained, words};
use crate::policy::facts::{Facts, Place};

/// People can judge what it does, and stop it.
pub(super) const CONTROL: Control = Control {
    id: "human-oversight-designed",
    title: "a trained human group can judge, approve and stop the system",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-2.1-n3", "CoP-2.5-n2", "CoP-4.1-n1", "FC-4"],
    why: "when nobody can stop it, nobody is responsible for it",
    remedy: "set spec.oversight with a mode, a group and a switch, and record OversightTraining",
    gaps: &[],
    limits: &["whether people use their switch in time is shown by exercises"],
    check: Check::Rule(check),
};

/// Stands for how people can judge results.
const EXPLAINED: &str = "HOW-PEOPLE-JUDGE-RESULTS";

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let spec = &workload.spec;
    let place = || Place::field(Facts::name_of(workload), "spec.oversight");
    let mut short = Shortfall::new(facts);
    let Some(oversight) = &spec.oversight else {
        short.require(false, || "is not set: nobody can judge and stop the workload".to_owned());
        short.fix("put people in charge who can judge and stop it");
        let oversight = json!({"mode": "review", "group": "GROUP", "killSwitch": "quarantine", "outputsExplained": EXPLAINED});
        short.set(Facts::name_of(workload), "spec.oversight", oversight);
        short.tell(report, place(), &["FC-4"]);
        return;
    };
    if oversight.mode != OversightMode::Nobody {
        let group = oversight.group.as_deref().is_some_and(|group| !group.trim().is_empty());
        let mut set = |field: &str, value: &str| {
            short.set(Facts::name_of(workload), format!("spec.oversight.{field}"), value);
        };
        if !group {
            set("group", "GROUP");
        }
        if oversight.kill_switch.is_none() {
            set("killSwitch", "quarantine");
        }
        if oversight.outputs_explained.is_none() {
            set("outputsExplained", EXPLAINED);
        }
        short.require(group, || {
            format!("mode {:?} names no group of people in charge", oversight.mode.as_str())
        });
        short.require(oversight.kill_switch.is_some(), || {
            "names no killSwitch by which they stop it".to_owned()
        });
        short.require(oversight.outputs_explained.is_some(), || {
            "does not say in outputsExplained how people can judge results".to_owned()
        });
    }
    // What an agent changes in other systems needs a person, or a stop that is not the model itself.
    if spec.type_ == WorkloadType::Agent && oversight.mode != OversightMode::Approve {
        // That an action names nothing at all is told by action-scope-declared.
        let mut alone = false;
        for action in &spec.actions {
            if action.fail_safe.as_ref().is_some_and(|safe| safe.kind == FailSafeKind::Reversible) {
                short.require(false, || {
                    format!(
                        "mode {:?} lets the agent {} {} without a person or a limit",
                        oversight.mode.as_str(),
                        action.verb,
                        action.target
                    )
                });
                alone = true;
            }
        }
        if alone {
            short.fix("give each action a failSafe of kind humanApproval or limit, or let people approve all of them");
            short.set(Facts::name_of(workload), "spec.oversight.mode", "approve");
        }
    }
    switch(facts, workload, &mut short);
    short.tell(report, place(), &["FC-4"]);

    let (Some(group), Some(organisation)) = (oversight.group.as_deref(), facts.governance(workload)) else {
        return;
    };
    let mut short = Shortfall::new(facts);
    if !trained(facts, organisation, "OversightTraining", None, Some(group)) {
        short.require(false, || {
            format!("relies on group {group:?}, whose OversightTraining is not on the roster or has ended")
        });
        enrol(&mut short, organisation, "OversightTraining", None, Some(group));
    }
    short.tell(report, place(), &["CoP-4.1-n1", "CoP-2.5-n2"]);
}

/// Whether those in charge hold the switch, and it was tried.
fn switch<'a>(facts: &Facts<'a>, workload: &'a AIWorkload, short: &mut Shortfall<'_, 'a>) {
    let Some(oversight) = &workload.spec.oversight else { return };
    let Some(switch) = oversight.kill_switch else { return };
    let (home, name) = (facts.namespace.name.as_str(), workload.metadata.name.as_deref().unwrap_or_default());
    let may_not =
        |group: &&str| facts.rights.and_then(|rights| rights.group_may(group, home, name)) == Some(false);
    let group = oversight.group.as_deref().filter(|_| switch == KillSwitch::Quarantine);
    if let Some(group) = group.filter(may_not) {
        short.require(false, || {
            format!("gives the switch to group {group:?}, which may not change AIWorkload {home}/{name}")
        });
        short.fix(format!(
            "kubectl -n {home} create role {name}-oversight --verb get,patch --resource aiworkloads.portcullis.dev \
             --resource-name {name}; kubectl -n {home} create rolebinding {name}-oversight --role {name}-oversight --group \
             {group}"
        ));
    }
    // That there was no exercise at all is told by incident-plan-ready.
    let about = About::Workload(workload);
    let of_organisation = facts.governance(workload).map(About::Organisation);
    let exercises = std::iter::once(about).chain(of_organisation).filter_map(|about| {
        let question = Question::of("IncidentExercise", about).showing(&["exercised"]);
        match ask(facts, &question) {
            Answer::Held(exercise) => Some((question, exercise)),
            _ => None,
        }
    });
    let exercises: Vec<_> = exercises.collect();
    let tried = exercises.iter().any(|(_, exercise)| words(exercise, "exercised").contains(&switch.as_str()));
    if let Some((question, exercise)) = exercises.into_iter().next().filter(|_| !tried) {
        short.require(false, || {
            format!(
                "names killSwitch {:?}, and {} did not try it",
                switch.as_str(),
                Shortfall::name(exercise)
            )
        });
        short.fix("try it");
        short.renew(question, exercise, [Shortfall::also(exercise, "exercised", &[switch.as_str()])]);
    }
}
