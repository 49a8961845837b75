//! `io-logging-sink`: what goes into a model and what comes out can be looked at afterwards.

use k8s_openapi::api::core::v1::PersistentVolumeClaimVolumeSource;

use serde_json::{Value, json};

use crate::api;
use crate::api::common::{Audience, LOG_SINK_OBSERVED, RECORDS_OBSERVED, Sensitivity};
use crate::api::workload::{
    InternalStates, InternalStatesDecision, IoLog, IoLogMode, LogSink, Manage, Pricing, SinkKind,
    WorkloadType,
};
use crate::policy::blanks::is_blank;
use crate::policy::containers::{ContainerView, Role};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::facts::{Facts, Place, PodFacts, Stage, Subject};
use crate::policy::fix::Fix;
use crate::policy::skeleton;

/// Inputs and outputs are logged to a sink that exists, or the data controller gave a reason.
pub(super) const CONTROL: Control = Control {
    id: "io-logging-sink",
    title: "inputs and outputs are logged by a container of the pod or a gateway to a sink that exists, or a reason is given",
    room: Room::Monitoring,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-12.1", "CoP-12.2", "NCSC-P3.5"],
    why: "without a record of what was asked and answered neither misuse nor harm can be investigated",
    remedy: "set spec.monitoring.ioLog of the AIWorkload with mode, container and sink, and record the decision on \
        internalStates",
    gaps: &[],
    limits: &[
        "members of the groups that are data controllers are not known, so a decision under a group is taken as theirs",
        "whether each single request is logged shows only where the program counts its records",
    ],
    check: Check::Rule(check),
};

/// How long a decision holds, in hours: 365 days.
const DECISION_HOURS: i64 = 365 * 24;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.declaration() else { return };
    let declared = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.io_log.as_ref());
    let answers = matches!(workload.spec.type_, WorkloadType::Inference | WorkloadType::Agent);
    match declared {
        Some(log) if workload.spec.type_ != WorkloadType::Supporting => logged(facts, workload, log, report),
        None if answers => {
            report
                .violated(at(workload, "spec.monitoring.ioLog"), "is missing, so nobody can see what was asked and answered")
                .under(&["CoP-12.1"])
                .fix(
                    Fix::set_at(
                        &at(workload, "spec.monitoring.ioLog"),
                        "",
                        json!({"mode": "full", "container": "CONTAINER", "sink": sink(facts)}),
                    )
                    .after("name the container that logs (mode none with a reason by the data controller is possible)"),
                )
                .in_declaration(facts);
        }
        _ => {}
    }
    if answers {
        internal_states(facts, workload, report);
        offered(facts, workload, report);
    }
}

fn at(workload: &api::AIWorkload, path: &str) -> Place {
    Place::field(Facts::name_of(workload), path)
}

fn logged(facts: &Facts<'_>, workload: &api::AIWorkload, log: &IoLog, report: &mut Report<'_>) {
    justified(facts, workload, log, report);
    if log.mode == IoLogMode::Nothing {
        return;
    }
    logger(facts, workload, log, report);
    if facts.pod().is_some_and(|pod| pod.stage == Stage::Running) {
        observed(workload, report);
    }
    match &log.sink {
        Some(sink) => reachable(facts, workload, log, sink, report),
        None => {
            report
                .violated(at(workload, "spec.monitoring.ioLog.sink"), "is missing, so the log goes nowhere")
                .under(&["CoP-12.1"])
                .fix(
                    Fix::set_at(&at(workload, "spec.monitoring.ioLog.sink"), "", sink(facts))
                        .after("say where it goes: a service, externalApi, pvc or stdout"),
                )
                .in_declaration(facts);
        }
    }
}

/// Where a log may go by default: sensitive data does not stay on the node.
fn sink(facts: &Facts<'_>) -> Value {
    if facts.namespace.sensitivity() >= Some(Sensitivity::Confidential) {
        json!({"kind": "service", "ref": "NAMESPACE/SERVICE", "tls": true})
    } else {
        json!({"kind": "stdout"})
    }
}

/// What the controller saw of the sink. Never asked of a pod that enters: the sink may come up after it.
fn observed(workload: &api::AIWorkload, report: &mut Report<'_>) {
    let conditions = workload.status.iter().flat_map(|status| &status.conditions);
    for condition in conditions.filter(|c| c.status == "False") {
        let (field, what) = match condition.type_.as_str() {
            LOG_SINK_OBSERVED => ("sink", "takes no records now"),
            RECORDS_OBSERVED => ("counter", "stands still while requests come"),
            _ => continue,
        };
        report
            .violated(
                at(workload, &format!("spec.monitoring.ioLog.{field}")),
                format!("{what}: {}", condition.message),
            )
            .under(&["CoP-12.1"])
            .fix(Fix::Text("bring the sink up, or name another one".to_owned()))
            .may_arrive();
    }
}

/// Less than everything is logged for a reason; without the content, for one that a data controller stands for.
fn justified(facts: &Facts<'_>, workload: &api::AIWorkload, log: &IoLog, report: &mut Report<'_>) {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let mode = log.mode;
    if mode == IoLogMode::Full {
        return;
    }
    let without_content = mode != IoLogMode::Redacted;
    if !given(&log.reason) && (without_content || !given(&log.lawful_basis)) {
        let ways = if without_content { "reason" } else { "reason or lawfulBasis" };
        report
            .violated(
                at(workload, "spec.monitoring.ioLog.reason"),
                format!("is missing, and mode {:?} needs one", mode.as_str()),
            )
            .under(&["CoP-12.1"])
            .fix(
                Fix::set_at(&at(workload, "spec.monitoring.ioLog.mode"), "", "full")
                    .after(format!("let the data controller set {ways}, or log everything")),
            )
            .in_declaration(facts);
    }
    if !without_content {
        return;
    }
    let controllers = &workload.spec.owners.data_controllers;
    let decided_by = log.decided_by.as_deref().unwrap_or_default();
    let known =
        controllers.iter().any(|party| party.group.is_some() || party.user.as_deref() == Some(decided_by));
    if decided_by.is_empty() || !known {
        report
            .violated(
                at(workload, "spec.monitoring.ioLog.decidedBy").value(decided_by),
                "names no data controller of this workload, who alone may do without the content",
            )
            .under(&["CoP-12.1"])
            .fix(
                Fix::set_at(&at(workload, "spec.monitoring.ioLog.mode"), "", "full")
                    .after("let one of spec.owners.dataControllers decide, or log everything"),
            )
            .in_declaration(facts);
    }
}

/// The container that logs is there, or a gateway in front does it.
fn logger(facts: &Facts<'_>, workload: &api::AIWorkload, log: &IoLog, report: &mut Report<'_>) {
    let Some(name) = log.container.as_deref() else {
        if workload.spec.exposure.iter().any(|exposure| exposure.configured_by.is_some()) {
            return;
        }
        report
            .violated(
                at(workload, "spec.monitoring.ioLog.container"),
                "is missing, and no exposure names a gateway in configuredBy that could log instead",
            )
            .under(&["CoP-12.1"])
            .fix(
                Fix::set_at(&at(workload, "spec.monitoring.ioLog.container"), "", "CONTAINER")
                    .after("name the gateway in spec.exposure[].configuredBy, or the container that logs"),
            )
            .in_declaration(facts);
        return;
    };
    let Some(pod) = facts.governed_pod() else { return };
    if lasting(pod).all(|container| container.name != name) {
        let present: Vec<String> = lasting(pod).map(|container| format!("{:?}", container.name)).collect();
        report
            .violated(
                pod.at("spec.containers"),
                format!("has no container {name:?}, which spec.monitoring.ioLog.container says logs inputs and outputs"),
            )
            .under(&["CoP-12.1"])
            .fix(
                Fix::set_at(&at(workload, "spec.monitoring.ioLog.container"), "", "CONTAINER")
                    .after(format!("add the container, or name the one that logs, of {}", present.join(", "))),
            );
    }
}

fn lasting<'p, 'a>(pod: &'p PodFacts<'a>) -> impl Iterator<Item = &'p ContainerView<'a>> {
    pod.containers.iter().filter(|container| matches!(container.role, Role::Main | Role::Sidecar))
}

/// The sink exists, and the declaration opens the way to it.
fn reachable(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    log: &IoLog,
    sink: &LogSink,
    report: &mut Report<'_>,
) {
    let target = sink.ref_.as_deref().unwrap_or_default();
    let place = || at(workload, "spec.monitoring.ioLog.sink.ref").value(target);
    match sink.kind {
        SinkKind::Stdout => {}
        SinkKind::Service => service(facts, workload, sink, target, report),
        SinkKind::ExternalApi => {
            if !workload.spec.external_apis.iter().any(|api| api.name == target) {
                report
                    .violated(place(), "is no entry of spec.externalApis")
                    .under(&["CoP-12.1"])
                    .fix(
                        Fix::set_at(
                            &at(workload, "spec.externalApis[+]"),
                            "",
                            json!({
                                "name": target, "host": "HOST", "port": 443, "supplierRef": "SUPPLIER",
                                "dataClasses": ["SENSITIVITY"], "cidrs": ["ADDRESS-RANGE"]
                            }),
                        )
                        .after("declare it with its host and addresses"),
                    )
                    .in_declaration(facts);
            }
        }
        SinkKind::Volume => {
            let Some(pod) = facts.governed_pod() else { return };
            if !writes_to(pod, target, log.container.as_deref()) {
                report
                    .violated(place(), "is a claim that the logging container does not mount for writing")
                    .under(&["CoP-12.1"])
                    .fix(Fix::Text(
                        "mount the claim in the container that logs, or name another sink".to_owned(),
                    ))
                    .in_declaration(facts);
            }
        }
    }
}

fn service(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    sink: &LogSink,
    target: &str,
    report: &mut Report<'_>,
) {
    let own = facts.namespace.name.as_str();
    let place = || at(workload, "spec.monitoring.ioLog.sink.ref").value(target);
    let (namespace, name) = target.split_once('/').unwrap_or((own, target));
    let home = if namespace == own { Some(facts.namespace) } else { facts.cluster.namespaces.get(namespace) };
    let Some(ports) = home.and_then(|home| home.services.get(name)).map(|service| &service.ports) else {
        report
            .violated(place(), format!("no Service {name:?} exists in namespace {namespace:?}"))
            .under(&["CoP-12.1"])
            .fix(Fix::Record(
                "name another sink, or create the Service".to_owned(),
                skeleton::service(namespace, name),
            ))
            .may_arrive();
        return;
    };
    if let Some(port) = sink.port.filter(|port| ports.iter().all(|known| known.port != i32::from(*port))) {
        report
            .violated(
                at(workload, "spec.monitoring.ioLog.sink.port").value(port.to_string()),
                format!("is no port of Service {namespace}/{name}"),
            )
            .under(&["CoP-12.1"])
            .fix(match ports.first() {
                Some(port) => Fix::set_at(&at(workload, "spec.monitoring.ioLog.sink.port"), "", port.port),
                None => Fix::Text("name a port of the Service".to_owned()),
            })
            .may_arrive();
    }
    // Generated policies open what spec.services declares; whoever only observes writes the policies himself.
    let opened =
        workload.spec.services.iter().any(|used| used.namespace.as_deref().unwrap_or(own) == namespace);
    if workload.spec.manage == Manage::Generate && !opened {
        report
            .violated(
                place(),
                format!("no entry of spec.services opens the way to namespace {namespace:?}, so nothing would arrive there"),
            )
            .under(&["CoP-12.1"])
            .fix(
                Fix::set_at(
                    &at(workload, "spec.services[+]"),
                    "",
                    json!({
                        "name": name, "namespace": namespace, "podLabels": {"LABEL": "VALUE"},
                        "ports": ports.iter().take(1).map(|port| port.port).collect::<Vec<_>>()
                    }),
                )
                .after("declare the pods of the sink"),
            )
            .in_declaration(facts);
    }
}

fn writes_to(pod: &PodFacts<'_>, claim: &str, container: Option<&str>) -> bool {
    let holds = |source: &PersistentVolumeClaimVolumeSource| {
        source.claim_name == claim && source.read_only != Some(true)
    };
    let volumes = pod.spec.volumes.iter().flatten();
    let names: Vec<&str> = volumes
        .filter(|volume| volume.persistent_volume_claim.as_ref().is_some_and(holds))
        .map(|volume| volume.name.as_str())
        .collect();
    lasting(pod).filter(|view| container.is_none_or(|name| view.name == name)).any(|view| {
        view.mounts.iter().any(|mount| names.contains(&mount.name.as_str()) && mount.read_only != Some(true))
    })
}

/// Whether internal states are logged is decided, with a reason, and decided again every year.
fn internal_states(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let decided =
        workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.internal_states.as_ref());
    let (place, what) = match decided {
        None => (
            at(workload, "spec.monitoring.internalStates"),
            "is missing: nobody decided whether to log internal states of the model".to_owned(),
        ),
        Some(states) if is_blank(&states.reason) => {
            (at(workload, "spec.monitoring.internalStates.reason"), "is empty".to_owned())
        }
        Some(states) => {
            let text = states.decided_at.as_deref().unwrap_or_default();
            let place = at(workload, "spec.monitoring.internalStates.decidedAt").value(text);
            match dates::from(text) {
                None => (place, "is no date, so nobody knows whether the decision still holds".to_owned()),
                Some(day) if facts.now.duration_since(day).as_hours() > DECISION_HOURS => {
                    (place, "is more than 365 days ago".to_owned())
                }
                Some(_) if dates::ahead(text, facts.now) => (place, "lies ahead".to_owned()),
                Some(_) => return kept_well(facts, workload, states, report),
            }
        }
    };
    let fix = if decided.is_some_and(|states| !is_blank(&states.reason)) {
        Fix::set_at(&at(workload, "spec.monitoring.internalStates.decidedAt"), "", "YYYY-MM-DD")
    } else {
        let decision = json!({"decision": "DECISION", "reason": "REASON", "decidedBy": "USER", "decidedAt": "YYYY-MM-DD"});
        Fix::set_at(&at(workload, "spec.monitoring.internalStates"), "", decision)
    };
    report
        .violated(place, what)
        .under(&["CoP-12.2"])
        .fix(fix.after("weigh it, and decide for logged or notLogged"))
        .in_declaration(facts);
}

/// What shows the insides of a model goes to a place that is fit for it.
fn kept_well(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    states: &InternalStates,
    report: &mut Report<'_>,
) {
    if states.decision != InternalStatesDecision::Logged {
        return;
    }
    let place = |field: &str| at(workload, &format!("spec.monitoring.internalStates.sink{field}"));
    let Some(sink) = &states.sink else {
        report
            .violated(place(""), "is missing, so nobody knows where internal states of the model go")
            .under(&["CoP-12.2"])
            .fix(Fix::Text("name the sink with kind, ref, sensitivity, tls and readers".to_owned()))
            .in_declaration(facts);
        return;
    };
    // What a model holds is at least as sensitive as the namespace that runs it.
    let wanted = facts.namespace.sensitivity().unwrap_or(Sensitivity::Restricted);
    let leaves = matches!(sink.kind, SinkKind::Service | SinkKind::ExternalApi);
    let fault = if wanted >= Sensitivity::Confidential && sink.kind == SinkKind::Stdout {
        Some((
            ".kind",
            format!("lies on the node, open to whoever reads pod logs, though it shows {wanted} data"),
        ))
    } else if sink.sensitivity.is_none_or(|stated| stated < wanted) {
        let stated = sink.sensitivity.map_or("not stated", Sensitivity::as_str);
        Some((".sensitivity", format!("is {stated}, and the insides of the model show {wanted} data")))
    } else if leaves && sink.tls != Some(true) {
        Some((".tls", "is not true, so internal states can be read on their way".to_owned()))
    } else if wanted >= Sensitivity::Confidential && sink.readers.is_empty() {
        Some((".readers", format!("is empty, so nobody decided who may read {wanted} data there")))
    } else {
        None
    };
    if let Some((field, what)) = fault {
        report
            .violated(place(field), what)
            .under(&["CoP-12.2"])
            .fix(Fix::Text(format!("choose a sink that is fit for {wanted} data, and state it")))
            .in_declaration(facts);
    }
}

/// Customers get the log of their own requests, as part of the service.
fn offered(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        if !matches!(exposure.audience, Some(Audience::Partner | Audience::Public)) {
            continue;
        }
        let offer = exposure.audit_log.as_ref();
        let (field, what) = if offer.and_then(|offer| offer.available) != Some(true) {
            ("available", "is not true, so those who use the service cannot see what was done in their name")
        } else if offer.and_then(|offer| offer.pricing) == Some(Pricing::Extra) {
            ("pricing", "asks for a surcharge on what users need to respond to incidents")
        } else {
            continue;
        };
        report
            .violated(at(workload, &format!("spec.exposure[{index}].auditLog.{field}")), what)
            .under(&["NCSC-P3.5"])
            .fix(
                Fix::set_at(
                    &at(workload, &format!("spec.exposure[{index}].auditLog")),
                    "",
                    json!({"available": true, "pricing": "included"}),
                )
                .after("give users the log of their own requests within the price"),
            )
            .in_declaration(facts);
    }
}

#[cfg(test)]
#[path = "tests/io_logging_sink.rs"]
mod tests;
