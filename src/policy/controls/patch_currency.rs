//! `patch-currency`: vulnerability reports are fresh, fixes land in time and unsupported digests leave.

use crate::api;
use crate::api::workload::UpdateMode;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Answer, By, Question, Shortfall, entries, words};
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
    gaps: &[],
    limits: &[
        "holes that no scanner knows are not in a report, and whether a report lists all is not seen",
        "image volumes hold files and not programs, so no report is asked of them",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    if let Some(pod) = facts.governed_pod() {
        let mut seen: Vec<&str> = Vec::new();
        for container in pod.containers.iter().filter(|container| container.image.contains("@sha256:")) {
            if !seen.contains(&container.image) {
                seen.push(container.image);
                scanned(facts, workload, container.image, report);
            }
        }
    }
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
                .fix(
                    Fix::set_at(
                        &Place::field(Facts::name_of(workload), "spec.lifecycle.updates.mode"),
                        "",
                        "proposed",
                    )
                    .after("give the reason, or let updates be proposed"),
                )
                .in_declaration(facts);
        }
    }
}

/// Days within which a hole of this severity is to be closed once a fix is out, where no profile says otherwise.
const WINDOWS: [(&str, &str, i64); 2] =
    [("critical", "patchWindow.critical", 14), ("high", "patchWindow.high", 30)];

/// The report about an image is fresh, and no hole in it stays open longer than it may.
fn scanned<'a>(facts: &Facts<'a>, workload: &api::AIWorkload, image: &'a str, report: &mut Report<'_>) {
    let mut short = Shortfall::new(facts);
    let question =
        Question::of("VulnerabilityReport", About::Image(image)).bound().undocumented().by(By::Anybody);
    // A report that lists holes did not pass, and is read all the same.
    let mut failed = None;
    // Where people rely on it, each image is looked through; elsewhere a report counts where there is one.
    let production = facts.namespace.environment() == Some(api::Environment::Production);
    let held = short.ask_if(question, |answer| match answer {
        Answer::Failed(evidence, _) => {
            failed = Some(*evidence);
            false
        }
        Answer::Missing | Answer::OtherDigest(..) => production,
        _ => true,
    });
    let Some(found) = held.or(failed) else {
        short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-11.2"]);
        return;
    };
    for hole in entries(found, "findings") {
        let text = |key: &str| hole.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        let severity = text("severity").to_lowercase();
        let Some((_, parameter, days)) = WINDOWS.into_iter().find(|(known, ..)| *known == severity) else {
            continue;
        };
        let window = facts.settings.days(parameter, days);
        let age = |since: jiff::Timestamp| facts.now.duration_since(since).as_hours() / 24;
        let Some(since) = dates::from(text("fixedSince")) else {
            // Without a fix, those whom it concerns are told.
            if dates::from(text("firstSeen")).is_some_and(|since| age(since) > window)
                && !told(facts, workload, text("id"))
            {
                unfixed(workload, image, (text("id"), &severity), report);
                return;
            }
            continue;
        };
        let open = age(since);
        if open <= window {
            continue;
        }
        let fixed = text("fixedVersion");
        let fixed = if fixed.is_empty() { String::new() } else { format!(" in {fixed}") };
        report
            .violated(
                Place::object(Facts::name_of(workload)),
                format!(
                    "runs {image}, in which {} ({severity}) is fixed{fixed} since {open} days, and {window} are allowed",
                    text("id")
                ),
            )
            .under(&["CoP-11.2"])
            .fix(Fix::Text("roll out an image with the fix, and record its VulnerabilityReport".to_owned()))
            .may_arrive();
        // One hole is reason enough; the report names the others.
        return;
    }
}

/// Whether a notice says that there is no fix for this hole.
fn told(facts: &Facts<'_>, workload: &api::AIWorkload, id: &str) -> bool {
    // Of several notices the newest is not always the one about this hole.
    facts.namespace.evidence.values().any(|notice| {
        let spec = &notice.spec;
        spec.type_ == "UpdateNotice"
            && spec.subject.kind == "AIWorkload"
            && Some(&spec.subject.name) == workload.metadata.name.as_ref()
            && words(notice, "kind").contains(&"noFixAvailable")
            && words(notice, "ids").contains(&id)
    })
}

fn unfixed(workload: &api::AIWorkload, image: &str, (id, severity): (&str, &str), report: &mut Report<'_>) {
    report
        .violated(
            Place::object(Facts::name_of(workload)),
            format!("runs {image}, for whose hole {id} ({severity}) there is no fix, and nobody was told"),
        )
        .under(&["CoP-11.2.1"])
        .fix(Fix::Text(format!(
            "tell users and the community, and record an AIEvidence of type UpdateNotice about the workload with facts \
             {{kind: noFixAvailable, ids: [{id}]}}"
        )))
        .may_arrive();
}

fn supported(facts: &Facts<'_>, workload: &api::AIWorkload, ends: Option<&str>, report: &mut Report<'_>) {
    let Some(ends) = ends else { return };
    let place = || Place::field(Facts::name_of(workload), "spec.lifecycle.supportEnds").value(ends);
    match dates::until(ends) {
        None => {
            report
                .unknown(place(), "is no date")
                .under(&["CoP-11.2"])
                .fix(Fix::set_at(&place(), "", "LAST-DAY").after("write a day such as 2027-01-31"))
                .in_declaration(facts);
        }
        Some(end) if end < facts.now => {
            report
                .violated(place(), "has passed, so nobody closes holes any more")
                .under(&["CoP-11.2"])
                .fix(
                    Fix::set_at(&place(), "", "LAST-DAY")
                        .after("retire the workload, or have it maintained again until a later day"),
                )
                .in_declaration(facts);
        }
        Some(_) => {}
    }
}

#[cfg(test)]
#[path = "tests/patch_currency.rs"]
mod tests;
