//! `downstream-notified`: open threats, findings and changes reach operators and users in time.

use std::sync::Arc;

use serde_json::Value;

use crate::api::common::Audience;
use crate::api::evidence::Visibility;
use crate::api::workload::Role;
use crate::api::{AIEvidence, AIWorkload, Environment};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::Data;
use crate::policy::dates;
use crate::policy::evidence::{About, Answer, Question, Shortfall, ask, end_users, entries, unnamed, words};
use crate::policy::facts::{Facts, Place, PodFacts};
use crate::policy::preview;

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
    gaps: &[],
    limits: &[
        "that a notice reached those whom it names is taken from it",
        "that a change of images closes a hole is seen where both images have a VulnerabilityReport",
    ],
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
            if let Some(held) = short.ask(notice.clone()) {
                let name = Shortfall::name(held);
                let left = unnamed(held, "threatIds", &open);
                if !left.is_empty() {
                    short.require(false, || {
                        format!("{name} leaves out the open threats {}", Shortfall::list(&left))
                    });
                    short.renew(notice.clone(), held, [Shortfall::also(held, "threatIds", &left)]);
                }
                let left = unnamed(held, "audience", &audience);
                if !left.is_empty() {
                    short.require(false, || format!("{name} does not reach {}", Shortfall::list(&left)));
                    short.fix("tell them");
                    short.renew(notice, held, [Shortfall::also(held, "audience", &left)]);
                }
            }
        }
    }
    short.tell(report, place(), &["CoP-3.3"]);

    let mut short = Shortfall::new(facts);
    let affected = workload.spec.purpose.as_ref().map(|p| p.affected_entities.as_slice()).unwrap_or_default();
    if !affected.is_empty() {
        let mut told: Vec<&str> = Vec::new();
        let mut held = None;
        for type_ in ["UserGuidance", "UpdateNotice", "IncidentSupportTerms"] {
            let question = Question::of(type_, about);
            if let Answer::Held(notice) = ask(facts, &question) {
                told.extend(words(notice, "audience"));
                held = held.or(Some((question, notice)));
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
            short.fix("let UserGuidance, an UpdateNotice or IncidentSupportTerms reach them");
            if let Some((question, notice)) = held {
                short.renew(question, notice, [Shortfall::also(notice, "audience", &left)]);
            }
        }
    }
    short.tell(report, place(), &["FC-10"]);

    let mut short = Shortfall::new(facts);
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        if exposure.audience >= Some(Audience::Partner) && exposure.api_version.is_none() {
            short.require(false, || {
                format!("exposure {:?} has no apiVersion, so others cannot tell a change", exposure.name)
            });
            short.fix("carry the version in the address");
            short.set(about.object(), format!("spec.exposure[{index}].apiVersion"), "v1");
        }
    }
    if workload.spec.roles.contains(&Role::Developer)
        && let Answer::Held(assessment) = ask(facts, &Question::of("SecurityAssessment", about))
        && !words(assessment, "findings").is_empty()
        && assessment.spec.visibility == Visibility::Private
    {
        short.require(false, || format!("the findings of {} are private", Shortfall::name(assessment)));
        short.ask(Question::of("FindingsShared", about).with(&["audience"]));
        short.fix("set visibility: shared in new evidence, or record with whom the findings were shared");
    }
    short.tell(report, place(), &["CoP-11.4", "CoP-9.4"]);
    upstream(facts, workload, report);
    if facts.namespace.environment() == Some(Environment::Production) && preview::changed(facts, workload) {
        changed(facts, workload, report);
    }
    if let Some(pod) = facts.governed_pod() {
        closed(facts, workload, pod, report);
    }
}

/// Holes that the images before had, and these have not: whoever runs or uses them elsewhere is told.
fn closed(facts: &Facts<'_>, workload: &AIWorkload, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some(good) = workload.status.as_ref().and_then(|status| status.known_good.as_ref()) else { return };
    if facts.namespace.environment() != Some(Environment::Production)
        || preview::outside(workload).next().is_none()
    {
        return;
    }
    let digest = |reference: &str| reference.rsplit_once('@').map(|(_, digest)| digest.to_owned());
    let present: Vec<String> = pod.images().filter_map(|image| digest(image.reference)).collect();
    let former: Vec<String> = good.parts.iter().filter_map(|part| digest(part)).collect();
    let gone: Vec<&String> = former.iter().filter(|one| !present.contains(one)).collect();
    let new = present.iter().any(|one| !former.contains(one));
    if gone.is_empty() || !new {
        return;
    }
    let holes = |digests: &[&String]| -> Vec<&str> {
        let reports = facts.namespace.evidence.values().filter(|evidence| {
            let subject = &evidence.spec.subject;
            evidence.spec.type_ == "VulnerabilityReport"
                && subject.digest.as_ref().is_some_and(|digest| digests.contains(&digest))
        });
        reports
            .flat_map(|report| entries(report, "findings"))
            .filter(|hole| {
                let severity = hole.get("severity").and_then(Value::as_str).unwrap_or_default();
                severity.eq_ignore_ascii_case("critical") || severity.eq_ignore_ascii_case("high")
            })
            .filter_map(|hole| hole.get("id")?.as_str())
            .collect()
    };
    let now = holes(&present.iter().collect::<Vec<_>>());
    let told = |id: &str| {
        facts.namespace.evidence.values().any(|notice| {
            notice.spec.type_ == "UpdateNotice"
                && notice.spec.subject.kind == "AIWorkload"
                && Some(&notice.spec.subject.name) == workload.metadata.name.as_ref()
                && words(notice, "ids").contains(&id)
        })
    };
    let mut left: Vec<&str> = holes(&gone).into_iter().filter(|id| !now.contains(id) && !told(id)).collect();
    left.sort_unstable();
    left.dedup();
    if left.is_empty() {
        return;
    }
    let mut short = Shortfall::new(facts);
    short.require(false, || {
        format!("closes {}, and no notice tells operators and users of it", Shortfall::list(&left))
    });
    short.fix(format!(
        "record an AIEvidence of type UpdateNotice about the workload with facts {{kind: security, ids: [{}], audience: \
         [operators, users]}}",
        left.join(", ")
    ));
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-11.2"]);
}

/// What was found of data that lives elsewhere reaches those who use it here.
fn upstream(facts: &Facts<'_>, workload: &AIWorkload, report: &mut Report<'_>) {
    let mut short = Shortfall::new(facts);
    let own = facts.namespace.name.as_str();
    let elsewhere =
        workload.spec.datasets.iter().filter(|used| used.namespace.as_deref().is_some_and(|n| n != own));
    for data in elsewhere.filter_map(|used| Data::named(facts, used.namespace.as_deref(), &used.name)) {
        let about = |evidence: &&Arc<AIEvidence>| {
            let subject = &evidence.spec.subject;
            subject.kind == "AIDataset" && subject.name == data.name
        };
        let all = || data.namespace.evidence.values().filter(about);
        let told = all().any(|shared| {
            shared.spec.type_ == "FindingsShared"
                && words(shared, "audience").iter().any(|who| *who == own || *who == "operators")
        });
        let kept_back = all().find(|evidence| {
            evidence.spec.visibility == Visibility::Private && !words(evidence, "findings").is_empty()
        });
        if let Some(kept_back) = kept_back.filter(|_| !told) {
            short.require(false, || {
                format!("the findings of {} of {} are not shared", Shortfall::name(kept_back), data.object())
            });
            short.fix(format!(
                "let the owner record new evidence with visibility: shared, or FindingsShared with {own} in facts.audience"
            ));
        }
    }
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-9.4", "NCSC-G1"]);
}

/// Days between a notice and the change it tells of, where no profile says otherwise.
const NOTICE_DAYS: i64 = 7;

/// A change that reaches people outside was announced in time, and could be tried before.
fn changed(facts: &Facts<'_>, workload: &AIWorkload, report: &mut Report<'_>) {
    if preview::outside(workload).next().is_none() {
        return;
    }
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    short.hint("audience", vec!["operators".to_owned(), "users".to_owned()]);
    short.hint("effectiveAt", vec!["YYYY-MM-DD".to_owned()]);
    let question = Question::of("UpdateNotice", About::Workload(workload)).bound();
    if let Some(notice) = short.ask(question.with(&["audience", "effectiveAt"])) {
        let name = Shortfall::name(notice);
        let left = unnamed(notice, "audience", &["operators", "users"]);
        short.require(left.is_empty(), || format!("{name} does not reach {}", Shortfall::list(&left)));
        // A hole is closed at once.
        let security = words(notice, "kind").contains(&"security");
        let days = if security { 0 } else { facts.settings.days("noticePeriod", NOTICE_DAYS) };
        let at = words(notice, "effectiveAt").first().and_then(|text| dates::until(text));
        let issued = dates::from(&notice.spec.issued_at);
        let early =
            at.zip(issued).is_some_and(|(at, issued)| at.duration_since(issued).as_hours() >= days * 24);
        short.require(early, || {
            format!("{name} takes effect less than {days} days after it was issued, or at no date")
        });
    }
    short.tell(report, place(), &["CoP-11.2", "CoP-11.4"]);

    let mut short = Shortfall::new(facts);
    let present = facts.composition();
    let seen = preview::lineage(workload)
        .is_some_and(|known| known.composition_digest == present && known.previewed_at.is_some());
    let offered = preview::outside(workload).all(|exposure| exposure.preview_ref.is_some());
    if !seen && !offered && !preview::ran(workload, facts.namespace, facts.cluster, facts.settings, facts.now)
    {
        short.require(false, || {
            "changes what others rely on, and neither ran in staging nor could be tried before".to_owned()
        });
        short.fix(
            "run the same models and prompts as a workload of the same name in a namespace of staging for three days, or set \
             previewRef of each exposure",
        );
    }
    short.tell(report, place(), &["CoP-11.4"]);
}

#[cfg(test)]
#[path = "tests/downstream_notified.rs"]
mod tests;
