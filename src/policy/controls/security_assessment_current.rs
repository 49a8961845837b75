//! `security-assessment-current`: exactly the digests that run have passed a security assessment by
//! someone else than their author.

use crate::api::common::Audience;
use crate::api::evidence::EvidenceResult;
use crate::api::model::ModelKind;
use crate::api::workload::DatasetPurpose;
use crate::api::{AIEvidence, AIWorkload};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, By, Question, Shortfall, fails, kind, unnamed, words};
use crate::policy::facts::{Attested, Facts, Place};

/// What runs was assessed, digest by digest, by somebody else.
pub(super) const CONTROL: Control = Control {
    id: "security-assessment-current",
    title: "exactly the digests that run have passed a security assessment by someone else than their author",
    room: Room::Evaluation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-4.6", "CoP-9.1", "CoP-11.3", "ETSI-3"],
    why: "a test of yesterday's bytes says nothing about today's",
    remedy: "have the composition assessed and record SecurityAssessment evidence for its digests; an image may carry its \
        assessment as an attestation that a trust rule asks for",
    gaps: &[],
    limits: &[
        "what an assessment looked for is read by its headings",
        "who made a workload is known by its owners, by the last 16 users who wrote it, and by the histories of its models, prompts and \
         datasets; who wrote what a program applies stands where that takes it from, and who wrote its pods in the audit log of the API \
         server",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let assessment = |about| Question::of("SecurityAssessment", about).bound().passed().by(By::Another);
    let mut short = Shortfall::new(facts);
    for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
        if let Some(proof) = short.ask(assessment(About::Model(model))) {
            conditions(facts, proof, &mut short);
        }
    }
    let images = own_images(facts);
    short.hint("images", images.iter().map(|digest| (*digest).to_owned()).collect());
    let question = assessment(About::Workload(workload)).with(&["images", "techniques"]);
    let whole = short.ask(question.clone());
    if let Some(whole) = whole {
        conditions(facts, whole, &mut short);
        let missing = unnamed(whole, "images", &images);
        if !missing.is_empty() {
            let named = missing.join(", ");
            short.require(false, || format!("{} does not cover image {named}", Shortfall::name(whole)));
            short.fix("assess again, with this image");
            short.renew(question.clone(), whole, [Shortfall::also(whole, "images", &missing)]);
        }
    }
    let place = || Place::object(Facts::name_of(workload));
    short.tell(report, place(), &["CoP-9.1", "CoP-11.3"]);

    // What was tried has to fit what may come in; without an assessment there is nothing to compare.
    let Some(whole) = whole else { return };
    let wanted = techniques(facts, workload);
    let untried = unnamed(whole, "techniques", &wanted);
    let mut short = Shortfall::new(facts);
    if !untried.is_empty() {
        let named = untried.join(", ");
        short.require(false, || format!("{} did not try {named}", Shortfall::name(whole)));
        short.fix("try it");
        short.renew(question.clone(), whole, [Shortfall::also(whole, "techniques", &untried)]);
    }
    let open = workload.spec.exposure.iter().any(|e| e.audience >= Some(Audience::Partner));
    if open && !words(whole, "scope").contains(&"api") {
        short.require(false, || {
            format!("{} leaves out the interface that others reach", Shortfall::name(whole))
        });
        short.fix("assess the interface too");
        short.renew(question, whole, [Shortfall::also(whole, "scope", &["api"])]);
    }
    short.tell(report, place(), &["ETSI-3", "CoP-4.6"]);
}

/// A pass under conditions counts while the controls that meet them are kept.
fn conditions(facts: &Facts<'_>, proof: &AIEvidence, short: &mut Shortfall<'_, '_>) {
    if proof.spec.result != Some(EvidenceResult::Conditional) {
        return;
    }
    for condition in words(proof, "conditions") {
        let name = Shortfall::name(proof);
        // An assessment cannot be the condition of itself.
        let kept = if condition == CONTROL.id { None } else { fails(facts, condition) };
        match kept {
            None => {
                short.require(false, || format!("{name} passed under {condition:?}, which is no control"));
                short.fix("name in facts.conditions the controls that meet the conditions");
            }
            Some(Some(why)) => {
                short.require(false, || format!("{name} passed under {condition}, which is not kept: {why}"));
                short.fix(format!("bring {condition} into line"));
            }
            Some(None) => {}
        }
    }
}

/// Whether a verified statement about an image says that it passed an assessment which still counts.
fn assessed_itself(facts: &Facts<'_>, attested: &[Attested]) -> bool {
    let days = kind("SecurityAssessment").and_then(|kind| kind.limit(facts.settings)).unwrap_or(365);
    attested.iter().filter_map(|statement| statement.evidence.as_deref()).any(|said| {
        let issued = dates::from(&said.issued_at);
        let young = issued.is_some_and(|at| {
            at <= facts.now && facts.now.duration_since(at).as_hours() <= days.saturating_mul(24)
        });
        let open = said.expires_at.as_deref().is_none_or(|end| dates::until(end) >= Some(facts.now));
        said.type_ == "SecurityAssessment" && said.passed && young && open
    })
}

/// Digests of the images of the pod that come from no declared supplier and hold none of the models: those made here.
pub(super) fn own_images<'a>(facts: &Facts<'a>) -> Vec<&'a str> {
    let Some((pod, workload)) = facts.ai_pod() else { return Vec::new() };
    let models: Vec<&str> = workload
        .spec
        .models
        .iter()
        .filter_map(|used| facts.namespace.models.get(&used.name)?.spec.digest.as_deref())
        .collect();
    let mut out: Vec<&str> = pod
        .images()
        .filter(|image| !supplied(facts, image.reference))
        .filter(|image| !assessed_itself(facts, pod.attestations(image.reference)))
        .filter_map(|image| image.reference.rsplit_once('@').map(|(_, digest)| digest))
        .filter(|digest| !models.contains(digest))
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Whether a supplier names the place that an image comes from.
fn supplied(facts: &Facts<'_>, reference: &str) -> bool {
    facts.cluster.suppliers.values().flat_map(|supplier| &supplier.spec.sources).any(|source| {
        match source.strip_suffix('*') {
            Some(start) => !start.is_empty() && reference.starts_with(start),
            None => reference.split(['@']).next() == Some(source.as_str()),
        }
    })
}

/// What an assessment has to have tried: injection, where a language model reads what others write.
fn techniques(facts: &Facts<'_>, workload: &AIWorkload) -> Vec<&'static str> {
    let spec = &workload.spec;
    let language = spec
        .models
        .iter()
        .filter_map(|used| facts.namespace.models.get(&used.name))
        .any(|model| model.spec.model_kind == Some(ModelKind::Llm));
    if !language {
        return Vec::new();
    }
    let mut out = Vec::new();
    if spec.exposure.iter().any(|e| e.audience >= Some(Audience::Partner)) {
        out.push("prompt-injection-direct");
    }
    let reads = |use_| matches!(use_, Some(DatasetPurpose::Retrieval | DatasetPurpose::Feedback));
    if !spec.external_apis.is_empty() || spec.datasets.iter().any(|dataset| reads(dataset.use_)) {
        out.push("prompt-injection-indirect");
    }
    out
}

#[cfg(test)]
#[path = "tests/security_assessment_current.rs"]
mod tests;
