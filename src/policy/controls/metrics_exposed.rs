//! `metrics-exposed`: what a model does can be measured before it does it for users.

use serde_json::json;

use crate::api;
use crate::api::common::MONITORING_OBSERVED;
use crate::api::workload::{Manage, Metrics, WorkloadType};
use crate::policy::containers::{ContainerView, Role};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, PodFacts, PodMonitor, ServicePort, Stage, Subject};
use crate::policy::fix::{Edit, Fix};
use crate::policy::{selector, skeleton};

/// The declared port exists and something scrapes it.
pub(super) const CONTROL: Control = Control {
    id: "metrics-exposed",
    title: "workloads that run a model declare a metrics port, their pods have it, and a monitor scrapes it",
    room: Room::Monitoring,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-12.3", "NCSC-O1.2"],
    why: "a change of behaviour that nobody measures is found by those it harms",
    remedy: "set spec.monitoring.metrics.port of the AIWorkload to the name of a container port that serves metrics",
    gaps: &[],
    limits: &["monitors of other systems than the Prometheus operator are not read"],
    check: Check::Rule(check),
};

const SCRAPE: &str = "prometheus.io/scrape";
const PORT: &str = "prometheus.io/port";
const PATH: &str = "prometheus.io/path";

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.declaration() else { return };
    let declared = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.metrics.as_ref());
    match declared {
        None if runs_a_model(workload.spec.type_) => {
            report
                .violated(
                    Place::field(Facts::name_of(workload), "spec.monitoring.metrics"),
                    "is missing, so nobody can see how the model behaves",
                )
                .under(&["CoP-12.3"])
                .fix(
                    Fix::set_at(
                        &Place::field(Facts::name_of(workload), "spec.monitoring.metrics.port"),
                        "",
                        "metrics",
                    )
                    .after("name the container port that serves metrics"),
                )
                .in_declaration(facts);
        }
        None => {}
        Some(metrics) => {
            if let Some((pod, _)) = facts.ai_pod() {
                served(facts, pod, workload, metrics, report);
            }
        }
    }
}

/// Measuring is demanded where a model answers, acts or learns; short tasks around it may declare it too.
fn runs_a_model(kind: WorkloadType) -> bool {
    use WorkloadType as T;
    matches!(kind, T::Inference | T::Agent | T::Batch | T::Training | T::FineTuning)
}

fn served(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    metrics: &Metrics,
    report: &mut Report<'_>,
) {
    let lasting = |container: &&ContainerView<'_>| matches!(container.role, Role::Main | Role::Sidecar);
    let found = pod
        .containers
        .iter()
        .filter(lasting)
        .flat_map(|container| container.ports)
        .find(|port| port.name.as_deref() == Some(metrics.port.as_str()));
    let Some(port) = found else {
        let finding = report.violated(
            pod.at("spec.containers"),
            format!(
                "no container has the port {:?} that spec.monitoring.metrics.port declares",
                metrics.port
            ),
        );
        finding.under(&["CoP-12.3"]);
        if let Some(first) = pod.containers.iter().find(|container| container.role == Role::Main) {
            finding.fix(add_port(pod, first, &metrics.port));
        }
        return;
    };
    if pod.stage == Stage::Running {
        // Never asked of a pod that enters: the first one could not, and a better one must not wait for the bad ones.
        observed(workload, report);
    }
    if facts.cluster.has_pod_monitors {
        monitored(facts, pod, workload, metrics, port.container_port, report);
    } else {
        annotated(pod, metrics, port.container_port, report);
    }
}

/// What the controller saw when it read the figures.
fn observed(workload: &api::AIWorkload, report: &mut Report<'_>) {
    let conditions = workload.status.iter().flat_map(|status| &status.conditions);
    for condition in conditions.filter(|c| c.type_ == MONITORING_OBSERVED && c.status == "False") {
        report
            .violated(
                Place::field(Facts::name_of(workload), "spec.monitoring.metrics"),
                format!("is not what pods serve: {}", condition.message),
            )
            .under(&["CoP-12.3"])
            .fix(Fix::Text(
                "serve the figures that are declared, or correct port, path, scheme or required".to_owned(),
            ))
            .may_arrive();
    }
}

fn add_port(pod: &PodFacts<'_>, container: &ContainerView<'_>, name: &str) -> Fix {
    let number =
        (9090..=9999).find(|n| container.ports.iter().all(|port| port.container_port != *n)).unwrap_or(9090);
    let port = json!({"name": name, "containerPort": number});
    let ports = container.path("ports");
    match container.ports.len() {
        0 => Fix::set(format!("{}{ports}", pod.prefix), json!([port])),
        next => Fix::set(format!("{}{ports}[{next}]", pod.prefix), port),
    }
}

fn monitored(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    metrics: &Metrics,
    number: i32,
    report: &mut Report<'_>,
) {
    let namespace = &facts.namespace.name;
    let number = number.to_string();
    let scrapes = |monitor: &PodMonitor, own: bool| {
        let here = match &monitor.namespaces {
            None => own,
            Some(names) => names.iter().any(|name| name == "*" || name == namespace),
        };
        here && selector::matches(&monitor.selector, pod.labels)
            && monitor.ports.iter().any(|port| *port == metrics.port || *port == number)
    };
    let elsewhere = || {
        let others = facts.cluster.namespaces.values().filter(|other| other.name != *namespace);
        others.flat_map(|other| other.pod_monitors.values()).any(|monitor| scrapes(monitor, false))
    };
    let by_service = || by_service(facts, pod, metrics, &number);
    if facts.namespace.pod_monitors.values().any(|monitor| scrapes(monitor, true))
        || elsewhere()
        || by_service()
    {
        return;
    }
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    let place = Place::object(format!("PodMonitor {namespace}/{name}"));
    let wanted = format!("no PodMonitor selects this pod and its port {:?}", metrics.port);
    let (what, fix) = if workload.spec.manage == Manage::Generate {
        (
            format!("is not generated yet, and {wanted}"),
            Fix::Text(
                "wait until the operator has generated it; the pod is tried again by itself".to_owned(),
            ),
        )
    } else {
        let fix = format!(
            "apply a PodMonitor in namespace {namespace:?} that selects the labels of the pod and port {:?}, or set \
             spec.manage of the AIWorkload to Generate",
            metrics.port
        );
        (wanted, Fix::Record(fix, skeleton::monitor(namespace, name, pod.labels, &metrics.port)))
    };
    report.violated(place, what).under(&["CoP-12.3"]).fix(fix).may_arrive();
}

/// Whether a `ServiceMonitor` scrapes the port through a Service that selects the pod.
fn by_service(facts: &Facts<'_>, pod: &PodFacts<'_>, metrics: &Metrics, number: &str) -> bool {
    let leads_here = |port: &&ServicePort| match port.target.as_deref() {
        Some(target) => target == metrics.port || target == number,
        None => port.port.to_string() == number,
    };
    let services: Vec<_> = facts
        .namespace
        .services
        .values()
        .filter(|service| !service.selector.is_empty() && selector::contains(&service.selector, pod.labels))
        .collect();
    let scrapes = |monitor: &PodMonitor, own: bool| {
        let here = match &monitor.namespaces {
            None => own,
            Some(names) => names.iter().any(|name| name == "*" || *name == facts.namespace.name),
        };
        here && services.iter().any(|service| {
            selector::matches(&monitor.selector, &service.labels)
                && service.ports.iter().filter(leads_here).any(|port| {
                    monitor.ports.iter().any(|named| {
                        (*named == port.name && !port.name.is_empty())
                            || port.target.as_deref() == Some(named.as_str())
                            || named == number
                    })
                })
        })
    };
    !services.is_empty()
        && (facts.namespace.service_monitors.values().any(|monitor| scrapes(monitor, true))
            || facts
                .cluster
                .namespaces
                .values()
                .filter(|other| other.name != facts.namespace.name)
                .flat_map(|other| other.service_monitors.values())
                .any(|monitor| scrapes(monitor, false)))
}

/// Where no monitor kind is installed, the annotations that every Prometheus set-up knows.
fn annotated(pod: &PodFacts<'_>, metrics: &Metrics, number: i32, report: &mut Report<'_>) {
    let number = number.to_string();
    let path = metrics.path.as_deref().unwrap_or("/metrics");
    let has = |key: &str| pod.annotations.get(key).map(String::as_str);
    let right_path = has(PATH).unwrap_or("/metrics") == path;
    if has(SCRAPE) == Some("true") && has(PORT) == Some(number.as_str()) && right_path {
        return;
    }
    let set =
        |key: &str, value: &str| Edit::set(format!("{}metadata.annotations[{key:?}]", pod.prefix), value);
    let mut edits = vec![set(SCRAPE, "true"), set(PORT, &number)];
    if !right_path {
        edits.push(set(PATH, path));
    }
    report
        .violated(
            pod.at("metadata.annotations"),
            format!(
                "do not ask for port {number} and {path} to be scraped, and this cluster has no PodMonitors"
            ),
        )
        .under(&["CoP-12.3"])
        .fix(Fix::Change(edits));
}

#[cfg(test)]
#[path = "tests/metrics_exposed.rs"]
mod tests;
