//! `resource-bounds`: no container takes more of a node than it was given.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::policy::containers::{ContainerView, Role};
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, PodFacts, Stage, Subject};
use crate::policy::fix::Fix;

/// Every container has limits, and the namespace has a quota.
pub(super) const CONTROL: Control = Control {
    id: "resource-bounds",
    title: "every container has limits on cpu, memory, local storage and devices, and the namespace has a quota",
    room: Room::RuntimeHardening,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-4.6", "CoP-4.3"],
    why: "unbounded work lets one caller exhaust the service or copy the model at leisure",
    remedy: "set resources.limits for cpu, memory and ephemeral-storage in every container, and a ResourceQuota and a \
        LimitRange in the namespace",
    gaps: &[
        Gap {
            provisions: &["CoP-4.6", "CoP-4.3"],
            missing: "time limits of Jobs are not seen from their pods",
        },
        Gap {
            provisions: &["CoP-4.6", "CoP-4.3"],
            missing: "the largest values by type of workload are not yet compared",
        },
        Gap {
            provisions: &["CoP-4.6", "CoP-4.3"],
            missing: "devices claimed through resourceClaims are not counted",
        },
    ],
    limits: &[],
    check: Check::Rule(check),
};

type Quantities = BTreeMap<String, Quantity>;

/// What every container is limited in, with the limit that is suggested where there is none.
const BOUNDED: [(&str, &str); 3] = [("cpu", "1"), ("memory", "512Mi"), ("ephemeral-storage", "256Mi")];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Namespace if facts.namespace.governed() => namespace(facts, report),
        Subject::Pod(_) => {
            let Some(pod) = facts.governed_pod() else { return };
            // A debug container cannot have limits; it lives within those of the pod.
            for container in pod.containers.iter().filter(|container| container.role != Role::Ephemeral) {
                limits(facts, pod, container, report);
                devices(pod, container, report);
            }
        }
        _ => {}
    }
}

fn limits(facts: &Facts<'_>, pod: &PodFacts<'_>, container: &ContainerView<'_>, report: &mut Report<'_>) {
    let of_pod = pod.spec.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let requests = container.resources.and_then(|resources| resources.requests.as_ref());
    for (resource, usual) in BOUNDED {
        let own =
            container.resources.and_then(|resources| resources.limits.as_ref()).and_then(|l| l.get(resource));
        // A limit of the whole pod bounds each of its containers.
        let bound = own.or_else(|| of_pod.and_then(|limits| limits.get(resource)));
        if bound.is_some_and(|quantity| !is_zero(quantity)) {
            continue;
        }
        let requested =
            requests.and_then(|requests| requests.get(resource)).filter(|quantity| !is_zero(quantity));
        let path = container.path(&format!("resources.limits{}", key(resource)));
        let place = pod.at(&path);
        let finding = match own {
            Some(zero) => report.violated(place.value(&zero.0), "is no limit, because zero means none"),
            None => report.violated(place, "is not set, so the container may take all that the node has"),
        };
        finding.fix(Fix::set(
            format!("{}{path}", pod.prefix),
            requested.map_or(usual, |quantity| quantity.0.as_str()),
        ));
        // Where the namespace has defaults, the pod gets them before it is judged; its template does not show them.
        if pod.stage == Stage::Carried && !facts.namespace.limit_ranges.is_empty() {
            finding.may_arrive();
        }
    }
}

/// Devices are whole: what is requested is the limit, and a device without a limit is not counted by a quota.
fn devices(pod: &PodFacts<'_>, container: &ContainerView<'_>, report: &mut Report<'_>) {
    let Some(resources) = container.resources else { return };
    let none = Quantities::new();
    let requests = resources.requests.as_ref().unwrap_or(&none);
    let limits = resources.limits.as_ref().unwrap_or(&none);
    for (resource, requested) in requests.iter().filter(|(resource, _)| is_device(resource)) {
        if limits.get(resource) == Some(requested) {
            continue;
        }
        let path = container.path(&format!("resources.limits{}", key(resource)));
        let limit = limits.get(resource).map_or("", |quantity| quantity.0.as_str());
        report
            .violated(pod.at(&path).value(limit), format!("does not equal the request, {:?}", requested.0))
            .fix(Fix::set(format!("{}{path}", pod.prefix), requested.0.as_str()));
    }
}

/// Extended resources carry the domain of their vendor; huge pages are counted alike.
fn is_device(resource: &str) -> bool {
    resource.starts_with("hugepages-") || (resource.contains('/') && !resource.starts_with("kubernetes.io/"))
}

/// The last step of a path to a resource, quoted where its name has dots.
fn key(resource: &str) -> String {
    if resource.contains(['.', '/', '-']) { format!("[{resource:?}]") } else { format!(".{resource}") }
}

fn is_zero(quantity: &Quantity) -> bool {
    let digits = quantity.0.trim_start_matches('+').trim_end_matches(|c: char| c.is_ascii_alphabetic());
    !digits.is_empty() && digits.bytes().all(|b| b == b'0' || b == b'.')
}

fn namespace(facts: &Facts<'_>, report: &mut Report<'_>) {
    let name = &facts.namespace.name;
    if facts.namespace.resource_quotas.is_empty() {
        report
            .violated(
                Place::object(format!("Namespace {name}")),
                "has no ResourceQuota, so it may fill the cluster",
            )
            .under(&["CoP-4.3"])
            .fix(Fix::Command(format!(
                "kubectl create quota bounds -n {name} --hard=limits.cpu=32,limits.memory=128Gi,pods=100"
            )))
            .of_namespace();
    }
    if facts.namespace.limit_ranges.is_empty() {
        report
            .violated(
                Place::object(format!("Namespace {name}")),
                "has no LimitRange, so containers get no limits by default",
            )
            .under(&["CoP-4.3"])
            .fix(Fix::Text(format!("apply a LimitRange with default limits in namespace {name:?}")))
            .of_namespace();
    }
}

#[cfg(test)]
#[path = "tests/resource_bounds.rs"]
mod tests;
