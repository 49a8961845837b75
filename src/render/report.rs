//! The audit for somebody without access to the cluster: a table, JSON, or one page of HTML. Pure.

mod html;
mod notes;
mod part;
mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::common::{OverallVerdict, State};
use crate::api::compliance::{AIComplianceStatus, FindingRow, Summary};
use crate::api::outcome::Counters;
use crate::api::{AICompliance, AIWorkload};
use crate::policy::code::{DRAFT_PRINCIPLES, FINAL_PRINCIPLES, PROVISIONS, Provision, Stage};

pub use table::columns;

/// The name of the row of the cluster.
const CLUSTER: &str = "cluster";

/// An audit, ready to be shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// When it was put together.
    pub taken_at: String,
    /// When the cluster was last audited; `None` where the row of the cluster is missing.
    pub audited_at: Option<String>,
    /// The row of the cluster.
    pub cluster: Option<Row>,
    /// A row for each governed namespace, the worst first.
    pub namespaces: Vec<Row>,
    /// Every declared workload, the worst first.
    pub workloads: Vec<Workload>,
    /// Provisions by principle of the draft Code, principle of the final Code, NCSC section and ETSI stage.
    pub groups: Vec<Grouping>,
    /// Every provision with its state, in the order of the sources.
    pub provisions: Vec<Kept>,
    /// What is not kept, the gravest first.
    pub findings: Vec<FindingRow>,
    /// What the reader has to know about this report, as sentences.
    pub notes: Vec<String>,
}

/// One row of the audit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `cluster`, or the name of the namespace.
    pub name: String,
    /// What the namespace is for.
    pub environment: Option<String>,
    /// How sensitive its data may be.
    pub sensitivity: Option<String>,
    /// Its worst state.
    pub verdict: Option<OverallVerdict>,
    /// Figures.
    pub summary: Summary,
    /// Pods refused in the last 24 hours.
    pub blocked24h: u64,
    /// The control that matters most.
    pub top_reason: Option<String>,
    /// When it was audited.
    pub checked: Option<String>,
}

/// One declared workload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its worst state; `None` until it was audited.
    pub verdict: Option<OverallVerdict>,
    /// Pods that its selector matches.
    pub pods: u32,
    /// Controls by state.
    pub counters: Counters,
    /// The controls that are not kept: id, state, what is wrong.
    pub broken: Vec<(String, State, String)>,
}

/// One way of sorting the provisions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grouping {
    /// By what.
    pub by: &'static str,
    /// The groups in the order of their source.
    pub groups: Vec<(String, Counters)>,
}

/// A provision and its state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Its id.
    pub id: &'static str,
    /// What is true where it is kept.
    pub title: &'static str,
    /// The modal verb.
    pub strength: &'static str,
    /// The document it stands in.
    pub source: &'static str,
    /// Who can decide it.
    pub class: &'static str,
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: Option<String>,
    /// The controls that decided it.
    pub controls: Vec<String>,
    /// Workloads in that state; the first ones.
    pub workloads: Vec<String>,
    /// Why it could not be judged, or what no cluster can decide about it.
    pub reason: Option<String>,
}

impl Report {
    /// Puts a report together.
    ///
    /// In: the rows of the audit, the declarations with their status, the time. Out: what is shown; a missing row of the
    /// cluster, or a state that nobody wrote, is said in the notes and counts as unknown, never as kept.
    #[must_use]
    pub fn of(rows: &[AICompliance], workloads: &[AIWorkload], taken_at: String) -> Self {
        let status = |row: &AICompliance| row.status.clone().unwrap_or_default();
        let cluster = rows.iter().find(|row| row.metadata.name.as_deref() == Some(CLUSTER)).map(status);
        Self::put_together(cluster.as_ref(), rows, workloads, taken_at)
    }

    /// The report on `rows` with what `cluster` says of provisions.
    fn put_together(
        cluster: Option<&AIComplianceStatus>,
        rows: &[AICompliance],
        objects: &[AIWorkload],
        taken_at: String,
    ) -> Self {
        let empty = AIComplianceStatus::default();
        let status = |row: &AICompliance| row.status.clone().unwrap_or_default();
        let of_cluster = cluster.unwrap_or(&empty);
        let provisions: Vec<Kept> = PROVISIONS.iter().map(|provision| kept(provision, of_cluster)).collect();
        let mut namespaces: Vec<Row> = rows
            .iter()
            .filter(|row| row.metadata.name.as_deref() != Some(CLUSTER))
            .map(|object| row(object.metadata.name.as_deref().unwrap_or_default(), &status(object)))
            .collect();
        namespaces.sort_by(|a, b| (b.verdict, &a.name).cmp(&(a.verdict, &b.name)));
        let mut workloads: Vec<Workload> = objects.iter().map(workload).collect();
        workloads.sort_by(|a, b| (b.verdict, &a.namespace, &a.name).cmp(&(a.verdict, &b.namespace, &b.name)));
        let held: Vec<String> = objects
            .iter()
            .filter(|object| object.is_quarantined())
            .map(|object| {
                let metadata = &object.metadata;
                format!(
                    "{}/{}",
                    metadata.namespace.as_deref().unwrap_or_default(),
                    metadata.name.as_deref().unwrap_or_default()
                )
            })
            .collect();
        let mut findings: Vec<FindingRow> = of_cluster.findings.clone();
        for object in rows.iter().filter(|row| row.metadata.name.as_deref() != Some(CLUSTER)) {
            for finding in status(object).findings {
                if !findings.iter().any(|f| (&f.control, &f.object) == (&finding.control, &finding.object)) {
                    findings.push(finding);
                }
            }
        }
        findings.sort_by_key(|finding| gravity(finding.state));
        Self {
            taken_at,
            audited_at: of_cluster.last_audit_time.clone(),
            groups: groups(&provisions),
            cluster: cluster.map(|status| row(CLUSTER, status)),
            notes: notes::of(cluster, &namespaces, &provisions, &held),
            namespaces,
            workloads,
            provisions,
            findings,
        }
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings and numbers alone: this cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The report as one page that needs nothing else, for a screen of any width and for paper.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(self)
    }
}

fn kept(provision: &'static Provision, status: &AIComplianceStatus) -> Kept {
    let row = status.provisions.iter().find(|row| row.id == provision.id);
    let unread = "the audit of the cluster does not tell of it";
    Kept {
        id: provision.id,
        title: provision.title,
        strength: provision.strength.as_str(),
        source: provision.source.as_str(),
        class: provision.class.as_str(),
        state: row.map_or(State::Unknown, |row| row.state),
        since: row.and_then(|row| row.since.clone()),
        controls: row.map_or_else(Vec::new, |row| row.controls.clone()),
        workloads: row.map_or_else(Vec::new, |row| row.workloads.clone()),
        reason: row.map_or_else(|| Some(unread.to_owned()), |row| row.reason.clone()),
    }
}

fn row(name: &str, status: &AIComplianceStatus) -> Row {
    Row {
        name: name.to_owned(),
        environment: status.environment.map(|environment| environment.to_string()),
        sensitivity: status.sensitivity.map(|sensitivity| sensitivity.to_string()),
        verdict: status.verdict,
        summary: status.summary.unwrap_or_default(),
        blocked24h: status.blocked.as_ref().map_or(0, |blocked| blocked.last24h),
        top_reason: status.top_reason.clone(),
        checked: status.last_audit_time.clone(),
    }
}

fn workload(object: &AIWorkload) -> Workload {
    let status = object.status.clone().unwrap_or_default();
    Workload {
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: object.metadata.name.clone().unwrap_or_default(),
        kind: object.spec.type_.to_string(),
        verdict: status.verdict,
        pods: status.pods.as_ref().map_or(0, |pods| pods.total),
        counters: status.counters.unwrap_or_default(),
        broken: status
            .rows
            .into_iter()
            .map(|row| (row.control, row.state, row.message.unwrap_or_default()))
            .collect(),
    }
}

/// The order in which a reader wants to see states: the gravest first.
fn gravity(state: State) -> u8 {
    match state {
        State::Fail => 0,
        State::Unknown => 1,
        State::Warn => 2,
        State::Exempt => 3,
        State::Pass => 4,
        State::NotApplicable => 5,
    }
}

fn verdict(verdict: Option<OverallVerdict>) -> &'static str {
    verdict.map_or("not audited", |verdict| verdict.as_str())
}

fn count(counters: &mut Counters, state: State) {
    let field = match state {
        State::Pass => &mut counters.pass,
        State::Fail => &mut counters.fail,
        State::Warn => &mut counters.warn,
        State::Exempt => &mut counters.exempt,
        State::Unknown => &mut counters.unknown,
        State::NotApplicable => &mut counters.not_applicable,
    };
    *field += 1;
}

fn groups(kept: &[Kept]) -> Vec<Grouping> {
    let states: BTreeMap<&str, State> = kept.iter().map(|kept| (kept.id, kept.state)).collect();
    let tally = |belongs: &dyn Fn(&Provision) -> bool| {
        let mut counters = Counters::default();
        for provision in PROVISIONS.iter().filter(|provision| belongs(provision)) {
            count(&mut counters, states.get(provision.id).copied().unwrap_or(State::Unknown));
        }
        counters
    };
    let numbered = |subjects: &[&str], belongs: fn(&Provision, u8) -> bool| {
        (1_u8..)
            .zip(subjects)
            .map(|(number, subject)| (format!("{number} {subject}"), tally(&|p| belongs(p, number))))
            .collect()
    };
    let mut sections: Vec<&str> = PROVISIONS.iter().flat_map(|p| p.ncsc).map(|id| section(id)).collect();
    sections.sort_unstable_by_key(|id| (CHAPTERS.iter().position(|c| id.starts_with(c.0)), *id));
    sections.dedup();
    vec![
        Grouping {
            by: "principle of the draft Code",
            groups: numbered(&DRAFT_PRINCIPLES, |p, number| p.draft_principle == Some(number)),
        },
        Grouping {
            by: "principle of the final Code",
            groups: numbered(&FINAL_PRINCIPLES, |p, number| p.final_principles.contains(&number)),
        },
        Grouping {
            by: "section of the NCSC guidelines",
            groups: sections
                .into_iter()
                .map(|id| {
                    let chapter = CHAPTERS.iter().find(|c| id.starts_with(c.0)).map_or("", |c| c.1);
                    (format!("{id} {chapter}"), tally(&|p| p.ncsc.iter().any(|n| section(n) == id)))
                })
                .collect(),
        },
        Grouping {
            by: "stage of ETSI",
            groups: Stage::ALL
                .iter()
                .map(|stage| (stage.as_str().to_owned(), tally(&|p| p.stages.contains(stage))))
                .collect(),
        },
    ]
}

/// Chapters of the NCSC guidelines by the letter of their demands.
const CHAPTERS: [(char, &str); 5] =
    [('G', "general"), ('D', "design"), ('V', "development"), ('P', "deployment"), ('O', "operation")];

/// `D2` of `D2.3`.
fn section(id: &str) -> &str {
    id.split_once('.').map_or(id, |(section, _)| section)
}

#[cfg(test)]
mod tests;
