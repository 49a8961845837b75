//! `exposure-declared`: every Service, Ingress and route to the workload matches a declared exposure.

use crate::api;
use crate::api::common::Audience;
use crate::api::workload::{Authentication, Exposure, Tls};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Labels, Place, PodFacts, Service, ServicePort, Subject};
use crate::policy::fix::Fix;
use crate::policy::selector;

/// Every Service, Ingress and route to the workload matches a declared exposure.
pub(super) const CONTROL: Control = Control {
    id: "exposure-declared",
    title: "every Service, Ingress and route to the workload matches a declared exposure",
    room: Room::Segregation,
    wave: 2,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-4.6", "CoP-6.1", "NCSC-V2.7"],
    why: "a way in that nobody declared has no audience, no sign-in and no limit",
    remedy: "declare the Service under spec.exposure with audience, authentication, TLS and version, or \
        delete the object that opens it",
    gaps: &[
        "routes of the Gateway API and the listeners behind them are not read",
        "whether an Ingress asks callers to sign in is taken from spec.exposure",
        "a Service is judged with the pods behind it, not when it is applied",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        declared(facts, workload, (index, exposure), report);
    }
    let pod = facts.pod();
    let labels: &Labels = pod.map_or(&workload.spec.selector.match_labels, |pod| pod.labels);
    for (name, service) in &facts.namespace.services {
        if selector::contains(&service.selector, labels) {
            opens(facts, workload, pod, (name, service), report);
        }
    }
}

fn at(workload: &api::AIWorkload, index: usize, field: &str) -> Place {
    Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].{field}"))
}

/// Whoever comes from outside proves who he is, over a connection that nobody reads.
fn declared(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, exposure): (usize, &Exposure),
    report: &mut Report<'_>,
) {
    let Some(audience @ (Audience::Partner | Audience::Public)) = exposure.audience else { return };
    if matches!(exposure.authn, None | Some(Authentication::Nobody)) {
        report
            .violated(
                at(workload, index, "authn").value(exposure.authn.map_or("", Authentication::as_str)),
                format!("lets callers of audience {audience} in without proof of who they are"),
            )
            .under(&["CoP-4.6", "CoP-6.1"])
            .fix(Fix::Text(
                "let callers sign in, and set authn to oidc, mtls, apiKey or serviceAccount".to_owned(),
            ))
            .in_declaration(facts);
    }
    if matches!(exposure.tls, None | Some(Tls::Plain)) {
        report
            .violated(
                at(workload, index, "tls").value(exposure.tls.map_or("", Tls::as_str)),
                format!("lets others read along what callers of audience {audience} send and get"),
            )
            .under(&["CoP-4.6"])
            .fix(Fix::Text("serve TLS, and set tls to server or mutual".to_owned()))
            .in_declaration(facts);
    }
}

/// Every way that a Service opens is a declared one.
fn opens(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    pod: Option<&PodFacts<'_>>,
    (name, service): (&str, &Service),
    report: &mut Report<'_>,
) {
    let object = format!("Service {}/{name}", facts.namespace.name);
    for (index, port) in service.ports.iter().enumerate() {
        let Some(target) = number(port, pod) else { continue };
        if service.outside.is_none() && is_metrics(workload, port, target, pod) {
            continue;
        }
        let exposure = workload.spec.exposure.iter().enumerate().find(|(_, exposure)| {
            i32::from(exposure.port) == target && exposure.service.as_ref().is_none_or(|named| named == name)
        });
        let Some((number, exposure)) = exposure else {
            report
                .violated(
                    Place::field(&object, format!("spec.ports[{index}]")).value(target.to_string()),
                    format!("leads to a port of the pods that {} does not declare in spec.exposure", Facts::name_of(workload)),
                )
                .under(&["CoP-6.1"])
                .fix(Fix::Text(format!(
                    "add {{name: NAME, service: {name}, port: {target}, audience: AUDIENCE}} to spec.exposure of {}, or: \
                     kubectl delete service {name} -n {}",
                    Facts::name_of(workload),
                    facts.namespace.name
                )))
                .may_arrive();
            continue;
        };
        if let Some(how) = service.outside {
            outward(
                facts,
                workload,
                (number, exposure),
                &format!("{object} is reached from outside by {how}"),
                report,
            );
        }
        for (ingress, known) in &facts.namespace.ingresses {
            if !known.backends.iter().any(|backend| backend == name) {
                continue;
            }
            let way = format!("Ingress {}/{ingress}", facts.namespace.name);
            outward(facts, workload, (number, exposure), &format!("{way} leads to it"), report);
            if !known.tls {
                report
                    .violated(
                        Place::field(&way, "spec.tls"),
                        "does not cover every host, so callers can come in the clear",
                    )
                    .under(&["CoP-4.6"])
                    .fix(Fix::Text(
                        "add spec.tls with every host and the Secret of its certificate".to_owned(),
                    ))
                    .may_arrive();
            }
        }
    }
}

/// What is reached from outside says for whom.
fn outward(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, exposure): (usize, &Exposure),
    why: &str,
    report: &mut Report<'_>,
) {
    match exposure.audience {
        Some(Audience::Partner | Audience::Public) => {}
        Some(Audience::Internal) if !matches!(exposure.authn, None | Some(Authentication::Nobody)) => {}
        Some(Audience::Internal) => {
            report
                .violated(at(workload, index, "authn"), format!("asks nobody who he is, though {why}"))
                .under(&["CoP-6.1"])
                .fix(Fix::Text(
                    "let callers sign in, and say how in authn, or keep the Service inside".to_owned(),
                ))
                .in_declaration(facts);
        }
        audience => {
            report
                .violated(
                    at(workload, index, "audience").value(audience.map_or("", Audience::as_str)),
                    format!("names nobody who may come, though {why}"),
                )
                .under(&["CoP-4.6"])
                .fix(Fix::Text(
                    "set audience to those who are meant to come, or keep the Service inside (type ClusterIP)".to_owned(),
                ))
                .in_declaration(facts);
        }
    }
}

/// The port of the pods behind a port of a Service. A name is looked up in the pod; without the pod it stays open.
fn number(port: &ServicePort, pod: Option<&PodFacts<'_>>) -> Option<i32> {
    let Some(target) = port.target.as_deref() else { return Some(port.port) };
    if let Ok(number) = target.parse() {
        return Some(number);
    }
    let mut ports = pod?.containers.iter().flat_map(|container| container.ports);
    ports.find(|port| port.name.as_deref() == Some(target)).map(|port| port.container_port)
}

/// Figures are read from inside the cluster, which the declaration says in another place.
fn is_metrics(
    workload: &api::AIWorkload,
    port: &ServicePort,
    target: i32,
    pod: Option<&PodFacts<'_>>,
) -> bool {
    let Some(metrics) = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.metrics.as_ref())
    else {
        return false;
    };
    let mut ports = pod.into_iter().flat_map(|pod| &pod.containers).flat_map(|container| container.ports);
    port.target.as_deref() == Some(metrics.port.as_str())
        || ports
            .any(|port| port.name.as_deref() == Some(metrics.port.as_str()) && port.container_port == target)
}

#[cfg(test)]
#[path = "tests/exposure_declared.rs"]
mod tests;
