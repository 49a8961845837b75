//! From audited states to the rows that people read: status of an AIWorkload, of a namespace, of the cluster. Pure.

pub mod owners;
pub mod rows;
pub mod workload;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::audit::AuditedNamespace;
use super::audit::states::{States, control, count, gravity};
use super::conditions::seconds;
use crate::api::common::State;
use crate::api::compliance::{AIComplianceStatus, ProvisionRow, Summary};
use crate::api::outcome::Counters;
use crate::policy::code::{PROVISIONS, Provision, Stage};
use crate::render::words;

/// The version of the catalogue of controls.
pub const CATALOGUE: i32 = 1;
/// Names of workloads that a line shows.
const SHOWN: usize = 4;

/// What is kept of an audited namespace: enough for the row of the cluster and for the next look.
#[derive(Clone, Debug, Default)]
pub struct Summed {
    /// The states of its workloads and its own, together.
    pub states: States,
    /// The first workloads that break or fail to prove each control.
    pub open: BTreeMap<&'static str, Vec<String>>,
}

impl Summed {
    /// Sums up what was found in `namespace`.
    #[must_use]
    pub fn of(namespace: &str, audited: &AuditedNamespace) -> Self {
        let mut open: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for (name, workload) in &audited.workloads {
            for id in workload.states.worst.keys() {
                let names = open.entry(id).or_default();
                if names.len() < SHOWN {
                    names.push(format!("{namespace}/{name}"));
                }
            }
        }
        Self { states: merged(audited), open }
    }
}

/// All states of a namespace together.
fn merged(audited: &AuditedNamespace) -> States {
    let mut states = States::default();
    for workload in audited.workloads.values() {
        states.merge(&workload.states);
    }
    if let Some(own) = &audited.own {
        states.merge(own);
    }
    states
}

/// The state of a provision, from the states of its controls.
///
/// A control that does not concern anything here counts for nothing; one with a part of this provision that no rule checks
/// yet is at best unknown, with that part as the reason.
#[must_use]
pub fn provision_state(provision: &Provision, states: &States) -> (State, Option<String>) {
    let mut worst = (State::NotApplicable, None);
    for id in provision.controls {
        let (Some(state), Some(control)) = (states.by_control.get(id).copied(), control(id)) else {
            continue;
        };
        let found = if !control.implemented() {
            (State::Unknown, Some(format!("{id} has no check yet")))
        } else if matches!(state, State::Pass | State::Exempt)
            && let Some(gap) = control.gaps_under(provision.id).next()
        {
            (State::Unknown, Some(format!("{id}: {}", gap.missing)))
        } else {
            (state, states.worst.get(id).map(|(_, finding)| words::sentence(finding)))
        };
        if gravity(found.0) > gravity(worst.0) {
            worst = found;
        }
    }
    if provision.controls.is_empty() {
        worst.1 = provision.out_of_reach.map(str::to_owned);
    }
    (worst.0, worst.1.map(|reason| words::cut(reason, 200)))
}

/// What all rows have in common. `all` keeps a line for every provision; otherwise only for those that are broken.
fn row(
    states: &States,
    former: &AIComplianceStatus,
    now: Timestamp,
    workloads: &BTreeMap<&'static str, Vec<String>>,
    all: bool,
) -> AIComplianceStatus {
    let mut provisions = Vec::new();
    let mut by_principle: BTreeMap<String, Vec<State>> = BTreeMap::new();
    let mut by_stage: BTreeMap<String, Vec<State>> = BTreeMap::new();
    let mut counts: Vec<State> = Vec::with_capacity(PROVISIONS.len());
    for provision in PROVISIONS {
        let (state, reason) = provision_state(provision, states);
        counts.push(state);
        if let Some(principle) = provision.draft_principle {
            by_principle.entry(format!("draft-{principle}")).or_default().push(state);
        }
        for principle in provision.final_principles {
            by_principle.entry(format!("final-{principle}")).or_default().push(state);
        }
        for stage in provision.stages {
            by_stage.entry(stage_name(*stage).to_owned()).or_default().push(state);
        }
        if all || state != State::Pass {
            let since = former
                .provisions
                .iter()
                .find(|row| row.id == provision.id && row.state == state)
                .and_then(|row| row.since.clone())
                .unwrap_or_else(|| seconds(now).to_string());
            let broken = matches!(state, State::Fail | State::Warn);
            let mut names: Vec<String> = if broken {
                provision
                    .controls
                    .iter()
                    .flat_map(|id| workloads.get(id).into_iter().flatten())
                    .cloned()
                    .collect()
            } else {
                Vec::new()
            };
            names.sort_unstable();
            names.dedup();
            names.truncate(SHOWN);
            provisions.push(ProvisionRow {
                id: provision.id.to_owned(),
                state,
                workloads: names,
                controls: if broken {
                    provision
                        .controls
                        .iter()
                        .filter(|id| states.by_control.get(*id) == Some(&state))
                        .map(|id| (*id).to_owned())
                        .collect()
                } else {
                    Vec::new()
                },
                since: Some(since),
                reason: reason
                    .filter(|_| matches!(state, State::Unknown | State::NotApplicable))
                    .map(|r| words::cut(r, 120)),
            });
        }
    }
    let of = count(counts.into_iter());
    let counters = |map: BTreeMap<String, Vec<State>>| -> BTreeMap<String, Counters> {
        map.into_iter().map(|(key, states)| (key, count(states.into_iter()))).collect()
    };
    AIComplianceStatus {
        catalogue_version: Some(CATALOGUE),
        last_audit_time: Some(seconds(now).to_string()),
        verdict: Some(states.verdict()),
        top_reason: states.top_reason(),
        summary: Some(Summary {
            pass: of.pass,
            fail: of.fail,
            warn: of.warn,
            exempt: of.exempt,
            unknown: of.unknown,
            not_applicable: of.not_applicable,
            ..Summary::default()
        }),
        by_principle: counters(by_principle),
        by_stage: counters(by_stage),
        provisions,
        ..AIComplianceStatus::default()
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Design => "secure-design",
        Stage::Development => "secure-development",
        Stage::Deployment => "secure-deployment",
        Stage::Maintenance => "secure-maintenance",
        Stage::EndOfLife => "secure-end-of-life",
    }
}
