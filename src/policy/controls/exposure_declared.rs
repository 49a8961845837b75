//! `exposure-declared`: every Service, Ingress, route and network policy that leads to the workload matches a declared exposure.

mod inlets;
mod led;
mod written;

use serde_json::json;

use crate::api;
use crate::api::common::Audience;
use crate::api::workload::{Authentication, Exposure, Tls};
use crate::policy::control::{Check, Control, Finding, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Labels, Namespace, Place, PodFacts, Service, ServicePort, Stage, Subject};
use crate::policy::figures::{figures, is_metrics};
use crate::policy::fix::Fix;
use crate::policy::selector;
use led::{Led, Ways};

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
        "a Service of type ExternalName is followed to the Service that it names (NAME.NAMESPACE or NAME.NAMESPACE.svc), 16 of them at most, not by names of other DNS zones; one of another namespace is refused where it is written, if that namespace is governed, and where it leads the audit warns of it",
        "a Service without a selector that is reached from inside alone leads where its EndpointSlices say; who may write those is a matter of RBAC (no built-in role but that of the cluster's administrators), and the network policies hold there too",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Pod(_) | Subject::Workload(_) => {}
        Subject::Way(way) if facts.namespace.governed() => return written::written(facts, way, report),
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
            let held = Held { home: facts.namespace, workload, pod, unclear: None };
            let ways = led::all(facts, facts.namespace, name);
            opens(facts, &held, (name, service), &ways, report);
            if pod.is_some_and(|pod| pod.stage == Stage::Running) {
                abroad(facts, &held, (name, service), report);
            }
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

/// A declaration that a way is held against.
struct Held<'f, 'a> {
    /// The namespace of the declaration and of the Service.
    home: &'f Namespace,
    /// The declaration.
    workload: &'f api::AIWorkload,
    /// The pod, where there is one.
    pod: Option<&'f PodFacts<'a>>,
    /// Whether the Service may mean other pods, and why.
    unclear: Option<Unclear>,
}

/// Why a Service may mean other pods than those of a declaration.
enum Unclear {
    /// It selects by labels that the cluster gives, or that another declaration names.
    Given,
    /// It selects by labels that no declaration names: these, as `key=value`.
    Undeclared(String),
}

impl Held<'_, '_> {
    /// What helps first where other pods may be meant.
    fn hint(&self, service: &str) -> String {
        match &self.unclear {
            None => String::new(),
            Some(Unclear::Given) => format!(
                "if other pods are meant, name their own labels in spec.selector of Service {service} too, or its labels in \
                 spec.selector.matchLabels of their AIWorkload; or "
            ),
            Some(Unclear::Undeclared(_)) => format!(
                "if other pods are meant, declare them as an AIWorkload of type: supporting with these labels in \
                 spec.selector.matchLabels, or name the labels of their AIWorkload in spec.selector of Service {service} too; or "
            ),
        }
    }

    /// That nobody said whose labels the Service selects by.
    fn undeclared(&self) -> Option<&str> {
        match &self.unclear {
            Some(Unclear::Undeclared(labels)) => Some(labels),
            _ => None,
        }
    }

    /// The way for a port that is there for figures alone, which are read from inside; which number it has only pods know.
    fn figures(&self, service: &Service, index: usize) -> String {
        let metrics =
            self.workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.metrics.as_ref());
        match metrics.filter(|_| self.pod.is_none() && self.unclear.is_none() && service.outside.is_none()) {
            Some(metrics) => {
                format!("set spec.ports[{index}].targetPort: {} if it is for figures, ", metrics.port)
            }
            None => String::new(),
        }
    }

    /// The declared exposure behind a port of the pods, by which the Service `name` may lead there.
    fn exposure(&self, target: i32, name: &str) -> Option<(usize, &Exposure)> {
        let mut of_port = self.of_port(target);
        of_port.find(|(_, exposure)| exposure.service.as_ref().is_none_or(|named| named == name))
    }

    fn of_port(&self, target: i32) -> impl Iterator<Item = (usize, &Exposure)> {
        let all = self.workload.spec.exposure.iter().enumerate();
        all.filter(move |(_, exposure)| i32::from(exposure.port) == target)
    }
}

/// Every way that a Service opens is a declared one.
fn opens(
    facts: &Facts<'_>,
    held: &Held<'_, '_>,
    (name, service): (&str, &Service),
    ways: &Ways,
    report: &mut Report<'_>,
) {
    led_to(facts, held, (name, service), &ways.led, report);
    if ways.more {
        too_many(held.home, name, "its namespace", report)
            .fix(Fix::Text("delete the Services of type ExternalName that nobody calls".to_owned()))
            .may_arrive();
    }
}

/// That more Services stand for one than are followed.
fn too_many<'r>(home: &Namespace, name: &str, of: &str, report: &'r mut Report<'_>) -> &'r mut Finding {
    let what = format!("is what more than {} others of {of} stand for: no more are looked at", led::MOST);
    report.violated(Place::object(format!("Service {}/{name}", home.name)), what).under(&["CoP-6.1"])
}

/// What others write in their namespaces refuses nobody here: whoever runs the workload hears of it.
fn abroad(
    facts: &Facts<'_>,
    held: &Held<'_, '_>,
    (name, service): (&str, &Service),
    report: &mut Report<'_>,
) {
    let ways = led::abroad(facts, held.home, name);
    let targets = service.ports.iter().filter_map(|port| number(port, held.pod));
    for exposure in targets.filter_map(|target| held.exposure(target, name)) {
        for way in &ways.led {
            let why = way.why();
            if let Some(finding) = outward(facts, held, exposure, (&why, way.close.as_deref(), ""), report) {
                finding.warns_at_most();
            }
            if let Some(finding) = in_the_clear(way, report) {
                finding.warns_at_most();
            }
        }
    }
    if ways.more {
        too_many(held.home, name, "the cluster", report)
            .fix(Fix::Text(
                "ask those who run the cluster what these Services of type ExternalName are for".to_owned(),
            ))
            .warns_at_most();
    }
}

/// Each port of a Service is a declared exposure, and what leads to it from outside fits that exposure.
fn led_to(
    facts: &Facts<'_>,
    held: &Held<'_, '_>,
    (name, service): (&str, &Service),
    led: &[Led],
    report: &mut Report<'_>,
) {
    let (home, workload) = (held.home, held.workload);
    let object = format!("Service {}/{name}", home.name);
    let hint = held.hint(&format!("{}/{name}", home.name));
    let doubt = held.undeclared().map_or_else(String::new, |labels| {
        format!(" and may lead to these pods by labels that no AIWorkload declares ({labels})")
    });
    for (index, port) in service.ports.iter().enumerate() {
        let Some(target) = number(port, held.pod) else { continue };
        if service.outside.is_none() && is_metrics(workload, port, target, held.pod) {
            continue;
        }
        let Some(exposure) = held.exposure(target, name) else {
            let place = Place::field(&object, format!("spec.ports[{index}]")).value(target.to_string());
            let owner = Facts::name_of(workload);
            let other = held.of_port(target).find_map(|(number, e)| Some((number, e.service.as_deref()?)));
            let what = match (held.undeclared(), other) {
                (Some(labels), _) => format!(
                    "leads to pods by labels that no AIWorkload declares ({labels}), so these may be pods of {owner}, which {}",
                    match other {
                        Some((number, other)) => {
                            format!(
                                "declares this port in spec.exposure[{number}] for Service {other:?} only"
                            )
                        }
                        None => "does not declare this port in spec.exposure".to_owned(),
                    }
                ),
                (None, Some((number, other))) => {
                    format!(
                        "leads to a port that spec.exposure[{number}] of {owner} declares for Service {other:?} only"
                    )
                }
                (None, None) => {
                    format!("leads to a port of the pods that {owner} does not declare in spec.exposure")
                }
            };
            let figures = held.figures(service, index);
            report
                .violated(place, what)
                .under(&["CoP-6.1"])
                .fix(
                    Fix::set_at(
                        &Place::field(owner, "spec.exposure[+]"),
                        "",
                        json!({"name": "NAME", "service": name, "port": target, "audience": "AUDIENCE"}),
                    )
                    .after(if service.ports.len() > 1 {
                        format!(
                            "{hint}leave spec.ports[{index}] out of Service {name:?}, {figures}or declare the port"
                        )
                    } else {
                        format!(
                            "{hint}close the way with `kubectl delete service {name} -n {}`, {figures}or declare it",
                            home.name
                        )
                    }),
                )
                .may_arrive();
            continue;
        };
        if let Some(how) = service.outside {
            let why = format!("{object} is reached from outside by {how}{doubt}");
            outward(facts, held, exposure, (&why, None, &hint), report);
        }
        for way in led {
            let why = format!("{}{doubt}", way.why());
            outward(facts, held, exposure, (&why, way.close.as_deref(), &hint), report);
            in_the_clear(way, report);
        }
    }
}

/// Nobody reads along on a way from outside.
fn in_the_clear<'r>(way: &Led, report: &'r mut Report<'_>) -> Option<&'r mut Finding> {
    let (path, what, fix) = way.clear.as_ref()?;
    let finding = report.violated(Place::field(&way.object, *path), what.as_str());
    let fix = match *path {
        "spec.tls" if !way.abroad => Fix::set_at(
            &Place::field(&way.object, "spec.tls"),
            "",
            json!([{"hosts": ["HOST"], "secretName": "SECRET"}]),
        )
        .after(*fix),
        _ => Fix::Text(match &way.close {
            Some(close) if way.abroad => close.clone(),
            Some(close) => format!("{fix}, or {close}"),
            None => (*fix).to_owned(),
        }),
    };
    Some(finding.under(&["CoP-4.6"]).fix(fix).may_arrive())
}

/// Whether an exposure says for whom it is, and asks those who come from outside who they are.
fn asks(exposure: &Exposure) -> bool {
    match exposure.audience {
        Some(Audience::Partner | Audience::Public) => true,
        Some(Audience::Internal) => !matches!(exposure.authn, None | Some(Authentication::Nobody)),
        _ => false,
    }
}

/// What is reached from outside says for whom.
fn outward<'r>(
    facts: &Facts<'_>,
    held: &Held<'_, '_>,
    (index, exposure): (usize, &Exposure),
    (why, close, hint): (&str, Option<&str>, &str),
    report: &'r mut Report<'_>,
) -> Option<&'r mut Finding> {
    if asks(exposure) {
        return None;
    }
    let workload = held.workload;
    let finding = if exposure.audience == Some(Audience::Internal) {
        report
            .violated(at(workload, index, "authn"), format!("asks nobody who he is, though {why}"))
            .under(&["CoP-6.1"])
            .fix(Fix::set_at(&at(workload, index, "authn"), "", "oidc").after(format!(
                "{hint}{}, or let callers sign in (by oidc, mtls, apiKey or serviceAccount)",
                close.unwrap_or("keep the Service inside")
            )))
    } else {
        let audience = exposure.audience.map_or("", Audience::as_str);
        report
            .violated(
                at(workload, index, "audience").value(audience),
                format!("names nobody who may come, though {why}"),
            )
            .under(&["CoP-4.6"])
            .fix(Fix::Text(format!(
                "{hint}set audience to those who are meant to come, or {}",
                close.unwrap_or("keep the Service inside (type ClusterIP)")
            )))
    };
    Some(finding.in_declaration(facts))
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
