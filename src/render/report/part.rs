//! The audit of some namespaces alone. Pure.

use crate::api::common::State;
use crate::api::compliance::{AIComplianceStatus, ProvisionRow};
use crate::api::{AICompliance, AIWorkload};
use crate::policy::code::PROVISIONS;

use super::{CLUSTER, Report, gravity};

/// Why a provision is unknown where nobody has judged it yet.
const NOT_AUDITED: &str = "the namespace has not been audited yet";

impl Report {
    /// Puts a report on `namespaces` together, without what stands in the row of the cluster about others.
    ///
    /// A provision has the worst state of these namespaces.
    ///
    /// Errors: a namespace that has no row, in words.
    pub fn of_namespaces(
        namespaces: &[String],
        rows: &[AICompliance],
        workloads: &[AIWorkload],
        taken_at: String,
    ) -> Result<Self, String> {
        let named = |row: &AICompliance, name: &str| row.metadata.name.as_deref() == Some(name);
        let missing =
            namespaces.iter().find(|name| *name == CLUSTER || !rows.iter().any(|row| named(row, name)));
        if let Some(name) = missing {
            return Err(format!(
                "namespace {name:?} has no AICompliance: it is not governed, or nobody has audited it yet"
            ));
        }
        let chosen: Vec<AICompliance> =
            rows.iter().filter(|row| namespaces.iter().any(|name| named(row, name))).cloned().collect();
        let workloads: Vec<AIWorkload> = workloads
            .iter()
            .filter(|workload| {
                namespaces.iter().any(|name| workload.metadata.namespace.as_ref() == Some(name))
            })
            .cloned()
            .collect();
        let provisions = PROVISIONS.iter().map(|provision| of_these(provision.id, &chosen)).collect();
        let audited = chosen.iter().filter_map(|row| row.status.as_ref()?.last_audit_time.clone()).min();
        let together =
            AIComplianceStatus { provisions, last_audit_time: audited, ..AIComplianceStatus::default() };
        let mut report = Self::put_together(Some(&together), &chosen, &workloads, taken_at);
        report.cluster = None;
        report.notes.insert(0, format!("this report is about {} alone", listed(namespaces)));
        Ok(report)
    }
}

fn listed(namespaces: &[String]) -> String {
    let noun = if namespaces.len() == 1 { "namespace" } else { "namespaces" };
    format!("{noun} {}", namespaces.join(", "))
}

/// The state of a provision in `chosen`: the row of a namespace lists all that are not kept there.
fn of_these(id: &str, chosen: &[AICompliance]) -> ProvisionRow {
    let plain = |state, reason: Option<&str>| ProvisionRow {
        id: id.to_owned(),
        state,
        workloads: Vec::new(),
        controls: Vec::new(),
        since: None,
        reason: reason.map(str::to_owned),
    };
    let of = |row: &AICompliance| match &row.status {
        Some(status) if status.summary.is_some() => {
            let listed = status.provisions.iter().find(|row| row.id == id).cloned();
            listed.unwrap_or_else(|| plain(State::Pass, None))
        }
        _ => plain(State::Unknown, Some(NOT_AUDITED)),
    };
    let mut all: Vec<ProvisionRow> = chosen.iter().map(of).collect();
    all.sort_by_key(|row| gravity(row.state));
    let mut all = all.into_iter();
    let Some(mut out) = all.next() else { return plain(State::Unknown, Some(NOT_AUDITED)) };
    let worst = out.state;
    for row in all.filter(|row| row.state == worst) {
        out.since = out.since.min(row.since);
        out.controls.extend(row.controls);
        out.workloads.extend(row.workloads);
    }
    out.controls.sort_unstable();
    out.controls.dedup();
    out
}
