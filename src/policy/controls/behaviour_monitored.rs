//! `behaviour-monitored`: alerts for drift, sudden change, intrusion and extraction exist, and logs are
//! analysed regularly.

use serde_json::json;

use crate::api;
use crate::api::common::{Audience, Criticality};
use crate::api::workload::{AlertKind, WorkloadType};
use crate::policy::blanks::is_blank;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall};
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// Alerts for drift, sudden change, intrusion and extraction exist, and logs are analysed regularly.
pub(super) const CONTROL: Control = Control {
    id: "behaviour-monitored",
    title: "alerts for drift, sudden change, intrusion and extraction exist, and logs are analysed regularly",
    room: Room::Monitoring,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-12.3", "CoP-12.4", "CoP-12.3-n1", "NCSC-P2.2", "NCSC-O1.2"],
    why: "a poisoned or drifting model keeps answering, and only measurement tells",
    remedy: "declare the alerts under monitoring.behaviour, create the PrometheusRule that holds them, and \
        record LogReview on schedule",
    gaps: &[],
    limits: &[
        "alerts of other systems than the Prometheus operator are not looked up",
        "whether alerts fire when they should is shown by evaluation only",
        "what a drift alert found is for people to look into: the report shows digests and entries, and joins them to no alert",
        "an analysis of logs by a program counts once somebody records a LogReview of it",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    if !matches!(workload.spec.type_, WorkloadType::Inference | WorkloadType::Agent) {
        return;
    }
    alerts(facts, workload, report);
    held(facts, workload, report);
    detector(facts, workload, report);
    baseline(facts, workload, report);
    reviewed(facts, workload, report);
}

fn at(workload: &api::AIWorkload, path: &str) -> Place {
    Place::field(Facts::name_of(workload), format!("spec.monitoring.{path}"))
}

/// Somebody is told of each kind of change that matters.
fn alerts(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let monitoring = workload.spec.monitoring.as_ref();
    let declared = monitoring.and_then(|monitoring| monitoring.behaviour.as_ref());
    let has = |kind: AlertKind| {
        declared.is_some_and(|behaviour| behaviour.alerts.iter().any(|alert| alert.kind == kind))
    };
    let mut exposures = workload.spec.exposure.iter();
    let outside =
        exposures.any(|exposure| matches!(exposure.audience, Some(Audience::Partner | Audience::Public)));
    let wanted: [(&str, bool, &'static [&'static str]); 4] = [
        ("drift", has(AlertKind::Drift), &["CoP-12.3"]),
        ("sudden", has(AlertKind::Sudden), &["CoP-12.3"]),
        ("intrusion", has(AlertKind::Intrusion), &["NCSC-O1.2"]),
        ("extraction", !outside || has(AlertKind::Extraction) || has(AlertKind::Abuse), &["NCSC-P2.2"]),
    ];
    for (kind, _, provisions) in wanted.into_iter().filter(|(_, there, _)| !there) {
        let place = at(workload, "behaviour.alerts");
        report
            .violated(place.clone(), format!("names no alert of kind {kind}, so nobody would be told"))
            .under(provisions)
            .fix(
                Fix::set_at(
                    &place,
                    "[+]",
                    json!({"name": format!("ALERT-{}", kind.to_uppercase()), "kind": kind}),
                )
                .after("write the alert as a PrometheusRule, and name it"),
            )
            .in_declaration(facts);
    }
}

/// Each declared alert stands in a rule, where the cluster knows such rules.
fn held(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if !facts.cluster.has_alert_rules {
        return;
    }
    let monitoring = workload.spec.monitoring.as_ref();
    let declared = monitoring.and_then(|monitoring| monitoring.behaviour.as_ref());
    let here = facts.namespace.alert_rules.values();
    let others = facts.cluster.namespaces.values().flat_map(|other| other.alert_rules.values());
    let rules: Vec<_> = here.chain(others).collect();
    for alert in declared.into_iter().flat_map(|behaviour| &behaviour.alerts) {
        if !rules.iter().any(|rule| rule.contains(&alert.name)) {
            report
                .violated(
                    at(workload, "behaviour.alerts").value(&alert.name),
                    "is an alert that no PrometheusRule of this cluster holds",
                )
                .under(&["CoP-12.3"])
                .fix(Fix::Text(format!(
                    "apply a PrometheusRule with a rule of alert: {}, or correct the name",
                    alert.name
                )))
                .may_arrive();
        }
    }
}

/// What is usual was measured, of the very models that run.
fn baseline(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let mut short = Shortfall::new(facts);
    for used in &workload.spec.models {
        if let Some(model) =
            facts.namespace.models.get(&used.name).filter(|model| model.spec.digest.is_some())
        {
            short.ask(Question::of("BehaviourBaseline", About::Model(model)).bound());
        }
    }
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-12.3"]);
}

/// Days between two analyses of logs, unless stated.
const REVIEW_DAYS: i64 = 30;

/// Logs are analysed. What is younger than the time between two analyses has nothing to analyse yet.
fn reviewed(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let stated = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.log_review.as_ref());
    let stated = stated.and_then(|review| dates::duration(&review.every)).map(|every| every.as_hours() / 24);
    let days = stated.filter(|days| *days > 0).unwrap_or(REVIEW_DAYS);
    let Some(created) = workload.metadata.creation_timestamp.as_ref() else { return };
    if facts.now.duration_since(created.0).as_hours() / 24 < days {
        return;
    }
    let mut short = Shortfall::new(facts);
    short.ask(Question::of("LogReview", About::Workload(workload)).within(days));
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-12.4"]);
}

/// A declared detector of odd inputs is in the pod, and its alert is one of those declared.
fn detector(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let declared = workload.spec.monitoring.as_ref();
    let Some((monitoring, anomaly)) = declared.and_then(|m| Some((m, m.anomaly.as_ref()?))) else {
        let reason = declared.and_then(|monitoring| monitoring.no_anomaly_reason.as_deref());
        if reason.is_none_or(is_blank) {
            undetected(facts, workload, report);
        }
        return;
    };
    if let (Some(name), Some((pod, _))) = (anomaly.container.as_deref(), facts.ai_pod())
        && !pod.containers.iter().any(|container| container.name == name)
    {
        report
            .violated(
                pod.at("spec.containers"),
                format!(
                    "has no container {name:?}, which {} declares to find odd inputs",
                    Facts::name_of(workload)
                ),
            )
            .under(&["CoP-12.3-n1"])
            .fix(
                Fix::set_at(&at(workload, "anomaly.container"), "", "CONTAINER")
                    .after(format!("add the container {name:?} to the pod, or name the one that does it")),
            )
            .may_arrive();
    }
    if let Some(alert) = anomaly.alert.as_deref()
        && !monitoring
            .behaviour
            .iter()
            .flat_map(|behaviour| &behaviour.alerts)
            .any(|known| known.name == alert)
    {
        report
            .violated(
                at(workload, "anomaly.alert").value(alert),
                "is none of spec.monitoring.behaviour.alerts",
            )
            .under(&["CoP-12.3-n1"])
            .fix(Fix::Text("add the alert there, or correct the name".to_owned()))
            .in_declaration(facts);
    }
}

/// Where anybody may send something, or a failure does serious harm, odd inputs are looked for, or it is said why not.
fn undetected(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let public = workload.spec.exposure.iter().any(|e| e.audience == Some(Audience::Public));
    let why = match (public, workload.spec.criticality) {
        (true, _) => "which everybody may send",
        (false, Criticality::Critical) => "on which something critical rests",
        _ => return,
    };
    let place = at(workload, "anomaly");
    let fix = Fix::set_at(&at(workload, "noAnomalyReason"), "", "WHY-NONE");
    report
        .violated(place, format!("is missing, so nothing looks for odd inputs, {why}"))
        .under(&["CoP-12.3-n1"])
        .fix(fix.after(
            "declare how odd inputs are found, and the container and alert that do it, in spec.monitoring.anomaly; where \
             nothing does, say why instead",
        ))
        .in_declaration(facts);
}

#[cfg(test)]
#[path = "tests/behaviour_monitored.rs"]
mod tests;
