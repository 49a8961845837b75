//! `human-oversight-designed`: a trained human group can judge, approve and stop the system.

use crate::api::workload::{FailSafeKind, OversightMode, WorkloadType};
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::evidence::{Shortfall, trained};
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
    gaps: &[
        Gap {
            provisions: &["CoP-2.1-n3", "CoP-2.5-n2", "CoP-4.1-n1", "FC-4"],
            missing: "whether the group may really use the switch is not asked of the cluster",
        },
        Gap {
            provisions: &["CoP-2.1-n3", "CoP-2.5-n2", "CoP-4.1-n1", "FC-4"],
            missing: "that the switch was tried is taken from IncidentExercise evidence, not from the cluster",
        },
    ],
    limits: &[],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let spec = &workload.spec;
    let place = || Place::field(Facts::name_of(workload), "spec.oversight");
    let mut short = Shortfall::new(facts);
    let Some(oversight) = &spec.oversight else {
        short.require(false, || "is not set: nobody can judge and stop the workload".to_owned());
        short.fix("set spec.oversight with a mode, the group in charge and killSwitch: quarantine");
        short.tell(report, place(), &["FC-4"]);
        return;
    };
    if oversight.mode != OversightMode::Nobody {
        let group = oversight.group.as_deref().is_some_and(|group| !group.trim().is_empty());
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
                short.fix("set mode: approve, or a failSafe of kind humanApproval or limit for the action");
            }
        }
    }
    short.fix("complete spec.oversight");
    short.tell(report, place(), &["FC-4"]);

    let (Some(group), Some(organisation)) = (oversight.group.as_deref(), facts.governance(workload)) else {
        return;
    };
    let mut short = Shortfall::new(facts);
    if !trained(facts, organisation, "OversightTraining", None, Some(group)) {
        short.require(false, || {
            format!("relies on group {group:?}, whose OversightTraining is not on the roster or has ended")
        });
        short.fix(format!("train {group} and add it to spec.training.roster of the AIGovernance"));
    }
    short.tell(report, place(), &["CoP-4.1-n1", "CoP-2.5-n2"]);
}
