//! Where an exemption stands: asked for, counting, over, or unable to count, and why. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::events::Event;

use super::{expiry, record, warning};
use crate::api::AIExemption;
use crate::api::exemption::{AIExemptionStatus, ExemptionState};
use crate::controllers::conditions::{ACTIVE, Said, conditions, seconds};
use crate::policy::decide::exemption_holds;
use crate::policy::facts::{Cluster, Namespace};
use crate::policy::{Decision, composition, dates};
use crate::render::words;

/// The status of one exemption: its state, what it covers and until when.
#[must_use]
pub fn status(
    exemption: &AIExemption,
    namespace: &Namespace,
    cluster: &Cluster,
    decision: &Decision,
    former: &AIExemptionStatus,
    now: Timestamp,
) -> AIExemptionStatus {
    let (state, reason, message) = stands(exemption, namespace, cluster, decision, now);
    let until = dates::until(&exemption.spec.expires_at);
    let active = state == ExemptionState::Active;
    let approved = exemption.spec.approved_by.is_some();
    // Nobody is warned of the end of what never counted.
    let counted = active || former.warned_days.is_some() || former.state == Some(ExemptionState::Active);
    let mark = until.filter(|_| counted).and_then(|until| expiry::mark(until, now));
    let said = Said::new(ACTIVE, active, reason, message);
    let generation = exemption.metadata.generation;
    AIExemptionStatus {
        observed_generation: generation,
        state: Some(state),
        covers: Some(words::cut(covers(exemption), 1000)),
        until: until.map(|until| seconds(until).to_string()),
        approved_at: former
            .approved_at
            .clone()
            .or_else(|| approved.then(|| seconds(now).to_string()))
            .filter(|_| approved),
        warned_days: [mark, former.warned_days].into_iter().flatten().min(),
        conditions: conditions([said], &former.conditions, generation, now),
    }
}

/// The warning that comes with a status, where it has one: each mark on the way to the end is told once.
#[must_use]
pub fn event(
    exemption: &AIExemption,
    status: &AIExemptionStatus,
    former: &AIExemptionStatus,
    now: Timestamp,
) -> Option<Event> {
    if !expiry::is_news(status.warned_days, former.warned_days) {
        return None;
    }
    let until = dates::until(&exemption.spec.expires_at)?;
    let what = format!("AIExemption {} of {}", exemption.name_any(), covers(exemption));
    let left = expiry::left(until, now);
    let way = "keep the control, or ask for another exemption";
    Some(if status.warned_days == Some(0) {
        warning("ExemptionEnded", format!("{what} {left} since {until}: new pods are refused; {way}"))
    } else {
        warning(
            "ExemptionEnds",
            format!("{what} {left}, at {until}; then new pods are refused: {way} until then"),
        )
    })
}

/// The controls and the subject, as `pod-hardened, resource-bounds for AIWorkload chat`.
fn covers(exemption: &AIExemption) -> String {
    let spec = &exemption.spec;
    format!("{} for {} {}", spec.controls.join(", "), spec.subject.kind, spec.subject.name)
}

fn stands(
    exemption: &AIExemption,
    namespace: &Namespace,
    cluster: &Cluster,
    decision: &Decision,
    now: Timestamp,
) -> (ExemptionState, &'static str, String) {
    let spec = &exemption.spec;
    let name = exemption.name_any();
    if let Some(fault) = record::fault(decision) {
        return (ExemptionState::Invalid, "Unsound", fault);
    }
    if dates::until(&spec.expires_at).is_some_and(|until| until < now) {
        let message = format!("it expired at {}; kubectl delete aiexemption {name}", spec.expires_at);
        return (ExemptionState::Expired, "Expired", message);
    }
    let subject = subject_fault(exemption, namespace, cluster);
    if spec.approved_by.as_deref().is_none_or(str::is_empty) {
        let but =
            subject.map_or_else(String::new, |(_, why)| format!("; approved, it would not count: {why}"));
        let message = format!(
            "asked for by {:?}, it changes nothing until another person with the right to approve sets \
            spec.approvedBy: kubectl patch aiexemption {name} --type merge -p '{{\"spec\": {{\"approvedBy\": \"YOU\"}}}}'{but}",
            spec.requested_by
        );
        return (ExemptionState::Requested, "AwaitsApproval", message);
    }
    if let Err(why) = exemption_holds(exemption, now) {
        return (ExemptionState::Invalid, "Unsound", why);
    }
    if let Some((reason, why)) = subject {
        return (ExemptionState::Invalid, reason, why);
    }
    let approver = spec.approved_by.as_deref().unwrap_or_default();
    let message = format!("waives {} until {}, approved by {approver:?}", covers(exemption), spec.expires_at);
    (ExemptionState::Active, "Approved", message)
}

/// Why the exemption covers nothing, where its subject is at fault.
fn subject_fault(
    exemption: &AIExemption,
    namespace: &Namespace,
    cluster: &Cluster,
) -> Option<(&'static str, String)> {
    let spec = &exemption.spec;
    let subject = &spec.subject;
    let wanted = subject.digest.as_deref().unwrap_or_default();
    let found = match subject.kind.as_str() {
        "AIWorkload" => namespace
            .workloads
            .get(&subject.name)
            .map(|workload| composition::digest(workload, namespace, cluster)),
        "AIModel" => namespace.models.get(&subject.name).map(|m| m.spec.digest.clone().unwrap_or_default()),
        // The digest is the image: whether a pod names it is seen pod by pod.
        "Image" => Some(wanted.to_owned()),
        kind => {
            let why = format!(
                "spec.subject.kind {kind:?} cannot be exempted: name an AIWorkload, an AIModel or an Image"
            );
            return Some(("SubjectUnknown", why));
        }
    };
    let object = format!("{} {:?}", subject.kind, subject.name);
    let Some(found) = found else {
        return Some((
            "SubjectMissing",
            format!("{object} does not exist in namespace {:?}", namespace.name),
        ));
    };
    if found != wanted {
        let why = format!(
            "{object} is {found} now and the exemption is for {wanted}: ask for another one for what it has become"
        );
        return Some(("SubjectChanged", why));
    }
    let uncovered =
        spec.controls.iter().find(|id| subject.kind == "AIWorkload" && id.starts_with("image-"))?;
    let why = format!(
        "{uncovered} is not waived for a whole AIWorkload, which does not name its images: name the Image and its digest"
    );
    Some(("NotCovered", why))
}

#[cfg(test)]
#[path = "exemption_tests.rs"]
mod tests;
