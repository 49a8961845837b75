//! `model-digest-pinned`: a model is the bytes that were reviewed, and nothing in the cluster can rewrite them.

use serde_json::json;

use crate::api;
use crate::api::common::VerificationState;
use crate::api::model::{ModelSource, ModelSourceKind, Origin};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::image::ImageRef;
use crate::policy::servers::{Loaded, Wrong};

/// Models are named by digest and mounted read-only.
pub(super) const CONTROL: Control = Control {
    id: "model-digest-pinned",
    title: "each model is fixed by the digest of its bytes or the commit of its repository, and mounted read-only",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "CoP-11.3", "NCSC-P2.3"],
    why: "whoever can change the weights can change every answer, and nobody sees it in the manifest",
    remedy: "give the AIModel a source by digest or commit and its spec.digest, and mount its volume with readOnly: true",
    gaps: &[],
    limits: &[
        "of what a pod fetches from a bucket or a model hub only the revision is compared; model-signature-trusted calls such a model unknown",
        "bytes on a claim count as they were when the operator read them last; the status says when",
        "what an image loads by its own default, without an argument or a variable of the pod, is not seen",
        "models behind an outside interface have no bytes that could be pinned",
    ],
    check: Check::Rule(check),
};

/// The longest time between the end of training and the signature, in hours.
const SIGN_WITHIN_HOURS: i64 = 24;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Model(model) => judge(facts, model, report),
        Subject::Pod(_) => {
            let Some(pod) = facts.governed_pod() else { return };
            let used = facts.declaration().map_or(&[][..], |workload| &workload.spec.models);
            for model in used.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
                judge(facts, model, report);
            }
            mounts(facts, pod, report);
            loads(facts, report);
        }
        _ => {}
    }
}

fn judge(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let object = name_of(model);
    let Some(source) = &model.spec.source else {
        let digest = model.spec.digest.as_deref().unwrap_or("sha256:DIGEST");
        report
            .violated(
                Place::field(&object, "spec.source"),
                "is missing, so nobody knows which bytes are meant",
            )
            .fix(
                Fix::set_at(
                    &Place::field(&object, "spec.source"),
                    "",
                    json!({"kind": "oci", "reference": format!("REPOSITORY@{digest}")}),
                )
                .after("say where the model comes from"),
            )
            .in_declaration(facts);
        return;
    };
    if source.kind == ModelSourceKind::Api {
        return;
    }
    pinned(facts, &object, model, source, report);
    if source.kind == ModelSourceKind::HuggingFace {
        commit(facts, &object, source, report);
    }
    signed_in_time(facts, &object, model, report);
    verified(facts, &object, model, report);
}

/// `AIModel namespace/name`, as messages write it.
fn name_of(model: &api::AIModel) -> String {
    format!(
        "AIModel {}/{}",
        model.metadata.namespace.as_deref().unwrap_or_default(),
        model.metadata.name.as_deref().unwrap_or_default()
    )
}

fn pinned(
    facts: &Facts<'_>,
    object: &str,
    model: &api::AIModel,
    source: &ModelSource,
    report: &mut Report<'_>,
) {
    let digest = model.spec.digest.as_deref();
    let in_registry = matches!(source.kind, ModelSourceKind::Oci | ModelSourceKind::Image);
    let reference = source.reference.as_deref().filter(|_| in_registry).map(|r| (r, ImageRef::parse(r)));
    if let Some((text, Err(error))) = &reference {
        report
            .violated(
                Place::field(object, "spec.source.reference").value(text),
                format!("is no reference of an artifact: {error}"),
            )
            .fix(Fix::set_at(&Place::field(object, "spec.source.reference"), "", "REPOSITORY@sha256:DIGEST"))
            .in_declaration(facts);
        return;
    }
    let named = match &reference {
        Some((_, Ok(parsed))) => parsed.digest(),
        _ => None,
    };
    match digest.or(named) {
        None => {
            let (path, how) = if in_registry {
                ("spec.source.reference", "names no digest and spec.digest is not set")
            } else {
                ("spec.digest", "is not set, so the bytes may change unseen")
            };
            let place = Place::field(object, path);
            let place = match &reference {
                Some((text, _)) => place.value(text),
                None => place,
            };
            report
                .violated(place, how)
                .fix(
                    Fix::set_at(&Place::field(object, "spec.digest"), "", "sha256:DIGEST")
                        .after("find out the sha256 digest of the artifact's manifest"),
                )
                .in_declaration(facts);
        }
        Some(value) if !is_sha256(value) => {
            let path = if digest.is_some() { "spec.digest" } else { "spec.source.reference" };
            report
                .violated(Place::field(object, path).value(value), "is no sha256 digest")
                .fix(
                    Fix::set_at(&Place::field(object, "spec.digest"), "", "sha256:DIGEST")
                        .after("write sha256: and 64 hexadecimal digits"),
                )
                .in_declaration(facts);
        }
        Some(_) => {}
    }
    // For a model inside a container image the two digests are of different things: the image, and the model in it.
    let same_thing = source.kind == ModelSourceKind::Oci;
    if let (Some(digest), Some(named)) = (digest, named)
        && same_thing
        && digest != named
    {
        report
            .violated(
                Place::field(object, "spec.digest").value(digest),
                format!("is not the digest in spec.source.reference, {named:?}"),
            )
            .fix(
                Fix::set_at(&Place::field(object, "spec.digest"), "", named)
                    .after("find out which of both was evaluated, and name it in both places"),
            )
            .in_declaration(facts);
    }
}

fn is_sha256(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// A branch or tag of a repository moves; a commit does not.
fn commit(facts: &Facts<'_>, object: &str, source: &ModelSource, report: &mut Report<'_>) {
    let revision = source.revision.as_deref().unwrap_or_default();
    if revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit()) {
        return;
    }
    report
        .violated(
            Place::field(object, "spec.source.revision").value(revision),
            "is no commit, and branches and tags can move",
        )
        .fix(
            Fix::set_at(&Place::field(object, "spec.source.revision"), "", "COMMIT")
                .after("write the 40 hexadecimal digits of the commit"),
        )
        .in_declaration(facts);
}

/// What was made here is signed before anybody could have altered it.
fn signed_in_time(facts: &Facts<'_>, object: &str, model: &api::AIModel, report: &mut Report<'_>) {
    let signed = model.spec.signature.as_ref().and_then(|signature| signature.signed_at.as_deref());
    let (Some(trained), Some(signed), Some(Origin::Internal)) =
        (model.spec.trained_at.as_deref(), signed, model.spec.origin)
    else {
        return;
    };
    let place = Place::field(object, "spec.signature.signedAt").value(signed);
    let (Some(from), Some(to)) = (dates::from(trained), dates::from(signed)) else {
        report
            .violated(place, format!("or spec.trainedAt {trained:?} is no date"))
            .under(&["NCSC-P2.3"])
            .in_declaration(facts);
        return;
    };
    let late = to.duration_since(from).as_hours();
    if late > SIGN_WITHIN_HOURS {
        report
            .violated(place, format!("is {late} hours after spec.trainedAt, more than {SIGN_WITHIN_HOURS}"))
            .under(&["NCSC-P2.3"])
            .fix(Fix::Text(
                "check the bytes against those of the training run, and sign a new version at once"
                    .to_owned(),
            ))
            .in_declaration(facts);
    }
}

/// The operator writes the status after hashing the stored bytes.
fn verified(facts: &Facts<'_>, object: &str, model: &api::AIModel, report: &mut Report<'_>) {
    let Some(verification) = facts.verified_model(model) else { return };
    if verification.bytes_verified == Some(VerificationState::Failed) {
        let why = verification.message.as_deref().unwrap_or("the stored bytes differ");
        report
            .violated(
                Place::field(object, "spec.digest").value(model.spec.digest.as_deref().unwrap_or_default()),
                format!("is not the digest of what is stored: {why}"),
            )
            .under(&["NCSC-P2.3"])
            .fix(Fix::Text("restore the signed files, or register what is there as a new version".to_owned()))
            .in_declaration(facts);
    }
}

/// A volume that holds a registered model is read-only for every container; an image volume always is.
fn mounts(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for volume in pod.spec.volumes.iter().flatten() {
        let Some(claim) =
            volume.persistent_volume_claim.as_ref().filter(|claim| claim.read_only != Some(true))
        else {
            continue;
        };
        let Some(model) = facts.namespace.models.values().find(|model| is_in(model, &claim.claim_name))
        else {
            continue;
        };
        let what = format!("may write to claim {:?}, which holds {}", claim.claim_name, name_of(model));
        for container in &pod.containers {
            let written = container.mounts.iter().enumerate();
            for (index, _) in written.filter(|(_, m)| m.name == volume.name && m.read_only != Some(true)) {
                let path = container.path(&format!("volumeMounts[{index}].readOnly"));
                report.violated(pod.at(&path), &what).fix(Fix::set(format!("{}{path}", pod.prefix), true));
            }
            for (index, _) in container.devices.iter().enumerate().filter(|(_, d)| d.name == volume.name) {
                let path = container.path(&format!("volumeDevices[{index}]"));
                report
                    .violated(pod.at(&path), format!("{what}, as a raw device"))
                    .fix(Fix::remove(format!("{}{path}", pod.prefix)));
            }
        }
    }
}

/// What the arguments and variables of a server name is a model that the workload declares.
fn loads(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some((pod, workload)) = facts.ai_pod() else { return };
    for (container, Loaded { faults, .. }) in facts.loaded() {
        for fault in faults.all.iter().filter(|fault| fault.wrong == Wrong::Undeclared) {
            let place = pod.at(container.path(&fault.field));
            let place =
                fault.value.as_ref().map_or_else(|| place.clone(), |value| place.clone().value(value));
            let mended = faults.mend.fix(container, pod.prefix).filter(|_| fault.mended);
            report.violated(place, &fault.detail).fix(mended.or_else(|| fault.fix.clone()).unwrap_or_else(|| {
                Fix::Text(format!(
                    "load the path at which a declared model is mounted, or declare this one in spec.models of {}",
                    Facts::name_of(workload)
                ))
            }));
        }
    }
}

fn is_in(model: &api::AIModel, claim: &str) -> bool {
    model.spec.source.as_ref().is_some_and(|source| source.claim_name.as_deref() == Some(claim))
}

#[cfg(test)]
#[path = "tests/model_digest_pinned.rs"]
mod tests;
