//! `dataset-integrity`: what a model learns from is what was sealed, and nobody writes to it on the way.

use serde_json::json;

use crate::api;
use crate::api::common::VerificationState;
use crate::api::dataset::DatasetSourceKind;
use crate::api::workload::{Access, DatasetPurpose, DatasetUse, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall};
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// Datasets that are read are sealed, cleaned and read-only.
pub(super) const CONTROL: Control = Control {
    id: "dataset-integrity",
    title: "datasets are sealed by digest and signature, and only declared preparation writes to them",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "CoP-5.4.1", "NCSC-P2.3", "ETSI-2"],
    why: "whoever can change one training sample unnoticed can teach the model something",
    remedy: "seal the dataset by spec.digest with a signature, mount it read-only, and write to it from \
        dataPreparation workloads alone",
    gaps: &[],
    limits: &[
        "datasets in registries are bound by their digest, and those in buckets, hubs and services count as stated: only what lies on a claim is read",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Dataset(dataset) => verified(facts, dataset, report),
        Subject::Model(model) => learnt(facts, model, report),
        Subject::Workload(workload) => writers(facts, workload, report),
        Subject::Pod(_) => {
            let Some((_, workload)) = facts.ai_pod() else { return };
            writers(facts, workload, report);
            for used in &workload.spec.datasets {
                uses(facts, workload, used, report);
            }
            for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name))
            {
                learnt(facts, model, report);
            }
        }
        _ => {}
    }
}

/// `AIDataset namespace/name`, as messages write it.
fn named(dataset: &api::AIDataset) -> String {
    format!(
        "AIDataset {}/{}",
        dataset.metadata.namespace.as_deref().unwrap_or_default(),
        dataset.metadata.name.as_deref().unwrap_or_default()
    )
}

/// Only workloads that prepare data write it, and those that collect what users say.
fn writers(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let kind = workload.spec.type_;
    if matches!(kind, WorkloadType::DataPreparation | WorkloadType::Import | WorkloadType::Supporting) {
        return;
    }
    for (index, used) in workload.spec.datasets.iter().enumerate() {
        if used.access == Access::Write && used.use_ != Some(DatasetPurpose::Feedback) {
            report
                .violated(
                    Place::field(Facts::name_of(workload), format!("spec.datasets[{index}].access"))
                        .value("write"),
                    format!("lets a workload of type {:?} change dataset {:?}", kind.as_str(), used.name),
                )
                .under(&["ETSI-2"])
                .fix(
                    Fix::set_at(
                        &Place::field(Facts::name_of(workload), format!("spec.datasets[{index}].access")),
                        "",
                        "read",
                    )
                    .after("write from a workload of type dataPreparation, and only read here"),
                )
                .in_declaration(facts);
        }
    }
}

/// A dataset that is read is known, sealed and, where a model learns from it, cleaned.
fn uses(facts: &Facts<'_>, workload: &api::AIWorkload, used: &DatasetUse, report: &mut Report<'_>) {
    // Data to learn from stays out of production altogether; environment-boundary says so.
    let made_for = matches!(
        used.use_,
        Some(DatasetPurpose::Training | DatasetPurpose::FineTuning | DatasetPurpose::Evaluation)
    );
    if made_for && facts.namespace.environment() == Some(api::Environment::Production) {
        return;
    }
    let home = facts.namespace_named(used.namespace.as_deref());
    // A dataset that nobody knows, and mounts that may write, are the matter of dataset-boundary.
    let Some(dataset) = home.and_then(|home| home.datasets.get(&used.name)) else { return };
    if used.access != Access::Write {
        unread(facts, dataset, report);
    }
    verified(facts, dataset, report);
    // What is written has no seal yet, and a service has no bytes to seal.
    let service =
        dataset.spec.source.as_ref().is_some_and(|source| source.kind == DatasetSourceKind::Service);
    if used.access == Access::Write || service {
        return;
    }
    let object = named(dataset);
    if dataset.spec.digest.is_none() {
        report
            .violated(Place::field(&object, "spec.digest"), "is not set, so the data may change unseen")
            .under(&["CoP-5.2"])
            .fix(
                Fix::set_at(&Place::field(&object, "spec.digest"), "", "sha256:DIGEST-OF-THE-MANIFEST")
                    .after("seal the data, and write the digest of its manifest"),
            )
            .in_declaration(facts);
        return;
    }
    if dataset.spec.signature.is_none() {
        report
            .violated(
                Place::field(&object, "spec.signature"),
                "is missing, so nobody answers for the sealed data",
            )
            .under(&["NCSC-P2.3"])
            .fix(
                Fix::set_at(
                    &Place::field(&object, "spec.signature"),
                    "",
                    json!({"kind": "oms", "ref": "configmap://NAME/KEY"}),
                )
                .after("sign the manifest with a key of the AITrustPolicy, and name what was made"),
            )
            .in_declaration(facts);
    }
    let learns = matches!(workload.spec.type_, WorkloadType::Training | WorkloadType::FineTuning)
        || matches!(
            used.use_,
            Some(DatasetPurpose::Training | DatasetPurpose::FineTuning | DatasetPurpose::Feedback)
        );
    if learns {
        cleaned(facts, dataset, report);
    }
}

fn cleaned<'a>(facts: &Facts<'a>, dataset: &'a api::AIDataset, report: &mut Report<'_>) {
    sanitised(facts, dataset, About::Dataset(dataset), report);
}

fn sanitised<'a>(facts: &Facts<'a>, dataset: &api::AIDataset, state: About<'a>, report: &mut Report<'_>) {
    let mut short = Shortfall::new(facts);
    short.ask(Question::of("DataSanitisation", state).bound().passed());
    short.tell(report, Place::field(named(dataset), "spec.digest"), &["CoP-5.4.1"]);
}

/// What a model was made from here was cleaned in that very state.
fn learnt<'a>(facts: &Facts<'a>, model: &'a api::AIModel, report: &mut Report<'_>) {
    for data in &model.spec.trained_on {
        let home = data.namespace.as_deref().or(model.metadata.namespace.as_deref());
        // A dataset that nobody knows is the matter of provenance-and-sbom.
        let Some(dataset) = facts.namespace_named(home).and_then(|home| home.datasets.get(&data.dataset))
        else {
            continue;
        };
        // A state that was replaced since has to have been cleaned too.
        if let Some(digest) = data.digest.as_deref() {
            sanitised(facts, dataset, About::Sealed(dataset, digest), report);
        }
    }
}

/// What lies on a claim is read before a pod reads it; until then nobody knows that it is what was sealed.
fn unread(facts: &Facts<'_>, dataset: &api::AIDataset, report: &mut Report<'_>) {
    let spec = &dataset.spec;
    let claim = spec.source.as_ref().and_then(|source| source.claim());
    // What states no signature or no digest is spoken of already.
    let (Some(digest), true, Some(claim)) = (spec.digest.as_deref(), spec.signature.is_some(), claim) else {
        return;
    };
    let known = facts.verified_dataset(dataset);
    if known
        .is_some_and(|known| known.bytes_verified.is_some_and(|state| state != VerificationState::Pending))
    {
        return;
    }
    let meanwhile = known.and_then(|known| known.message.as_deref());
    let meanwhile = meanwhile.map(|what| format!("; {what}")).unwrap_or_default();
    let home = dataset.metadata.namespace.as_deref().unwrap_or_default();
    report
        .unknown(
            Place::field(named(dataset), "spec.digest").value(digest),
            format!(
                "is not known to be that of what is stored: the operator's Job has not read claim {claim:?} yet, which it \
                 does as soon as no other pod holds the claim for itself{meanwhile}"
            ),
        )
        .under(&["CoP-5.2"])
        .fix(Fix::Command(format!(
            "kubectl wait aidataset {} -n {home} --for=condition=BytesVerified --timeout=15m",
            dataset.metadata.name.as_deref().unwrap_or_default(),
        )))
        .may_arrive();
}

/// The operator writes the status after hashing the stored bytes and checking the signature.
fn verified(facts: &Facts<'_>, dataset: &api::AIDataset, report: &mut Report<'_>) {
    let Some(found) = facts.verified_dataset(dataset) else { return };
    for (state, what, open) in [
        (
            found.bytes_verified,
            "is not the digest of what is stored",
            "is not known to be that of what is stored",
        ),
        (found.signature_verified, "is not signed as it has to be", "is not known to be signed"),
    ] {
        if state == Some(VerificationState::Unknown) {
            let why = found.message.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let digest = dataset.spec.digest.as_deref().unwrap_or_default();
            report
                .unknown(Place::field(named(dataset), "spec.digest").value(digest), format!("{open}{why}"))
                .under(&["ETSI-2"])
                .fix(Fix::Text(
                    "wait for the next look of the operator, or mend what keeps it away".to_owned(),
                ))
                .may_arrive();
        }
        if state == Some(VerificationState::Failed) {
            let why = found.message.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let digest = dataset.spec.digest.as_deref().unwrap_or_default();
            report
                .violated(Place::field(named(dataset), "spec.digest").value(digest), format!("{what}{why}"))
                .under(&["ETSI-2"])
                .fix(Fix::Text(
                    "restore the sealed data, or seal and sign what is there as a new version".to_owned(),
                ))
                .in_declaration(facts);
        }
    }
}

#[cfg(test)]
#[path = "tests/dataset_integrity.rs"]
mod tests;
