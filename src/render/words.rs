//! The words of a decision: the same text in the admission answer, the Event, the condition and the report.

use std::fmt::Write as _;

use crate::policy::{Decision, Finding, Verdict};

/// Longest answer, in bytes: larger ones are cut by clients and by Events anyway.
const LONGEST: usize = 12 * 1024;
/// Provisions named beside a control before the rest is counted.
const PROVISIONS_SHOWN: usize = 4;

/// What is judged, as the first line names it.
#[derive(Clone, Debug)]
pub struct Title {
    /// The declaration or, without one, the object: `AIWorkload chat-prod/chat`.
    pub owner: String,
    /// What is refused: `pod`, `Deployment`, `RoleBinding`, ...
    pub what: String,
}

/// The whole denial. Its first line stands alone.
#[must_use]
pub fn denial(title: &Title, decision: &Decision, judged: usize) -> String {
    let controls = control_ids(&decision.refused);
    let mut out = format!(
        "{}: {} of {judged} controls {} this {}: {}",
        title.owner,
        controls.len(),
        if controls.len() == 1 { "refuses" } else { "refuse" },
        title.what,
        controls.join(", ")
    );
    let mut last = "";
    for (index, finding) in decision.refused.iter().enumerate() {
        let mut block = String::new();
        if finding.control.id != last {
            close(&mut block, decision, index);
        }
        last = finding.control.id;
        line(&mut block, finding);
        if out.len() + block.len() > LONGEST {
            let _ = write!(out, "\nand {} more findings", decision.refused.len() - index);
            return out;
        }
        out.push_str(&block);
    }
    if let Some(finding) = decision.refused.last() {
        let _ = write!(out, "\n  why: {}", finding.control.why);
    }
    if let Some(first) = controls.first() {
        let _ = write!(out, "\nexempt: kubectl portcullis explain --exempt {first}");
    }
    out
}

/// Ends the group of the control before `index`, if there is one, with its reason.
fn close(out: &mut String, decision: &Decision, index: usize) {
    if let Some(before) = index.checked_sub(1).and_then(|i| decision.refused.get(i)) {
        let _ = write!(out, "\n  why: {}", before.control.why);
    }
}

fn line(out: &mut String, finding: &Finding) {
    let _ = write!(out, "\n[{}] {}", tag(finding), sentence(finding));
    match &finding.fix {
        Some(fix) => {
            let _ = write!(out, "\n  fix: {fix}");
        }
        None => {
            let _ = write!(out, "\n  fix: {}", finding.control.remedy);
        }
    }
}

/// `control | CoP-5.2, CoP-7.1`, as it stands in brackets before a finding.
#[must_use]
pub fn tag(finding: &Finding) -> String {
    let shown = finding.provisions.iter().take(PROVISIONS_SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = finding.provisions.len().saturating_sub(PROVISIONS_SHOWN);
    let rest = if more > 0 { format!(" +{more}") } else { String::new() };
    format!("{} | {shown}{rest}", finding.control.id)
}

/// Place and fault in one sentence.
#[must_use]
pub fn sentence(finding: &Finding) -> String {
    let place = finding.place.to_string();
    let cannot = if finding.verdict == Verdict::Unknown { "cannot tell: " } else { "" };
    if place.is_empty() {
        format!("{cannot}{}", finding.detail)
    } else {
        format!("{place}: {cannot}{}", finding.detail)
    }
}

/// One finding as one line, for warnings, Events and status rows.
#[must_use]
pub fn one_line(finding: &Finding) -> String {
    let mut out = format!("[{}] {}", tag(finding), sentence(finding));
    let fix = finding.fix.as_ref().map_or_else(|| finding.control.remedy.to_owned(), ToString::to_string);
    let _ = write!(out, "; fix: {fix}");
    cut(out, 1000)
}

/// The distinct controls of some findings, in their order.
#[must_use]
pub fn control_ids(findings: &[Finding]) -> Vec<&'static str> {
    let mut ids: Vec<&'static str> = Vec::new();
    for finding in findings {
        if !ids.contains(&finding.control.id) {
            ids.push(finding.control.id);
        }
    }
    ids
}

/// Cuts `text` to at most `bytes` bytes at a character's boundary, and shows that it was cut.
#[must_use]
pub fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let mut end = bytes.saturating_sub(3);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
    text
}
