//! `downstream-notified`: open threats, findings and changes reach operators and users in time.

use serde_json::Value;

use crate::api::common::Audience;
use crate::api::workload::Role;
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, Question, Shortfall, ask, end_users, entries, unnamed, words};
use crate::policy::facts::{Facts, Place};

/// Open threats and changes reach those whom they concern.
pub(super) const CONTROL: Control = Control {
    id: "downstream-notified",
    title: "open threats, findings and changes reach operators and users in time",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.3", "CoP-9.4", "CoP-11.2", "CoP-11.4", "NCSC-G1", "FC-10"],
    why: "people downstream can only guard against what they were told",
    remedy: "record UpdateNotice, ResidualThreatNotice or FindingsShared with the audience that is affected",
    gaps: &[
        Gap {
            provisions: &["CoP-3.3", "CoP-9.4", "CoP-11.2", "CoP-11.4", "NCSC-G1", "FC-10"],
            missing: "consumers of an asset in other namespaces are not told of its findings",
        },
        Gap {
            provisions: &["CoP-3.3", "CoP-9.4", "CoP-11.2", "CoP-11.4", "NCSC-G1", "FC-10"],
            missing: "that an update of security has a notice is not judged, because updates are not told apart",
        },
        Gap {
            provisions: &["CoP-3.3", "CoP-9.4", "CoP-11.2", "CoP-11.4", "NCSC-G1", "FC-10"],
            missing: "previews before a major change are not asked for",
        },
    ],
    limits: &[],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let about = About::Workload(workload);
    let place = || Place::object(Facts::name_of(workload));

    let mut short = Shortfall::new(facts);
    if let Answer::Held(model) = ask(facts, &Question::of("ThreatModel", about)) {
        let open: Vec<&str> = entries(model, "threats")
            .filter(|threat| threat.get("status").and_then(Value::as_str) == Some("open"))
            .filter_map(|threat| threat.get("id")?.as_str())
            .collect();
        if !open.is_empty() {
            let mut audience = vec!["operators"];
            if end_users(workload) != Audience::Nobody {
                audience.push("users");
            }
            short.hint("threatIds", open.iter().map(|id| (*id).to_owned()).collect());
            short.hint("audience", audience.iter().map(|who| (*who).to_owned()).collect());
            let notice = Question::of("ResidualThreatNotice", about).with(&["threatIds", "audience"]);
            if let Some(notice) = short.ask(notice) {
                let name = Shortfall::name(notice);
                let left = unnamed(notice, "threatIds", &open);
                short.require(left.is_empty(), || {
                    format!("{name} leaves out the open threats {}", Shortfall::list(&left))
                });
                let left = unnamed(notice, "audience", &audience);
                short
                    .require(left.is_empty(), || format!("{name} does not reach {}", Shortfall::list(&left)));
            }
        }
    }
    short.tell(report, place(), &["CoP-3.3"]);

    let mut short = Shortfall::new(facts);
    let affected = workload.spec.purpose.as_ref().map(|p| p.affected_entities.as_slice()).unwrap_or_default();
    if !affected.is_empty() {
        let mut told: Vec<&str> = Vec::new();
        for type_ in ["UserGuidance", "UpdateNotice", "IncidentSupportTerms"] {
            if let Answer::Held(notice) = ask(facts, &Question::of(type_, about)) {
                told.extend(words(notice, "audience"));
            }
        }
        let left: Vec<&str> =
            affected.iter().map(|who| who.name.as_str()).filter(|name| !told.contains(name)).collect();
        if !left.is_empty() {
            short.require(false, || {
                format!(
                    "affects {}, whom no guidance, notice or incident terms reach",
                    Shortfall::list(&left)
                )
            });
            short.fix("name them in facts.audience of UserGuidance, UpdateNotice or IncidentSupportTerms");
        }
    }
    short.tell(report, place(), &["FC-10"]);

    let mut short = Shortfall::new(facts);
    for exposure in workload.spec.exposure.iter().filter(|e| e.audience >= Some(Audience::Partner)) {
        if exposure.api_version.is_none() {
            short.require(false, || {
                format!("exposure {:?} has no apiVersion, so others cannot tell a change", exposure.name)
            });
            short.fix("set apiVersion of the exposure, and carry it in its address");
        }
    }
    if workload.spec.roles.contains(&Role::Developer)
        && let Answer::Held(assessment) = ask(facts, &Question::of("SecurityAssessment", about))
        && !words(assessment, "findings").is_empty()
        && assessment.spec.visibility == crate::api::evidence::Visibility::Private
    {
        short.require(false, || format!("the findings of {} are private", Shortfall::name(assessment)));
        short.ask(Question::of("FindingsShared", about).with(&["audience"]));
        short.fix("set visibility: shared in new evidence, or record with whom the findings were shared");
    }
    short.tell(report, place(), &["CoP-11.4", "CoP-9.4"]);
}
