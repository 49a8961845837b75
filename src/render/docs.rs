//! docs/controls.md and docs/coverage.md, rendered from the controls and the provisions.

use std::fmt::Write as _;

use super::coverage::{Coverage, Missing, State, Tally, coverage};
use crate::policy::code::{
    DRAFT_PRINCIPLES, FINAL_PRINCIPLES, PROVISIONS, Provision, Source, Stage, provision,
};
use crate::policy::control::{Control, Gap, Room};

/// First line of every generated page.
pub const NOTICE: &str = "<!-- Written by `make generate`. Do not edit. -->\n";

/// Every generated page, by its path from the root of the repository.
#[must_use]
pub fn pages(controls: &[&'static Control]) -> [(&'static str, String); 2] {
    [("docs/controls.md", controls_page(controls)), ("docs/coverage.md", coverage_page(controls))]
}

/// docs/controls.md: every control with its reason, remedy, modes, provisions and gaps.
#[must_use]
pub fn controls_page(controls: &[&'static Control]) -> String {
    let mut page = format!(
        "{NOTICE}# Controls\n\nA control is one named check. It carries its id into every refusal, Event, condition and \
         report. {} of {} controls have a check; the others are shown as `unknown` in the audit and never refuse \
         anything.\n\nWhat a mode does: `enforce` refuses, `warn` warns at `kubectl apply`, `audit` shows in the audit \
         alone. The modes below are those of the catalogue. Profile `core` takes them for controls of wave 1 and audits \
         the rest; profiles `code` and `strict` take them for all.\n",
        controls.iter().filter(|control| control.implemented()).count(),
        controls.len(),
    );
    let mut room = None;
    for control in controls {
        if room != Some(control.room) {
            room = Some(control.room);
            contents_of(&mut page, control.room, controls);
        }
    }
    for control in controls {
        section(&mut page, control);
    }
    page
}

fn contents_of(page: &mut String, room: Room, controls: &[&'static Control]) {
    put(page, format_args!("\n**{}**\n\n| control | holds when | state |\n|---|---|---|\n", room.as_str()));
    for control in controls.iter().filter(|control| control.room == room) {
        let Control { id, title, .. } = control;
        put(page, format_args!("| [{id}](#{id}) | {} | {} |\n", cell(title), state_of(control)));
    }
}

fn state_of(control: &Control) -> &'static str {
    match (control.implemented(), control.gaps.is_empty()) {
        (true, true) => "checked",
        (true, false) => "checked in part",
        (false, _) => "no check yet",
    }
}

fn section(page: &mut String, control: &Control) {
    let Control { id, title, room, wave, modes, provisions, why, remedy, gaps, limits, .. } = control;
    put(
        page,
        format_args!(
            "\n## {id}\n\nHolds when {title}.\n\n- Why: {why}\n- Fix: {remedy}\n- State: {}\n- Part of: {}, wave \
             {wave}\n\n| production | staging | training, data, quarantine | research |\n|---|---|---|---|\n| {} | {} | \
             {} | {} |\n\nProvisions:\n\n",
            state_of(control),
            room.as_str(),
            modes.production.as_str(),
            modes.staging.as_str(),
            modes.training.as_str(),
            modes.research.as_str(),
        ),
    );
    for id in *provisions {
        match provision(id) {
            Some(Provision { title, strength, .. }) => {
                put(page, format_args!("- `{id}` ({}) {title}\n", strength.as_str()));
            }
            None => put(page, format_args!("- `{id}`\n")),
        }
    }
    if !gaps.is_empty() {
        page.push_str("\nNot checked yet:\n\n");
        for Gap { provisions, missing } in *gaps {
            put(page, format_args!("- {missing} (leaves open {})\n", provisions.join(", ")));
        }
    }
    if !limits.is_empty() {
        page.push_str("\nCannot be seen from a cluster:\n\n");
        for limit in *limits {
            put(page, format_args!("- {limit}\n"));
        }
    }
}

/// docs/coverage.md: every provision with how far it is decided, and counts by principle, source and stage.
#[must_use]
pub fn coverage_page(controls: &[&'static Control]) -> String {
    let answers: Vec<Coverage> = PROVISIONS.iter().map(|provision| coverage(provision, controls)).collect();
    let mut page = format!(
        "{NOTICE}# Coverage\n\nEvery provision of the Code and of the sources beside it, and how far this version decides \
         it.\n\n- **decided**: every control that holds it has a check without gaps under it\n- **partly**: some of it is checked; \
         the last column says what is missing\n- **not yet**: none of its controls has a check; the audit shows it as \
         `unknown`, never as `pass`\n- **out of reach**: no cluster can decide it, and the text says why\n\nWhat even a \
         decided provision leaves to people stands in italics. Controls are explained in [controls.md](controls.md).\n",
    );
    tallies(&mut page, &answers);
    for (number, subject) in (1_u8..).zip(DRAFT_PRINCIPLES) {
        let heading = format!("Draft principle {number}: {subject}");
        provisions(
            &mut page,
            &heading,
            answers.iter().filter(|one| one.provision.draft_principle == Some(number)),
        );
    }
    for source in Source::ALL.into_iter().filter(|source| *source != Source::DraftCode) {
        let heading = format!("Beyond the draft: {}", source.as_str());
        provisions(&mut page, &heading, answers.iter().filter(|one| one.provision.source == source));
    }
    page
}

fn tallies(page: &mut String, answers: &[Coverage]) {
    head(page, "Counts", "part");
    row(page, "**all provisions**", Tally::of(answers));

    head(page, "By principle of the draft Code", "principle");
    for (number, subject) in (1_u8..).zip(DRAFT_PRINCIPLES) {
        let of = answers.iter().filter(|one| one.provision.draft_principle == Some(number));
        row(page, &format!("{number} {subject}"), Tally::of(of));
    }
    head(page, "By principle of the final Code (a provision may stand under several)", "principle");
    for (number, subject) in (1_u8..).zip(FINAL_PRINCIPLES) {
        let of = answers.iter().filter(|one| one.provision.final_principles.contains(&number));
        row(page, &format!("{number} {subject}"), Tally::of(of));
    }
    head(page, "By source", "source");
    for source in Source::ALL {
        row(page, source.as_str(), Tally::of(answers.iter().filter(|one| one.provision.source == source)));
    }
    head(page, "By stage of life (a provision may stand under several)", "stage");
    for stage in Stage::ALL {
        row(
            page,
            stage.as_str(),
            Tally::of(answers.iter().filter(|one| one.provision.stages.contains(&stage))),
        );
    }
}

fn head(page: &mut String, heading: &str, first: &str) {
    put(page, format_args!("\n## {heading}\n\n| {first} |"));
    for state in State::ALL {
        put(page, format_args!(" {} |", state.as_str()));
    }
    page.push_str(" total |\n|---|---:|---:|---:|---:|---:|\n");
}

fn row(page: &mut String, first: &str, tally: Tally) {
    put(page, format_args!("| {first} |"));
    for count in tally.counts() {
        put(page, format_args!(" {count} |"));
    }
    put(page, format_args!(" {} |\n", tally.total()));
}

fn provisions<'c>(page: &mut String, heading: &str, answers: impl Iterator<Item = &'c Coverage>) {
    put(page, format_args!("\n## {heading}\n\n"));
    page.push_str("| provision | | what holds | state | controls | missing |\n|---|---|---|---|---|---|\n");
    for Coverage { provision, state, missing } in answers {
        let Provision { id, title, strength, controls, out_of_reach, .. } = provision;
        let remainder =
            out_of_reach.map(|text| format!("<br>*Left to people: {}.*", cell(text))).unwrap_or_default();
        put(
            page,
            format_args!(
                "| {id} | {} | {}{remainder} | {} | {} | {} |\n",
                strength.as_str(),
                cell(title),
                state.as_str(),
                linked(controls),
                if *state == State::NotYet { String::new() } else { cell(&missing_words(missing)) },
            ),
        );
    }
}

fn linked(controls: &[&str]) -> String {
    let links: Vec<String> = controls.iter().map(|id| format!("[{id}](controls.md#{id})")).collect();
    links.join(", ")
}

/// What is missing in words: controls without a check first in one clause, then the gaps by control.
fn missing_words(missing: &[Missing]) -> String {
    let mut clauses = Vec::new();
    let without: Vec<&str> = missing
        .iter()
        .filter_map(|one| match one {
            Missing::Control(id) => Some(*id),
            Missing::Part(..) => None,
        })
        .collect();
    if !without.is_empty() {
        clauses.push(format!("no check yet: {}", without.join(", ")));
    }
    let mut last = "";
    for one in missing {
        if let Missing::Part(id, gap) = one {
            if *id == last {
                clauses.push((*gap).to_owned());
            } else {
                clauses.push(format!("{id}: {gap}"));
            }
            last = id;
        }
    }
    clauses.join("; ")
}

/// Text that cannot end a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn put(page: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = page.write_fmt(words);
}

#[cfg(test)]
#[path = "docs_tests.rs"]
mod tests;
