//! `enforcement-integrity`: the gate itself is whole, and whoever is let past it is let past by two people, for a time.

use crate::api;
use crate::api::exemption::AIExemptionSpec;
use crate::policy::ALL;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::decide::{EXEMPTION_LIFE_HOURS, exemption_holds};
use crate::policy::evidence;
use crate::policy::facts::{ExemptionFacts, Facts, Place, Subject};
use crate::policy::fix::Fix;
use crate::policy::owners::{NO_PERSON, is_account, may_be};
use crate::policy::waivers;

/// Exemptions, profiles, trust policies and the enforcement itself are sound.
pub(super) const CONTROL: Control = Control {
    id: "enforcement-integrity",
    title: "exemptions are justified, approved by a second person and end, and the enforcement itself is as installed",
    room: Room::Governance,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-7.2.1", "CoP-3.6", "CfV-REVIEW", "NCSC-O4.4", "LTR-1", "ETSI-0"],
    why: "a gate is worth as much as the ways around it",
    remedy: "let one person ask for an exemption and another approve it in a second update; keep the installed webhook \
        configuration",
    gaps: &[],
    limits: &[
        "changes by a shared identity of a deployment tool cannot be told apart by person",
        "of each namespace the 64 gravest findings are followed until they are overdue",
        "a control that lowers the risk of an exemption is judged by the declaration, not by each pod",
    ],
    check: Check::Rule(check),
};

/// The version of the catalogue that this program holds.
const CATALOGUE: i32 = 1;
/// Controls whose waiver needs a justification that can be shown, and something that lowers the risk.
const JUSTIFIED: [&str; 2] = ["supplier-assured", "safe-model-loading"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Exemption(exemption) => of_exemption(facts, exemption, report),
        Subject::Evidence(evidence) => evidence::judge_itself(facts, evidence, report),
        Subject::Profile(profile) => of_profile(profile, report),
        Subject::TrustPolicy(policy, problems, _) => of_trust(policy, problems, report),
        Subject::Namespace if facts.namespace.governed() => of_namespace(facts, report),
        Subject::Cluster => {
            for fault in &facts.cluster.enforcement_faults {
                report
                    .violated(Place::object(&fault.object), fault.detail.as_str())
                    .fix(Fix::Text(fault.fix.to_owned()));
            }
        }
        _ => {}
    }
}

fn exists(id: &str) -> bool {
    ALL.iter().any(|control| control.id == id)
}

fn of_exemption(facts: &Facts<'_>, subject: &ExemptionFacts<'_>, report: &mut Report<'_>) {
    let exemption = subject.exemption;
    let name = exemption.metadata.name.as_deref().unwrap_or_default();
    let object = format!("AIExemption {}/{name}", facts.namespace.name);
    let at = |field: &str| Place::field(&object, format!("spec.{field}"));
    controls(&exemption.spec, &at, report);
    let strictly = exemption.spec.controls.iter().any(|id| JUSTIFIED.contains(&id.as_str()));
    // What is over is judged no more: proofs end as well.
    if exemption_holds(exemption, facts.now).is_ok() || exemption.spec.approved_by.is_none() {
        waivers::judge(facts, &exemption.spec, strictly, &at, report);
    }
    ends(facts, exemption, subject, &at, report);
    let Some(user) = subject.user else { return };
    match subject.former {
        None => asked(&exemption.spec, user, &at, report),
        Some(former) => approved(&exemption.spec, &former.spec, subject, user, &at, report),
    }
}

fn controls(spec: &AIExemptionSpec, at: &dyn Fn(&str) -> Place, report: &mut Report<'_>) {
    for (index, id) in spec.controls.iter().enumerate() {
        let entry = at(&format!("controls[{index}]"));
        let place = entry.clone().value(id);
        if id == CONTROL.id {
            let way = if spec.controls.len() > 1 {
                Fix::remove_at(&entry)
            } else {
                Fix::set_at(&entry, "", "CONTROL").after("ask for another control, or for none")
            };
            report.violated(place, "cannot be waived: it is what makes other waivers count").fix(way);
        } else if !exists(id) {
            report.violated(place, "is no control").fix(name_one(&entry));
        }
    }
    for (index, id) in spec.mitigations.iter().enumerate().filter(|(_, id)| !exists(id)) {
        let entry = at(&format!("mitigations[{index}]"));
        report.violated(entry.clone().value(id), "is no control").fix(name_one(&entry));
    }
    if spec.reason.trim().is_empty() {
        report.violated(at("reason"), "is empty").fix(
            Fix::set_at(&at("reason"), "", "REASON")
                .after("say why the workload cannot keep the control now"),
        );
    }
    let Some(id) = spec.controls.iter().find(|id| JUSTIFIED.contains(&id.as_str())) else { return };
    if spec.justification_ref.is_none() {
        report
            .violated(
                at("justificationRef"),
                format!("is missing, and a waiver of {id} has to be justified to others"),
            )
            .under(&["CoP-7.2.1"])
            .fix(
                Fix::set_at(&at("justificationRef"), "", "EVIDENCE")
                    .after("name the AIEvidence of type ComponentJustification"),
            );
    }
    if spec.mitigations.is_empty() {
        report
            .violated(
                at("mitigations"),
                format!("is empty, and a waiver of {id} needs something that lowers the risk"),
            )
            .under(&["CoP-7.2.1"])
            .fix(
                Fix::set_at(&at("mitigations"), "[0]", "CONTROL")
                    .after("name the controls that lower the risk meanwhile"),
            );
    }
}

fn ends(
    facts: &Facts<'_>,
    exemption: &api::AIExemption,
    subject: &ExemptionFacts<'_>,
    at: &dyn Fn(&str) -> Place,
    report: &mut Report<'_>,
) {
    let text = &exemption.spec.expires_at;
    let place = at("expiresAt").value(text);
    let fix = || Fix::set_at(&at("expiresAt"), "", "DAY-AT-MOST-90-DAYS-AWAY");
    let Some(until) = dates::until(text) else {
        report.violated(place, "is no date").fix(fix());
        return;
    };
    // Only who asks or approves hears that it is too late; other changes of what is over do no harm.
    let before = |former: &api::AIExemption| former.spec.approved_by != exemption.spec.approved_by;
    let deciding = subject.user.is_some() && subject.former.is_none_or(before);
    let born = exemption.metadata.creation_timestamp.as_ref().map_or(facts.now, |time| time.0);
    if until.duration_since(born).as_hours() > EXEMPTION_LIFE_HOURS {
        report.violated(place, "is more than 90 days after the exemption was asked for").fix(fix());
    } else if until < facts.now && deciding {
        report.violated(place, "is past").fix(fix());
    }
}

/// Whoever asks says so himself, and does not approve in the same breath.
fn asked(spec: &AIExemptionSpec, user: &str, at: &dyn Fn(&str) -> Place, report: &mut Report<'_>) {
    if spec.requested_by != user {
        report
            .violated(
                at("requestedBy").value(&spec.requested_by),
                format!("is not you, {user:?}: an exemption is asked for by the one who creates it"),
            )
            .fix(Fix::Text(format!(
                "set spec.requestedBy to {user:?}, or let {:?} create it",
                spec.requested_by
            )));
    }
    if let Some(approver) = &spec.approved_by {
        report
            .violated(
                at("approvedBy").value(approver),
                "is set on creation, and approval is a second person's second step",
            )
            .fix(Fix::Text(
                "leave spec.approvedBy out; somebody who may approve sets it afterwards".to_owned(),
            ));
    }
}

/// After creation nothing changes but the approval, and only by the one who gives it.
fn approved(
    spec: &AIExemptionSpec,
    former: &AIExemptionSpec,
    subject: &ExemptionFacts<'_>,
    user: &str,
    at: &dyn Fn(&str) -> Place,
    report: &mut Report<'_>,
) {
    let rest = AIExemptionSpec { approved_by: former.approved_by.clone(), ..spec.clone() };
    if rest != *former {
        let place = Place { path: Some("spec".to_owned()), ..at("") };
        report
            .violated(place, "differs from what was asked for, and only approvedBy may change")
            .fix(Fix::Text("ask for another exemption, and delete this one".to_owned()));
    }
    if spec.approved_by == former.approved_by {
        return;
    }
    let place = || at("approvedBy").value(spec.approved_by.as_deref().unwrap_or_default());
    if let Some(before) = &former.approved_by {
        report
            .violated(place(), format!("was {before:?}, and an approval is not rewritten"))
            .fix(Fix::Text("delete the exemption to end it".to_owned()));
        return;
    }
    let Some(approver) = spec.approved_by.as_deref() else { return };
    if approver != user {
        report
            .violated(place(), format!("is not you, {user:?}: nobody approves in another's name"))
            .fix(Fix::Text(format!("let {approver:?} set it")));
    }
    if is_account(user) {
        report.violated(place(), NO_PERSON).fix(Fix::Text("let a person approve it".to_owned()));
    }
    // The one who asked is also the one who created it, because creation checked that.
    if [approver, user].iter().any(|one| may_be(Some(&former.requested_by), one)) {
        report
            .violated(
                place(),
                format!("{:?} asked for the exemption and cannot approve it", former.requested_by),
            )
            .fix(Fix::Text("ask somebody else who holds the verb approve on aiexemptions".to_owned()));
    }
    match subject.may_approve {
        Some(true) => {}
        Some(false) => {
            report
                .violated(
                    place(),
                    format!("{user:?} does not hold the verb approve on aiexemptions of this namespace"),
                )
                .fix(Fix::Text("ask somebody who does (ClusterRole portcullis-approver)".to_owned()));
        }
        None => {
            report.unknown(place(), "it was not asked whether this user may approve");
        }
    }
}

/// The name of a control in place of something else.
fn name_one(place: &Place) -> Fix {
    Fix::set_at(place, "", "CONTROL").after("write the name of a control (`portcullis explain` lists them)")
}

/// The way out of a profile's entry that names no control.
fn no_effect(profile: &str, id: &str) -> Fix {
    Fix::remove_at(&Place::field(profile, format!("spec.controls[{id:?}]")))
        .after("write the name of a control (`portcullis explain` lists them), or take the entry out")
}

fn of_profile(profile: &api::AIProfile, report: &mut Report<'_>) {
    let object = format!("AIProfile {}", profile.metadata.name.as_deref().unwrap_or_default());
    for id in profile.spec.controls.keys().filter(|id| !exists(id)) {
        report
            .violated(
                Place::field(&object, format!("spec.controls[{id:?}]")),
                "is no control, so it changes nothing",
            )
            .fix(no_effect(&object, id));
    }
    let Some(version) = profile.spec.catalogue_version.filter(|version| *version != CATALOGUE) else {
        return;
    };
    let what = if version < CATALOGUE { "older" } else { "newer" };
    report
        .violated(
            Place::field(&object, "spec.catalogueVersion").value(version.to_string()),
            format!("is {what} than the catalogue of this version, which is {CATALOGUE}"),
        )
        .under(&["CfV-REVIEW"])
        .fix(
            Fix::set_at(&Place::field(&object, "spec.catalogueVersion"), "", CATALOGUE)
                .after("look at what changed"),
        );
}

fn of_trust(policy: &api::AITrustPolicy, problems: &[String], report: &mut Report<'_>) {
    let object = format!("AITrustPolicy {}", policy.metadata.name.as_deref().unwrap_or_default());
    for problem in problems {
        // A problem opens with the path of its field.
        let (place, what) = match problem.split_once(": ") {
            Some((path, what)) if path.starts_with("spec.") => (Place::field(&object, path), what),
            _ => (Place::object(&object), problem.as_str()),
        };
        report.violated(place, what).fix(Fix::Text(
            "correct the field; until then every rule that rests on it refuses what it covers".to_owned(),
        ));
    }
    let known = |name: &String| policy.spec.authorities.iter().any(|authority| authority.name == *name);
    for (index, rule) in policy.spec.rules.iter().enumerate() {
        let of_rule =
            rule.authorities.iter().enumerate().map(|(i, name)| (format!("authorities[{i}]"), name));
        let of_statements = rule.attestations.iter().enumerate().flat_map(|(i, attestation)| {
            let names = attestation.authorities.iter().enumerate();
            names.map(move |(j, name)| (format!("attestations[{i}].authorities[{j}]"), name))
        });
        for (path, name) in of_rule.chain(of_statements).filter(|(_, name)| !known(name)) {
            let path = format!("spec.rules[{index}].{path}");
            // The compiler of policies may have said so already.
            if problems.iter().any(|problem| problem.starts_with(&path)) {
                continue;
            }
            report.violated(Place::field(&object, path).value(name), "is no entry of spec.authorities").fix(
                Fix::Text("add the authority with its key, or take the name out of the rule".to_owned()),
            );
        }
        let needed = usize::from(rule.min_signatures.unwrap_or(1));
        let told = problems.iter().any(|p| p.starts_with(&format!("spec.rules[{index}].minSignatures")));
        if needed > rule.authorities.len() && !told {
            report
                .violated(
                    Place::field(&object, format!("spec.rules[{index}].minSignatures"))
                        .value(needed.to_string()),
                    format!(
                        "is more than the {} authorities of the rule, so nothing can pass",
                        rule.authorities.len()
                    ),
                )
                .fix(Fix::Text("name as many authorities as signatures are asked for".to_owned()));
        }
    }
}

/// What the namespace relies on and what does not hold: shown on its row, because no pod is at fault.
fn of_namespace(facts: &Facts<'_>, report: &mut Report<'_>) {
    for entry in &facts.settings.unknown_controls {
        let (profile, id) = entry.split_once(": ").unwrap_or(("", entry));
        report
            .violated(
                Place::field(format!("AIProfile {profile}"), format!("spec.controls[{id:?}]")),
                "is no control, so it changes nothing",
            )
            .fix(no_effect(&format!("AIProfile {profile}"), id))
            .of_namespace();
    }
    for late in &facts.namespace.overdue {
        report
            .violated(
                Place::object(&late.object),
                format!(
                    "does not keep {} since {} days, and {} are given to mend it",
                    late.control, late.days, late.window
                ),
            )
            .under(&["NCSC-O4.4"])
            .fix(Fix::Text("mend it, or ask for an exemption that ends".to_owned()))
            .of_namespace();
    }
    for (name, exemption) in &facts.namespace.exemptions {
        // What waits for approval is no fault.
        if exemption.spec.approved_by.is_none() {
            continue;
        }
        if let Err(why) = exemption_holds(exemption, facts.now) {
            report
                .violated(
                    Place::object(format!("AIExemption {}/{name}", facts.namespace.name)),
                    format!("does not count any more: {why}"),
                )
                .fix(Fix::Command(format!("kubectl delete aiexemption {name} -n {}", facts.namespace.name)))
                .of_namespace();
        }
    }
}

#[cfg(test)]
#[path = "tests/enforcement_integrity.rs"]
mod tests;
