//! `interactive-access-blocked`: nobody enters a running pod without break-glass.

use crate::api;
use crate::api::common::ANNOTATION_BREAK_GLASS;
use crate::api::workload::WorkloadType;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{EntryFacts, Facts, Place, PodFacts, Subject};
use crate::policy::fix::{Edit, Fix};
use crate::policy::hours;
use crate::policy::rights::{self, Right};

/// Nobody enters a running pod without break-glass.
pub(super) const CONTROL: Control = Control {
    id: "interactive-access-blocked",
    title: "nobody enters a running pod without break-glass",
    room: Room::Identity,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Audit),
    provisions: &["CoP-5.4", "CoP-6.1", "CoP-6.1-n2", "CoP-6.1-n3", "NCSC-O1.2"],
    why: "a shell in the pod reads weights, prompts and data past every other control",
    remedy: "read logs and metrics instead, or ask for an AIExemption that names this control and the pod",
    gaps: &[],
    limits: &["office hours are those of a fixed distance from UTC: summer time is not followed"],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Entry(entry) if facts.namespace.governed() => {
            entered(facts, entry, report);
            at_night(facts, entry, report);
        }
        Subject::Profile(profile) => readable(profile, report),
        Subject::Namespace => {
            let right = Right::EnterPods;
            let found = rights::tell(
                facts,
                |held| held.rights.has(right),
                right.clause(),
                rights::ENTER_PODS,
                report,
            );
            if let Some(finding) = found {
                finding.under(&["CoP-5.4", "CoP-6.1-n2"]);
            }
        }
        Subject::Pod(_) => {
            let Some((pod, workload)) = facts.ai_pod() else { return };
            // People work in a notebook; its kernel is reached through its exposure.
            if workload.spec.type_ != WorkloadType::Notebook {
                open(pod, report);
            }
        }
        _ => {}
    }
}

/// Somebody wants in: only who may break the glass, and has said why.
fn entered(facts: &Facts<'_>, entry: &EntryFacts<'_>, report: &mut Report<'_>) {
    let pod = format!("Pod {}/{}", facts.namespace.name, entry.pod);
    let place = || Place::object(&pod);
    let way = match entry.way {
        "exec" => "run a command in it",
        "attach" => "attach to it",
        "portforward" => "forward a port of it",
        "proxy" => "call it past its network policies",
        _ => "add a debug container to it",
    };
    match entry.may {
        None => {
            report
                .unknown(place(), format!("it could not be asked whether user {:?} may {way}", entry.user))
                .fix(Fix::Text("try again".to_owned()));
        }
        Some(false) => {
            report.violated(place(), format!("user {:?} may not {way}", entry.user)).fix(Fix::Text(
                "read logs and metrics instead, or ask somebody who holds the verb \"breakglass\" on pods (ClusterRole \
                 portcullis-pod-access)"
                    .to_owned(),
            ));
        }
        Some(true) if entry.reason.is_none_or(|reason| reason.trim().len() < 8) => {
            report
                .violated(place(), format!("user {:?} may {way}, and has not said why", entry.user))
                .fix(Fix::Command(format!(
                    "kubectl annotate pod {} -n {} --overwrite {ANNOTATION_BREAK_GLASS}='WHY, WITH THE NUMBER OF THE INCIDENT'",
                    entry.pod, facts.namespace.name
                )));
        }
        Some(true) => {}
    }
}

/// Outside office hours few are there to see what somebody does in a pod.
fn at_night(facts: &Facts<'_>, entry: &EntryFacts<'_>, report: &mut Report<'_>) {
    let Some(hours) = hours::outside(facts.settings, facts.now) else { return };
    report
        .violated(
            Place::object(format!("Pod {}/{}", facts.namespace.name, entry.pod)),
            format!("user {:?} comes outside office hours, which are {hours}", entry.user),
        )
        .under(&["CoP-6.1-n3"])
        .fix(Fix::Text(
            "come during office hours, or ask for an AIExemption that names this control".to_owned(),
        ));
}

/// Hours that cannot be read would hold nobody.
fn readable(profile: &api::AIProfile, report: &mut Report<'_>) {
    let Some(text) = profile.spec.parameters.get(hours::PARAMETER) else { return };
    if hours::Hours::read(text).is_none() {
        let name = profile.metadata.name.as_deref().unwrap_or_default();
        report
            .violated(
                Place::field(format!("AIProfile {name}"), format!("spec.parameters[{:?}]", hours::PARAMETER))
                    .value(text),
                "says no office hours",
            )
            .under(&["CoP-6.1-n3"])
            .fix(Fix::Text(
                "write days, hours and the distance from UTC, such as Mon-Fri 08:00-18:00 +01:00".to_owned(),
            ));
    }
}

/// A container that waits for somebody to attach is made to be entered.
fn open(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for container in pod.containers.iter().filter(|container| container.interactive) {
        let path = container.path("stdin");
        report
            .violated(
                pod.at(container.path("")).value(container.name),
                "keeps a terminal open for somebody to attach",
            )
            .under(&["CoP-6.1"])
            .fix(Fix::Change(vec![
                Edit::remove(format!("{}{path}", pod.prefix)),
                Edit::remove(format!("{}{}", pod.prefix, container.path("tty"))),
            ]));
    }
}

#[cfg(test)]
#[path = "tests/interactive_access_blocked.rs"]
mod tests;
