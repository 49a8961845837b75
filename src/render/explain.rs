//! What `portcullis explain` prints, for a person who was just refused: reason, way out, provisions, modes.

use std::fmt::Write as _;

use super::coverage::{Missing, State, coverage};
use super::words::NEVER_EXEMPT;
use crate::policy::code::{PROVISIONS, Provision};
use crate::policy::control::{Control, Mode};
use crate::policy::near::steps;

const WIDTH: usize = 88;

/// What a name given by a person means.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// A control, by its id or the reason that stands in Events.
    Control(&'static Control),
    /// A provision, by its id.
    Provision(&'static Provision),
}

/// Finds the control or provision a person means: an id in any case, or the reason of an Event.
///
/// # Errors
/// Names that come near, sorted, at most five; empty where nothing does.
pub fn find(name: &str, controls: &[&'static Control]) -> Result<Subject, Vec<&'static str>> {
    let control = controls
        .iter()
        .find(|control| control.id.eq_ignore_ascii_case(name) || control.reason().eq_ignore_ascii_case(name));
    if let Some(control) = control {
        return Ok(Subject::Control(control));
    }
    if let Some(provision) = PROVISIONS.iter().find(|provision| provision.id.eq_ignore_ascii_case(name)) {
        return Ok(Subject::Provision(provision));
    }
    let ids =
        controls.iter().map(|control| control.id).chain(PROVISIONS.iter().map(|provision| provision.id));
    let mut near: Vec<(usize, usize, &'static str)> = ids
        .filter_map(|id| {
            let steps = steps(name, id).or_else(|| contains(id, name).then_some(usize::MAX))?;
            Some((steps, id.len(), id))
        })
        .collect();
    near.sort_unstable();
    near.truncate(5);
    Err(near.into_iter().map(|(.., id)| id).collect())
}

fn contains(id: &str, wanted: &str) -> bool {
    wanted.len() >= 3 && id.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())
}

/// A control: what holds, why, how to fix it, where it is enforced, what it keeps, what it does not check.
#[must_use]
pub fn control(control: &Control) -> String {
    let Control { id, title, wave, modes, provisions, why, remedy, gaps, limits, .. } = control;
    let mut text = format!("{id}\n");
    paragraph(&mut text, "  ", title);
    text.push_str("\nWhy\n");
    paragraph(&mut text, "  ", why);
    text.push_str("\nHow to fix it\n");
    paragraph(&mut text, "  ", remedy);
    text.push_str("\nWhat happens when it does not hold\n");
    if control.implemented() {
        let rows = [
            ("production", modes.production),
            ("staging", modes.staging),
            ("training, data, quarantine", modes.training),
            ("research", modes.research),
        ];
        for (environment, mode) in rows {
            put(&mut text, format_args!("  {environment:<28}{}\n", consequence(mode)));
        }
        let profiles = if *wave == 1 {
            "these modes apply under the profiles core, code and strict"
        } else {
            "these modes apply under the profiles code and strict; profile core shows it in the audit alone"
        };
        paragraph(&mut text, "  ", profiles);
    } else {
        paragraph(
            &mut text,
            "  ",
            "nothing: it has no check yet, so the audit shows it as unknown and it refuses nothing",
        );
    }
    text.push_str("\nWhat it keeps\n");
    for id in *provisions {
        if let Some(provision) = PROVISIONS.iter().find(|provision| provision.id == *id) {
            put(&mut text, format_args!("  {id:<15}{} ({})\n", provision.title, provision.strength.as_str()));
        }
    }
    if !gaps.is_empty() {
        text.push_str("\nWhat it does not check yet\n");
        for gap in *gaps {
            paragraph(&mut text, "  - ", gap.missing);
        }
    }
    if !limits.is_empty() {
        text.push_str("\nWhat cannot be seen from a cluster\n");
        for limit in *limits {
            paragraph(&mut text, "  - ", limit);
        }
    }
    text
}

const fn consequence(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "refused",
        Mode::Warn => "admitted with a warning",
        Mode::Audit => "admitted, shown in the audit",
    }
}

/// A provision: what it asks of whom, the controls that hold it, and what nobody can check.
#[must_use]
pub fn provision(provision: &'static Provision, controls: &[&'static Control]) -> String {
    let Provision { id, title, summary, strength, source, reference, roles, effect, out_of_reach, .. } =
        provision;
    let mut text = format!("{id}\n");
    paragraph(&mut text, "  ", title);
    text.push_str("\nWhat it asks\n");
    paragraph(&mut text, "  ", summary);
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    put(&mut text, format_args!("  {:<15}{}\n", "insists", strength.as_str()));
    put(&mut text, format_args!("  {:<15}{}\n", "binds", roles.join(", ")));
    put(&mut text, format_args!("  {:<15}{}, {reference}\n", "stands in", source.as_str()));
    if !provision.controls.is_empty() {
        put(&mut text, format_args!("  {:<15}{}\n", "may lead to", effect.baseline.as_str()));
        put(&mut text, format_args!("  {:<15}{}\n", "under strict", effect.strict.as_str()));
    }
    let answer = coverage(provision, controls);
    put(&mut text, format_args!("\nHow far it is decided: {}\n", answer.state.as_str()));
    for id in provision.controls {
        let words = controls.iter().find(|control| control.id == *id).map_or("", |control| control.title);
        paragraph(&mut text, &format!("  {id}: "), words);
        for one in &answer.missing {
            let words = match one {
                Missing::Control(missing) if missing == id => "has no check yet".to_owned(),
                Missing::Part(of, gap) if of == id => format!("not yet: {gap}"),
                _ => continue,
            };
            paragraph(&mut text, "    - ", &words);
        }
    }
    if let Some(reason) = out_of_reach {
        let heading =
            if answer.state == State::OutOfReach { "Why nobody can decide it" } else { "Left to people" };
        put(&mut text, format_args!("\n{heading}\n"));
        paragraph(&mut text, "  ", reason);
    }
    if !provision.controls.is_empty() {
        text.push_str("\nMore: portcullis explain CONTROL\n");
    }
    text
}

/// How to ask for an exemption from a control: the object to fill in and apply, and what the second person does.
#[must_use]
pub fn exemption(control: &Control) -> String {
    let id = control.id;
    if id == NEVER_EXEMPT {
        return format!("{id} admits no exemption: it is what makes the others hold\n");
    }
    format!(
        r#"# An exemption from {id}: write over the words in capitals, then apply it as the user in requestedBy.
apiVersion: portcullis.dev/v1alpha1
kind: AIExemption
metadata:
  name: WORKLOAD-{id}
  namespace: NAMESPACE
spec:
  controls: [{id}]
  subject:
    kind: AIWorkload
    name: WORKLOAD
    # of the declaration as it is; a change of it ends the exemption (for image controls write kind: Image, any name, and
    # the digest of the image):
    # kubectl get aiworkload WORKLOAD -n NAMESPACE -o jsonpath={{.status.compositionDigest}}
    digest: sha256:DIGEST
  reason: WHY THE CONTROL CANNOT BE KEPT AND WHAT LIMITS THE RISK MEANWHILE
  requestedBy: YOU
  expiresAt: "YYYY-MM-DD" # at most 90 days from now
# It counts once another user with the verb approve on aiexemptions agrees:
#   kubectl patch aiexemption WORKLOAD-{id} -n NAMESPACE --type=merge -p '{{"spec":{{"approvedBy":"APPROVER"}}}}'
# From then on it is debt: the next pods are refused by maintenance-plan-current (production, profiles code and strict), as
# long as the TechnicalDebtRegister of the workload does not name it. Before it is approved, record a new register that has
# among its facts.items: {{id: AIExemption/WORKLOAD-{id}, dueBy: "YYYY-MM-DD", owner: USER}}
# (not for the subject Image; its end as dueBy)
# Instead of an exemption: {remedy}
"#,
        remedy = control.remedy
    )
}

/// Every control by room, in the order of the catalogue.
#[must_use]
pub fn list(controls: &[&'static Control]) -> String {
    let mut text = String::new();
    let width = controls.iter().map(|control| control.id.len()).max().unwrap_or_default() + 2;
    let mut room = None;
    for control in controls {
        if room != Some(control.room) {
            let gap = if room.is_some() { "\n" } else { "" };
            room = Some(control.room);
            put(&mut text, format_args!("{gap}{}\n", control.room.as_str()));
        }
        let state = if control.implemented() { ' ' } else { '-' };
        put(&mut text, format_args!("{state} {:<width$}{}\n", control.id, control.title));
    }
    text.push_str("\n- has no check yet. More: portcullis explain CONTROL or PROVISION, such as CoP-5.2\n");
    text
}

/// Appends `words` wrapped at `WIDTH`; `lead` opens the first line, the others stand two columns further in.
fn paragraph(text: &mut String, lead: &str, words: &str) {
    let spaces = lead.len() - lead.trim_start().len();
    let indent = if lead.trim().is_empty() { spaces } else { spaces + 2 };
    let mut line = lead.to_owned();
    let mut fresh = true;
    for word in words.split_whitespace() {
        if !fresh && line.len() + 1 + word.len() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(indent);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn put(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(words);
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
