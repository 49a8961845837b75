//! `patch-currency`: vulnerability reports are fresh, fixes land in time and unsupported digests leave.

use crate::api;
use crate::api::workload::UpdateMode;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// Vulnerability reports are fresh, fixes land in time and unsupported digests leave.
pub(super) const CONTROL: Control = Control {
    id: "patch-currency",
    title: "vulnerability reports are fresh, fixes land in time and unsupported digests leave",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-7.2", "CoP-11.2", "CoP-11.2.1", "NCSC-O3.1", "NCSC-O4.4"],
    why: "most break-ins use holes for which a fix was out",
    remedy: "roll out the fixed digest, and have the update tool propose the next one",
    gaps: &[
        "vulnerability reports of images are not read",
        "time since a fix is not measured against the windows of a profile",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    if let Some(lifecycle) = &workload.spec.lifecycle {
        supported(facts, workload, lifecycle.support_ends.as_deref(), report);
        let by_hand = lifecycle.updates.as_ref().filter(|updates| updates.mode == UpdateMode::Manual);
        if by_hand
            .is_some_and(|updates| updates.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()))
        {
            report
                .violated(
                    Place::field(Facts::name_of(workload), "spec.lifecycle.updates.reason"),
                    "is missing, and updates that people look for by hand come late",
                )
                .under(&["NCSC-O3.1"])
                .fix(Fix::Text(
                    "set spec.lifecycle.updates.mode to proposed or automatic, or give the reason".to_owned(),
                ))
                .in_declaration(facts);
        }
    }
}

fn supported(facts: &Facts<'_>, workload: &api::AIWorkload, ends: Option<&str>, report: &mut Report<'_>) {
    let Some(ends) = ends else { return };
    let place = || Place::field(Facts::name_of(workload), "spec.lifecycle.supportEnds").value(ends);
    match dates::until(ends) {
        None => {
            report
                .unknown(place(), "is no date")
                .under(&["CoP-11.2"])
                .fix(Fix::Text("write a day such as 2027-01-31".to_owned()))
                .in_declaration(facts);
        }
        Some(end) if end < facts.now => {
            report
                .violated(place(), "has passed, so nobody closes holes any more")
                .under(&["CoP-11.2"])
                .fix(Fix::Text(
                    "retire the workload, or have it maintained again and set a later day".to_owned(),
                ))
                .in_declaration(facts);
        }
        Some(_) => {}
    }
}

#[cfg(test)]
#[path = "tests/patch_currency.rs"]
mod tests;
