//! `provenance-and-sbom`: of what runs it is known who built it, what is inside, and what it was made from.

use std::collections::BTreeSet;

use crate::api;
use crate::api::model::{ModelSourceKind, Origin};
use crate::models::libraries::Library;
use crate::policy::containers::ImageUse;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{self, About, Answer, Question, Shortfall};
use crate::policy::facts::{Attested, Facts, Place, PodFacts, Signature, Subject};
use crate::policy::fix::Fix;
use crate::policy::{libraries, skeleton};

/// Images carry a bill of materials and provenance, models a lineage that resolves.
pub(super) const CONTROL: Control = Control {
    id: "provenance-and-sbom",
    title: "images and models carry signed provenance and a bill of materials for the digest that runs",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Warn, Mode::Audit),
    provisions: &[
        "CoP-2.7",
        "CoP-7.1",
        "CoP-7.2",
        "CoP-8.1.2",
        "CoP-2.1-n6",
        "CoP-7.3-n1",
        "NCSC-D3.9",
        "NCSC-V3.3",
    ],
    why: "without a record of what is inside and who built it, no advisory can be matched to what runs",
    remedy: "attach a CycloneDX and an SLSA provenance attestation to the digest in the build that makes it, and let a \
        trust rule ask for both",
    gaps: &[],
    limits: &[
        "statements that no trust rule asks for are not looked up, so they count as missing",
        "libraries are looked for by the names of known frameworks and loaders of models, in images and not in models",
        "of a model that no registry holds, a bill of materials and a provenance are known from evidence about its digest",
    ],
    check: Check::Rule(check),
};

/// Statements that list what is inside.
const BILLS: &[&str] = &["https://cyclonedx.org/bom", "https://spdx.dev/Document"];
/// Statements that say who built it.
const PROVENANCE: &[&str] = &["https://slsa.dev/provenance/"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Model(model) => lineage(facts, model, report),
        Subject::Pod(_) => {
            let Some((pod, workload)) = facts.ai_pod() else { return };
            for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name))
            {
                lineage(facts, model, report);
                card(facts, pod, model, report);
                described(facts, pod, model, report);
            }
            for image in pod.images().filter(|image| !image.is_volume()) {
                // An image that nobody vouches for has nothing to add; image-signature-trusted says so.
                let Some(Signature::Trusted(vouched)) = pod.signatures.get(image.reference) else { continue };
                if vouched.is_empty() {
                    continue;
                }
                let stated = pod.attestations(image.reference);
                let place = || pod.at(image.path()).value(image.reference);
                if !any(stated, BILLS) {
                    report
                        .violated(
                            place(),
                            "carries no verified bill of materials, so nobody knows what is inside",
                        )
                        .under(&["CoP-2.7", "CoP-8.1.2"])
                        .fix(ask("cyclonedx", "https://cyclonedx.org/bom", image.reference));
                }
                inside(facts, workload, place(), stated, report);
                if !any(stated, PROVENANCE) {
                    report
                        .violated(place(), "carries no verified provenance, so nobody knows how it was built")
                        .under(&["NCSC-D3.9"])
                        .fix(ask("slsaprovenance1", "https://slsa.dev/provenance/v1", image.reference));
                }
            }
        }
        _ => {}
    }
}

/// What loads models in an image was examined, in the version that its verified bills of materials list.
fn inside(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    place: Place,
    stated: &[Attested],
    report: &mut Report<'_>,
) {
    let mut listed: BTreeSet<&Library> = BTreeSet::new();
    for read in stated.iter().filter_map(|statement| statement.libraries.as_deref()) {
        match read {
            Ok(libraries) => listed.extend(libraries),
            Err(why) => {
                report
                    .unknown(place.clone(), format!("has a verified bill of materials, and {why}"))
                    .under(&["CoP-2.7"])
                    .fix(Fix::Text("attach a bill of materials as CycloneDX or SPDX".to_owned()));
            }
        }
    }
    let mut short = Shortfall::new(facts);
    libraries::examined(facts, workload, &listed, &mut short);
    short.tell(report, place, &["CoP-2.7"]);
}

/// What the verified bill of materials of a mounted model says is what the declaration says.
fn card(facts: &Facts<'_>, pod: &PodFacts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let Some(digest) = model.spec.digest.as_deref() else { return };
    let of_model = |reference: &&str| reference.rsplit_once('@').is_some_and(|(_, own)| own == digest);
    let volumes = pod.images().filter(ImageUse::is_volume).map(|image| image.reference);
    for reference in volumes.filter(of_model) {
        for read in pod.attestations(reference).iter().filter_map(|stated| stated.card.as_deref()) {
            let said = match read {
                Ok(card) => card.differences(model),
                Err(why) => vec![why.clone()],
            };
            if said.is_empty() {
                continue;
            }
            let said = said.join("; ");
            report
                .violated(
                    Place::object(named(model)),
                    format!("is not what the verified bill of materials of {reference:?} says: {said}"),
                )
                .under(&["NCSC-V3.3"])
                .fix(Fix::Text(
                    "correct the AIModel, or attach a bill of materials that is about this model".to_owned(),
                ))
                .in_declaration(facts);
        }
    }
}

/// A model from outside comes with a bill of materials, one made here with a provenance: as a verified statement about what
/// the pod mounts, or as evidence about its digest.
fn described(facts: &Facts<'_>, pod: &PodFacts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let spec = &model.spec;
    let here = spec.source.as_ref().is_some_and(|source| source.kind != ModelSourceKind::Api);
    let (Some(digest), Some(origin), true) = (spec.digest.as_deref(), spec.origin, here) else { return };
    let (types, kind, provisions): (_, _, &'static [&'static str]) = match origin {
        Origin::Internal => (PROVENANCE, "Provenance", &["CoP-2.1-n6", "CoP-7.3-n1"]),
        Origin::External | Origin::OpenSource => (BILLS, "SBOM", &["CoP-7.1", "CoP-7.2", "NCSC-V3.3"]),
    };
    let own = |reference: &str| reference.rsplit_once('@').is_some_and(|(_, named)| named == digest);
    let mut volumes = pod.images().filter(|image| image.is_volume() && own(image.reference));
    if volumes.any(|image| any(pod.attestations(image.reference), types)) {
        return;
    }
    let mut short = Shortfall::new(facts);
    if short.ask(Question::of(kind, About::Model(model)).bound()).is_some() {
        return;
    }
    if origin != Origin::Internal {
        // What is not documented may be let in with a reason that can be shown; supplier-assured speaks of that.
        let reason = Question::of("ComponentJustification", About::Model(model)).bound().undocumented();
        if let Answer::Held(_) = evidence::ask(facts, &reason.within(90).with(&["reason", "mitigations"])) {
            return;
        }
    }
    short.fix(match origin {
        Origin::Internal => {
            "attach a provenance to the artifact in the pipeline that trains it, and let the rule of the AITrustPolicy ask \
             for https://slsa.dev/provenance/v1"
        }
        _ => {
            "attach a CycloneDX with the model to the artifact, and let the rule of the AITrustPolicy ask for \
             https://cyclonedx.org/bom"
        }
    });
    short.tell(report, Place::object(named(model)), provisions);
}

fn any(stated: &[Attested], types: &[&str]) -> bool {
    stated.iter().any(|statement| types.iter().any(|wanted| statement.predicate_type.starts_with(wanted)))
}

fn ask(kind: &str, predicate: &str, reference: &str) -> Fix {
    Fix::Text(format!(
        "cosign attest --key KEY --type {kind} --predicate FILE {reference}, and let the rule of the AITrustPolicy ask for \
         {predicate} under attestations"
    ))
}

/// What a model was made from is known.
fn lineage(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    if model.spec.source.as_ref().is_some_and(|source| source.kind == ModelSourceKind::Api) {
        return;
    }
    let object = named(model);
    let wrong = |report: &mut Report<'_>, path: String, name: &str, what: &str, fix: Fix| {
        report
            .violated(Place::field(&object, path).value(name), what.to_owned())
            .under(&["CoP-2.1-n6"])
            .fix(fix)
            .in_declaration(facts);
    };
    for (index, data) in model.spec.trained_on.iter().enumerate() {
        // Data that a maker only names is not here; what has a digest was.
        if data.digest.is_none() {
            continue;
        }
        let home = data.namespace.as_deref().or(model.metadata.namespace.as_deref());
        let known =
            facts.namespace_named(home).is_some_and(|place| place.datasets.contains_key(&data.dataset));
        if !known {
            let fix = Fix::Text(format!(
                "apply an AIDataset {:?}, with its source, digest and controllers",
                data.dataset
            ));
            let what = "is a dataset that the cluster does not know";
            wrong(report, format!("spec.trainedOn[{index}].dataset"), &data.dataset, what, fix);
        }
    }
    // Whether the lineage goes round is the matter of dataset-boundary, which follows it.
    if let Some(base) = &model.spec.base_model_ref {
        let home = base.namespace.as_deref().or(model.metadata.namespace.as_deref());
        let known = facts.namespace_named(home).is_some_and(|place| place.models.contains_key(&base.name));
        let path = || "spec.baseModelRef.name".to_owned();
        let itself = home == model.metadata.namespace.as_deref()
            && model.metadata.name.as_deref() == Some(base.name.as_str());
        if itself && !known {
            let fix = Fix::Text(
                "name the model that it was made from, or take out spec.baseModelRef where it was made from none".to_owned(),
            );
            wrong(report, path(), &base.name, "is the model itself, and no model is its own base", fix);
        } else if !known {
            let own = model.metadata.name.as_deref().unwrap_or_default();
            let fix = Fix::Record(
                format!(
                    "apply an AIModel {:?} first, with its source, digest and supplier; where that one names {own:?} as its \
                     base, the two go round, and spec.baseModelRef has to go from the older one",
                    base.name
                ),
                skeleton::model(home.unwrap_or_default(), &base.name, None),
            );
            wrong(report, path(), &base.name, "is a base model that the cluster does not know", fix);
        }
    }
}

/// `AIModel namespace/name`, as messages write it.
fn named(model: &api::AIModel) -> String {
    format!(
        "AIModel {}/{}",
        model.metadata.namespace.as_deref().unwrap_or_default(),
        model.metadata.name.as_deref().unwrap_or_default()
    )
}

#[cfg(test)]
#[path = "tests/provenance_and_sbom.rs"]
mod tests;
