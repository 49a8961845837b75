//! `resource-bounds`: no container takes more of a node than it was given.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::workload::WorkloadType;
use crate::policy::containers::{ContainerView, Role};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::devices;
use crate::policy::facts::{DeviceRequest, Facts, Place, PodFacts, Stage, Subject};
use crate::policy::fix::Fix;
use crate::policy::quantity::thousandths;
use crate::policy::skeleton;

/// Every container has limits, and the namespace has a quota.
pub(super) const CONTROL: Control = Control {
    id: "resource-bounds",
    title: "every container has limits on cpu, memory, local storage and devices, work that ends has a time limit, and the \
        namespace has a quota",
    room: Room::RuntimeHardening,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-4.6", "CoP-4.3"],
    why: "unbounded work lets one caller exhaust the service or copy the model at leisure",
    remedy: "set resources.limits for cpu, memory and ephemeral-storage in every container, and a ResourceQuota and a \
        LimitRange in the namespace",
    gaps: &[],
    limits: &[
        "the time limit of a Job is judged where the Job is written, because its pods do not carry it",
        "tokens and memory that one input takes inside a server are bounded by the server alone",
    ],
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
            claimed(facts, pod, report);
            largest(facts, pod, report);
            deadline(facts, pod, report);
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

/// The requests of each claim of devices that the pod names, with the place of the claim. What is not known is a finding of
/// `pod-hardened`.
fn requested<'a>(
    facts: &Facts<'a>,
    pod: &PodFacts<'a>,
) -> impl Iterator<Item = (usize, String, &'a DeviceRequest)> {
    let claims = pod.spec.resource_claims.iter().flatten().enumerate();
    let namespace = facts.namespace;
    claims.flat_map(move |(index, claim)| {
        let (key, known) = devices::known(namespace, claim).unwrap_or_default();
        known
            .map_or(&[][..], |known| &known.requests)
            .iter()
            .map(move |request| (index, key.clone(), request))
    })
}

/// A claim names how many devices it takes.
fn claimed(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for (index, claim, request) in requested(facts, pod).filter(|(.., request)| request.count.is_none()) {
        report
            .violated(
                pod.at(format!("spec.resourceClaims[{index}]")).value(&claim),
                format!("takes every device of its class, by request {:?}", request.name),
            )
            .fix(Fix::Text(
                "state in another claim how many devices the work needs: allocationMode ExactCount and count"
                    .to_owned(),
            ))
            .may_arrive();
    }
}

/// The devices of a container: those that it is limited to.
fn devices_of(container: &ContainerView<'_>) -> i128 {
    let limits = container.resources.and_then(|resources| resources.limits.as_ref());
    let counted = limits.into_iter().flatten().filter(|(name, _)| name.contains('/') && is_device(name));
    counted.filter_map(|(_, quantity)| thousandths(&quantity.0)).fold(0, i128::saturating_add)
}

/// No pod is larger than the profile allows for its type of workload.
fn largest(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    if facts.settings.parameters.is_empty() {
        return;
    }
    let type_ = facts.declaration().map(|workload| workload.spec.type_.as_str());
    for resource in ["cpu", "memory", "ephemeral-storage", "devices"] {
        let Some((name, most)) = most(facts, resource, type_) else { continue };
        let Some(allowed) = thousandths(most) else {
            report
                .unknown(
                    Place::field("AIProfile", format!("spec.parameters[{name:?}]")).value(most),
                    "is no amount, so nothing can be compared with it",
                )
                .fix(Fix::Text("write an amount such as 8, 500m or 64Gi".to_owned()));
            continue;
        };
        let used = total(facts, pod, resource);
        if used > allowed {
            report
                .violated(
                    pod.at("spec.containers"),
                    format!(
                        "may take {} of {resource} together, and the profile allows {most} ({name})",
                        amount(resource, used)
                    ),
                )
                .fix(Fix::Text(format!(
                    "lower the limits of the containers to {most} together, or spread the work"
                )));
        }
    }
}

/// The strictest value of the parameter for this resource: for the type of workload where a profile has one, else for all.
fn most<'f>(facts: &'f Facts<'_>, resource: &str, type_: Option<&str>) -> Option<(String, &'f str)> {
    let of_type = type_.map(|type_| format!("resources.max.{resource}.{type_}"));
    let names = of_type.into_iter().chain([format!("resources.max.{resource}")]);
    names.into_iter().find_map(|name| {
        let stated = facts.settings.parameters.get(&name)?;
        let strictest = stated.iter().min_by_key(|text| thousandths(text))?;
        Some((name, strictest.trim()))
    })
}

/// What the containers that run together may take, or the largest that runs before them.
fn total(facts: &Facts<'_>, pod: &PodFacts<'_>, resource: &str) -> i128 {
    let of = |container: &ContainerView<'_>| {
        if resource == "devices" {
            return devices_of(container);
        }
        let limits = container.resources.and_then(|resources| resources.limits.as_ref());
        limits.and_then(|limits| thousandths(&limits.get(resource)?.0)).unwrap_or(0)
    };
    let runs = |container: &&ContainerView<'_>| matches!(container.role, Role::Main | Role::Sidecar);
    let together = pod.containers.iter().filter(runs).map(of).fold(0, i128::saturating_add);
    let before = pod.containers.iter().filter(|container| container.role == Role::Init).map(of).max();
    let claimed = if resource == "devices" {
        let counts = requested(facts, pod).filter_map(|(.., request)| request.count);
        counts.fold(0, |sum: i128, count| sum.saturating_add(i128::from(count) * 1000))
    } else {
        0
    };
    together.max(before.unwrap_or(0)).saturating_add(claimed)
}

/// An amount for people: bytes in mebibytes, the rest in thousandths where it is no whole number.
fn amount(resource: &str, thousandths: i128) -> String {
    match resource {
        "memory" | "ephemeral-storage" => format!("{}Mi", thousandths / 1000 / (1 << 20)),
        _ if thousandths % 1000 == 0 => (thousandths / 1000).to_string(),
        _ => format!("{thousandths}m"),
    }
}

/// Kinds whose work comes to an end.
const ENDING: [&str; 5] = ["Job", "CronJob", "JobSet", "PyTorchJob", "RayJob"];

/// Work that is meant to end is ended.
fn deadline(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let serves = |type_| matches!(type_, WorkloadType::Inference | WorkloadType::Agent);
    if !ENDING.contains(&pod.kind)
        || facts.ai_workload().is_none_or(|workload| serves(workload.spec.type_))
        || [pod.spec.active_deadline_seconds, pod.around.deadline].iter().flatten().any(|limit| *limit > 0)
    {
        return;
    }
    report
        .violated(
            pod.at("spec.activeDeadlineSeconds"),
            format!("is not set, nor a time limit of the {}, so the work may go on for ever", pod.kind),
        )
        .fix(Fix::set(format!("{}spec.activeDeadlineSeconds", pod.prefix), USUAL_SECONDS));
}

/// The time limit that is suggested: a day.
const USUAL_SECONDS: i64 = 86_400;

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
            .fix(Fix::Record(
                format!("apply a LimitRange with default limits in namespace {name:?}"),
                skeleton::limits(name),
            ))
            .of_namespace();
    }
}

#[cfg(test)]
#[path = "tests/resource_bounds.rs"]
mod tests;
