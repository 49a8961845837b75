//! The words of a decision: the same text in the admission answer, the Event, the condition and the report.

use std::fmt::Write as _;

use crate::api::AIWorkload;
use crate::api::workload::Manage;
use crate::policy::{Decision, Finding, Fix, Verdict};

/// Longest answer, in bytes: larger ones are cut by clients and by Events anyway.
const LONGEST: usize = 12 * 1024;
/// Longest warning, in bytes: the API server cuts longer ones when there are several.
pub const LONGEST_WARNING: usize = 250;
/// The control that admits no exemption: it is what makes exemptions count.
pub const NEVER_EXEMPT: &str = "enforcement-integrity";
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
    let open = decision.refused.iter().all(|finding| finding.verdict == Verdict::Unknown);
    let says = match (open, controls.len()) {
        (true, _) => "cannot tell about",
        (false, 1) => "refuses",
        (false, _) => "refuse",
    };
    let mut out = format!(
        "{}: {} of {judged} controls {says} this {}: {}",
        title.owner,
        controls.len(),
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
    if let Some(first) = controls.iter().find(|id| **id != NEVER_EXEMPT) {
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
            // What is copied ends here: the reason below would be read as a field of it.
            if matches!(fix, Fix::Record(..)) {
                out.push_str("\n---");
            }
        }
        None => {
            let _ = write!(out, "\n  fix: {}", finding.control.remedy);
        }
    }
}

/// `control | CoP-5.2, CoP-7.1`, as it stands in brackets before a finding.
#[must_use]
pub fn tag(finding: &Finding) -> String {
    tag_of(finding, PROVISIONS_SHOWN)
}

fn tag_of(finding: &Finding, most: usize) -> String {
    let shown = finding.provisions.iter().take(most).copied().collect::<Vec<_>>().join(", ");
    let more = finding.provisions.len().saturating_sub(most);
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

/// One finding as one line, for Events and attempts.
#[must_use]
pub fn one_line(finding: &Finding) -> String {
    line_of(finding, 1000)
}

/// One finding as one line that a warning has room for.
#[must_use]
pub fn warning(finding: &Finding) -> String {
    line_of(finding, LONGEST_WARNING)
}

/// What a finding keeps of its sentence beside a whole fix, in bytes, and of what is wrong at its place: of less, nobody can tell
/// what that is.
const SENTENCE: usize = 80;
const DETAIL: usize = 60;

/// A finding and its fix in at most `bytes` bytes. Provisions go first and then the end of the sentence, never of its place, before
/// anything goes from the fix, which stays whole or is left out: half an instruction misleads.
fn line_of(finding: &Finding, bytes: usize) -> String {
    let sentence = sentence(finding);
    let fix = finding.fix.as_ref().map_or_else(|| finding.control.remedy.to_owned(), Fix::brief);
    let whole = format!("[{}] {sentence}; fix: {fix}", tag(finding));
    if whole.len() <= bytes {
        return whole;
    }
    let tag = format!("[{}] ", tag_of(finding, 1));
    let mut end = format!("; fix: {fix}");
    let place = finding.place.to_string().len();
    let least = SENTENCE.max(place + 2 + DETAIL).min(sentence.len());
    if tag.len() + least + end.len() > bytes {
        end = format!("; more: kubectl portcullis explain {}", finding.control.id);
    }
    let room = bytes.saturating_sub(tag.len() + end.len());
    format!("{tag}{}{end}", cut(sentence, room))
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

/// What would become of running pods if they came again.
#[derive(Clone, Debug, Default)]
pub struct Recount {
    /// Pods that were judged.
    pub judged: usize,
    /// Whether there are more than were judged.
    pub more: bool,
    /// Pods that would be refused, each with the controls that refuse it.
    pub refused: Vec<(String, Vec<&'static str>)>,
    /// Pods that would be refused only because something is not known yet.
    pub open: Vec<String>,
}

impl Recount {
    fn of(&self, n: usize) -> String {
        match (self.more, self.judged) {
            (true, judged) => format!("{n} of the first {judged} running pods"),
            (false, 1) => format!("{n} of 1 running pod"),
            (false, judged) => format!("{n} of {judged} running pods"),
        }
    }
}

/// The warnings of a recount of `subject`; none where every pod would be admitted again.
#[must_use]
pub fn recount(subject: &str, recount: &Recount) -> Vec<String> {
    let mut out = Vec::new();
    if !recount.refused.is_empty() {
        let head = format!("{subject}: {} would not be admitted again", recount.of(recount.refused.len()));
        let pods = recount.refused.iter().map(|(name, controls)| format!("{name} ({})", controls.join(", ")));
        out.push(listed(head, pods));
    }
    if !recount.open.is_empty() {
        let head = format!("{subject}: of {} signatures are not known yet", recount.of(recount.open.len()));
        out.push(listed(head, recount.open.iter().cloned()));
    }
    out
}

/// The same where it is not certain who reads it: how many and by which controls, and not which.
#[must_use]
pub fn recount_unnamed(subject: &str, namespace: &str, recount: &Recount) -> Vec<String> {
    let mut out = Vec::new();
    if !recount.refused.is_empty() {
        let mut controls: Vec<_> =
            recount.refused.iter().flat_map(|(_, controls)| controls).copied().collect();
        controls.sort_unstable();
        controls.dedup();
        let head = format!(
            "{subject}: {} would not be admitted again (portcullis plan -n {namespace} names them)",
            recount.of(recount.refused.len())
        );
        out.push(listed(head, controls.into_iter().map(str::to_owned)));
    }
    if !recount.open.is_empty() {
        let of = recount.of(recount.open.len());
        out.push(format!("{subject}: of {of} signatures are not known yet"));
    }
    out
}

/// What the pods of a declaration that is deleted lose, and which these are where `named`.
#[must_use]
pub fn left_behind(subject: &str, workload: &AIWorkload, pods: &[String], more: bool, named: bool) -> String {
    let many = pods.len() != 1 || more;
    let count = match (more, many) {
        (true, _) => format!("more than {} running pods", pods.len()),
        (false, true) => format!("{} running pods", pods.len()),
        (false, false) => "1 running pod".to_owned(),
    };
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    let happens = match workload.spec.manage {
        Manage::Generate if many => {
            format!("lose ServiceAccount {name:?} and the network allowances made for them")
        }
        Manage::Generate => format!("loses ServiceAccount {name:?} and the network allowances made for it"),
        Manage::Observe if many => "stay undeclared".to_owned(),
        Manage::Observe => "stays undeclared".to_owned(),
    };
    let shown = if named { pods } else { &[] };
    listed(format!("{subject}: {count} {happens}, and new ones are refused"), shown.iter().cloned())
}

/// That a declaration could select pods together with others.
#[must_use]
pub fn shared(subject: &str, others: &[String]) -> String {
    let head = format!(
        "{subject}: a pod with its labels and those of another one would be refused, because two select it"
    );
    listed(head, others.iter().map(|name| format!("AIWorkload {name}")))
}

/// What a refusal to end a quarantine says besides.
pub const STAYS_QUARANTINED: &str = "\nit stays Quarantined, without a network, until all of this is mended; if it is not to run \
     again, erase or hand over what is left of it and set spec.lifecycle.state to Disposed, which opens no network; either is \
     for whom spec.owners.incident names, where it names somebody";

/// `head: a, b and 3 more`, as many items as fit into a warning, at least one.
#[must_use]
pub fn listed(head: String, items: impl Iterator<Item = String>) -> String {
    const REST: usize = " and 9999 more".len();
    let mut items = items.peekable();
    let mut out = head;
    let mut before = ": ";
    while let Some(item) = items.next() {
        let room = if items.peek().is_some() { REST } else { 0 };
        if before == ", " && out.len() + before.len() + item.len() + room > LONGEST_WARNING {
            let _ = write!(out, " and {} more", 1 + items.count());
            return out;
        }
        out.push_str(before);
        out.push_str(&item);
        before = ", ";
    }
    cut(out, 2 * LONGEST_WARNING)
}

/// Longest name of an object that a sentence keeps whole though it is too long, in bytes.
const OBJECT: usize = 60;

/// A sentence of at most `bytes` bytes: what is too much goes from the end of its place, but for the object, before anything goes
/// from what is wrong there.
#[must_use]
pub fn shorten(sentence: String, bytes: usize) -> String {
    if sentence.len() <= bytes {
        return sentence;
    }
    let Some((place, detail)) = sentence.split_once(": ") else { return cut(sentence, bytes) };
    let object = place.match_indices(' ').nth(1).map_or(place.len(), |(end, _)| end).min(OBJECT);
    let room = bytes.saturating_sub(detail.len() + 2).max(object + 3);
    cut(format!("{}: {detail}", cut(place.to_owned(), room)), bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ALL, Place, Report};

    #[test]
    fn what_is_wrong_is_left_where_a_sentence_is_too_long() {
        let detail = "no ConfigMap of this name has the label portcullis.dev/prompt";
        let whole =
            format!("AIPrompt chat-prod/system spec.source.name \"texts-of-the-whole-team\": {detail}");
        assert_eq!(shorten(whole.clone(), whole.len()), whole);
        let short = shorten(whole.clone(), 100);
        assert_eq!(short, format!("AIPrompt chat-prod/system spec.sou...: {detail}"));
        assert_eq!(short.len(), 100);
        let shorter = shorten(whole, 60);
        assert_eq!(shorter, "AIPrompt chat-prod/system...: no ConfigMap of this name h...");
        let route = "HTTPRoute shop/in: has no BackendTrafficPolicy, so nothing keeps the limits".to_owned();
        assert_eq!(shorten(route, 50), "HTTPRoute shop/in: has no BackendTrafficPolicy,...");
        assert_eq!(shorten("w".repeat(70), 60), format!("{}...", "w".repeat(57)));
    }

    #[test]
    fn a_line_has_its_fix_whole_or_not_at_all() {
        let finding = |detail: &str, fix: &str| {
            let mut found = Vec::new();
            let control = ALL.iter().find(|control| control.id == "exposure-declared").unwrap();
            let mut report = Report::new(control, &mut found);
            report.violated(Place::default(), detail).under(&["CoP-6.1"]).fix(Fix::Text(fix.to_owned()));
            found.remove(0)
        };
        let tag = "[exposure-declared | CoP-6.1] ";
        assert_eq!(warning(&finding("is open", "close it")), format!("{tag}is open; fix: close it"));
        let (long, fix) = ("w".repeat(300), "f".repeat(100));
        let said = warning(&finding(&long, &fix));
        assert_eq!(said, format!("{tag}{}...; fix: {fix}", "w".repeat(110)));
        assert_eq!(said.len(), LONGEST_WARNING);
        let mut several = finding(&long, &fix);
        several.provisions = &["CoP-6.1", "CoP-4.6", "NCSC-V2.7"];
        assert!(
            warning(&several).starts_with("[exposure-declared | CoP-6.1 +2] www"),
            "{}",
            warning(&several)
        );
        assert!(warning(&several).ends_with(&fix), "{}", warning(&several));
        let fix = "f".repeat(140);
        let said = warning(&finding(&long, &fix));
        assert!(said.ends_with("www...; more: kubectl portcullis explain exposure-declared"), "{said}");
        assert_eq!(said.len(), LONGEST_WARNING);
        assert!(one_line(&finding(&long, &fix)).ends_with(&fix));
        let short = warning(&finding("is open", &fix));
        assert_eq!(short, format!("{tag}is open; fix: {fix}"));
    }

    #[test]
    fn a_recount_names_as_many_pods_as_fit() {
        let refused = |n: usize| (0..n).map(|i| (format!("chat-{i}"), vec!["image-digest-pinned"])).collect();
        let of = |judged, more, refused| {
            recount("Namespace shop", &Recount { judged, more, refused, open: Vec::new() })
        };
        assert_eq!(of(5, false, Vec::new()), Vec::<String>::new());
        assert_eq!(
            of(5, false, refused(2)),
            [
                "Namespace shop: 2 of 5 running pods would not be admitted again: chat-0 (image-digest-pinned), chat-1 \
              (image-digest-pinned)"
            ]
        );
        assert_eq!(
            of(1, false, refused(1)),
            ["Namespace shop: 1 of 1 running pod would not be admitted again: chat-0 (image-digest-pinned)"]
        );
        let many = of(500, true, refused(400));
        assert!(
            many[0].starts_with("Namespace shop: 400 of the first 500 running pods would not"),
            "{many:?}"
        );
        assert!(many[0].ends_with("chat-4 (image-digest-pinned) and 395 more"), "{many:?}");
        assert!(many[0].len() <= LONGEST_WARNING, "{}", many[0].len());
    }

    #[test]
    fn what_is_not_known_is_said_apart() {
        let open = vec!["chat-0".to_owned()];
        let said = recount("Namespace shop", &Recount { judged: 3, open, ..Recount::default() });
        assert_eq!(said, ["Namespace shop: of 1 of 3 running pods signatures are not known yet: chat-0"]);
    }
}
