//! Whether the right person vouches for a proof.

use super::{Answer, By, Question};
use crate::api::AIEvidence;
use crate::api::evidence::StatementState;
use crate::policy::facts::Facts;
use crate::policy::owners::{NO_PERSON, is_account};

/// What is wrong with who vouches; nothing where that is who should.
pub(super) fn vouched<'a>(
    facts: &Facts<'a>,
    question: &Question<'a>,
    evidence: &'a AIEvidence,
) -> Option<Answer<'a>> {
    let person = evidence.spec.attested_by.as_deref().filter(|name| !name.is_empty());
    let wrong = |why: String| Some(Answer::WrongPerson(evidence, why));
    // Whoever recorded it: with a signed statement it is worth what the signature is.
    if evidence.spec.attestation.is_some() {
        let statement = evidence.status.as_ref().and_then(|status| status.statement.as_ref());
        let who = person.unwrap_or("nobody");
        match statement.map(|statement| (statement.state, statement.message.as_deref())) {
            Some((StatementState::Verified, _)) => {}
            Some((StatementState::Failed, why)) => {
                let why = why.unwrap_or("it was not signed by that person");
                return wrong(format!("by {who:?} under a signature that does not count: {why}"));
            }
            None => {
                let why = format!("by {who:?} under a signature that has not been verified yet");
                return Some(Answer::Unclear(evidence, why));
            }
        }
    }
    match (question.by, person) {
        (By::Anybody, _) => None,
        (_, None) => wrong("by nobody: attestedBy is empty".to_owned()),
        (By::Another, Some(person)) if is_account(person) => {
            wrong(format!("by {person:?}, which {NO_PERSON}"))
        }
        (By::Another, Some(person)) => {
            let how = question.about.made_by(facts, person)?;
            wrong(format!("by {person:?}, {how}"))
        }
        (By::NotTheAuthor, Some(person)) if question.about.written_by(person) => {
            wrong(format!("by {person:?}, who made what it vouches for"))
        }
        (By::NotTheAuthor, Some(_)) => None,
        (By::OneOf(parties), Some(person)) => {
            if parties.iter().any(|party| party.user.as_deref() == Some(person)) {
                return None;
            }
            let wanted: Vec<&str> =
                parties.iter().filter_map(|p| p.user.as_deref().or(p.group.as_deref())).take(4).collect();
            let wanted = wanted.join(", ");
            if parties.iter().any(|party| party.user.is_none() && party.group.is_some()) {
                let why =
                    format!("by {person:?}, and whether that person belongs to {wanted} cannot be seen");
                return Some(Answer::Unclear(evidence, why));
            }
            wrong(format!("by {person:?} instead of {wanted}"))
        }
    }
}
