//! `behaviour-monitored`: alerts for drift, sudden change, intrusion and extraction exist, and logs are
//! analysed regularly.

use crate::api;
use crate::api::common::Audience;
use crate::api::workload::{AlertKind, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
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
    gaps: &[
        "analyses of logs and baselines of behaviour are not asked for",
        "whether a PrometheusRule holds the declared alerts is not yet looked up",
        "whether alerts fire when they should is shown by evaluation only",
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
    detector(facts, workload, report);
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
        report
            .violated(at(workload, "behaviour.alerts"), format!("names no alert of kind {kind}, so nobody would be told"))
            .under(provisions)
            .fix(Fix::Text(format!(
                "write the alert as a PrometheusRule, and add {{name: ALERT, kind: {kind}}} to spec.monitoring.behaviour.alerts"
            )))
            .in_declaration(facts);
    }
}

/// A declared detector of odd inputs is in the pod, and its alert is one of those declared.
fn detector(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let Some(monitoring) = workload.spec.monitoring.as_ref() else { return };
    let Some(anomaly) = &monitoring.anomaly else { return };
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
            .fix(Fix::Text("add the container, or correct spec.monitoring.anomaly.container".to_owned()))
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

#[cfg(test)]
#[path = "tests/behaviour_monitored.rs"]
mod tests;
