//! What holds of records: proofs, suppliers and organisations. Also what a decision says of any object by itself. Pure.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::runtime::events::Event;

use super::{expiry, warning};
use crate::api::evidence::{AIEvidenceStatus, DocumentState, EvidenceResult, StatementState};
use crate::api::outcome::RecordStatus;
use crate::api::supplier::SupplierStatus;
use crate::api::{AIEvidence, AIGovernance, AISupplier};
use crate::controllers::conditions::{
    CURRENT, DOCUMENT_COMPARED, Holds, READY, SIGNATURE_VERIFIED, Said, conditions,
};
use crate::policy::evidence::{Idle, kind};
use crate::policy::facts::Settings;
use crate::policy::{Decision, Finding, Verdict, dates};
use crate::render::words;

/// What is wrong with an object by itself, whether or not it is refused for it.
#[must_use]
pub fn fault(decision: &Decision) -> Option<String> {
    let findings = decision.refused.iter().chain(&decision.warned).chain(&decision.audited);
    let violated: Vec<&Finding> = findings.filter(|f| f.verdict == Verdict::Violated).collect();
    summary(&violated)
}

fn summary(findings: &[&Finding]) -> Option<String> {
    let first = words::sentence(findings.first()?);
    Some(match findings.len() - 1 {
        0 => first,
        more => format!("{first}; and {more} more"),
    })
}

/// What the controls say of an object by itself: `Ready` unless one of them refuses it.
#[must_use]
pub fn judged(decision: &Decision) -> Said {
    let violated: Vec<&Finding> =
        decision.refused.iter().filter(|f| f.verdict == Verdict::Violated).collect();
    if let (Some(first), Some(message)) = (violated.first(), summary(&violated)) {
        return Said::new(READY, false, first.control.reason(), message);
    }
    let open: Vec<&Finding> = decision.refused.iter().collect();
    if let (Some(first), Some(message)) = (open.first(), summary(&open)) {
        return Said::new(READY, Holds::Unknown, first.control.reason(), message);
    }
    let said: Vec<&Finding> = decision.warned.iter().chain(&decision.audited).collect();
    match summary(&said) {
        Some(message) => Said::new(READY, true, "KeptWithFindings", format!("not enforced: {message}")),
        None => Said::new(READY, true, "Kept", "every control that looks at it by itself is kept"),
    }
}

fn record(
    said: impl IntoIterator<Item = Said>,
    generation: Option<i64>,
    warned_days: Option<u8>,
    former: &RecordStatus,
    now: Timestamp,
) -> RecordStatus {
    RecordStatus {
        observed_generation: generation,
        warned_days,
        conditions: conditions(said, &former.conditions, generation, now),
    }
}

/// When a proof ends to count: on the day that it names, or once it is older than proofs of its type may be.
fn end(evidence: &AIEvidence, settings: &Settings) -> Option<Timestamp> {
    let spec = &evidence.spec;
    let named = spec.expires_at.as_deref().and_then(dates::until);
    let limit = kind(&spec.type_).and_then(|kind| kind.limit(settings));
    let issued = dates::from(&spec.issued_at);
    let aged =
        issued.zip(limit).and_then(|(at, days)| at.checked_add(SignedDuration::from_hours(days * 24)).ok());
    [named, aged].into_iter().flatten().min()
}

/// The status of a proof.
#[must_use]
pub fn evidence(
    evidence: &AIEvidence,
    settings: &Settings,
    (decision, idle): (&Decision, Option<&Idle>),
    former: &AIEvidenceStatus,
    now: Timestamp,
) -> AIEvidenceStatus {
    let spec = &evidence.spec;
    let until = end(evidence, settings);
    let over = until.is_some_and(|until| until < now);
    let end = until.map(|until| until.to_string()).unwrap_or_default();
    let end = end.split('T').next().unwrap_or_default();
    let ready = if over {
        Said::new(READY, false, "Expired", format!("it counted until {end}: record a new one"))
    } else if spec.result == Some(EvidenceResult::Fail) {
        Said::new(READY, false, "Failed", "spec.result \"fail\": what it is about did not pass")
    } else if let Some(fault) = document_fault(evidence) {
        fault
    } else if let Some(idle) = idle.filter(|_| decision.refused.is_empty()) {
        Said::new(READY, false, idle.reason, idle.message.clone())
    } else {
        judged(decision)
    };
    let current = match until {
        Some(_) if over => Said::new(CURRENT, false, "Expired", format!("it counted until {end}")),
        Some(_) => Said::new(CURRENT, true, "Dated", format!("it counts until {end}")),
        None => Said::new(CURRENT, true, "NoEnd", "it names no last day; controls may ask for a newer one"),
    };
    let mark = until.and_then(|until| expiry::mark(until, now));
    let warned = [mark, former.warned_days].into_iter().flatten().min();
    let generation = evidence.metadata.generation;
    let said = [ready, current].into_iter().chain(known(evidence));
    AIEvidenceStatus {
        observed_generation: generation,
        warned_days: warned,
        conditions: conditions(said, &former.conditions, generation, now),
        ..AIEvidenceStatus::default()
    }
}

/// That a proof has lost its document, or has another one.
fn document_fault(evidence: &AIEvidence) -> Option<Said> {
    let read = evidence.status.as_ref()?.document.as_ref()?;
    let found = read.found.as_deref().unwrap_or("another one");
    let why = read.message.clone().unwrap_or_default();
    match read.state {
        DocumentState::Altered => Some(Said::new(
            READY,
            false,
            "DocumentAltered",
            format!("spec.ref holds {found}, not spec.digest"),
        )),
        DocumentState::Missing => Some(Said::new(READY, false, "DocumentMissing", why)),
        _ => None,
    }
}

/// What is known of the document and the signed statement, as conditions.
fn known(evidence: &AIEvidence) -> Vec<Said> {
    let status = evidence.status.as_ref();
    let mut out = Vec::new();
    if let Some(read) = status.and_then(|status| status.document.as_ref()) {
        let why = || read.message.clone().unwrap_or_default();
        let (holds, message) = match read.state {
            DocumentState::Same => (Holds::Yes, format!("it is the one of spec.digest since {}", read.since)),
            DocumentState::Altered => {
                (Holds::No, format!("spec.ref holds {}", read.found.as_deref().unwrap_or("another one")))
            }
            DocumentState::Missing => (Holds::No, why()),
            DocumentState::Unreachable | DocumentState::OutOfReach => (Holds::Unknown, why()),
        };
        out.push(Said::new(DOCUMENT_COMPARED, holds, read.state.as_str(), message));
    }
    if let Some(read) = status.and_then(|status| status.statement.as_ref()) {
        let (holds, message) = match read.state {
            StatementState::Verified => {
                (true, format!("signed by authority {}", read.authority.as_deref().unwrap_or_default()))
            }
            StatementState::Failed => (false, read.message.clone().unwrap_or_default()),
        };
        out.push(Said::new(SIGNATURE_VERIFIED, holds, read.state.as_str(), message));
    }
    out
}

/// The warning that comes with a proof's status, where it has one.
#[must_use]
pub fn event(
    evidence: &AIEvidence,
    settings: &Settings,
    status: &AIEvidenceStatus,
    former: &AIEvidenceStatus,
    now: Timestamp,
) -> Option<Event> {
    if !expiry::is_news(status.warned_days, former.warned_days) {
        return None;
    }
    let until = end(evidence, settings)?;
    let (type_, name, left) = (&evidence.spec.type_, evidence.name_any(), expiry::left(until, now));
    let reason = if status.warned_days == Some(0) { "EvidenceEnded" } else { "EvidenceEnds" };
    let subject = &evidence.spec.subject;
    Some(warning(
        reason,
        format!("{type_} {name} about {} {} {left}: record a new AIEvidence", subject.kind, subject.name),
    ))
}

/// The status of a supplier.
#[must_use]
pub fn supplier(
    supplier: &AISupplier,
    decision: &Decision,
    former: &RecordStatus,
    now: Timestamp,
) -> RecordStatus {
    let ready = match supplier.spec.status {
        Some(SupplierStatus::Withdrawn) => Said::new(
            READY,
            false,
            "Withdrawn",
            "spec.status \"withdrawn\": nothing is taken from it, and what came from there counts as revoked",
        ),
        Some(SupplierStatus::Suspended) => {
            Said::new(READY, false, "Suspended", "spec.status \"suspended\": nothing new is taken from it")
        }
        None => {
            Said::new(READY, Holds::Unknown, "Undecided", "spec.status does not say whether it is relied on")
        }
        Some(SupplierStatus::Approved | SupplierStatus::Conditional) => judged(decision),
    };
    record([ready], supplier.metadata.generation, None, former, now)
}

/// The status of an organisation.
#[must_use]
pub fn governance(
    organisation: &AIGovernance,
    decision: &Decision,
    former: &RecordStatus,
    now: Timestamp,
) -> RecordStatus {
    let roster = organisation.spec.training.iter().flat_map(|training| &training.roster);
    let over: Vec<String> = roster
        .filter(|entry| entry.expires_at.as_deref().and_then(dates::until).is_some_and(|until| until < now))
        .map(|entry| {
            let subject = &entry.subject;
            let who = [&subject.user, &subject.group, &subject.contact].into_iter().flatten().next();
            format!("{} of {:?}", entry.course, who.map_or("", String::as_str))
        })
        .collect();
    let current = match over.first() {
        None => Said::new(CURRENT, true, "Current", "no training that it lists has run out"),
        Some(first) => {
            let more = if over.len() > 1 { format!(" and {} more", over.len() - 1) } else { String::new() };
            Said::new(CURRENT, false, "TrainingExpired", format!("training has run out: {first}{more}"))
        }
    };
    record([judged(decision), current], organisation.metadata.generation, None, former, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::evidence::AIEvidenceSpec;
    use serde_json::json;

    #[test]
    fn a_proof_is_ready_until_its_day_and_says_so_before() {
        let proof: AIEvidence = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIEvidence",
            "metadata": {"name": "tm", "namespace": "a"},
            "spec": {"type": "ThreatModel", "subject": {"kind": "AIWorkload", "name": "chat"},
                     "issuedAt": "2026-01-01", "expiresAt": "2026-06-01"}}))
        .unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (kept, settings) = (Decision::default(), Settings::default());
        let nothing = (&kept, None);
        let first =
            evidence(&proof, &settings, nothing, &AIEvidenceStatus::default(), at("2026-02-01T00:00:00Z"));
        assert_eq!((first.conditions[0].status.as_str(), first.warned_days), ("True", None));
        let idle = Idle { reason: "OtherDigest", message: "it counts for nothing".to_owned() };
        let of_another =
            evidence(&proof, &settings, (&kept, Some(&idle)), &first, at("2026-02-01T00:00:00Z"));
        let ready = &of_another.conditions[0];
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "OtherDigest"));
        let now = at("2026-05-28T00:00:00Z");
        let near = evidence(&proof, &settings, nothing, &first, now);
        let note = event(&proof, &settings, &near, &first, now).and_then(|event| event.note).unwrap();
        assert_eq!(note, "ThreatModel tm about AIWorkload chat ends in 4 days: record a new AIEvidence");
        assert!(event(&proof, &settings, &near, &near, now).is_none());
        let over = evidence(&proof, &settings, nothing, &near, at("2026-06-02T00:00:00Z"));
        assert_eq!((over.conditions[0].reason.as_str(), over.warned_days), ("Expired", Some(0)));
        // Without a day of its own it counts as long as proofs of its type do: 365 days.
        let aging = AIEvidence { spec: AIEvidenceSpec { expires_at: None, ..proof.spec.clone() }, ..proof };
        let far =
            evidence(&aging, &settings, nothing, &AIEvidenceStatus::default(), at("2026-11-01T00:00:00Z"));
        assert_eq!((far.conditions[0].status.as_str(), far.warned_days), ("True", None));
        let last = evidence(&aging, &settings, nothing, &far, at("2026-12-31T12:00:00Z"));
        assert_eq!(last.warned_days, Some(1));
        let old = evidence(&aging, &settings, nothing, &last, at("2027-01-02T00:00:00Z"));
        assert_eq!((old.conditions[0].reason.as_str(), old.warned_days), ("Expired", Some(0)));
    }
}
