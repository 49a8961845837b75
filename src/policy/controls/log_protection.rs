//! `log-protection`: log sinks fit the sensitivity, use TLS, keep for the agreed time and are read by
//! few.

use serde_json::json;

use crate::api;
use crate::api::common::Sensitivity;
use crate::api::workload::{IoLogMode, LogSink, SinkKind};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;
use crate::policy::rights::{self, Right};

/// Log sinks fit the sensitivity, use TLS, keep for the agreed time and are read by few.
pub(super) const CONTROL: Control = Control {
    id: "log-protection",
    title: "log sinks fit the sensitivity, use TLS, keep for the agreed time and are read by few",
    room: Room::Monitoring,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-12.1", "NCSC-V2.2"],
    why: "logs of prompts and answers are as sensitive as the conversation itself",
    remedy: "send logs to a sink with TLS, sensitivity and readers declared under monitoring.ioLog, and \
        restrict pods/log",
    gaps: &[],
    limits: &[
        "whether a sink only appends or signs what it keeps is not seen",
        "how an outside log platform handles what it gets is for its supplier's evidence",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match facts.subject {
        Subject::Pod(_) | Subject::Workload(_) => {}
        Subject::Namespace => return readers(facts, report),
        _ => return,
    }
    let Some(workload) = facts.ai_workload() else { return };
    let log = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.io_log.as_ref());
    // Without a log there is nothing to protect; io-logging-sink says whether that is right.
    let Some(log) = log.filter(|log| log.mode != IoLogMode::Nothing) else { return };
    let (Some(sink), Some(wanted)) = (&log.sink, facts.namespace.sensitivity()) else { return };
    // Figures alone hold nothing of what users said.
    let wanted = if log.mode == IoLogMode::Metadata { wanted.min(Sensitivity::Internal) } else { wanted };
    fits(facts, workload, sink, wanted, report);
    if matches!(sink.kind, SinkKind::Service | SinkKind::ExternalApi) && sink.tls != Some(true) {
        report
            .violated(at(workload, "tls"), "is not true, so the log can be read and changed on its way")
            .under(&["NCSC-V2.2"])
            .fix(Fix::set_at(&at(workload, "tls"), "", true).after("let the sink take TLS"))
            .in_declaration(facts);
    }
    if wanted >= Sensitivity::Confidential && log.retention.is_none() {
        let place = Place::field(Facts::name_of(workload), "spec.monitoring.ioLog.retention");
        report
            .violated(place.clone(), format!("is not set, though the log holds {wanted} data"))
            .under(&["CoP-12.1"])
            .fix(Fix::set_at(&place, "", "P30D").after("decide how long the log is kept"))
            .in_declaration(facts);
    }
}

/// What pods write to their logs is read by few.
fn readers(facts: &Facts<'_>, report: &mut Report<'_>) {
    let right = Right::ReadLogs;
    let found = rights::tell(facts, |held| held.rights.has(right), right.clause(), rights::READ_LOGS, report);
    if let Some(finding) = found {
        finding.under(&["NCSC-V2.2"]);
    }
}

fn at(workload: &api::AIWorkload, field: &str) -> Place {
    Place::field(Facts::name_of(workload), format!("spec.monitoring.ioLog.sink.{field}"))
}

fn fits(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    sink: &LogSink,
    wanted: Sensitivity,
    report: &mut Report<'_>,
) {
    if wanted < Sensitivity::Confidential {
        if let Some(less) = sink.sensitivity.filter(|less| *less < wanted) {
            lower(facts, workload, less, wanted, report);
        }
        return;
    }
    if sink.kind == SinkKind::Stdout {
        report
            .violated(
                at(workload, "kind").value("stdout"),
                format!(
                    "lies on the node and is open to whoever reads pod logs, though it holds {wanted} data"
                ),
            )
            .under(&["NCSC-V2.2"])
            .fix(
                Fix::set_at(
                    &Place::field(Facts::name_of(workload), "spec.monitoring.ioLog.sink"),
                    "",
                    json!({
                        "kind": "service", "ref": "NAMESPACE/SERVICE", "tls": true, "sensitivity": wanted.as_str(),
                        "readers": ["GROUP"]
                    }),
                )
                .after(format!("send the log to a Service or volume for {wanted} data that few may read")),
            )
            .in_declaration(facts);
        return;
    }
    match sink.sensitivity {
        Some(enough) if enough >= wanted => {}
        Some(less) => lower(facts, workload, less, wanted, report),
        None => {
            report
                .violated(at(workload, "sensitivity"), format!("is not set, though {wanted} data goes there"))
                .under(&["NCSC-V2.2"])
                .fix(enough(workload, wanted))
                .in_declaration(facts);
        }
    }
    if sink.readers.is_empty() {
        report
            .violated(
                at(workload, "readers"),
                format!("is empty, so nobody decided who may read {wanted} data there"),
            )
            .under(&["NCSC-V2.2"])
            .fix(
                Fix::set_at(&at(workload, "readers"), "", json!(["GROUP"]))
                    .after("name the few groups that may read the log"),
            )
            .in_declaration(facts);
    }
}

fn enough(workload: &api::AIWorkload, wanted: Sensitivity) -> Fix {
    Fix::set_at(&at(workload, "sensitivity"), "", wanted.as_str())
        .after(format!("choose a sink that is fit for {wanted} data, and say so"))
}

fn lower(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    less: Sensitivity,
    wanted: Sensitivity,
    report: &mut Report<'_>,
) {
    report
        .violated(
            at(workload, "sensitivity").value(less.as_str()),
            format!("is less than the {wanted} data that is logged there"),
        )
        .under(&["NCSC-V2.2"])
        .fix(enough(workload, wanted))
        .in_declaration(facts);
}

#[cfg(test)]
#[path = "tests/log_protection.rs"]
mod tests;
