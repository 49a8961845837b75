//! From audited states to the rows that people read: status of an AIWorkload, of a namespace, of the cluster. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::audit::{AuditedNamespace, AuditedWorkload, States, control, count, gravity};
use crate::api::common::State;
use crate::api::compliance::{AIComplianceStatus, FindingRow, ProvisionRow, Summary};
use crate::api::outcome::{Blocked, Counters};
use crate::api::workload::{AIWorkloadStatus, PodCounts};
use crate::policy::code::{PROVISIONS, Provision, Stage};
use crate::policy::facts::Namespace;
use crate::render::words;

/// The version of the catalogue of controls.
pub const CATALOGUE: i32 = 1;
/// Findings that a row keeps.
const FINDINGS: usize = 64;

/// The status of one workload.
#[must_use]
pub fn workload_status(
    audited: &AuditedWorkload,
    generation: Option<i64>,
    composition: String,
    generated: Result<(), String>,
    blocked: Option<Blocked>,
    former: &AIWorkloadStatus,
    now: Timestamp,
) -> AIWorkloadStatus {
    let states = &audited.states;
    let verdict = states.verdict();
    let compliant = (
        "Compliant",
        verdict == crate::api::OverallVerdict::Pass || verdict == crate::api::OverallVerdict::Warn,
        match states.top_reason() {
            Some(id) => control(&id).map_or_else(String::new, crate::policy::Control::reason),
            None => "Kept".to_owned(),
        },
        states
            .rows()
            .first()
            .and_then(|row| row.message.clone())
            .unwrap_or_else(|| "every control that applies is kept".to_owned()),
    );
    let selects = (
        "PodsSelected",
        audited.pods > 0,
        if audited.pods > 0 { "Found" } else { "NoPods" }.to_owned(),
        if audited.pods > 0 {
            format!("the selector matches {} pods", audited.pods)
        } else {
            "the selector matches no pod that runs: check the labels of the pod template, or whether its pods are refused".to_owned()
        },
    );
    let generated = match generated {
        Ok(()) => (
            "Generated",
            true,
            "Applied".to_owned(),
            "identity, network policies and monitors are in place".to_owned(),
        ),
        Err(why) => ("Generated", false, "NotApplied".to_owned(), why),
    };
    let mut status = AIWorkloadStatus {
        observed_generation: generation,
        verdict: Some(verdict),
        top_reason: states.top_reason(),
        counters: Some(states.counters()),
        pods: Some(PodCounts { total: audited.pods, never_verified: audited.never_verified }),
        rows: states.rows().into_iter().take(16).collect(),
        blocked,
        composition_digest: Some(composition),
        residue: former.residue.clone(),
        conditions: [compliant, generated, selects]
            .into_iter()
            .map(|(kind, holds, reason, message)| {
                condition(&former.conditions, kind, holds, &reason, message, generation, now)
            })
            .collect(),
    };
    bound(&mut status);
    status
}

/// A status of at most this many bytes, however much went wrong.
const LARGEST_STATUS: usize = 4096;

/// Shortens a status to its bound: first the oldest attempts go, then words, then the least grave rows.
fn bound(status: &mut AIWorkloadStatus) {
    let size = |status: &AIWorkloadStatus| serde_json::to_vec(status).map_or(0, |bytes| bytes.len());
    while size(status) > LARGEST_STATUS {
        if let Some(blocked) = status.blocked.as_mut().filter(|blocked| blocked.attempts.len() > 4) {
            blocked.attempts.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
            blocked.attempts.pop();
        } else if let Some(attempt) = status
            .blocked
            .as_mut()
            .and_then(|blocked| blocked.attempts.iter_mut().find(|a| a.message.is_some()))
        {
            attempt.message = None;
        } else if let Some(row) =
            status.rows.iter_mut().rev().find(|row| row.message.as_ref().is_some_and(|m| m.len() > 60))
        {
            row.message = row.message.take().map(|message| words::cut(message, 60));
        } else if status.rows.pop().is_none() {
            return;
        }
    }
}

/// A condition whose transition time is kept while its status stays the same.
#[must_use]
pub fn condition(
    former: &[Condition],
    kind: &str,
    holds: bool,
    reason: &str,
    message: String,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let status = if holds { "True" } else { "False" };
    let since = former
        .iter()
        .find(|c| c.type_ == kind && c.status == status)
        .map_or_else(|| Time(seconds(now)), |c| c.last_transition_time.clone());
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: words::cut(message, 400),
        observed_generation: generation,
        last_transition_time: since,
    }
}

/// The instant without its fraction, as the API server stores times.
#[must_use]
pub fn seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// All states of a namespace together.
#[must_use]
pub fn merged(audited: &AuditedNamespace) -> States {
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
/// A control that does not concern anything here counts for nothing; one with a part that no rule checks yet is at best
/// unknown, with that part as the reason.
#[must_use]
pub fn provision_state(provision: &Provision, states: &States) -> (State, Option<String>) {
    let mut worst = (State::NotApplicable, None);
    for id in provision.controls {
        let (Some(state), Some(control)) = (states.by_control.get(id).copied(), control(id)) else {
            continue;
        };
        let found = if !control.implemented() {
            (State::Unknown, Some(format!("{id} has no check yet")))
        } else if matches!(state, State::Pass | State::Exempt) && !control.gaps.is_empty() {
            (State::Unknown, control.gaps.first().map(|gap| format!("{id}: {gap}")))
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

/// The row of one namespace.
#[must_use]
pub fn namespace_status(
    namespace: &Namespace,
    audited: &AuditedNamespace,
    blocked: Option<Blocked>,
    former: &AIComplianceStatus,
    now: Timestamp,
) -> AIComplianceStatus {
    let states = merged(audited);
    let mut status = row(&states, former, now, &workloads_in_state(&namespace.name, audited), false);
    status.environment = namespace.environment();
    status.sensitivity = namespace.sensitivity();
    status.blocked = blocked;
    if let Some(summary) = &mut status.summary {
        summary.workloads = u32::try_from(audited.workloads.len()).unwrap_or(u32::MAX);
        summary.blocked =
            u32::try_from(audited.workloads.values().filter(|w| w.blocked).count()).unwrap_or(u32::MAX);
        summary.never_verified = audited.workloads.values().map(|w| w.never_verified).sum();
    }
    status.findings = findings(audited, &namespace.name, former, now);
    status
}

/// The row of the cluster.
#[must_use]
pub fn cluster_status(
    namespaces: &BTreeMap<String, (AuditedNamespace, AIComplianceStatus)>,
    own: &States,
    former: &AIComplianceStatus,
    now: Timestamp,
) -> AIComplianceStatus {
    let mut states = own.clone();
    let mut workloads: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut summary = Summary::default();
    let (mut last24h, mut total) = (0, 0);
    let mut found = Vec::new();
    for (name, (audited, status)) in namespaces {
        states.merge(&merged(audited));
        for (id, names) in workloads_in_state(name, audited) {
            workloads.entry(id).or_default().extend(names);
        }
        summary.namespaces += 1;
        if let Some(of) = &status.summary {
            summary.workloads += of.workloads;
            summary.blocked += of.blocked;
            summary.never_verified += of.never_verified;
            summary.expiring30d += of.expiring30d;
        }
        let blocked_of_workloads = status.blocked.iter();
        for blocked in blocked_of_workloads {
            last24h += blocked.last24h;
            total += blocked.total;
        }
        found.extend(status.findings.iter().take(8).cloned());
    }
    let mut status = row(&states, former, now, &workloads, true);
    if let Some(of) = &mut status.summary {
        of.namespaces = summary.namespaces;
        of.workloads = summary.workloads;
        of.blocked = summary.blocked;
        of.never_verified = summary.never_verified;
    }
    status.blocked = (total > 0).then(|| Blocked { last24h, total, ..Blocked::default() });
    let own_rows = own.worst.iter().map(|(id, (state, finding))| FindingRow {
        control: (*id).to_owned(),
        state: *state,
        provisions: finding.provisions.iter().take(4).map(|p| (*p).to_owned()).collect(),
        object: object_path(finding.place.object.as_deref().unwrap_or("cluster")),
        message: Some(words::cut(words::sentence(finding), 300)),
        first_seen: Some(seconds(now).to_string()),
    });
    let mut rows: Vec<FindingRow> = own_rows.chain(found).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(gravity(row.state)));
    rows.truncate(FINDINGS);
    keep_first_seen(&mut rows, former);
    status.findings = rows;
    status.conditions =
        vec![condition(&former.conditions, "Fresh", true, "Audited", "the audit runs".to_owned(), None, now)];
    status
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
        if all || matches!(state, State::Fail | State::Warn | State::Exempt) {
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
            names.truncate(4);
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

/// Which workloads break or fail to prove each control.
fn workloads_in_state(namespace: &str, audited: &AuditedNamespace) -> BTreeMap<&'static str, Vec<String>> {
    let mut out: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (name, workload) in &audited.workloads {
        for id in workload.states.worst.keys() {
            out.entry(id).or_default().push(format!("{namespace}/{name}"));
        }
    }
    out
}

fn findings(
    audited: &AuditedNamespace,
    namespace: &str,
    former: &AIComplianceStatus,
    now: Timestamp,
) -> Vec<FindingRow> {
    let of_workloads = audited.workloads.iter().flat_map(|(name, workload)| {
        workload
            .states
            .worst
            .values()
            .map(move |(state, f)| (format!("{namespace}/AIWorkload/{name}"), *state, f))
    });
    let own = audited.findings.iter().map(|(object, state, f)| (object.clone(), *state, f));
    let mut rows: Vec<FindingRow> = of_workloads
        .chain(own)
        .map(|(object, state, finding)| FindingRow {
            control: finding.control.id.to_owned(),
            state,
            provisions: finding.provisions.iter().take(4).map(|p| (*p).to_owned()).collect(),
            object: words::cut(object, 250),
            message: Some(words::cut(words::sentence(finding), 300)),
            first_seen: Some(seconds(now).to_string()),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(gravity(row.state)));
    rows.truncate(FINDINGS);
    keep_first_seen(&mut rows, former);
    rows
}

/// `Kind/name` out of the words that messages use for an object: the schema takes no blanks.
fn object_path(object: &str) -> String {
    let parts: Vec<&str> = object.split_whitespace().take(2).map(|part| part.trim_matches('"')).collect();
    words::cut(parts.join("/"), 200)
}

fn keep_first_seen(rows: &mut [FindingRow], former: &AIComplianceStatus) {
    for row in rows {
        let known = former
            .findings
            .iter()
            .find(|f| f.control == row.control && f.object == row.object && f.state == row.state);
        if let Some(known) = known {
            row.first_seen.clone_from(&known.first_seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::outcome::Attempt;
    use crate::api::workload::Row;

    #[test]
    fn objects_are_written_without_blanks() {
        assert_eq!(
            object_path("ValidatingWebhookConfiguration \"portcullis\""),
            "ValidatingWebhookConfiguration/portcullis"
        );
        assert_eq!(object_path("Pod a/gpu requests nvidia.com/gpu"), "Pod/a/gpu");
    }

    #[test]
    fn a_status_stays_small_and_keeps_the_gravest() {
        let attempt = |n: usize| Attempt {
            control: "pod-hardened".to_owned(),
            object: format!("Pod/chat-{n}"),
            message: Some("m".repeat(180)),
            count: 1,
            first_seen: "2026-01-01T00:00:00Z".to_owned(),
            last_seen: format!("2026-01-01T00:00:{n:02}Z"),
        };
        let row = |n: usize| Row {
            control: format!("control-{n}"),
            state: State::Fail,
            provisions: vec!["CoP-5.2".to_owned(); 4],
            message: Some("w".repeat(180)),
            object: None,
        };
        let mut status = AIWorkloadStatus {
            rows: (0..16).map(row).collect(),
            blocked: Some(Blocked { attempts: (0..20).map(attempt).collect(), ..Blocked::default() }),
            ..AIWorkloadStatus::default()
        };
        bound(&mut status);
        assert!(serde_json::to_vec(&status).unwrap().len() <= LARGEST_STATUS);
        assert_eq!(status.rows.len(), 16);
        assert_eq!(status.blocked.unwrap().attempts[0].object, "Pod/chat-19");
    }
}
