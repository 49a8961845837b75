//! `model-signature-trusted`: the weights are those that somebody signed, and no version comes back that was replaced.

use std::cmp::Ordering;

use serde_json::json;

use crate::api;
use crate::api::common::VerificationState;
use crate::api::model::ModelSourceKind;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// Models are signed, and no superseded version returns.
pub(super) const CONTROL: Control = Control {
    id: "model-signature-trusted",
    title: "every model manifest is signed by an authority that the trust policy names, and no replaced version comes back",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "NCSC-P2.3", "NCSC-O3.2"],
    why: "a signature made right after training is what tells your model from one that was swapped on the way",
    remedy: "sign the model manifest with a key of the AITrustPolicy and set spec.signature of the AIModel",
    gaps: &[],
    limits: &[
        "what a model was before stands in its history, which keeps 20 entries: changes that leave version and digest alone go \
         first, then the oldest of whoever made most, so what a single user made of a model in more than 20 versions is \
         forgotten, and many users together push out what others made of it",
        "of a model that was deleted and made anew it is known what it was as long as the same replica of the controller leads, \
         of the newest 64 that were deleted in a namespace",
    ],
    check: Check::Rule(check),
};

/// How far a date may lie ahead, in hours: where it was written it may be tomorrow already.
const AHEAD_HOURS: i64 = 24;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Model(model) => judge(facts, model, report),
        Subject::Pod(_) => {
            let Some((_, workload)) = facts.ai_pod() else { return };
            for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name))
            {
                judge(facts, model, report);
            }
        }
        _ => {}
    }
}

fn judge(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    use ModelSourceKind as K;
    let spec = &model.spec;
    // What has no source or no bytes here has nothing to sign; model-digest-pinned speaks of the first.
    let Some(source) = spec.source.as_ref().filter(|source| source.kind != K::Api) else { return };
    let object = format!(
        "AIModel {}/{}",
        model.metadata.namespace.as_deref().unwrap_or_default(),
        model.metadata.name.as_deref().unwrap_or_default()
    );
    let sign = || {
        Fix::Text(
            "sign the model with a key of an authority of the AITrustPolicy, and set spec.signature.kind and \
             spec.signature.ref to what was made"
                .to_owned(),
        )
    };
    let in_registry = matches!(source.kind, K::Oci | K::Image);
    if spec.signature.is_none() && !in_registry {
        report
            .violated(
                Place::field(&object, "spec.signature"),
                format!("is missing, and a model from {} carries no signature by itself", source.kind),
            )
            .under(&["CoP-5.2"])
            .fix(
                Fix::set_at(
                    &Place::field(&object, "spec.signature"),
                    "",
                    json!({"kind": "oms", "ref": "configmap://NAME/KEY"}),
                )
                .after(
                    "sign the model with a key of an authority of the AITrustPolicy, and name what was made",
                ),
            )
            .in_declaration(facts);
    }
    verified(facts, &object, model, sign, report);
    ahead(facts, &object, model, report);
    replaced(facts, &object, model, report);
}

/// What the operator found when it looked, of this very digest.
fn verified(
    facts: &Facts<'_>,
    object: &str,
    model: &api::AIModel,
    sign: impl Fn() -> Fix,
    report: &mut Report<'_>,
) {
    // What this pod mounts was looked up for it, and image-signature-trusted speaks of that.
    if is_mounted(facts, model) {
        return;
    }
    let known = facts.verified_model(model);
    let is_seen =
        |state: Option<VerificationState>| state.is_some_and(|state| state != VerificationState::Pending);
    let Some(found) = known.filter(|found| is_seen(found.signature_verified)) else {
        unseen(facts, object, model, known.and_then(|known| known.message.as_deref()), report);
        return;
    };
    let place = Place::field(object, "spec.digest").value(model.spec.digest.as_deref().unwrap_or_default());
    let why = found.message.as_deref();
    match found.signature_verified {
        Some(VerificationState::Failed) => {
            let why = why.unwrap_or("no signature of it is by a trusted authority");
            report
                .violated(place, format!("is not signed as it has to be: {why}"))
                .under(&["CoP-5.2"])
                .fix(sign())
                .in_declaration(facts);
        }
        Some(VerificationState::Unknown) => {
            let why = why.unwrap_or("the check has not ended");
            report
                .unknown(place, format!("is not known to be signed: {why}"))
                .under(&["CoP-5.2"])
                .fix(Fix::Text(
                    "wait for the check to end; nothing needs to change if the model is signed".to_owned(),
                ))
                .may_arrive();
        }
        _ => {}
    }
}

/// What nobody has verified is not signed for a pod that would load it, whatever is stated.
fn unseen(
    facts: &Facts<'_>,
    object: &str,
    model: &api::AIModel,
    meanwhile: Option<&str>,
    report: &mut Report<'_>,
) {
    let spec = &model.spec;
    // What states no signature or no digest is spoken of already; and a model by itself harms nobody.
    let (Some(source), Some(digest)) = (spec.source.as_ref(), spec.digest.as_deref()) else { return };
    // An artifact of a registry that this pod does not mount is looked up for the pods that do.
    let elsewhere = matches!(source.kind, ModelSourceKind::Oci | ModelSourceKind::Image);
    if facts.pod().is_none() || spec.signature.is_none() || elsewhere {
        return;
    }
    let fetched =
        matches!(source.kind, ModelSourceKind::S3 | ModelSourceKind::HuggingFace) && source.claim().is_none();
    if fetched {
        report
            .unknown(
                Place::field(object, "spec.source.kind").value(source.kind.as_str()),
                "is fetched when a pod starts, so nobody can verify before it is loaded that it is what was signed",
            )
            .under(&["CoP-5.2"])
            .fix(Fix::Text(
                "fetch the files once onto a claim and name it in spec.source.claimName, or push them to a registry and \
                 mount the artifact"
                    .to_owned(),
            ))
            .in_declaration(facts);
        return;
    }
    report
        .unknown(
            Place::field(object, "spec.digest").value(digest),
            format!(
                "is not known to be signed: the operator has not verified it yet{}",
                meanwhile_said(meanwhile)
            ),
        )
        .under(&["CoP-5.2"])
        .fix(Fix::Command(format!(
            "kubectl wait aimodel {} -n {} --for=condition=SignatureVerified --timeout=15m",
            model.metadata.name.as_deref().unwrap_or_default(),
            model.metadata.namespace.as_deref().unwrap_or_default()
        )))
        .may_arrive();
}

/// What is going on meanwhile, as a clause.
fn meanwhile_said(meanwhile: Option<&str>) -> String {
    meanwhile.map(|what| format!(", {what}")).unwrap_or_default()
}

/// Whether the pod names the very artifact that the model is.
fn is_mounted(facts: &Facts<'_>, model: &api::AIModel) -> bool {
    let source = model.spec.source.as_ref();
    let source = source.filter(|source| matches!(source.kind, ModelSourceKind::Oci | ModelSourceKind::Image));
    let digest = source.and_then(|source| source.reference.as_deref()?.rsplit_once('@'));
    let (Some(pod), Some((_, digest))) = (facts.pod(), digest) else { return false };
    pod.images().any(|image| image.reference.rsplit_once('@').is_some_and(|(_, own)| own == digest))
}

/// A signature of tomorrow was not made when it says.
fn ahead(facts: &Facts<'_>, object: &str, model: &api::AIModel, report: &mut Report<'_>) {
    let Some(text) = model.spec.signature.as_ref().and_then(|signature| signature.signed_at.as_deref())
    else {
        return;
    };
    if dates::from(text).is_some_and(|at| at.duration_since(facts.now).as_hours() >= AHEAD_HOURS) {
        report
            .violated(Place::field(object, "spec.signature.signedAt").value(text), "lies in the future")
            .under(&["NCSC-P2.3"])
            .fix(
                Fix::set_at(&Place::field(object, "spec.signature.signedAt"), "", "YYYY-MM-DD")
                    .after("write when the signature was made"),
            )
            .in_declaration(facts);
    }
}

/// A digest that another one replaced, and a version below the highest that ran, stay away.
fn replaced(facts: &Facts<'_>, object: &str, model: &api::AIModel, report: &mut Report<'_>) {
    let Some(digest) = model.spec.digest.as_deref() else { return };
    let history = model.status.as_ref().map_or(&[][..], |status| &status.history);
    let mut highest: Option<&str> = None;
    let mut after: Option<&str> = None;
    let mut seen = false;
    for entry in history {
        if entry.digest.as_deref() == Some(digest) {
            seen = true;
        } else if seen {
            after = after.or(entry.digest.as_deref());
        }
        if let Some(version) = entry.version.as_deref()
            && highest.is_none_or(|highest| compare(version, highest) == Some(Ordering::Greater))
        {
            highest = Some(version);
        }
    }
    let version = model.spec.version.as_deref();
    let lower =
        version.zip(highest).is_some_and(|(own, highest)| compare(own, highest) == Some(Ordering::Less));
    let (place, what) = if lower {
        let (own, highest) = (version.unwrap_or_default(), highest.unwrap_or_default());
        (
            Place::field(object, "spec.version").value(own),
            format!("is below {highest:?}, which it was already, and could bring back what that one mended"),
        )
    } else if let Some(newer) = after {
        (
            Place::field(object, "spec.digest").value(digest),
            format!("was replaced by {newer:?} and could bring back what that one mended"),
        )
    } else {
        return;
    };
    report
        .violated(place, what)
        .under(&["NCSC-O3.2"])
        .fix(Fix::Text(
            "use the newer version; to go back to a known good one after an incident, ask for an AIExemption"
                .to_owned(),
        ))
        .in_declaration(facts);
}

/// Orders versions made of numbers and dots, a `v` before them allowed; other versions have no order.
fn compare(a: &str, b: &str) -> Option<Ordering> {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.strip_prefix('v').unwrap_or(text).split('.').map(|part| part.parse().ok()).collect()
    };
    let (mut a, mut b) = (numbers(a)?, numbers(b)?);
    let length = a.len().max(b.len());
    a.resize(length, 0);
    b.resize(length, 0);
    Some(a.cmp(&b))
}

#[cfg(test)]
#[path = "tests/model_signature_trusted.rs"]
mod tests;
