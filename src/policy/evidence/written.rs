//! A proof by itself: whether it is what it can be, and whether the one who brings it is the one who vouches.

use super::document::is_void;
use super::{About, KINDS, MOST_WORDS, kind, overlong, reference};
use crate::api::evidence::{EvidenceResult, StatementState};
use crate::policy::control::Report;
use crate::policy::dates;
use crate::policy::facts::{EvidenceFacts, Facts, Place};
use crate::policy::fix::Fix;
use crate::policy::near::nearest;

/// Kinds that evidence can be about.
const SUBJECTS: [&str; 7] =
    ["AIWorkload", "AIModel", "AIDataset", "AIPrompt", "AISupplier", "AIGovernance", "Image"];

/// Judges a proof by itself, at admission and in the audit.
///
/// At admission the person in `attestedBy` has to be the one who asks, which is what gives the name its worth; the audit
/// cannot know who asked.
pub fn judge_itself(facts: &Facts<'_>, subject: &EvidenceFacts<'_>, report: &mut Report<'_>) {
    const UNDER: &[&str] = &["ETSI-0"];
    let evidence = subject.evidence;
    let spec = &evidence.spec;
    let object = format!(
        "AIEvidence {}/{}",
        facts.namespace.name,
        evidence.metadata.name.as_deref().unwrap_or_default()
    );
    let mut wrong = |field: &str, value: &str, what: String, fix: &str| {
        let place = Place::field(&object, format!("spec.{field}"));
        let mended = match field {
            "type" => Fix::set_at(&place, "", "EVIDENCE-TYPE").after(fix),
            "issuedAt" => Fix::set_at(&place, "", "YYYY-MM-DD").after(fix),
            "expiresAt" => Fix::set_at(&place, "", "LAST-DAY").after(fix),
            "digest" => Fix::set_at(&place, "", "sha256:DIGEST-OF-THE-DOCUMENT").after(fix),
            "subject.digest" => Fix::set_at(&place, "", "sha256:DIGEST").after(fix),
            _ => Fix::Text(fix.to_owned()),
        };
        let place = if value.is_empty() { place } else { place.value(value) };
        report.violated(place, what).under(UNDER).fix(mended);
    };
    if kind(&spec.type_).is_none() {
        wrong("type", &spec.type_, format!("is no known type{}", meant(&spec.type_)), &known());
    }
    if !SUBJECTS.contains(&spec.subject.kind.as_str()) {
        let what = format!("is nothing that evidence is about; it is one of {}", SUBJECTS.join(", "));
        wrong("subject.kind", &spec.subject.kind, what, "name the object that it is about");
    } else if spec.subject.kind == "Image" && spec.subject.digest.is_none() {
        let what = "is an image, of which only the digest says which bytes are meant".to_owned();
        wrong("subject.digest", "", what, "name the digest of the image");
    }
    let issued = dates::from(&spec.issued_at);
    match issued {
        None => wrong("issuedAt", &spec.issued_at, "is no date".to_owned(), "write a day"),
        Some(_) if dates::ahead(&spec.issued_at, facts.now) => {
            wrong("issuedAt", &spec.issued_at, "lies ahead".to_owned(), "date it by the day of the document");
        }
        Some(_) => {}
    }
    if let Some(text) = spec.expires_at.as_deref() {
        match (dates::until(text), issued) {
            (None, _) => wrong("expiresAt", text, "is no date".to_owned(), "write a day"),
            (Some(end), Some(issued)) if end < issued => {
                let what = format!("lies before its issue on {}", spec.issued_at);
                wrong("expiresAt", text, what, "name the last day on which the document counts");
            }
            _ => {}
        }
    }
    if let Some(at) = spec.ref_.as_deref() {
        if let Err(what) = reference(at) {
            wrong("ref", at, what, "name the document by a place that others can reach");
        } else if spec.digest.is_none() {
            let what = "may change unseen, because spec.digest is not set".to_owned();
            wrong("ref", at, what, "set spec.digest to the SHA-256 of the document");
        }
    }
    if let Some(digest) = spec.digest.as_deref().filter(|digest| is_void(digest)) {
        let what = "is the digest of an empty document or of none".to_owned();
        wrong("digest", digest, what, "set spec.digest to the SHA-256 of the document");
    }
    if let Some((key, length)) = overlong(&spec.facts) {
        let what = format!("has {length} entries, of which no more than {MOST_WORDS} are read");
        wrong(
            &format!("facts.{key}"),
            "",
            what,
            "name what programs compare, and leave the rest to the document",
        );
    }
    let signed = subject.statement.map(|statement| statement.state);
    if signed == Some(StatementState::Failed) {
        let why = subject.statement.and_then(|statement| statement.message.as_deref()).unwrap_or_default();
        let what = format!("does not count: {why}");
        wrong("attestation", "", what, "sign what the object says, as the person in spec.attestedBy");
    }
    // A statement in a registry is looked up later; until then the proof counts for nothing.
    let later = spec.attestation.as_ref().is_some_and(|attestation| attestation.reference.is_some());
    if let (Some(user), Some(person)) = (subject.user, spec.attested_by.as_deref())
        && user != person
        && signed.is_none()
        && !later
    {
        let what = format!("is not {user:?}, who records it: nobody vouches in the name of another");
        wrong(
            "attestedBy",
            person,
            what,
            "let that person record it, or sign it and add the signature as spec.attestation",
        );
    }
    if let (Some(what), Some(person)) = (of_own_group(facts, subject), spec.attested_by.as_deref()) {
        wrong("attestedBy", person, what, "let somebody outside that group attest it");
    }
}

/// That whoever records a proof is in a group that answers for what it vouches for. Groups are known of whoever asks, and of
/// nobody later.
fn of_own_group(facts: &Facts<'_>, subject: &EvidenceFacts<'_>) -> Option<String> {
    let spec = &subject.evidence.spec;
    let vouches = subject.user.is_some() && subject.user == spec.attested_by.as_deref();
    if !vouches || !INDEPENDENT.contains(&spec.type_.as_str()) || spec.result == Some(EvidenceResult::Fail) {
        return None;
    }
    let about = About::named(facts, &spec.subject, facts.namespace)?;
    let group = about.group_of(subject.groups)?;
    Some(format!(
        "is of the group {group:?}, which made, owns or runs {about}: nobody vouches for the own work"
    ))
}

/// Types that nobody attests of what is the own work.
pub(super) const INDEPENDENT: [&str; 2] = ["SecurityAssessment", "RedTeam"];

fn known() -> String {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    format!("name one of {}", names.join(", "))
}

/// A known type that differs only in case, in its end or by a few letters.
fn meant(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let names = || KINDS.iter().map(|kind| kind.name);
    let part = names().find(|name| {
        let name = name.to_ascii_lowercase();
        !lower.is_empty() && (name.starts_with(&lower) || lower.starts_with(&name))
    });
    part.or_else(|| nearest(text, names())).map_or_else(String::new, |name| format!("; {name:?} is"))
}
