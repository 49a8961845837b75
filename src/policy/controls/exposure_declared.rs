//! `exposure-declared`: every Service, Ingress, route and network policy that leads to the workload matches a declared exposure.

mod inlets;
mod led;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::json;

use crate::api;
use crate::api::common::Audience;
use crate::api::workload::{Authentication, Exposure, Tls, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Labels, Namespace, Place, PodFacts, Service, ServicePort, Subject, Way};
use crate::policy::figures::{figures, is_metrics};
use crate::policy::fix::Fix;
use crate::policy::selector;
use led::Led;

/// Whatever leads to the workload matches a declared exposure.
pub(super) const CONTROL: Control = Control {
    id: "exposure-declared",
    title: "every Service, Ingress, route and network policy that leads to the workload matches a declared exposure",
    room: Room::Segregation,
    wave: 2,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-4.6", "CoP-6.1", "NCSC-V2.7"],
    why: "a way in that nobody declared has no audience, no sign-in and no limit",
    remedy: "declare the Service under spec.exposure with audience, authentication, TLS and version, or \
        delete the object that opens it",
    gaps: &[],
    limits: &[
        "whether callers are really asked who they are, on the way or in the pod, is taken from spec.exposure: an assessment shows it",
        "what speaks TLS behind a TCPRoute or a UDPRoute is taken from spec.exposure",
        "a route of another namespace counts where a ReferenceGrant lets it lead to the Service, as the Gateway API has it; a gateway that asks for none lets in what nobody sees here",
        "a Service or a network policy whose port is a name is judged with the pods behind it, which know the number",
        "an exposure without spec.exposure[].from leaves it to network policies which pods and private addresses reach its port",
        "a Service of type ExternalName is followed to the Service that it names (NAME.NAMESPACE.svc), not by names of other DNS zones",
        "a Service without a selector that is reached from inside alone leads where its EndpointSlices say; who may write those is a matter of RBAC (no built-in role but that of the cluster's administrators), and the network policies hold there too",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Pod(_) | Subject::Workload(_) => {}
        Subject::Way(way) if facts.namespace.governed() => return written(facts, way, report),
        Subject::NetworkPolicy { name, spec, generated: false } if facts.namespace.governed() => {
            return inlets::written(facts, name, spec, report);
        }
        _ => return,
    }
    let Some(workload) = facts.ai_workload() else { return };
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        declared(facts, workload, (index, exposure), report);
    }
    let pod = facts.pod();
    if let Some(pod) = pod {
        figures(facts, workload, pod, report);
        inlets::of_pod(facts, workload, pod, report);
    }
    let labels: &Labels = pod.map_or(&workload.spec.selector.match_labels, |pod| pod.labels);
    for (name, service) in &facts.namespace.services {
        if selector::contains(&service.selector, labels) {
            opens(facts, workload, pod, (name, service), report);
        } else {
            unselecting(facts, (name, service), report);
        }
    }
}

/// What is reached from outside says itself where it leads.
fn unselecting(facts: &Facts<'_>, (name, service): (&str, &Service), report: &mut Report<'_>) {
    let home = &facts.namespace;
    if !service.selector.is_empty() || service.external_name.is_some() {
        return;
    }
    let how = service.outside.map(str::to_owned).or_else(|| {
        let ingress = home.ingresses.iter().find(|(_, known)| known.backends.iter().any(|b| b == name));
        let route = || home.routes.iter().find(|(_, route)| route.leads_to(&home.name, name, true));
        ingress.map(|(ingress, _)| format!("Ingress {ingress:?}")).or_else(|| {
            route().map(|(key, _)| {
                let (kind, name) = key.split_once('/').unwrap_or(("route", key));
                format!("{kind} {name:?}")
            })
        })
    });
    let Some(how) = how else { return };
    let object = format!("Service {}/{name}", home.name);
    report
        .violated(
            Place::field(object, "spec.selector"),
            format!("is empty, and {how} leads to it from outside: it goes to whatever addresses somebody writes"),
        )
        .under(&["CoP-6.1"])
        .fix(Fix::Text(format!(
            "select the pods by their labels in spec.selector, or close the way with `kubectl delete service {name} -n {}`",
            home.name
        )))
        .may_arrive();
}

/// The workloads whose pods a Service leads to, as far as declarations tell: it selects them all, or some of them by more labels.
/// One that selects by what the cluster gives to pods may lead to any; those are meant that declare its ports, or the first where
/// none does.
fn behind<'a>(home: &'a Namespace, service: &Service) -> Vec<&'a api::AIWorkload> {
    let all = || {
        let all = home.workloads.values().map(AsRef::as_ref);
        all.filter(|workload: &&'a api::AIWorkload| workload.spec.type_ != WorkloadType::Supporting)
    };
    let labels = |workload: &'a api::AIWorkload| &workload.spec.selector.match_labels;
    let certain = |workload: &&'a api::AIWorkload| {
        selector::contains(&service.selector, labels(workload))
            || selector::contains(labels(workload), &service.selector)
    };
    let mut found: Vec<&api::AIWorkload> = all().filter(certain).collect();
    if !found.is_empty() || !service.selector.keys().any(|key| selector::is_given(key)) {
        return found;
    }
    let wanted = LabelSelector { match_labels: Some(service.selector.clone()), match_expressions: None };
    let mut may_be = all().filter(|workload| selector::concerns(&wanted, labels(workload)));
    let declares = |workload: &&'a api::AIWorkload| {
        let declared = |target| workload.spec.exposure.iter().any(|e| i32::from(e.port) == target);
        let metrics = |port: &ServicePort, target| {
            service.outside.is_none() && is_metrics(workload, port, target, None)
        };
        let fits = |port: &ServicePort| {
            number(port, None).is_none_or(|target| declared(target) || metrics(port, target))
        };
        service.ports.iter().all(fits)
    };
    let first = may_be.next();
    found.extend(first.into_iter().chain(may_be).filter(declares));
    if found.is_empty() { first.into_iter().collect() } else { found }
}

/// A way that somebody writes leads to declared exposures only; without its Service it leads nowhere yet.
fn written(facts: &Facts<'_>, way: &Way<'_>, report: &mut Report<'_>) {
    if let Way::Service(name, service) = *way {
        unselecting(facts, (name, service), report);
        for workload in behind(facts.namespace, service) {
            opens(facts, workload, None, (name, service), report);
        }
        // Nobody calls it from outside by its name alone.
        let led = led::all(facts, facts.namespace, name);
        if !led.is_empty() {
            onward(facts, (name, service), led, report);
        }
        return;
    }
    let home = facts.namespace;
    for (name, service) in &home.services {
        let led = match *way {
            Way::Ingress(key, ingress) if ingress.backends.contains(name) => led::ingress(home, key, ingress),
            Way::Route(key, route) if route.leads_to(&home.name, name, true) => {
                led::route(facts, home, (&home.name, key, route), None)
            }
            _ => continue,
        };
        for workload in behind(home, service) {
            led_to(facts, (home, workload, None), (name, service), std::slice::from_ref(&led), report);
        }
        onward(facts, (name, service), vec![led], report);
    }
}

/// What leads to a Service that stands for another leads to that one, wherever it is.
fn onward(facts: &Facts<'_>, (name, service): (&str, &Service), led: Vec<Led>, report: &mut Report<'_>) {
    let Some((home, end, of)) = led::end(facts, service) else { return };
    let led: Vec<Led> = led.into_iter().map(|led| led.by(facts.namespace, name)).collect();
    for workload in behind(home, of).into_iter().filter(|_| home.governed()) {
        led_to(facts, (home, workload, None), (end, of), &led, report);
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
            .fix(
                Fix::set_at(&at(workload, index, "authn"), "", "oidc")
                    .after("let callers sign in (by oidc, mtls, apiKey or serviceAccount)"),
            )
            .in_declaration(facts);
    }
    if matches!(exposure.tls, None | Some(Tls::Plain)) {
        report
            .violated(
                at(workload, index, "tls").value(exposure.tls.map_or("", Tls::as_str)),
                format!("lets others read along what callers of audience {audience} send and get"),
            )
            .under(&["CoP-4.6"])
            .fix(Fix::set_at(&at(workload, index, "tls"), "", "server").after("serve TLS"))
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
    let led = led::all(facts, facts.namespace, name);
    led_to(facts, (facts.namespace, workload, pod), (name, service), &led, report);
}

/// Each port of a Service is a declared exposure, and what leads to it from outside fits that exposure.
fn led_to(
    facts: &Facts<'_>,
    (home, workload, pod): (&Namespace, &api::AIWorkload, Option<&PodFacts<'_>>),
    (name, service): (&str, &Service),
    led: &[Led],
    report: &mut Report<'_>,
) {
    let object = format!("Service {}/{name}", home.name);
    for (index, port) in service.ports.iter().enumerate() {
        let Some(target) = number(port, pod) else { continue };
        if service.outside.is_none() && is_metrics(workload, port, target, pod) {
            continue;
        }
        let of_port =
            || workload.spec.exposure.iter().enumerate().filter(|(_, e)| i32::from(e.port) == target);
        let exposure = of_port().find(|(_, e)| e.service.as_ref().is_none_or(|named| named == name));
        let Some((number, exposure)) = exposure else {
            let place = Place::field(&object, format!("spec.ports[{index}]")).value(target.to_string());
            let owner = Facts::name_of(workload);
            let other = of_port().find_map(|(number, e)| Some((number, e.service.as_deref()?)));
            let what = match other {
                Some((number, other)) => {
                    format!(
                        "leads to a port that spec.exposure[{number}] of {owner} declares for Service {other:?} only"
                    )
                }
                None => format!("leads to a port of the pods that {owner} does not declare in spec.exposure"),
            };
            report
                .violated(place, what)
                .under(&["CoP-6.1"])
                .fix(
                    Fix::set_at(
                        &Place::field(owner, "spec.exposure[+]"),
                        "",
                        json!({"name": "NAME", "service": name, "port": target, "audience": "AUDIENCE"}),
                    )
                    .after(format!(
                        "close the way with `kubectl delete service {name} -n {}`, or declare it",
                        home.name
                    )),
                )
                .may_arrive();
            continue;
        };
        if let Some(how) = service.outside {
            let why = format!("{object} is reached from outside by {how}");
            outward(facts, workload, (number, exposure), (&why, None), report);
        }
        for way in led {
            let why = (way.why(), way.close.as_deref());
            outward(facts, workload, (number, exposure), (&why.0, why.1), report);
            if let Some((path, what, fix)) = &way.clear {
                report
                    .violated(Place::field(&way.object, *path), what.as_str())
                    .under(&["CoP-4.6"])
                    .fix(match *path {
                        "spec.tls" => Fix::set_at(
                            &Place::field(&way.object, "spec.tls"),
                            "",
                            json!([{"hosts": ["HOST"], "secretName": "SECRET"}]),
                        )
                        .after(*fix),
                        _ => Fix::Text(match &way.close {
                            Some(close) => format!("{fix}, or {close}"),
                            None => (*fix).to_owned(),
                        }),
                    })
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
    (why, close): (&str, Option<&str>),
    report: &mut Report<'_>,
) {
    match exposure.audience {
        Some(Audience::Partner | Audience::Public) => {}
        Some(Audience::Internal) if !matches!(exposure.authn, None | Some(Authentication::Nobody)) => {}
        Some(Audience::Internal) => {
            report
                .violated(at(workload, index, "authn"), format!("asks nobody who he is, though {why}"))
                .under(&["CoP-6.1"])
                .fix(Fix::set_at(&at(workload, index, "authn"), "", "oidc").after(format!(
                    "{}, or let callers sign in (by oidc, mtls, apiKey or serviceAccount)",
                    close.unwrap_or("keep the Service inside")
                )))
                .in_declaration(facts);
        }
        audience => {
            report
                .violated(
                    at(workload, index, "audience").value(audience.map_or("", Audience::as_str)),
                    format!("names nobody who may come, though {why}"),
                )
                .under(&["CoP-4.6"])
                .fix(Fix::Text(format!(
                    "set audience to those who are meant to come, or {}",
                    close.unwrap_or("keep the Service inside (type ClusterIP)")
                )))
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

#[cfg(test)]
#[path = "tests/exposure_declared.rs"]
mod tests;
