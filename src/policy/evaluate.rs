//! From facts to findings.

use super::control::{Check, Finding, Report};
use super::controls::ALL;
use super::facts::Facts;

/// Asks every control that has a rule about the subject of `facts`.
///
/// In: facts, complete before the call. Out: every finding of every control, in the order of the catalogue and, inside a
/// control, of the fields. A subject that keeps the whole Code has none. Cannot fail and never blocks.
#[must_use]
pub fn evaluate(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for control in ALL {
        if let Check::Rule(rule) = control.check {
            rule(facts, &mut Report::new(control, &mut findings));
        }
    }
    findings
}

/// How many controls have a rule.
#[must_use]
pub fn judged() -> usize {
    ALL.iter().filter(|control| control.implemented()).count()
}
