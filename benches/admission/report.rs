//! Numbers to words: percentiles, medians, and tables in Markdown.

use std::time::Duration;

/// Tables as they come, printed together at the end.
pub(crate) struct Report {
    lines: Vec<String>,
    begun: std::time::Instant,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { lines: Vec::new(), begun: std::time::Instant::now() }
    }

    /// Begins a table.
    pub(crate) fn table(&mut self, title: &str, columns: &[&str]) {
        self.lines.push(format!("\n### {title}\n"));
        self.row(&columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>());
        self.lines.push(format!("|{}", "---|".repeat(columns.len())));
        eprintln!("[{:>4} s] {title}", self.begun.elapsed().as_secs());
    }

    /// Adds a row, which is shown at once as a sign of life.
    pub(crate) fn row(&mut self, cells: &[String]) {
        let line = format!("| {} |", cells.join(" | "));
        eprintln!("[{:>4} s] {line}", self.begun.elapsed().as_secs());
        self.lines.push(line);
    }

    pub(crate) fn print(&self) {
        println!("{}", self.lines.join("\n"));
        println!("\nprofile: {}; took {} s", profile(), self.begun.elapsed().as_secs());
    }
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "dev (figures mean nothing)" } else { "release" }
}

/// `median (smallest–largest)` of repetitions.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return "–".to_owned() };
    format!("{:.digits$} ({first:.digits$}–{last:.digits$})", median(&sorted))
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The value below which `percent` of the sorted durations lie, in milliseconds.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1).min(last);
    sorted.get(index).map_or(f64::NAN, |took| milliseconds(*took))
}

pub(crate) fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// A count as a number that can be divided; counts here are far below where that loses anything.
pub(crate) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
