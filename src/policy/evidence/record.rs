//! Evidence to fill in, as YAML: what is known stands in it, what a person fills in is in capital letters.

use std::fmt::Write as _;

use serde_json::Value;

use super::written::INDEPENDENT;
use super::{By, Question};
use crate::api::AIEvidence;
use crate::policy::facts::{Facts, Namespace};

/// Longest fact of a former proof that is written out again.
const LONGEST: usize = 1000;
/// Facts with one value; all others are lists.
const SINGLE: [&str; 10] = [
    "acquisitionReason",
    "assumedSensitivity",
    "auditEvery",
    "baseline",
    "contentReviewedAt",
    "intendedUse",
    "outlook",
    "score",
    "suite",
    "updateEvery",
];

/// Known values of a fact, for the evidence to fill in.
#[derive(Debug)]
pub(super) struct Hint {
    /// The only type of proof that it is for, if it is not for all.
    pub of: Option<&'static str>,
    /// The fact.
    pub fact: &'static str,
    /// Its values, as YAML.
    pub values: Vec<String>,
}

/// What stands for a fact of which nothing is known.
fn blank(fact: &str) -> &'static str {
    match fact {
        "acquisitionReason" => "REASON",
        "audience" => "AUDIENCE",
        "baseline" | "score" => "NUMBER",
        "channels" => "CHANNEL, OTHER-CHANNEL",
        "contentReviewedAt" => "\"YYYY-MM-DD\"",
        "images" => "DIGEST-OF-EACH-IMAGE",
        "frameworks" => "FRAMEWORK",
        "suite" => "SUITE",
        "techniques" => "TECHNIQUE",
        _ => "FILL-IN",
    }
}

/// The values of a fact of a proof as YAML, and `more` of them.
pub(super) fn also(evidence: &AIEvidence, fact: &str, more: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = match evidence.spec.facts.get(fact) {
        Some(Value::Array(list)) => list.iter().map(ToString::to_string).collect(),
        Some(value) => vec![value.to_string()],
        None => Vec::new(),
    };
    if out.iter().map(String::len).sum::<usize>() > LONGEST {
        out = vec!["AS-BEFORE".to_owned()];
    }
    out.extend(more);
    out
}

/// One proof to record.
#[derive(Debug)]
pub(super) struct Recorded<'a> {
    /// What it has to answer.
    pub question: Question<'a>,
    /// The proof that it takes the place of, where that one holds but says too little.
    pub former: Option<&'a AIEvidence>,
    /// Values of facts in it; of `former` stay those of other names.
    pub facts: Vec<(&'static str, Vec<String>)>,
}

/// The evidence to fill in; `hints` are values of facts that every proof of a demand shares.
pub(super) fn record(facts: &Facts<'_>, recorded: &Recorded<'_>, hints: &[Hint]) -> String {
    let question = &recorded.question;
    let about = &question.about;
    let shows = |field: &str| question.shown.contains(&field);
    let place = about.places(facts).ok().and_then(|places| places[0]);
    let namespace = place.map_or("", |place| place.name.as_str());
    let mut out = String::with_capacity(640);
    let _ = write!(
        out,
        "---\napiVersion: portcullis.dev/v1alpha1\nkind: AIEvidence\nmetadata:\n  name: {}\n  namespace: {namespace}\n\
         spec:\n  type: {}\n  subject:\n    kind: {}\n    name: {}\n",
        free_name(question, place),
        question.type_,
        about.kind(),
        about.name(),
    );
    if question.bound
        && let Some(digest) = about.digest(facts)
    {
        let _ = writeln!(out, "    digest: {digest}");
    }
    if question.document {
        out.push_str("  ref: https://DOCUMENT\n  digest: sha256:DIGEST-OF-THE-DOCUMENT\n");
    }
    out.push_str("  issuedAt: \"YYYY-MM-DD\"\n");
    if shows("spec.expiresAt") || recorded.former.is_some_and(|former| former.spec.expires_at.is_some()) {
        out.push_str("  expiresAt: \"LAST-DAY\"\n");
    }
    match question.by {
        By::Anybody if !INDEPENDENT.contains(&question.type_) => {}
        By::Anybody | By::Another | By::NotTheAuthor => {
            out.push_str("  attestedBy: USER-OTHER-THAN-THE-AUTHOR\n");
        }
        By::OneOf(parties) => {
            let user = parties.iter().find_map(|party| party.user.as_deref());
            let _ = writeln!(out, "  attestedBy: {}", user.unwrap_or("USER"));
        }
    }
    if shows("spec.owner") {
        out.push_str("  owner: {group: GROUP}\n");
    }
    if question.passed {
        out.push_str("  result: pass\n");
    } else if shows("spec.result") {
        out.push_str("  result: PASS-OR-FAIL\n");
    }
    let former = recorded.former.map(|former| &former.spec);
    if shows("spec.evaluator") {
        out.push_str(
            "  evaluator: {name: EVALUATOR, organisation: ORGANISATION, qualification: QUALIFICATION, \
             independence: external}\n",
        );
    } else if let Some(text) =
        former.and_then(|former| serde_json::to_string(former.evaluator.as_ref()?).ok())
    {
        let _ = writeln!(out, "  evaluator: {text}");
    }
    let before = out.len();
    out.push_str("  facts:\n");
    let empty = out.len();
    let old = |name: &str| former.is_some_and(|former| former.facts.contains_key(name));
    let new = |name: &str| recorded.facts.iter().any(|(known, _)| *known == name);
    for (name, value) in former.into_iter().flat_map(|former| &former.facts).filter(|(name, _)| !new(name)) {
        let text = value.to_string();
        let text = if text.len() > LONGEST { "[AS-BEFORE]" } else { text.as_str() };
        let _ = writeln!(out, "    {name}: {text}");
    }
    let asked = question.facts.iter().chain(question.shown).copied();
    let asked = asked.filter(|name| !old(name) && !name.starts_with("spec."));
    let mut written: Vec<&str> = Vec::new();
    for name in recorded.facts.iter().map(|(name, _)| *name).chain(asked) {
        if written.contains(&name) {
            continue;
        }
        let mine = recorded.facts.iter().find(|(known, _)| *known == name).map(|(_, values)| values);
        let mut fitting = hints.iter().filter(|hint| hint.fact == name);
        let hinted = fitting.find(|hint| hint.of.is_none_or(|of| of == question.type_));
        let values = mine.or(hinted.map(|hint| &hint.values)).filter(|values| !values.is_empty());
        let (open, close) = if SINGLE.contains(&name) { ("", "") } else { ("[", "]") };
        out.extend(["    ", name, ": ", open]);
        match values {
            None => out.push_str(blank(name)),
            Some(values) => out.push_str(&values.join(", ")),
        }
        out.extend([close, "\n"]);
        written.push(name);
    }
    if out.len() == empty {
        out.truncate(before);
    }
    out
}

/// `threat-model-chat`: a name of at most 63 characters that no evidence of `place` has; what is recorded stays as it is.
fn free_name(question: &Question<'_>, place: Option<&Namespace>) -> String {
    let mut out = String::new();
    let mut before = 'A';
    for letter in question.type_.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
        before = letter;
    }
    out.push('-');
    out.extend(question.about.name().chars().take(58 - out.len().min(57)));
    let name = out.trim_end_matches(['-', '.']);
    let taken = |name: &str| place.is_some_and(|place| place.evidence.contains_key(name));
    if !taken(name) {
        return name.to_owned();
    }
    (2..1000).map(|number| format!("{name}-{number}")).find(|name| !taken(name)).unwrap_or_default()
}
