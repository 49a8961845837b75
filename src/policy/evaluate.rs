//! From facts to findings.

use super::control::{Check, Control, Finding, Report};
use super::controls::ALL;
use super::facts::Facts;

/// Asks every control that has a rule about the subject of `facts`.
///
/// In: facts, complete before the call. Out: every finding of every control, in the order of the catalogue and, inside a
/// control, of the fields. A subject that keeps the whole Code has none. Cannot fail and never blocks.
#[must_use]
pub fn evaluate(facts: &Facts<'_>) -> Vec<Finding> {
    evaluate_where(facts, |_| true)
}

/// As [`evaluate`], but asks only the controls that are `wanted`: a request need not be told what only the audit shows.
#[must_use]
pub fn evaluate_where(facts: &Facts<'_>, wanted: impl Fn(&Control) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for control in ALL {
        if let Check::Rule(rule) = control.check
            && wanted(control)
        {
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
