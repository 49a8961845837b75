//! The report as tables for a terminal.

use std::fmt::Write as _;

use super::{Report, verdict};
use crate::api::common::State;

impl Report {
    /// The report as tables for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        let rows = self.cluster.iter().chain(&self.namespaces).map(|row| {
            let s = &row.summary;
            vec![
                row.name.clone(),
                row.environment.clone().unwrap_or_default(),
                verdict(row.verdict).to_owned(),
                s.workloads.to_string(),
                s.fail.to_string(),
                s.warn.to_string(),
                s.exempt.to_string(),
                s.unknown.to_string(),
                row.blocked24h.to_string(),
                row.top_reason.clone().unwrap_or_default(),
            ]
        });
        columns(
            &mut out,
            &[
                "NAME",
                "ENVIRONMENT",
                "VERDICT",
                "WORKLOADS",
                "FAIL",
                "WARN",
                "EXEMPT",
                "UNKNOWN",
                "BLOCKED-24H",
                "TOP-REASON",
            ],
            rows.collect(),
        );
        for grouping in &self.groups {
            let _ = writeln!(out, "\nPROVISIONS BY {}", grouping.by.to_uppercase());
            let rows = grouping.groups.iter().map(|(name, c)| {
                let counts = [c.pass, c.fail, c.warn, c.exempt, c.unknown, c.not_applicable];
                std::iter::once(name.clone()).chain(counts.map(|n| n.to_string())).collect()
            });
            columns(
                &mut out,
                &["", "PASS", "FAIL", "WARN", "EXEMPT", "UNKNOWN", "NOT-APPLICABLE"],
                rows.collect(),
            );
        }
        let broken =
            self.provisions.iter().filter(|p| matches!(p.state, State::Fail | State::Warn | State::Exempt));
        let rows = broken.map(|p| {
            let who = p.workloads.join(",");
            vec![p.id.to_owned(), p.state.to_string(), p.strength.to_owned(), p.controls.join(","), who]
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            out.push_str("\nno provision is known to be broken\n");
        } else {
            out.push_str("\nPROVISIONS THAT ARE NOT KEPT\n");
            columns(&mut out, &["ID", "STATE", "STRENGTH", "CONTROLS", "WORKLOADS"], rows);
        }
        for note in &self.notes {
            let _ = writeln!(out, "\nnote: {note}");
        }
        out
    }
}

/// Writes a table with columns as wide as they need to be.
pub fn columns(out: &mut String, head: &[&str], rows: Vec<Vec<String>>) {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let table: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    for row in &table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}   ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
