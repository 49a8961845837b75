//! What stands behind an exemption: the proofs that it names, and the controls that are to lower the risk meanwhile.

use std::cell::OnceCell;

use super::control::Report;
use super::dates;
use super::evidence::{fails, words};
use super::facts::{Facts, Place, Subject};
use super::fix::Fix;
use crate::api::AIEvidence;
use crate::api::exemption::AIExemptionSpec;

/// Those to whom a justification has to be fit to be shown.
const SHOWN_TO: [&str; 2] = ["SystemOperator", "EndUser"];

/// Judges what the exemption names. `strictly` where a control is waived that only a justification may waive.
pub fn judge(
    facts: &Facts<'_>,
    spec: &AIExemptionSpec,
    strictly: bool,
    at: &dyn Fn(&str) -> Place,
    report: &mut Report<'_>,
) {
    if let Some(name) = &spec.justification_ref {
        let what = proof(facts, spec, name, "ComponentJustification").err();
        let what = what.or_else(|| strictly.then(|| unfit(facts, name)).flatten());
        tell(at("justificationRef").value(name), what, "ComponentJustification", spec, report);
    }
    if let Some(name) = &spec.risk_acceptance_ref {
        let what = match proof(facts, spec, name, "RiskAcceptance") {
            Ok(proof) => accepted(facts, spec, proof),
            Err(why) => Some(why),
        };
        tell(at("riskAcceptanceRef").value(name), what, "RiskAcceptance", spec, report);
    }
    if strictly {
        mitigations(facts, spec, at, report);
    }
}

fn tell(place: Place, what: Option<String>, type_: &str, spec: &AIExemptionSpec, report: &mut Report<'_>) {
    let Some(what) = what else { return };
    let subject = &spec.subject;
    report.violated(place, what).under(&["CoP-7.2.1"]).fix(Fix::Text(format!(
        "record an AIEvidence of type {type_} about {} {:?} with its digest {}, and name it in a new exemption",
        subject.kind,
        subject.name,
        subject.digest.as_deref().unwrap_or_default()
    )));
}

/// The proof of this name, where it counts today for what is exempt.
fn proof<'a>(
    facts: &Facts<'a>,
    spec: &AIExemptionSpec,
    name: &str,
    type_: &str,
) -> Result<&'a AIEvidence, String> {
    let Some(known) = facts.namespace.evidence.get(name) else {
        return Err(format!("no AIEvidence of namespace {:?} has this name", facts.namespace.name));
    };
    let proof = &known.spec;
    if proof.type_ != type_ {
        return Err(format!("is an AIEvidence of type {}, not {type_}", proof.type_));
    }
    if proof.subject.kind != spec.subject.kind || proof.subject.name != spec.subject.name {
        let (kind, name) = (&proof.subject.kind, &proof.subject.name);
        return Err(format!("is about {kind} {name:?}, not about what is exempt"));
    }
    if proof.subject.digest.is_none() || proof.subject.digest != spec.subject.digest {
        let other = proof.subject.digest.as_deref().unwrap_or("no digest");
        return Err(format!("was made for {other}, not for the state that is exempt"));
    }
    if let Some(end) = proof.expires_at.as_deref()
        && dates::until(end).is_none_or(|end| end < facts.now)
    {
        return Err(format!("ended on {end}"));
    }
    Ok(known)
}

/// Why a justification cannot be shown to others, if it cannot.
fn unfit(facts: &Facts<'_>, name: &str) -> Option<String> {
    let proof = facts.namespace.evidence.get(name)?;
    for fact in ["reason", "alternativesSearched"] {
        if words(proof, fact).iter().all(|word| word.trim().is_empty()) {
            return Some(format!("says nothing in facts.{fact}"));
        }
    }
    let shown = words(proof, "shareableWith");
    let left: Vec<&str> = SHOWN_TO.into_iter().filter(|role| !shown.contains(role)).collect();
    (!left.is_empty()).then(|| format!("does not name {} in facts.shareableWith", left.join(" and ")))
}

/// Why nobody who may has accepted the risk, if so: of a workload that is whoever is accountable for it.
fn accepted(facts: &Facts<'_>, spec: &AIExemptionSpec, proof: &AIEvidence) -> Option<String> {
    let by = proof.spec.attested_by.as_deref().filter(|name| !name.is_empty());
    let Some(by) = by else { return Some("is attested by nobody, so nobody accepted the risk".to_owned()) };
    if spec.subject.kind != "AIWorkload" {
        return None;
    }
    let accountable = &facts.namespace.workloads.get(&spec.subject.name)?.spec.owners.accountable;
    // Members of a group are not known here.
    let wanted = accountable.user.as_deref().filter(|user| *user != by)?;
    Some(format!("is attested by {by:?}, and {wanted:?} is accountable for the workload"))
}

/// What is to lower the risk has to be kept itself, as far as the declaration shows.
fn mitigations(
    facts: &Facts<'_>,
    spec: &AIExemptionSpec,
    at: &dyn Fn(&str) -> Place,
    report: &mut Report<'_>,
) {
    if spec.subject.kind != "AIWorkload" {
        return;
    }
    let Some(workload) = facts.namespace.workloads.get(&spec.subject.name) else { return };
    let of_workload = Facts {
        now: facts.now,
        subject: Subject::Workload(workload),
        namespace: facts.namespace,
        cluster: facts.cluster,
        settings: facts.settings,
        holders: facts.holders.clone(),
        composition: OnceCell::new(),
        loaded: OnceCell::new(),
        requester: None,
        lasting_pods: facts.lasting_pods,
        rights: facts.rights,
    };
    for (index, id) in spec.mitigations.iter().enumerate() {
        let place = || at(&format!("mitigations[{index}]")).value(id);
        if spec.controls.contains(id) {
            report
                .violated(place(), "is waived by the same exemption, so it lowers nothing")
                .under(&["CoP-7.2.1"])
                .fix(Fix::Text("name a control that is kept".to_owned()));
        } else if let Some(Some(why)) = fails(&of_workload, id) {
            report
                .violated(place(), format!("is not kept itself: {why}"))
                .under(&["CoP-7.2.1"])
                .fix(Fix::Text("keep it first, or name another control that is kept".to_owned()));
        }
    }
}
