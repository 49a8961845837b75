//! Which of several proofs speaks.

use jiff::Timestamp;

use super::{Answer, Question, is_empty};
use crate::api::AIEvidence;
use crate::api::evidence::EvidenceResult;
use crate::policy::dates;

/// The place of a proof among others of its kind; the greatest speaks.
///
/// By date, then by when it was recorded, which files do not tell. Where both are the same, one that failed counts before one
/// that passed, one that answers more of what is asked before one that answers less, and last the higher number at the end
/// of a name: what is recorded anew is called after what it takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing<'a> {
    when: (Option<Timestamp>, Option<Timestamp>),
    verdict: Verdict,
    answered: usize,
    name: (&'a str, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Nothing,
    Passed,
    Failed,
}

/// The place of a proof under a question, by the answer that it gives.
pub(super) fn standing<'a>(question: &Question<'_>, answer: &Answer<'_>, of: &'a AIEvidence) -> Standing<'a> {
    let verdict = match answer {
        Answer::Held(_) => Verdict::Passed,
        Answer::Failed(_, Some(EvidenceResult::Fail)) => Verdict::Failed,
        _ => Verdict::Nothing,
    };
    let asked = question.facts.iter().chain(question.shown);
    let answered = asked.filter(|key| of.spec.facts.get(**key).is_some_and(|value| !is_empty(value))).count();
    let recorded = of.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let name = of.metadata.name.as_deref().unwrap_or_default();
    Standing { when: (dates::from(&of.spec.issued_at), recorded), verdict, answered, name: numbered(name) }
}

/// A name without the number at its end, and that number: `tm-2` comes after `tm`, and before `tm-10`.
fn numbered(name: &str) -> (&str, u64) {
    let parted = name.rsplit_once('-').and_then(|(stem, end)| Some((stem, end.parse().ok()?)));
    parted.unwrap_or((name, 0))
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn numbers_at_the_end_of_names_count() {
        let mut names = ["tm-10", "tm", "tm-2", "tm-b"];
        names.sort_by_key(|name| numbered(name));
        assert_eq!(names, ["tm", "tm-2", "tm-10", "tm-b"]);
    }
}
