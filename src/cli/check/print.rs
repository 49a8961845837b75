//! Verdicts as text for a person and as JSON for a program.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::judge::{Judgement, Outcome, worst};
use super::present::{Present, present};
use crate::gather::files::{Manifests, Origin, Problem};
use crate::policy::{Finding, Scope, Verdict};
use crate::render::words;

/// What is wrong with the input, a line each.
pub(super) fn problems(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let _ = writeln!(out, "{problem}");
    }
    let _ =
        writeln!(out, "the input cannot be used, so nothing was judged: {}", count(problems.len(), "error"));
    out
}

/// Verdicts as text: refusals word for word, warnings, and a summary line at the end.
pub(super) fn text(manifests: &Manifests, judgements: &[Judgement<'_>], audit: bool) -> String {
    let mut out = String::new();
    for judgement in judgements {
        let decision = &judgement.decision;
        let said = judgement.denial.is_some() || !decision.warned.is_empty() || !judgement.notes.is_empty();
        if !said && (decision.audited.is_empty() || !audit) {
            continue;
        }
        let _ = writeln!(out, "{}:", judgement.subject.origin);
        if let Some(denial) = &judgement.denial {
            let _ = writeln!(out, "{denial}");
        }
        for finding in &decision.warned {
            let _ = writeln!(out, "warning: {}", words::one_line(finding));
        }
        for finding in decision.audited.iter().filter(|_| audit) {
            let _ = writeln!(out, "audit: {}", words::one_line(finding));
        }
        for note in &judgement.notes {
            let _ = writeln!(out, "note: {note}");
        }
        out.push('\n');
    }
    out.push_str(&summary(manifests, judgements));
    out
}

fn summary(manifests: &Manifests, judgements: &[Judgement<'_>]) -> String {
    let mut out = format!("{} judged", count(judgements.len(), "object"));
    let of = |outcome| judgements.iter().filter(|j| j.outcome == outcome).count();
    let parts: Vec<String> = [
        (of(Outcome::Refused), "refused"),
        (of(Outcome::Unknown), "unknown"),
        (of(Outcome::Warn), "warned of"),
        (of(Outcome::Pass), "pass"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    if !parts.is_empty() {
        let _ = write!(out, ": {}", parts.join(", "));
    }
    let exempted: usize = judgements.iter().map(|j| j.decision.exempted.len()).sum();
    if exempted > 0 {
        let _ = write!(out, "; {} exempted", count(exempted, "finding"));
    }
    let left = manifests.subjects.len() - judgements.len();
    if left > 0 {
        let _ = write!(out, "; {left} not governed");
    }
    if !manifests.skipped.is_empty() {
        let kinds: Vec<String> = manifests.skipped.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        let _ = write!(out, "; no rule for {}", kinds.join(", "));
    }
    out.push('\n');
    out
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    outcome: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<OutProblem<'a>>,
    objects: Vec<OutObject<'a>>,
    skipped: &'a BTreeMap<String, usize>,
}

#[derive(Serialize)]
struct OutProblem<'a> {
    #[serde(flatten)]
    place: OutPlace<'a>,
    text: &'a str,
}

#[derive(Serialize)]
struct OutPlace<'a> {
    file: &'a str,
    document: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
}

#[derive(Serialize)]
struct OutObject<'a> {
    #[serde(flatten)]
    place: OutPlace<'a>,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    findings: Vec<OutFinding<'a>>,
    #[serde(flatten)]
    present: Present,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
}

#[derive(Serialize)]
struct OutFinding<'a> {
    control: &'a str,
    provisions: &'a [&'a str],
    verdict: &'static str,
    effect: &'static str,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    detail: &'a str,
    fix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exemption: Option<&'a str>,
}

/// Verdicts as one JSON object. `problems` are those of the input; where there are any nothing was judged.
pub(super) fn json(manifests: &Manifests, judgements: &[Judgement<'_>]) -> String {
    let outcome = match worst(judgements) {
        _ if !manifests.problems.is_empty() => "unusable",
        Outcome::Pass => "pass",
        Outcome::Warn => "warn",
        Outcome::Unknown => "unknown",
        Outcome::Refused => "refused",
    };
    let problems = manifests
        .problems
        .iter()
        .map(|problem| OutProblem { place: place(&problem.origin), text: &problem.text })
        .collect();
    let objects = judgements.iter().map(|judgement| object(manifests, judgement)).collect();
    let output = Output { outcome, problems, objects, skipped: &manifests.skipped };
    // Strings and numbers alone: this cannot fail.
    let mut text = serde_json::to_string_pretty(&output).unwrap_or_default();
    text.push('\n');
    text
}

fn place(origin: &Origin) -> OutPlace<'_> {
    OutPlace { file: &origin.file, document: origin.document, path: &origin.path }
}

fn object<'a>(manifests: &Manifests, judgement: &'a Judgement<'_>) -> OutObject<'a> {
    let decision = &judgement.decision;
    let groups = [("refuse", &decision.refused), ("warn", &decision.warned), ("audit", &decision.audited)];
    let mut findings: Vec<OutFinding<'a>> = groups
        .into_iter()
        .flat_map(|(effect, list)| list.iter().map(move |finding| found(finding, effect, None)))
        .collect();
    findings.extend(decision.exempted.iter().map(|(finding, by)| found(finding, "exempt", Some(by))));
    let subject = judgement.subject;
    OutObject {
        place: place(&subject.origin),
        kind: &subject.kind,
        namespace: subject.namespace.as_deref(),
        name: &subject.name,
        outcome: judgement.outcome,
        message: judgement.denial.as_deref(),
        findings,
        present: present(manifests, subject),
        notes: &judgement.notes,
    }
}

fn found<'a>(finding: &'a Finding, effect: &'static str, exemption: Option<&'a str>) -> OutFinding<'a> {
    OutFinding {
        control: finding.control.id,
        provisions: finding.provisions,
        verdict: match finding.verdict {
            Verdict::Unknown => "unknown",
            Verdict::Violated => "violated",
        },
        effect,
        scope: match finding.scope {
            Scope::Subject => "subject",
            Scope::Namespace => "namespace",
        },
        object: finding.place.object.as_deref(),
        path: finding.place.path.as_deref(),
        value: finding.place.value.as_deref(),
        detail: &finding.detail,
        fix: finding.fix.as_ref().map_or_else(|| finding.control.remedy.to_owned(), ToString::to_string),
        exemption,
    }
}
