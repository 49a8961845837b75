//! The evidence engine: a question about one proof in, the proof or the reason why none counts out.
//!
//! A control asks through a [`Shortfall`], which gathers everything that is missing for one demand and says it in one
//! finding, with the AIEvidence to fill in:
//!
//! ```ignore
//! let mut short = Shortfall::new(facts);
//! let about = About::workload(workload);
//! if let Some(model) = short.ask(Question::of("ThreatModel", about).with(&["adversaries"])) {
//!     short.require(!words(model, "adversaries").is_empty(), || "threat model names no adversary".to_owned());
//! }
//! short.tell(report, place, &["CoP-3.1"]);
//! ```
//!
//! What a proof shows: that a dated document of a named person exists and is bound to what runs. Not that it is true.

mod cross;
mod document;
mod idle;
mod kinds;
mod order;
mod record;
mod settled;
mod shortfall;
mod subject;
mod vouched;
mod written;

#[cfg(test)]
mod bad_input_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vouched_tests;

use jiff::SignedDuration;
use serde_json::Value;

use super::dates;
use super::facts::{Facts, Namespace};
use crate::api::AIEvidence;
use crate::api::common::Party;
use crate::api::evidence::EvidenceResult;

pub use cross::{end_users, enrol, fails, trained};
pub use document::{Reference, reference};
pub use idle::{Idle, idle};
pub use kinds::{KINDS, Kind, kind};
pub use shortfall::Shortfall;
pub use subject::About;
pub use written::judge_itself;

/// Days after which nothing is too old.
pub const EVER: i64 = 36_500;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The type of proof: one of [`KINDS`].
    pub type_: &'static str,
    /// What it has to be about.
    pub about: About<'a>,
    /// Whether it has to name the present digest of what it is about. One that names another digest never counts.
    pub bound: bool,
    /// Whether it has to have a result that passes.
    pub passed: bool,
    /// Who has to vouch for it.
    pub by: By<'a>,
    /// Keys that have to be among its facts.
    pub facts: &'static [&'static str],
    /// Keys that the evidence to fill in shows too, because another demand on the same proof asks for them; `spec.evaluator`
    /// and `spec.expiresAt` are no facts.
    pub shown: &'static [&'static str],
    /// Whether it has to name its document by ref and digest.
    pub document: bool,
    /// Oldest age in days, where it differs from that of the type.
    pub days: Option<i64>,
}

/// Who has to vouch for a proof.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// It does not matter.
    Anybody,
    /// A named person other than who made, owns or runs what is vouched for.
    Another,
    /// A named person other than its author; who answers for it may.
    NotTheAuthor,
    /// One of these, by user name.
    OneOf(&'a [Party]),
}

impl<'a> Question<'a> {
    /// A proof of this type about this subject, with its document, by anybody.
    #[must_use]
    pub const fn of(type_: &'static str, about: About<'a>) -> Self {
        Self {
            type_,
            about,
            bound: false,
            passed: false,
            by: By::Anybody,
            facts: &[],
            shown: &[],
            document: true,
            days: None,
        }
    }

    /// It has to name the present digest of its subject.
    #[must_use]
    pub const fn bound(mut self) -> Self {
        self.bound = true;
        self
    }

    /// It has to have passed.
    #[must_use]
    pub const fn passed(mut self) -> Self {
        self.passed = true;
        self
    }

    /// Somebody has to vouch for it.
    #[must_use]
    pub const fn by(mut self, by: By<'a>) -> Self {
        self.by = by;
        self
    }

    /// These keys have to be among its facts.
    #[must_use]
    pub const fn with(mut self, facts: &'static [&'static str]) -> Self {
        self.facts = facts;
        self
    }

    /// The evidence to fill in shows these keys too.
    #[must_use]
    pub const fn showing(mut self, facts: &'static [&'static str]) -> Self {
        self.shown = facts;
        self
    }

    /// The object itself suffices: it needs no document behind it.
    #[must_use]
    pub const fn undocumented(mut self) -> Self {
        self.document = false;
        self
    }

    /// It counts for so many days after its issue, whatever its type has.
    #[must_use]
    pub const fn within(mut self, days: i64) -> Self {
        self.days = Some(days);
        self
    }
}

/// What became of a question, from far off to held.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<'a> {
    /// There is no place where such a proof could count; why.
    Nowhere(String),
    /// None is recorded.
    Missing,
    /// It was made for another state of its subject: the digest that it names, if it names one.
    OtherDigest(&'a AIEvidence, Option<&'a str>),
    /// A field of it cannot be read: the field and its text.
    Unreadable(&'a AIEvidence, &'static str, &'a str),
    /// Its date lies ahead.
    NotYet(&'a AIEvidence),
    /// It ended by its own date.
    Expired(&'a AIEvidence, &'a str),
    /// It is older than so many days.
    TooOld(&'a AIEvidence, i64),
    /// The wrong person vouches for it; who does, and why that does not count.
    WrongPerson(&'a AIEvidence, String),
    /// Whether the right person vouches for it cannot be found out; why.
    Unclear(&'a AIEvidence, String),
    /// It does not fix its document by ref and digest.
    NoDocument(&'a AIEvidence),
    /// Its document is another one now: the digest found.
    OtherDocument(&'a AIEvidence, String),
    /// Its document is not there any more; why.
    NoSuchDocument(&'a AIEvidence, String),
    /// Whether its document is still the same cannot be found out; why.
    UnreadDocument(&'a AIEvidence, String),
    /// A fact of it has more entries than are read: the key, and how many.
    TooLong(&'a AIEvidence, &'a str, usize),
    /// It lacks these facts.
    Lacks(&'a AIEvidence, Vec<&'static str>),
    /// It would hold, and who made what it vouches for is not known yet; why.
    Unsettled(&'a AIEvidence, String),
    /// It did not pass: the result, if there is one.
    Failed(&'a AIEvidence, Option<EvidenceResult>),
    /// It holds.
    Held(&'a AIEvidence),
}

impl Answer<'_> {
    const fn rank(&self) -> u8 {
        match self {
            Self::Nowhere(_) => 0,
            Self::Missing => 1,
            Self::OtherDigest(..) => 2,
            Self::Unreadable(..) => 3,
            Self::NotYet(_) => 4,
            Self::Expired(..) => 5,
            Self::TooOld(..) => 6,
            Self::WrongPerson(..) => 7,
            Self::Unclear(..) => 8,
            Self::NoDocument(_) => 9,
            Self::OtherDocument(..) => 10,
            Self::NoSuchDocument(..) => 11,
            Self::UnreadDocument(..) => 12,
            Self::TooLong(..) => 13,
            Self::Lacks(..) => 14,
            Self::Unsettled(..) => 15,
            // Of two proofs that are sound the newer one speaks, whatever it says.
            Self::Failed(..) | Self::Held(_) => 16,
        }
    }
}

/// Looks for the best answer to `question`.
///
/// In: facts and a question. Out: the newest proof that holds or fails, else the nearest miss; of two of one time the one that
/// failed (see [`order`]). Evidence counts from the namespace of its subject and from that of the workload under judgement; about organisations and suppliers only from
/// the governance namespace. Never fails; the cost is one look at each proof of those namespaces.
#[must_use]
pub fn ask<'a>(facts: &Facts<'a>, question: &Question<'a>) -> Answer<'a> {
    let mut best: Answer<'a> = Answer::Missing;
    let mut held = None;
    let places = match question.about.places(facts) {
        Ok(places) => places,
        Err(why) => return Answer::Nowhere(why),
    };
    for place in places.into_iter().flatten() {
        for evidence in place.evidence.values() {
            let spec = &evidence.spec;
            if spec.type_ != question.type_ || !question.about.is(&spec.subject, place) {
                continue;
            }
            let answer = weigh(facts, question, evidence, place);
            let standing = Some(order::standing(question, &answer, evidence));
            if answer.rank() > best.rank() || (answer.rank() == best.rank() && standing > held) {
                best = answer;
                held = standing;
            }
        }
    }
    best
}

/// Every proof that holds for `question`, newest first.
#[must_use]
pub fn all<'a>(facts: &Facts<'a>, question: &Question<'a>) -> Vec<&'a AIEvidence> {
    let held = |answer| if let Answer::Held(evidence) = answer { Some(evidence) } else { None };
    sound(facts, question).into_iter().filter_map(held).collect()
}

/// Every proof that holds or fails for `question`, newest first; of two of one time those that failed first.
#[must_use]
pub fn sound<'a>(facts: &Facts<'a>, question: &Question<'a>) -> Vec<Answer<'a>> {
    let places = question.about.places(facts).unwrap_or_default();
    let mut out = Vec::new();
    for place in places.into_iter().flatten() {
        for evidence in place.evidence.values() {
            if evidence.spec.type_ == question.type_ && question.about.is(&evidence.spec.subject, place) {
                let answer = weigh(facts, question, evidence, place);
                if matches!(answer, Answer::Held(_) | Answer::Failed(..)) {
                    out.push((order::standing(question, &answer, evidence), answer));
                }
            }
        }
    }
    out.sort_by_key(|(standing, _)| std::cmp::Reverse(*standing));
    out.into_iter().map(|(_, answer)| answer).collect()
}

/// How far one proof goes.
fn weigh<'a>(
    facts: &Facts<'a>,
    question: &Question<'a>,
    evidence: &'a AIEvidence,
    place: &'a Namespace,
) -> Answer<'a> {
    let spec = &evidence.spec;
    let named = spec.subject.digest.as_deref();
    // A subject without bytes here, such as a model behind an interface, has no digest to be bound to.
    if let Some(present) = question.about.digest(facts)
        && (named.is_some_and(|named| named != present) || (question.bound && named.is_none()))
    {
        return Answer::OtherDigest(evidence, named);
    }
    if let Some(answer) = dated(facts, question, evidence) {
        return answer;
    }
    if let Some(answer) = vouched::vouched(facts, question, evidence) {
        return answer;
    }
    if question.document || spec.ref_.is_some() {
        let (Some(at), Some(digest)) = (&spec.ref_, &spec.digest) else {
            return Answer::NoDocument(evidence);
        };
        if document::is_void(digest) {
            let why = format!("its digest {digest} is that of an empty document or of none");
            return Answer::NoSuchDocument(evidence, why);
        }
        match document::known(evidence, at, digest, place) {
            document::Known::Same => {}
            document::Known::Altered(found) => return Answer::OtherDocument(evidence, found),
            document::Known::Missing(why) => return Answer::NoSuchDocument(evidence, why),
            document::Known::Unread(why) => return Answer::UnreadDocument(evidence, why),
        }
    }
    // What failed did so whatever else it says.
    if spec.result == Some(EvidenceResult::Fail) {
        return Answer::Failed(evidence, spec.result);
    }
    // What is not read could say anything.
    if let Some((key, length)) = overlong(&spec.facts) {
        return Answer::TooLong(evidence, key, length);
    }
    let lacking: Vec<&'static str> =
        question.facts.iter().copied().filter(|key| spec.facts.get(*key).is_none_or(is_empty)).collect();
    if !lacking.is_empty() {
        return Answer::Lacks(evidence, lacking);
    }
    let passes = match spec.result {
        Some(EvidenceResult::Pass) => true,
        // Conditions are worth something where they are named.
        Some(EvidenceResult::Conditional) => !words(evidence, "conditions").is_empty(),
        Some(EvidenceResult::Fail) => false,
        None => !question.passed,
    };
    if !passes {
        return Answer::Failed(evidence, spec.result);
    }
    let independent = matches!(question.by, By::Another | By::NotTheAuthor);
    let open = || settled::unsettled(facts, &question.about, evidence);
    match independent.then(open).flatten() {
        Some(why) => Answer::Unsettled(evidence, why),
        None => Answer::Held(evidence),
    }
}

fn dated<'a>(facts: &Facts<'a>, question: &Question<'a>, evidence: &'a AIEvidence) -> Option<Answer<'a>> {
    let spec = &evidence.spec;
    let Some(issued) = dates::from(&spec.issued_at) else {
        return Some(Answer::Unreadable(evidence, "issuedAt", &spec.issued_at));
    };
    if dates::ahead(&spec.issued_at, facts.now) {
        return Some(Answer::NotYet(evidence));
    }
    if let Some(text) = spec.expires_at.as_deref() {
        match dates::until(text) {
            None => return Some(Answer::Unreadable(evidence, "expiresAt", text)),
            Some(end) if end < facts.now => return Some(Answer::Expired(evidence, text)),
            Some(_) => {}
        }
    }
    let limit = question.days.or_else(|| kind(question.type_).and_then(|kind| kind.limit(facts.settings)))?;
    let age = facts.now.duration_since(issued);
    (age > SignedDuration::from_hours(limit.saturating_mul(24))).then_some(Answer::TooOld(evidence, limit))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Most words that are read of one fact: a document that names more is not for programs.
const MOST_WORDS: usize = 256;

/// The first fact with more entries than are read, and how many it has.
fn overlong(facts: &std::collections::BTreeMap<String, Value>) -> Option<(&str, usize)> {
    facts.iter().find_map(|(key, value)| {
        let length = value.as_array()?.len();
        (length > MOST_WORDS).then_some((key.as_str(), length))
    })
}

/// The words of one fact: a text is one, a list those of its entries that are texts or objects with an `id` or `name`.
#[must_use]
pub fn words<'e>(evidence: &'e AIEvidence, key: &str) -> Vec<&'e str> {
    let word = |value: &'e Value| match value {
        Value::String(text) => Some(text.as_str()),
        Value::Object(map) => map.get("id").or_else(|| map.get("name")).and_then(Value::as_str),
        _ => None,
    };
    match evidence.spec.facts.get(key) {
        Some(Value::Array(list)) => list.iter().take(MOST_WORDS).filter_map(word).collect(),
        Some(value) => word(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The entries of one fact that are objects, such as risks and threats.
pub fn entries<'e>(
    evidence: &'e AIEvidence,
    key: &str,
) -> impl Iterator<Item = &'e serde_json::Map<String, Value>> {
    let list = evidence.spec.facts.get(key).and_then(Value::as_array);
    list.into_iter().flatten().take(MOST_WORDS).filter_map(Value::as_object)
}

/// Those of `wanted` that a fact does not name.
#[must_use]
pub fn unnamed<'w>(evidence: &AIEvidence, key: &str, wanted: &[&'w str]) -> Vec<&'w str> {
    let named = words(evidence, key);
    wanted.iter().copied().filter(|word| !named.contains(word)).collect()
}
