//! What the reader of a report has to know about it, as sentences.

use super::{Kept, Row};
use crate::api::common::State;
use crate::api::compliance::AIComplianceStatus;

/// What is in quarantine, what is missing, what does not hold of the audit itself, and how much nobody could judge.
pub(super) fn of(
    cluster: Option<&AIComplianceStatus>,
    namespaces: &[Row],
    provisions: &[Kept],
    quarantined: &[String],
) -> Vec<String> {
    let mut out = Vec::new();
    if !quarantined.is_empty() {
        let shown: Vec<&str> = quarantined.iter().take(16).map(String::as_str).collect();
        let rest = quarantined.len() - shown.len();
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        out.push(format!("in quarantine, without network and new pods: {}{more}", shown.join(", ")));
    }
    let Some(cluster) = cluster else {
        out.push(
            "the row of the cluster is missing: every provision counts as unknown until the operator has written it"
                .to_owned(),
        );
        return out;
    };
    for condition in cluster.conditions.iter().filter(|condition| condition.status != "True") {
        out.push(format!("condition {} is {}: {}", condition.type_, condition.status, condition.message));
    }
    if namespaces.is_empty() {
        out.push("no namespace is governed, so the states tell of nothing that runs".to_owned());
    }
    let unknown = provisions.iter().filter(|provision| provision.state == State::Unknown).count();
    if unknown > 0 {
        out.push(format!(
            "{unknown} of {} provisions are unknown: they could not be judged, or only in part (docs/coverage.md says \
             what is missing), and nothing here says that they are kept",
            provisions.len()
        ));
    }
    out
}
