//! Everything that one demand lacks, said in one finding with the evidence to fill in.

use std::fmt::Write as _;

use super::record::{Hint, Recorded, also, record};
use super::{About, Answer, MOST_WORDS, Question, ask};
use crate::api::{AIEvidence, AIGovernance, AIWorkload};
use crate::policy::control::{Finding, Report};
use crate::policy::facts::{Facts, Place};
use crate::policy::fix::{Edit, Fix};

/// Named in one finding before the rest is counted.
const SHOWN: usize = 5;
/// Manifests in one fix: the rest is found by the next attempt.
const RECORDED: usize = 3;

/// What one demand lacks.
#[derive(Debug)]
pub struct Shortfall<'f, 'a> {
    facts: &'f Facts<'a>,
    said: Vec<String>,
    asked: Vec<Recorded<'a>>,
    fixes: Vec<String>,
    edits: Vec<Edit>,
    hints: Vec<Hint>,
    unknown: usize,
}

impl<'f, 'a> Shortfall<'f, 'a> {
    /// Nothing is lacking yet.
    #[must_use]
    pub const fn new(facts: &'f Facts<'a>) -> Self {
        Self {
            facts,
            said: Vec::new(),
            asked: Vec::new(),
            fixes: Vec::new(),
            edits: Vec::new(),
            hints: Vec::new(),
            unknown: 0,
        }
    }

    /// Asks, and notes what is wrong unless the proof holds, which is then returned.
    pub fn ask(&mut self, question: Question<'a>) -> Option<&'a AIEvidence> {
        self.ask_if(question, |_| true)
    }

    /// Asks, and notes what is wrong only where `mine` says that it belongs here.
    pub fn ask_if(
        &mut self,
        question: Question<'a>,
        mine: impl FnOnce(&Answer<'a>) -> bool,
    ) -> Option<&'a AIEvidence> {
        let answer = ask(self.facts, &question);
        if let Answer::Held(evidence) = answer {
            return Some(evidence);
        }
        if mine(&answer) {
            self.note(question, &answer);
        }
        None
    }

    /// Asks of the workload and then, as the same question, of its organisation; one of the two suffices.
    pub fn ask_either(
        &mut self,
        question: Question<'a>,
        organisation: Option<&'a AIGovernance>,
    ) -> Option<&'a AIEvidence> {
        let answer = ask(self.facts, &question);
        if let Answer::Held(evidence) = answer {
            return Some(evidence);
        }
        if let Some(organisation) = organisation {
            let wider = Question { about: About::Organisation(organisation), ..question.clone() };
            if let Answer::Held(evidence) = ask(self.facts, &wider) {
                return Some(evidence);
            }
        }
        self.note(question, &answer);
        None
    }

    /// The organisation of a workload; that there is none is noted.
    pub fn organisation(&mut self, workload: &AIWorkload) -> Option<&'a AIGovernance> {
        let found = self.facts.governance(workload);
        if found.is_none() {
            self.said.push(match &workload.spec.organisation {
                Some(name) => format!("spec.organisation names AIGovernance {name:?}, which does not exist"),
                None => {
                    "spec.organisation names no AIGovernance, so nothing that an organisation does counts"
                        .to_owned()
                }
            });
            self.fix("declare the organisation as AIGovernance and name it in spec.organisation");
        }
        found
    }

    fn note(&mut self, question: Question<'a>, answer: &Answer<'a>) {
        let unknown =
            matches!(answer, Answer::Unclear(..) | Answer::UnreadDocument(..) | Answer::Unsettled(..));
        self.unknown += usize::from(unknown);
        self.said.push(sentence(self.facts, &question, answer));
        match answer {
            Answer::Nowhere(_) => self.fix("set spec.governanceNamespace of the AIGovernance"),
            Answer::UnreadDocument(..) => {
                self.fix("see to it that the document can be read where spec.ref of the AIEvidence says");
            }
            Answer::Unsettled(..) => {
                self.fix("wait a moment: a pod that a controller makes is tried again by itself");
            }
            _ => self.asked.push(Recorded { question, former: None, facts: Vec::new() }),
        }
    }

    /// Notes that a proof that holds has to be recorded anew, with the facts of the `former` one but for these: evidence is
    /// never changed. Asked again for the same proof, more facts differ.
    pub fn renew(
        &mut self,
        question: Question<'a>,
        former: &'a AIEvidence,
        differ: impl IntoIterator<Item = (&'static str, Vec<String>)>,
    ) {
        let same = |known: &&mut Recorded<'a>| known.former.is_some_and(|other| std::ptr::eq(other, former));
        if let Some(known) = self.asked.iter_mut().find(same) {
            known.facts.extend(differ);
        } else {
            let facts = differ.into_iter().collect();
            self.asked.push(Recorded { question, former: Some(former), facts });
        }
    }

    /// Notes `what` unless it holds.
    pub fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.said.push(what());
        }
    }

    /// Names a way out in words, beside the evidence to record.
    pub fn fix(&mut self, fix: impl Into<String>) {
        let fix = fix.into();
        if !self.fixes.contains(&fix) {
            self.fixes.push(fix);
        }
    }

    /// Names a change of a field as a way out: of `object`, as a place names it.
    pub fn set(
        &mut self,
        object: impl Into<String>,
        path: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) {
        let mut edit = Edit::set(path, value);
        edit.object = Some(object.into());
        self.edits.push(edit);
    }

    /// Known values of a fact, for the evidence to fill in.
    pub fn hint(&mut self, fact: &'static str, values: Vec<String>) {
        self.hints.push(Hint { of: None, fact, values });
    }

    /// The same for proofs of one type only.
    pub fn hint_of(&mut self, type_: &'static str, fact: &'static str, values: Vec<String>) {
        self.hints.push(Hint { of: Some(type_), fact, values });
    }

    /// Whether nothing is lacking.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Says everything in one finding at `place`, under these provisions; nothing where nothing is lacking.
    ///
    /// What is missing may be recorded a moment later, so a declaration and a template are warned of and pods decide.
    pub fn tell<'p>(
        mut self,
        report: &'p mut Report<'_>,
        place: Place,
        provisions: &'static [&'static str],
    ) -> Option<&'p mut Finding> {
        if self.said.is_empty() {
            return None;
        }
        let rest = self.said.len().saturating_sub(SHOWN);
        self.said.truncate(SHOWN);
        let mut detail = self.said.join("; ");
        if rest > 0 {
            let _ = write!(detail, "; and {rest} more");
        }
        // Cut after five, where all of them are unknown.
        let finding = if self.unknown > 0 && self.unknown == self.said.len() + rest {
            report.unknown(place, detail)
        } else {
            report.violated(place, detail)
        };
        finding.under(provisions).may_arrive();
        if let Some(fix) = self.way_out() {
            finding.fix(fix);
        }
        Some(finding)
    }

    fn way_out(&self) -> Option<Fix> {
        let mut words = self.fixes.join("; ");
        if self.asked.is_empty() {
            if !self.edits.is_empty() {
                let change = Fix::Change(self.edits.clone());
                return Some(if words.is_empty() { change } else { change.after(words) });
            }
            return (!words.is_empty()).then_some(Fix::Text(words));
        }
        if !self.edits.is_empty() {
            let _ = write!(words, "{}{}", gap(&words, ": "), Fix::Change(self.edits.clone()));
        }
        let mut manifest = String::new();
        let mut named: Vec<String> = Vec::new();
        for (index, recorded) in self.asked.iter().enumerate() {
            let question = &recorded.question;
            let anew = if recorded.former.is_some() { "a new " } else { "" };
            let mut what = format!("{anew}{} of {}", question.type_, question.about);
            for (index, (fact, _)) in recorded.facts.iter().enumerate() {
                let _ = write!(what, "{}facts.{fact}", if index == 0 { " with other " } else { " and " });
            }
            if !named.contains(&what) {
                named.push(what);
            }
            if index < RECORDED {
                manifest.push_str(&record(self.facts, recorded, &self.hints));
            }
        }
        let rest = named.len().saturating_sub(SHOWN);
        named.truncate(SHOWN);
        let _ = write!(words, "{}record AIEvidence: {}", gap(&words, "; "), named.join(", "));
        if rest > 0 {
            let _ = write!(words, " and {rest} more");
        }
        Some(Fix::Record(words, manifest))
    }
}

/// What stands between `before` and what follows; nothing at the start.
const fn gap(before: &str, between: &'static str) -> &'static str {
    if before.is_empty() { "" } else { between }
}

impl Shortfall<'_, '_> {
    /// A fact of a proof as it is, and more words of it: for evidence that is recorded anew.
    #[must_use]
    pub fn also(evidence: &AIEvidence, fact: &'static str, more: &[&str]) -> (&'static str, Vec<String>) {
        (fact, also(evidence, fact, more.iter().map(|word| (*word).to_owned())))
    }

    /// A proof as sentences name it: `ThreatModel "tm-1"`.
    #[must_use]
    pub fn name(evidence: &AIEvidence) -> String {
        format!("{} {:?}", evidence.spec.type_, evidence.metadata.name.as_deref().unwrap_or_default())
    }

    /// Some words as sentences list them; of many the first few.
    #[must_use]
    pub fn list(words: &[&str]) -> String {
        let rest = words.len().saturating_sub(SHOWN);
        let mut out = words[..words.len().min(SHOWN)].join(", ");
        if rest > 0 {
            let _ = write!(out, " and {rest} more");
        }
        out
    }
}

/// A digest as people tell them apart.
fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

/// What is wrong, as a clause.
fn sentence(facts: &Facts<'_>, question: &Question<'_>, answer: &Answer<'_>) -> String {
    let type_ = question.type_;
    let about = &question.about;
    let name = |evidence: &AIEvidence| {
        format!("{type_} {:?} of {about}", evidence.metadata.name.as_deref().unwrap_or_default())
    };
    let present = about.digest(facts).map(short).unwrap_or_default();
    match answer {
        Answer::Held(evidence) => format!("{} holds", name(evidence)),
        Answer::Nowhere(why) => format!("no {type_} can count: {why}"),
        Answer::Missing if question.bound && !present.is_empty() => {
            format!("no {type_} of {about} at {present} is recorded")
        }
        Answer::Missing => format!("no {type_} of {about} is recorded"),
        Answer::OtherDigest(evidence, Some(other)) => {
            format!("{} was made for {}, not for {present}", name(evidence), short(other))
        }
        Answer::OtherDigest(evidence, None) => {
            format!("{} does not say for which digest it was made; present is {present}", name(evidence))
        }
        Answer::Unreadable(evidence, field, text) => {
            format!("{field} {text:?} of {} is no date", name(evidence))
        }
        Answer::NotYet(evidence) => {
            format!("{} is dated {}, which lies ahead", name(evidence), evidence.spec.issued_at)
        }
        Answer::Expired(evidence, end) => format!("{} ended on {end}", name(evidence)),
        Answer::TooOld(evidence, days) => {
            format!("{} is of {} and counts for {days} days", name(evidence), evidence.spec.issued_at)
        }
        Answer::WrongPerson(evidence, why) | Answer::Unclear(evidence, why) => {
            format!("{} is attested {why}", name(evidence))
        }
        Answer::Unsettled(evidence, why) => format!("{} does not count yet: {why}", name(evidence)),
        Answer::NoDocument(evidence) => {
            format!("{} does not fix its document by ref and digest", name(evidence))
        }
        Answer::OtherDocument(evidence, found) => format!(
            "{} was made of document {}, and its ref holds {}",
            name(evidence),
            short(evidence.spec.digest.as_deref().unwrap_or_default()),
            short(found)
        ),
        Answer::NoSuchDocument(evidence, why) => {
            format!("{} has no document any more: {why}", name(evidence))
        }
        Answer::UnreadDocument(evidence, why) => {
            format!("the document of {} is not compared: {why}", name(evidence))
        }
        Answer::TooLong(evidence, key, length) => format!(
            "facts.{key} of {} has {length} entries, of which no more than {MOST_WORDS} are read",
            name(evidence)
        ),
        Answer::Lacks(evidence, keys) => format!("{} lacks facts.{}", name(evidence), keys.join(", facts.")),
        Answer::Failed(evidence, Some(result)) if result.as_str() == "conditional" => {
            format!("{} passed under conditions, and facts.conditions names none", name(evidence))
        }
        Answer::Failed(evidence, Some(result)) => {
            format!("{} ended with {:?}", name(evidence), result.as_str())
        }
        Answer::Failed(evidence, None) => format!("{} has no result", name(evidence)),
    }
}
