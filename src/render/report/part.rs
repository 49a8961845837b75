//! The audit of some namespaces alone. Pure.

use crate::api::common::State;
use crate::api::compliance::{AIComplianceStatus, ProvisionRow};
use crate::api::{AICompliance, AIWorkload};
use crate::policy::code::PROVISIONS;

use super::{CLUSTER, Report, gravity};

/// Why a provision is unknown that is broken elsewhere.
const NOT_TOLD: &str = "not broken here; the row of a namespace lists what is broken, not whether the others are kept or concern nothing";

impl Report {
    /// Puts a report on `namespaces` together, without what stands in the row of the cluster about others.
    ///
    /// A provision has the worst state of these namespaces. One that is not broken there has the state of the whole cluster
    /// where that says that it is kept everywhere or concerns nothing, and is unknown otherwise.
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
        let whole = rows.iter().find(|row| named(row, CLUSTER)).and_then(|row| row.status.clone());
        let whole = whole.unwrap_or_default();
        let workloads: Vec<AIWorkload> = workloads
            .iter()
            .filter(|workload| {
                namespaces.iter().any(|name| workload.metadata.namespace.as_ref() == Some(name))
            })
            .cloned()
            .collect();
        let provisions = PROVISIONS.iter().map(|provision| of_these(provision.id, &chosen, &whole)).collect();
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

/// The state of a provision in `chosen`.
fn of_these(id: &str, chosen: &[AICompliance], whole: &AIComplianceStatus) -> ProvisionRow {
    let of = |status: &AIComplianceStatus| status.provisions.iter().find(|row| row.id == id).cloned();
    let broken = chosen.iter().filter_map(|row| of(row.status.as_ref()?));
    let mut broken: Vec<ProvisionRow> = broken.collect();
    broken.sort_by_key(|row| gravity(row.state));
    let mut broken = broken.into_iter();
    let Some(mut out) = broken.next() else {
        let kept =
            |row: &ProvisionRow| matches!(row.state, State::Pass | State::NotApplicable | State::Unknown);
        return of(whole).filter(kept).unwrap_or_else(|| ProvisionRow {
            id: id.to_owned(),
            state: State::Unknown,
            workloads: Vec::new(),
            controls: Vec::new(),
            since: None,
            reason: Some(NOT_TOLD.to_owned()),
        });
    };
    let worst = out.state;
    for row in broken.filter(|row| row.state == worst) {
        out.since = out.since.min(row.since);
        out.controls.extend(row.controls);
        out.workloads.extend(row.workloads);
    }
    out.controls.sort_unstable();
    out.controls.dedup();
    out
}
