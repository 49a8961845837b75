//! The report as one page: no script, no font, no picture from elsewhere; readable on a telephone and on paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Grouping, Kept, Report, Row, Workload, gravity, verdict};
use crate::api::common::State;
use crate::api::outcome::Counters;

const STYLE: &str = include_str!("report.css");

/// States in the order of bars and legends.
const STATES: [State; 6] =
    [State::Fail, State::Warn, State::Unknown, State::Exempt, State::Pass, State::NotApplicable];

pub(super) fn page(report: &Report) -> String {
    let title = "AI security audit";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.when {
                        "Audited " (report.audited_at.as_deref().unwrap_or("never")) ", report of " (report.taken_at)
                    }
                    @if let Some(cluster) = &report.cluster { (tiles(cluster)) }
                    @for note in &report.notes { p.note { (note) } }
                }
                nav aria-label="Contents" {
                    a href="#namespaces" { "Namespaces" } " " a href="#findings" { "Findings" } " "
                    a href="#workloads" { "Workloads" } " " a href="#groups" { "By principle" } " "
                    a href="#provisions" { "Provisions" }
                }
                main {
                    (namespaces(&report.namespaces))
                    (findings(report))
                    (workloads(&report.workloads))
                    section id="groups" {
                        h2 { "By principle, section and stage" }
                        (legend())
                        @for grouping in &report.groups { (grouped(grouping)) }
                    }
                    (provisions(&report.provisions))
                }
                footer {
                    p {
                        "Pass: every check ran and found nothing. Unknown: it could not be judged, and is not a pass. Exempt: \
                        broken, and covered by an exemption that a second person approved and that ends. Not applicable: \
                        nothing here is concerned, or no cluster can decide it."
                    }
                }
            }
        }
    }
    .into_string()
}

fn badge(state: State) -> Markup {
    html! { span class={ "state " (state.as_str()) } { (state.as_str()) } }
}

fn overall(row: Option<crate::api::OverallVerdict>) -> Markup {
    html! { span class={ "state " (row.map_or("none", |v| v.as_str())) } { (verdict(row)) } }
}

fn tiles(cluster: &Row) -> Markup {
    let s = &cluster.summary;
    let tiles = [
        ("provisions kept", u64::from(s.pass), "pass"),
        ("broken and enforced", u64::from(s.fail), "fail"),
        ("warned of", u64::from(s.warn), "warn"),
        ("unknown", u64::from(s.unknown), "unknown"),
        ("exempt", u64::from(s.exempt), "exempt"),
        ("workloads", u64::from(s.workloads), "none"),
        ("refused in 24 hours", cluster.blocked24h, "none"),
    ];
    html! {
        dl.tiles {
            div.tile { dt { "verdict" } dd { (overall(cluster.verdict)) } }
            @for (name, figure, class) in tiles {
                div.tile { dt { (name) } dd class=(class) { (figure) } }
            }
        }
    }
}

fn namespaces(rows: &[Row]) -> Markup {
    html! {
        section id="namespaces" {
            h2 { "Namespaces" }
            @if rows.is_empty() { p { "No namespace is governed." } } @else {
                table.cards {
                    thead { tr {
                        th { "Namespace" } th { "Environment" } th { "Sensitivity" } th { "Verdict" } th.n { "Workloads" }
                        th.n { "Fail" } th.n { "Warn" } th.n { "Unknown" } th.n { "Exempt" } th.n { "Refused in 24 h" }
                        th { "Top reason" }
                    } }
                    tbody { @for row in rows { tr {
                        th scope="row" { (row.name) }
                        td data-label="Environment" { (row.environment.as_deref().unwrap_or("-")) }
                        td data-label="Sensitivity" { (row.sensitivity.as_deref().unwrap_or("-")) }
                        td data-label="Verdict" { (overall(row.verdict)) }
                        td.n data-label="Workloads" { (row.summary.workloads) }
                        td.n data-label="Fail" { (row.summary.fail) }
                        td.n data-label="Warn" { (row.summary.warn) }
                        td.n data-label="Unknown" { (row.summary.unknown) }
                        td.n data-label="Exempt" { (row.summary.exempt) }
                        td.n data-label="Refused in 24 h" { (row.blocked24h) }
                        td data-label="Top reason" { (row.top_reason.as_deref().unwrap_or("-")) }
                    } } }
                }
            }
        }
    }
}

fn findings(report: &Report) -> Markup {
    html! {
        section id="findings" {
            h2 { "Findings" }
            @if report.findings.is_empty() { p { "Nothing was found." } } @else {
                table.cards {
                    thead { tr { th { "State" } th { "Control" } th { "Object" } th { "What is wrong" } th { "Since" } } }
                    tbody { @for finding in &report.findings { tr {
                        td data-label="State" { (badge(finding.state)) }
                        td data-label="Control" { (finding.control) " " span.ids { (finding.provisions.join(", ")) } }
                        td.object data-label="Object" { (finding.object) }
                        td data-label="What is wrong" { (finding.message.as_deref().unwrap_or("-")) }
                        td.day data-label="Since" { (finding.first_seen.as_deref().map_or("-", day)) }
                    } } }
                }
            }
        }
    }
}

fn workloads(all: &[Workload]) -> Markup {
    html! {
        section id="workloads" {
            h2 { "Workloads" }
            @if all.is_empty() { p { "No workload is declared." } }
            @for workload in all {
                article {
                    h3 { (workload.namespace) "/" (workload.name) " " (overall(workload.verdict)) }
                    p.meta {
                        (workload.kind) ", " (workload.pods) " pods, controls: " (workload.counters.pass) " pass, "
                        (workload.counters.fail) " fail, " (workload.counters.warn) " warn, "
                        (workload.counters.unknown) " unknown"
                    }
                    @if !workload.broken.is_empty() {
                        ul { @for (control, state, message) in &workload.broken {
                            li { (badge(*state)) " " strong { (control) } " " (message) }
                        } }
                    }
                }
            }
        }
    }
}

fn legend() -> Markup {
    html! { p.legend { @for state in STATES { (badge(state)) " " } } }
}

fn of(counters: &Counters, state: State) -> u32 {
    match state {
        State::Pass => counters.pass,
        State::Fail => counters.fail,
        State::Warn => counters.warn,
        State::Exempt => counters.exempt,
        State::Unknown => counters.unknown,
        State::NotApplicable => counters.not_applicable,
    }
}

fn grouped(grouping: &Grouping) -> Markup {
    html! {
        div.group {
            h3 { "By " (grouping.by) }
            @for (name, counters) in &grouping.groups {
                @let parts = STATES.map(|state| (state, of(counters, state)));
                div.bar-row {
                    span.name { (name) }
                    span.bar {
                        @for (state, n) in parts.iter().filter(|(_, n)| *n > 0) {
                            span class={ "part " (state.as_str()) } style={ "flex-grow:" (n) } title={ (n) " " (state.as_str()) } {
                                (n)
                            }
                        }
                    }
                }
            }
        }
    }
}

fn provisions(all: &[Kept]) -> Markup {
    let mut sorted: Vec<&Kept> = all.iter().collect();
    sorted.sort_by_key(|kept| gravity(kept.state));
    html! {
        section id="provisions" {
            h2 { "Every provision" }
            table.cards {
                thead { tr { th { "Provision" } th { "State" } th { "What it asks" } th { "Decided by" } th { "Why, or where" } } }
                tbody { @for kept in sorted { tr {
                    th scope="row" { (kept.id) span.ids { (kept.strength) ", " (kept.source) } }
                    td data-label="State" { (badge(kept.state)) }
                    td data-label="What it asks" { (kept.title) }
                    td data-label="Decided by" { (kept.class) @if !kept.controls.is_empty() { ": " (kept.controls.join(", ")) } }
                    td data-label="Why, or where" {
                        (kept.reason.as_deref().unwrap_or(""))
                        @if !kept.workloads.is_empty() { (kept.workloads.join(", ")) }
                        @if kept.reason.is_none() && kept.workloads.is_empty() { "-" }
                    }
                } } }
            }
        }
    }
}

/// The day of a time stamp.
fn day(at: &str) -> &str {
    at.split_once('T').map_or(at, |(day, _)| day)
}
