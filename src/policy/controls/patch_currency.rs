//! `patch-currency`: vulnerability reports are fresh, fixes land in time and unsupported digests leave.

use serde_json::Value;

use crate::api::evidence::EvidenceResult;
use crate::api::workload::UpdateMode;
use crate::api::{self, AIEvidence};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Answer, By, Question, Shortfall, words};
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
        "a hole that its scanner has not rated counts as neither critical nor high: it is warned of by name, and no window \
            closes it",
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

/// Severities of holes that no window closes; `important` and `moderate` are names that some scanners use.
const LESSER: [&str; 9] =
    ["medium", "moderate", "low", "minor", "negligible", "info", "informational", "none", "minimal"];
/// What scanners write of a hole that nobody has rated yet.
const UNRATED: [&str; 2] = ["unknown", "unspecified"];
/// An entry of `facts.findings`, as the evidence to fill in shows it.
const ENTRY: &str = "{id: CVE-ID, severity: SEVERITY-OF-IT, fixedVersion: VERSION-WITH-FIX, \
                     fixedSince: \"YYYY-MM-DD\", firstSeen: \"YYYY-MM-DD\"}";

/// The report about an image is fresh, and no hole in it stays open longer than it may.
fn scanned<'a>(facts: &Facts<'a>, workload: &api::AIWorkload, image: &'a str, report: &mut Report<'_>) {
    let mut short = Shortfall::new(facts);
    short.hint_of("VulnerabilityReport", "findings", vec![ENTRY.to_owned()]);
    let question = Question::of("VulnerabilityReport", About::Image(image))
        .bound()
        .undocumented()
        .by(By::Anybody)
        .showing(&["spec.result", "findings"]);
    // A report that lists holes did not pass, and is read all the same.
    let mut failed = None;
    // Where people rely on it, each image is looked through; elsewhere a report counts where there is one.
    let production = facts.namespace.environment() == Some(api::Environment::Production);
    let held = short.ask_if(question.clone(), |answer| match answer {
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
    let Listed { holes, unrated, unread } = holes(found, facts.now);
    not_rated(facts, workload, image, &question, (found, &unrated), report);
    // One hole is reason enough; the report names the others.
    if holes.iter().any(|hole| overdue(facts, workload, image, hole, report)) || unread.is_empty() {
        return;
    }
    let name = Shortfall::name(found);
    for what in unread {
        short.require(false, || format!("{name} of {image}: {what}"));
    }
    short.renew(question, found, [("findings", vec![ENTRY.to_owned()])]);
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-11.2"]);
}

/// Who hides a hole behind a missing rating is found out: each is told by name, and nobody is refused for it.
fn not_rated<'a>(
    facts: &Facts<'a>,
    workload: &api::AIWorkload,
    image: &str,
    question: &Question<'a>,
    (found, unrated): (&'a AIEvidence, &[&str]),
    report: &mut Report<'_>,
) {
    if unrated.is_empty() {
        return;
    }
    let mut short = Shortfall::new(facts);
    short.require(false, || {
        let (count, holes) = (unrated.len(), if unrated.len() == 1 { "hole" } else { "holes" });
        let (name, list) = (Shortfall::name(found), Shortfall::list(unrated));
        format!("{name} of {image} lists {count} {holes} that nobody has rated: {list}")
    });
    short.fix("scan again once they have a severity, or rate them by what they mean here");
    short.renew(question.clone(), found, [("findings", vec![ENTRY.to_owned()])]);
    if let Some(finding) = short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-7.2"]) {
        finding.warns_at_most();
    }
}

/// What a report lists: holes of weight, the ids of those that nobody has rated, and what of it cannot be judged.
#[derive(Default)]
struct Listed<'e> {
    holes: Vec<Hole<'e>>,
    unrated: Vec<&'e str>,
    unread: Vec<String>,
}

/// A critical or high hole.
struct Hole<'e> {
    id: &'e str,
    severity: String,
    /// Its window: name of the parameter, and the days where no profile says otherwise.
    window: (&'static str, i64),
    since: Since<'e>,
}

/// Since when a hole waits.
enum Since<'e> {
    /// For its fix to be rolled out: the version with it, if it is named, and since when that is out.
    Fixed(&'e str, jiff::Timestamp),
    /// For a fix: since when it is known.
    Known(jiff::Timestamp),
}

/// The holes that a report lists, but for lesser ones.
fn holes(found: &AIEvidence, now: jiff::Timestamp) -> Listed<'_> {
    let mut out = Listed::default();
    let listed = match found.spec.facts.get("findings") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => {
            out.unread.push("facts.findings is no list".to_owned());
            return out;
        }
    };
    match found.spec.result {
        Some(EvidenceResult::Fail) if listed.is_empty() => {
            out.unread.push("its result is \"fail\", and facts.findings lists no hole".to_owned());
        }
        None if !found.spec.facts.contains_key("findings") => {
            out.unread.push("it has neither a result nor facts.findings".to_owned());
        }
        _ => {}
    }
    for (index, entry) in listed.iter().enumerate() {
        match hole(entry, now) {
            Ok(Weight::Window(hole)) => out.holes.push(hole),
            Ok(Weight::Unrated(id)) => out.unrated.push(id),
            Ok(Weight::Lesser) => {}
            Err(why) => out.unread.push(format!("facts.findings[{index}]{why}")),
        }
    }
    out
}

/// What an entry of a report weighs.
enum Weight<'e> {
    /// It is to be closed within a window.
    Window(Hole<'e>),
    /// Nobody has rated it: its id.
    Unrated(&'e str),
    /// No window closes it.
    Lesser,
}

/// One entry of a report, or why it cannot be judged.
fn hole(entry: &Value, now: jiff::Timestamp) -> Result<Weight<'_>, String> {
    let Some(entry) = entry.as_object() else {
        return Err(" is no {id, severity, fixedSince, firstSeen}".to_owned());
    };
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let id = text("id");
    let named = if id.is_empty() { String::new() } else { format!(" ({id})") };
    let severity = text("severity").to_lowercase();
    let severity = if severity == "important" { "high".to_owned() } else { severity };
    let Some((_, parameter, days)) = WINDOWS.into_iter().find(|(known, ..)| *known == severity) else {
        if LESSER.contains(&severity.as_str()) {
            return Ok(Weight::Lesser);
        }
        if UNRATED.contains(&severity.as_str()) {
            return if id.is_empty() {
                Err(" is not rated and has no id".to_owned())
            } else {
                Ok(Weight::Unrated(id))
            };
        }
        return Err(format!(
            "{named}.severity {:?} is none of critical, high, medium, low, none and unknown",
            text("severity")
        ));
    };
    if id.is_empty() {
        return Err(format!(" is {severity} and has no id"));
    }
    let day = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let written = value.as_str().filter(|text| !dates::ahead(text, now));
            let day = written.and_then(dates::from);
            day.map(Some).ok_or_else(|| format!("{named}.{key} {value} is no day that has come"))
        }
    };
    let since = match (day("fixedSince")?, day("firstSeen")?) {
        (Some(fixed), _) => Since::Fixed(text("fixedVersion"), fixed),
        (None, _) if !text("fixedVersion").is_empty() => {
            return Err(format!("{named} names fixedVersion {:?} and no fixedSince", text("fixedVersion")));
        }
        (None, Some(seen)) => Since::Known(seen),
        (None, None) => {
            return Err(format!(
                "{named} is {severity}, and says neither since when there is a fix (fixedSince) nor, where there is none, \
                 since when it is known (firstSeen)"
            ));
        }
    };
    Ok(Weight::Window(Hole { id, severity, window: (parameter, days), since }))
}

/// Tells of a hole that is open for longer than it may, and whether it is.
fn overdue(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    image: &str,
    hole: &Hole<'_>,
    report: &mut Report<'_>,
) -> bool {
    let window = facts.settings.days(hole.window.0, hole.window.1);
    let age = |since: jiff::Timestamp| facts.now.duration_since(since).as_hours() / 24;
    let (fixed, open) = match hole.since {
        Since::Fixed(version, since) => (version, age(since)),
        // Without a fix, those whom it concerns are told.
        Since::Known(since) => {
            let silent = age(since) > window && !told(facts, workload, hole.id);
            if silent {
                unfixed(workload, image, (hole.id, &hole.severity), report);
            }
            return silent;
        }
    };
    if open <= window {
        return false;
    }
    let fixed = if fixed.is_empty() { String::new() } else { format!(" in {fixed}") };
    report
        .violated(
            Place::object(Facts::name_of(workload)),
            format!(
                "runs {image}, in which {} ({}) is fixed{fixed} since {open} days, and {window} are allowed",
                hole.id, hole.severity
            ),
        )
        .under(&["CoP-11.2"])
        .fix(Fix::Text("roll out an image with the fix, and record its VulnerabilityReport".to_owned()))
        .may_arrive();
    true
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
