//! A way to pods is judged when it is written, against the declarations that it may lead to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::super::egress_declared::whom;
use super::led::{self, Led, Ways};
use super::{Held, Unclear, asks, in_the_clear, led_to, number, opens, unselecting};
use crate::api;
use crate::api::workload::WorkloadType;
use crate::policy::control::Report;
use crate::policy::facts::{Facts, Namespace, Place, Service, ServicePort, Way};
use crate::policy::figures::is_metrics;
use crate::policy::fix::Fix;
use crate::policy::selector;

/// A way that somebody writes leads to declared exposures only; without its Service it leads nowhere yet.
pub(super) fn written(facts: &Facts<'_>, way: &Way<'_>, report: &mut Report<'_>) {
    let home = facts.namespace;
    if let Way::Service(name, service) = *way {
        unselecting(facts, (name, service), report);
        let ways = led::all(facts, home, name);
        for held in behind(home, service, service.outside.is_some() || ways.any()) {
            opens(facts, &held, (name, service), &ways, report);
        }
        onward(facts, (name, service), &ways, report);
        return;
    }
    for (name, service) in &home.services {
        let led = match *way {
            Way::Ingress(key, ingress) if ingress.backends.contains(name) => led::ingress(home, key, ingress),
            Way::Route(key, route) if route.leads_to(&home.name, name, true) => {
                led::route(facts, home, (&home.name, key, route), None)
            }
            _ => continue,
        };
        for held in behind(home, service, true) {
            led_to(facts, &held, (name, service), std::slice::from_ref(&led), report);
        }
        onward(facts, (name, service), &Ways { led: vec![led], more: false }, report);
    }
}

/// The declarations whose pods a Service leads to, as far as they tell: it selects them all, or some of them by more labels. From
/// `outside` it may lead to the pods of any other that no label keeps apart, and inside by what the cluster gives to pods: of
/// those are meant that declare its ports, or the first where none does and no other is meant.
fn behind<'f>(home: &'f Namespace, service: &Service, outside: bool) -> Vec<Held<'f, 'f>> {
    if service.selector.is_empty() {
        return Vec::new();
    }
    let all = || {
        let all = home.workloads.values().map(AsRef::as_ref);
        all.filter(|workload: &&'f api::AIWorkload| workload.spec.type_ != WorkloadType::Supporting)
    };
    let labels = |workload: &'f api::AIWorkload| &workload.spec.selector.match_labels;
    let certain = |workload: &&'f api::AIWorkload| {
        selector::contains(&service.selector, labels(workload))
            || selector::contains(labels(workload), &service.selector)
    };
    let held = |workload, unclear| Held { home, workload, pod: None, unclear };
    let mut found: Vec<Held<'f, 'f>> = all().filter(certain).map(|workload| held(workload, None)).collect();
    let wanted = LabelSelector { match_labels: Some(service.selector.clone()), match_expressions: None };
    let mut may_be: Vec<&api::AIWorkload> = if outside {
        whom(home, Some(&wanted))
    } else if found.is_empty() && service.selector.keys().any(|key| selector::is_given(key)) {
        all().filter(|workload| selector::concerns(&wanted, labels(workload))).collect()
    } else {
        Vec::new()
    };
    may_be.retain(|workload| !certain(workload));
    // From outside one port is enough to come in by.
    let fits = |workload: &&'f api::AIWorkload| {
        let declared = |port: &ServicePort| declares(workload, service, port);
        if outside { service.ports.iter().any(declared) } else { service.ports.iter().all(declared) }
    };
    let unsure = |workload| held(workload, Some(unclear(&wanted, workload)));
    found.extend(may_be.iter().copied().filter(fits).map(unsure));
    if found.is_empty() {
        found.extend(may_be.first().copied().map(unsure));
    }
    found
}

/// Why a Service that selects the pods of `wanted` may mean other ones than those of `workload`.
fn unclear(wanted: &LabelSelector, workload: &api::AIWorkload) -> Unclear {
    // What concerns it whatever others declare is not mended by another declaration.
    if selector::concerns(wanted, &workload.spec.selector.match_labels) {
        return Unclear::Given;
    }
    let labels = wanted.match_labels.iter().flatten().filter(|(key, _)| !selector::is_given(key));
    Unclear::Undeclared(labels.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", "))
}

/// Whether a port of a Service is one that the declaration names, as far as it can be told without a pod.
fn declares(workload: &api::AIWorkload, service: &Service, port: &ServicePort) -> bool {
    let Some(target) = number(port, None) else { return true };
    workload.spec.exposure.iter().any(|exposure| i32::from(exposure.port) == target)
        || (service.outside.is_none() && is_metrics(workload, port, target, None))
}

/// What leads to a Service that stands for another leads to that one, wherever it is. Of what lies in other namespaces nothing is
/// said but that it does not let callers in.
fn onward(facts: &Facts<'_>, (name, service): (&str, &Service), ways: &Ways, report: &mut Report<'_>) {
    let home = facts.namespace;
    let ends = led::ends(facts, service);
    let mut shut = false;
    for (there, end, of) in ends.found {
        let held = behind(there, of, true);
        if there.name == home.name {
            let led: Vec<Led> = ways.led.iter().map(|led| led.clone().by(home, name)).collect();
            for held in held.iter().filter(|_| !led.is_empty()) {
                led_to(facts, held, (end, of), &led, report);
            }
        } else if there.governed() && !held.is_empty() {
            shut |= !held.iter().all(|held| lets_in(held, (end, of)));
            for led in ways.led.iter().filter(|_| !shut) {
                in_the_clear(led, report);
            }
        }
    }
    let what = if shut {
        "leads callers from outside to a Service of a governed namespace that does not let them in".to_owned()
    } else if ends.lost {
        format!("leads callers from outside through more than {} Services: nobody can tell where", led::MOST)
    } else {
        return;
    };
    if !ways.any() && !led::abroad(facts, home, name).any() {
        return;
    }
    let without = ways.led.first().map(|led| format!("leave Service {name:?} out of {}, ", led.object));
    let host = service.external_name.as_deref().unwrap_or_default();
    report
        .violated(
            Place::field(format!("Service {}/{name}", home.name), "spec.externalName").value(host),
            what,
        )
        .under(&["CoP-6.1"])
        .fix(Fix::Text(format!(
            "{}name another host, or close the way with `kubectl delete service {name} -n {}`",
            without.unwrap_or_default(),
            home.name
        )))
        .may_arrive();
}

/// Whether a declaration lets callers from outside in by every port of the Service, as far as it can be told without a pod.
fn lets_in(held: &Held<'_, '_>, (name, service): (&str, &Service)) -> bool {
    service.ports.iter().all(|port| {
        let Some(target) = number(port, None) else { return true };
        (service.outside.is_none() && is_metrics(held.workload, port, target, None))
            || held.exposure(target, name).is_some_and(|(_, exposure)| asks(exposure))
    })
}

#[cfg(test)]
#[path = "written_tests.rs"]
mod tests;
