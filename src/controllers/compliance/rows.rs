//! The rows of AICompliance: one of each governed namespace, and one of the cluster. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{SHOWN, Summed, row};
use crate::api::AIExemption;
use crate::api::common::State;
use crate::api::compliance::{AIComplianceStatus, FindingRow, Summary};
use crate::api::outcome::Blocked;
use crate::controllers::audit::AuditedNamespace;
use crate::controllers::audit::states::{States, gravity};
use crate::controllers::conditions::{GENERATED, GOVERNED, Said, conditions, seconds};
use crate::policy::dates;
use crate::policy::decide::exemption_holds;
use crate::policy::facts::{Namespace, Overdue, Settings};
use crate::render::words;

/// Days within which a finding is to be mended, by its state, where no profile says otherwise.
const WINDOWS: [(State, &str, i64); 3] = [
    (State::Fail, "remediation.fail", 30),
    (State::Unknown, "remediation.unknown", 30),
    (State::Warn, "remediation.warn", 90),
];

/// Overdue findings that are told of one by one.
const OVERDUE: usize = 8;

/// Those of `rows` that are open for longer than they may be, the oldest first.
#[must_use]
pub fn overdue(rows: &[FindingRow], settings: &Settings, now: Timestamp) -> Vec<Overdue> {
    let late = |row: &FindingRow| {
        let (_, parameter, days) = WINDOWS.into_iter().find(|(state, ..)| *state == row.state)?;
        let since = dates::from(row.first_seen.as_deref()?)?;
        let (open, window) = (now.duration_since(since).as_hours() / 24, settings.days(parameter, days));
        // That something is overdue is no finding to wait for by itself.
        (open > window && row.control != "enforcement-integrity").then(|| Overdue {
            control: row.control.clone(),
            object: row.object.clone(),
            days: open,
            window,
        })
    };
    let mut out: Vec<Overdue> = rows.iter().filter_map(late).collect();
    out.sort_by(|a, b| b.days.cmp(&a.days).then_with(|| a.object.cmp(&b.object)));
    out
}

/// The overdue findings that are told of one by one.
#[must_use]
pub fn told(mut overdue: Vec<Overdue>) -> Vec<Overdue> {
    overdue.truncate(OVERDUE);
    overdue
}

/// Findings that a row keeps.
const FINDINGS: usize = 64;
/// Findings of a namespace that may stand on the row of the cluster.
const PASSED_ON: usize = 8;

/// The row of one namespace.
#[must_use]
pub fn namespace_status(
    namespace: &Namespace,
    audited: &AuditedNamespace,
    summed: &Summed,
    blocked: Option<Blocked>,
    former: &AIComplianceStatus,
    settings: &Settings,
    now: Timestamp,
) -> AIComplianceStatus {
    let mut status = row(&summed.states, former, now, &summed.open, false);
    status.environment = namespace.environment();
    status.sensitivity = namespace.sensitivity();
    status.blocked = blocked;
    if let Some(summary) = &mut status.summary {
        summary.workloads = u32::try_from(audited.workloads.len()).unwrap_or(u32::MAX);
        summary.blocked =
            u32::try_from(audited.workloads.values().filter(|w| w.blocked).count()).unwrap_or(u32::MAX);
        summary.never_verified = audited.workloads.values().map(|w| w.never_verified).sum();
        summary.expiring30d = expiring(namespace, now);
    }
    status.findings = findings(audited, &namespace.name, former, now);
    let late = overdue(&status.findings, settings, now).len();
    if let Some(summary) = &mut status.summary {
        summary.overdue = u32::try_from(late).unwrap_or(u32::MAX);
    }
    status
}

/// What stands on the row of a namespace beside its findings: since when it is governed, and whether its own network policy is
/// in place; `fault` says why not.
#[must_use]
pub fn own_conditions(
    since: Timestamp,
    fault: Option<String>,
    former: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let governed = Said::new(GOVERNED, true, "Labelled", format!("governed since {since}"));
    let closed = match fault {
        Some(why) => Said::new(GENERATED, false, "NotApplied", why),
        None => {
            Said::new(GENERATED, true, "Applied", "the network policy that closes the namespace is in place")
        }
    };
    vec![governed.condition(&[], None, since), closed.condition(former, None, now)]
}

/// What of the row of a namespace bears on the row of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Told {
    summary: Summary,
    /// Attempts that were refused: in the last day, and ever.
    blocked: (u64, u64),
    findings: Vec<FindingRow>,
}

impl Told {
    /// From the row as it is stored.
    #[must_use]
    pub fn of(row: &AIComplianceStatus) -> Self {
        Self {
            summary: row.summary.unwrap_or_default(),
            blocked: row.blocked.as_ref().map_or((0, 0), |blocked| (blocked.last24h, blocked.total)),
            findings: row.findings.iter().take(PASSED_ON).cloned().collect(),
        }
    }
}

/// The row of the cluster.
#[must_use]
pub fn cluster_status<'a>(
    namespaces: impl Iterator<Item = (&'a Summed, &'a Told)>,
    own: &States,
    said: impl IntoIterator<Item = Said>,
    former: &AIComplianceStatus,
    now: Timestamp,
) -> AIComplianceStatus {
    let mut states = own.clone();
    let mut workloads: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut summary = Summary::default();
    let (mut last24h, mut total) = (0, 0);
    let mut found = Vec::new();
    for (summed, told) in namespaces {
        states.merge(&summed.states);
        for (id, names) in &summed.open {
            let shown = workloads.entry(id).or_default();
            if shown.len() < SHOWN {
                shown.extend(names.iter().cloned());
            }
        }
        summary.namespaces += 1;
        let of = &told.summary;
        summary.workloads += of.workloads;
        summary.blocked += of.blocked;
        summary.never_verified += of.never_verified;
        summary.expiring30d += of.expiring30d;
        summary.overdue += of.overdue;
        last24h += told.blocked.0;
        total += told.blocked.1;
        found.extend(told.findings.iter().cloned());
    }
    let mut status = row(&states, former, now, &workloads, true);
    if let Some(of) = &mut status.summary {
        of.namespaces = summary.namespaces;
        of.workloads = summary.workloads;
        of.blocked = summary.blocked;
        of.never_verified = summary.never_verified;
        of.expiring30d = summary.expiring30d;
        of.overdue = summary.overdue;
    }
    status.blocked = (total > 0).then(|| Blocked { last24h, total, ..Blocked::default() });
    let own_rows = own.worst.iter().map(|(id, (state, finding))| FindingRow {
        control: (*id).to_owned(),
        state: *state,
        provisions: finding.provisions.iter().take(4).map(|p| (*p).to_owned()).collect(),
        object: object_path(finding.place.object.as_deref().unwrap_or("cluster")),
        message: Some(words::shorten(words::sentence(finding), 300)),
        first_seen: Some(seconds(now).to_string()),
    });
    let mut rows: Vec<FindingRow> = own_rows.chain(found).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(gravity(row.state)));
    rows.truncate(FINDINGS);
    keep_first_seen(&mut rows, former);
    status.findings = rows;
    status.conditions = conditions(said, &former.conditions, None, now);
    status
}

/// How many approved exemptions end within 30 days.
fn expiring(namespace: &Namespace, now: Timestamp) -> u32 {
    let soon = |exemption: &AIExemption| {
        dates::until(&exemption.spec.expires_at)
            .is_some_and(|until| until.duration_since(now).as_hours() < 30 * 24)
    };
    let ending = namespace.exemptions.values().filter(|e| exemption_holds(e, now).is_ok() && soon(e));
    u32::try_from(ending.count()).unwrap_or(u32::MAX)
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
            message: Some(words::shorten(words::sentence(finding), 300)),
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

    #[test]
    fn what_is_open_too_long_is_overdue() {
        let row = |control: &str, state: State, since: &str| FindingRow {
            control: control.to_owned(),
            state,
            provisions: Vec::new(),
            object: format!("a/AIWorkload/{control}"),
            message: None,
            first_seen: Some(since.to_owned()),
        };
        let rows = [
            row("pod-hardened", State::Fail, "2026-01-01T00:00:00Z"),
            row("rate-limit-set", State::Warn, "2026-01-01T00:00:00Z"),
            row("io-guardrails", State::Fail, "2026-01-20T00:00:00Z"),
            row("egress-declared", State::Exempt, "2025-01-01T00:00:00Z"),
            row("enforcement-integrity", State::Fail, "2025-01-01T00:00:00Z"),
        ];
        let now = "2026-02-05T00:00:00Z".parse().unwrap();
        let mut settings = Settings::default();
        let late = |settings: &Settings| {
            overdue(&rows, settings, now).iter().map(|o| (o.control.clone(), o.days)).collect::<Vec<_>>()
        };
        assert_eq!(late(&settings), [("pod-hardened".to_owned(), 35)]);
        settings.parameters.insert("remediation.warn".to_owned(), vec!["P7D".to_owned()]);
        assert_eq!(late(&settings).len(), 2);
    }

    #[test]
    fn a_namespace_that_is_not_closed_says_so_on_its_row() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let why = "NetworkPolicy \"portcullis-default-deny\" exists and is not the operator's";
        let taken = own_conditions(at(0), Some(why.to_owned()), &[], at(10));
        let said = |conditions: &[Condition]| {
            let said = |one: &Condition| (one.type_.clone(), one.status.clone(), one.message.clone());
            conditions.iter().map(said).collect::<Vec<_>>()
        };
        let governed =
            |status: &str, message: &str| (GENERATED.to_owned(), status.to_owned(), message.to_owned());
        assert_eq!(said(&taken)[1], governed("False", why));
        let still = own_conditions(at(0), Some(why.to_owned()), &taken, at(20));
        assert_eq!(still, taken, "nothing new");
        let closed = own_conditions(at(0), None, &taken, at(30));
        assert_eq!(
            said(&closed)[1],
            governed("True", "the network policy that closes the namespace is in place")
        );
        assert_eq!(said(&closed)[0].2, "governed since 1970-01-01T00:00:00Z");
    }

    #[test]
    fn objects_are_written_without_blanks() {
        assert_eq!(
            object_path("ValidatingWebhookConfiguration \"portcullis\""),
            "ValidatingWebhookConfiguration/portcullis"
        );
        assert_eq!(object_path("Pod a/gpu requests nvidia.com/gpu"), "Pod/a/gpu");
    }
}
