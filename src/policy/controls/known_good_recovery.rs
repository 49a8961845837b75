//! `known-good-recovery`: a last known good composition can be fetched, was restored in a test and, where
//! critical, lies offline.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::json;

use crate::api;
use crate::api::common::{Criticality, KNOWN_GOOD_HELD};
use crate::api::trust::RevokedKind;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::Data;
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall};
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::selector;

/// A last known good composition can be fetched, was restored in a test and, where critical, lies offline.
pub(super) const CONTROL: Control = Control {
    id: "known-good-recovery",
    title: "a last known good composition can be fetched, was restored in a test and, where critical, lies \
        offline",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-5.3", "NCSC-P3.3"],
    why: "without a way back every compromise is an outage or a blackmail",
    remedy: "keep revisionHistoryLimit at 2 or more, declare spec.recovery and record BackupRestoreTest",
    gaps: &[],
    limits: &[
        "whether a backup is out of reach of the cluster is taken as declared",
        "a registry that does not answer is no sign that something is gone, and what lies on volumes is not asked for; of a \
         layer the first byte is asked for, and of an image for several platforms all layers of one",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    if let Some(pod) = facts.governed_pod() {
        revisions(pod, report);
    }
    let Some(workload) = facts.ai_workload() else { return };
    tried(facts, workload, report);
    if matches!(facts.subject, Subject::Workload(_)) {
        revoked(facts, workload, report);
        held(workload, report);
    }
    if workload.spec.criticality == Criticality::Critical {
        offline(facts, workload, report);
    }
    if workload.is_quarantined() {
        cut_off(facts, workload, report);
    }
}

fn at(workload: &api::AIWorkload, path: &str) -> Place {
    Place::field(Facts::name_of(workload), path)
}

/// A rollback needs something to roll back to.
fn revisions(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    if !matches!(pod.kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        return;
    }
    if let Some(kept) = pod.around.revisions.filter(|kept| *kept < 2) {
        report
            .violated(
                Place { object: None, path: Some("spec.revisionHistoryLimit".to_owned()), value: None }
                    .value(kept.to_string()),
                "keeps too few former revisions to go back to",
            )
            .under(&["CoP-5.3"])
            .fix(Fix::set("spec.revisionHistoryLimit", "10"));
    }
}

/// Restoring was tried. Only where people rely on the workload: elsewhere it is built anew.
fn tried(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if facts.namespace.environment() != Some(api::Environment::Production) {
        return;
    }
    let mut short = Shortfall::new(facts);
    short.ask(Question::of("BackupRestoreTest", About::Workload(workload)).passed());
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-5.3"]);
}

/// What one would go back to is still trusted.
fn revoked(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let Some(known) = workload.status.as_ref().and_then(|status| status.known_good.as_ref()) else { return };
    let revocations = facts.cluster.trust_policies.values().flat_map(|policy| &policy.spec.revoked);
    for revocation in revocations.filter(|revocation| revocation.kind == RevokedKind::Digest) {
        let part = known
            .parts
            .iter()
            .find(|part| part.rsplit_once('@').is_some_and(|(_, digest)| digest == revocation.value));
        if let Some(part) = part {
            report
                .violated(
                    Place::field(Facts::name_of(workload), "status.knownGood").value(part),
                    "is what one would go back to, and it is revoked",
                )
                .under(&["CoP-5.3"])
                .fix(Fix::Text("let a composition without it run and keep every control".to_owned()))
                .may_arrive();
        }
    }
}

/// What one would go back to can still be fetched, as far as the controller saw.
fn held(workload: &api::AIWorkload, report: &mut Report<'_>) {
    let conditions = workload.status.iter().flat_map(|status| &status.conditions);
    for condition in conditions.filter(|c| c.type_ == KNOWN_GOOD_HELD && c.status == "False") {
        report
            .violated(
                at(workload, "status.knownGood"),
                format!("is what one would go back to, and cannot be fetched: {}", condition.message),
            )
            .under(&["CoP-5.3"])
            .fix(Fix::Text(
                "push it again under its digest, or let a composition that can be fetched run and keep every control"
                    .to_owned(),
            ))
            .may_arrive();
    }
}

/// What a workload is made of, with its digest.
fn assets<'a>(facts: &Facts<'a>, workload: &'a api::AIWorkload) -> Vec<(String, &'a str)> {
    let spec = &workload.spec;
    let models = spec.models.iter().filter_map(|used| {
        Some((
            format!("AIModel {:?}", used.name),
            facts.namespace.models.get(&used.name)?.spec.digest.as_deref()?,
        ))
    });
    let prompts = spec.prompts.iter().filter_map(|used| {
        Some((
            format!("AIPrompt {:?}", used.name),
            facts.namespace.prompts.get(&used.name)?.spec.digest.as_deref()?,
        ))
    });
    let datasets = spec.datasets.iter().filter_map(|used| {
        let data = Data::named(facts, used.namespace.as_deref(), &used.name)?;
        Some((data.object(), data.dataset.spec.digest.as_deref()?))
    });
    models.chain(prompts).chain(datasets).collect()
}

/// What must come back lies out of reach of whoever breaks in.
fn offline(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let held = assets(facts, workload);
    let digests: Vec<&str> = held.iter().map(|(_, digest)| *digest).collect();
    let recovery = workload.spec.recovery.as_ref();
    let backup =
        recovery.and_then(|recovery| recovery.backup.as_ref()).filter(|backup| backup.offline == Some(true));
    let Some(backup) = backup else {
        report
            .violated(
                at(workload, "spec.recovery.backup"),
                "names no offline backup, which a critical workload needs",
            )
            .under(&["NCSC-P3.3"])
            .fix(
                Fix::set_at(
                    &at(workload, "spec.recovery.backup"),
                    "",
                    json!({"ref": "s3://BACKUP", "offline": true, "takenAt": "YYYY-MM-DD", "digests": digests}),
                )
                .after("back the assets up out of reach of the cluster, and say where and when"),
            )
            .in_declaration(facts);
        return;
    };
    let mut next = backup.digests.len();
    for (object, digest) in held {
        if !backup.digests.iter().any(|held| held == digest) {
            report
                .violated(
                    at(workload, "spec.recovery.backup.digests"),
                    format!("does not hold {object}, which is {digest}"),
                )
                .under(&["NCSC-P3.3"])
                .fix(
                    Fix::set_at(&at(workload, &format!("spec.recovery.backup.digests[{next}]")), "", digest)
                        .after("back it up"),
                )
                .in_declaration(facts);
            next += 1;
        }
    }
    let oldest = recovery.and_then(|recovery| recovery.rpo.as_deref()).and_then(dates::duration);
    let stated = backup.taken_at.as_deref().unwrap_or_default();
    let old = oldest.is_some_and(|oldest| {
        dates::until(stated).is_none_or(|taken| facts.now.duration_since(taken) > oldest)
    });
    let ahead = dates::ahead(stated, facts.now);
    if old || ahead {
        report
            .violated(
                at(workload, "spec.recovery.backup.takenAt").value(stated),
                if ahead { "lies ahead" } else { "is longer ago than spec.recovery.rpo allows" },
            )
            .under(&["NCSC-P3.3"])
            .fix(
                Fix::set_at(&at(workload, "spec.recovery.backup.takenAt"), "", "YYYY-MM-DD")
                    .after("take a backup"),
            )
            .in_declaration(facts);
    }
}

/// A quarantine that other policies keep open is none.
fn cut_off(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let declared = &workload.spec.selector.match_labels;
    let selects = |wanted: &LabelSelector| match facts.pod() {
        Some(pod) => selector::matches(wanted, pod.labels),
        None => selector::concerns(wanted, declared),
    };
    for (name, policy) in facts.namespace.network_policies.iter().filter(|(_, policy)| !policy.generated) {
        let spec = &policy.spec;
        let selects = spec.pod_selector.as_ref().is_none_or(selects);
        let opens = spec.ingress.as_ref().is_some_and(|rules| !rules.is_empty())
            || spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
        if selects && opens {
            report
                .violated(
                    Place::object(format!("NetworkPolicy {}/{name}", facts.namespace.name)),
                    format!("keeps a way open for {}, which is quarantined", Facts::name_of(workload)),
                )
                .under(&["CoP-5.3"])
                .fix(Fix::Command(format!("kubectl delete networkpolicy {name} -n {}", facts.namespace.name)))
                .may_arrive();
        }
    }
}

#[cfg(test)]
#[path = "tests/known_good_recovery.rs"]
mod tests;
