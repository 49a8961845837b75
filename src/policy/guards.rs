//! Whether a guard that a declaration names stands before the model: in the pod, as a Service, or carried by a gateway.

use serde_json::json;

use super::containers::{ContainerView, Role};
use super::control::Report;
use super::facts::{Facts, Place, PodFacts, Service};
use super::fix::Fix;
use super::servers::{self, Told};
use super::{selector, skeleton};
use crate::api;
use crate::api::workload::Guardrail;

fn at(workload: &api::AIWorkload, path: impl Into<String>) -> Place {
    Place::field(Facts::name_of(workload), path)
}

/// The declared guard is in the pod, with the image that was declared, and before the model.
pub(super) fn stands(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    direction: &str,
    guard: &Guardrail,
    provision: &'static str,
    report: &mut Report<'_>,
) {
    let under: &'static [&'static str] = if provision == "ETSI-3" { &["ETSI-3"] } else { &["CoP-4.1"] };
    let path = format!("spec.guardrails.{direction}");
    if guard.container.is_none() && guard.ref_.is_none() {
        report
            .violated(
                at(workload, path.as_str()),
                "names neither a container nor an object, so nothing can be looked for",
            )
            .under(under)
            .fix(
                Fix::set_at(&at(workload, format!("{path}.container")), "", "CONTAINER")
                    .after(format!("name a container of the pod, or in {path}.ref another object")),
            )
            .in_declaration(facts);
        return;
    }
    if let Some(policy) = guard.policy_ref.as_deref().and_then(|name| name.strip_prefix("AIPrompt/"))
        && !facts.namespace.prompts.contains_key(policy)
    {
        report
            .violated(
                at(workload, format!("{path}.policyRef")).value(policy),
                format!("no AIPrompt of namespace {:?} has this name", facts.namespace.name),
            )
            .under(under)
            .fix(Fix::Text(format!("apply an AIPrompt {policy:?} with the rules of the guard")))
            .may_arrive();
    }
    if let Some(reference) = guard.ref_.as_deref() {
        elsewhere(facts, workload, (&path, reference), under, report);
    }
    let (Some((pod, _)), Some(name)) = (facts.ai_pod(), guard.container.as_deref()) else { return };
    let found = pod.containers.iter().find(|container| container.name == name);
    let Some(container) = found.filter(|c| matches!(c.role, Role::Main | Role::Sidecar)) else {
        report
            .violated(
                pod.at("spec.containers"),
                format!(
                    "has no running container {name:?}, which {} declares as {direction} guard",
                    Facts::name_of(workload)
                ),
            )
            .under(under)
            .fix(
                Fix::set_at(&at(workload, format!("{path}.container")), "", "CONTAINER")
                    .after(format!("add the container {name:?} to the pod, or name the one that checks")),
            )
            .may_arrive();
        return;
    };
    if let Some(digest) = guard.image_digest.as_deref()
        && container.image.rsplit_once('@').map(|(_, digest)| digest) != Some(digest)
    {
        report
            .violated(
                pod.at(container.path("image")).value(container.image),
                format!("is not the {direction} guard that was declared, whose image is {digest}"),
            )
            .under(under)
            .fix(
                Fix::set_at(
                    &pod.at(container.path("image")),
                    "",
                    format!("{}@{digest}", container.image.split('@').next().unwrap_or_default()),
                )
                .after(format!(
                    "correct {path}.imageDigest of {}, or run the declared image",
                    Facts::name_of(workload)
                )),
            )
            .may_arrive();
    }
    in_front(facts, pod, workload, container, direction, under, report);
}

/// A guard outside the pod is there and stands in the only way: nobody but it may call.
fn elsewhere(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (path, reference): (&str, &str),
    under: &'static [&'static str],
    report: &mut Report<'_>,
) {
    let place = || at(workload, format!("{path}.ref")).value(reference);
    let (kind, name) = reference.split_once('/').unwrap_or(("", reference));
    let namespace = facts.namespace;
    let there = match kind {
        "Service" => namespace.services.contains_key(name),
        "Ingress" => namespace.ingresses.contains_key(name),
        "HTTPRoute" | "GRPCRoute" => namespace.routes.contains_key(reference),
        _ => {
            report
                .unknown(place(), "is of a kind that is not looked up, so nobody can tell whether it stands in the way")
                .under(under)
                .fix(Fix::Text(
                    "name the guard as Service/NAME, or what carries it as HTTPRoute/NAME, GRPCRoute/NAME or Ingress/NAME"
                        .to_owned(),
                ))
                .in_declaration(facts);
            return;
        }
    };
    if !there {
        report
            .violated(place(), format!("no {kind} of namespace {:?} has this name", namespace.name))
            .under(under)
            .fix(match kind {
                "Service" => Fix::Record(
                    format!(
                        "correct {path}.ref of {}, or create the Service of the guard",
                        Facts::name_of(workload)
                    ),
                    skeleton::service(&namespace.name, name),
                ),
                _ => Fix::Text(format!("create the {kind} of the guard, or correct the reference")),
            })
            .may_arrive();
        return;
    }
    if kind != "Service" {
        leads_here(facts, workload, reference, place(), under, report);
        return;
    }
    let guard = &namespace.services[name].selector;
    // Callers of no exposure, and guards by hand, are those of whoever writes the Service.
    for (index, exposure) in workload.spec.exposure.iter().enumerate().filter(|_| !guard.is_empty()) {
        let past = exposure.from.iter().enumerate().find(|(_, peer)| {
            peer.namespace.as_ref().is_some_and(|home| *home != namespace.name)
                || !selector::contains(guard, &peer.pod_labels)
        });
        if let Some((peer, _)) = past {
            let place = at(workload, format!("spec.exposure[{index}].from"));
            let fix = Fix::set_at(&place, "", vec![json!({"podLabels": guard})])
                .after("let the pods of the guard alone call, and the others call the guard");
            report
                .violated(
                    at(workload, format!("spec.exposure[{index}].from[{peer}]")),
                    format!("may call past the guard, which is Service {name:?}"),
                )
                .under(under)
                .fix(fix)
                .in_declaration(facts);
        }
    }
}

/// A guard that a gateway carries is in the way where the route leads to a Service of the workload.
fn leads_here(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    reference: &str,
    place: Place,
    under: &'static [&'static str],
    report: &mut Report<'_>,
) {
    let namespace = facts.namespace;
    let own = |(_, service): &(&String, &Service)| {
        selector::contains(&service.selector, &workload.spec.selector.match_labels)
    };
    let mut services = namespace.services.iter().filter(own).map(|(name, _)| name);
    let leads = |service: &String| match reference.split_once('/') {
        Some(("Ingress", name)) => {
            namespace.ingresses.get(name).is_some_and(|ingress| ingress.backends.contains(service))
        }
        _ => namespace
            .routes
            .get(reference)
            .is_some_and(|route| route.leads_to(&namespace.name, service, true)),
    };
    if !services.any(leads) {
        report
            .violated(place, "leads to no Service of the workload, so the guard is in nobody's way")
            .under(under)
            .fix(Fix::Text("let it lead to the Service of the workload, or name what does".to_owned()))
            .may_arrive();
    }
}

/// Callers reach the guard and not the container that holds the model.
fn in_front(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    guard: &ContainerView<'_>,
    direction: &str,
    under: &'static [&'static str],
    report: &mut Report<'_>,
) {
    let metrics = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.metrics.as_ref());
    let open = |container: &ContainerView<'_>, number: u16, of_metrics: bool| {
        let named = |name: Option<&str>| metrics.is_some_and(|metrics| name == Some(metrics.port.as_str()));
        container
            .ports
            .iter()
            .any(|port| port.container_port == i32::from(number) && named(port.name.as_deref()) == of_metrics)
    };
    let told: Vec<_> = facts.loaded().map(|(c, l)| (c, l.serves, servers::told(c))).collect();
    let others = || told.iter().filter(|(container, ..)| container.name != guard.name);
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        let port = exposure.port;
        let mut servers = others().filter(|(container, serves, told)| {
            let free = !serves && (is_guard(workload, container) || open(container, port, true));
            let listens = told.iter().any(|told| told.port == port && (*serves || !told.near));
            open(container, port, false) || (listens && !free && container.role != Role::Init)
        });
        let Some((server, ..)) = servers.next() else { continue };
        report
            .violated(
                Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].port"))
                    .value(port.to_string()),
                format!(
                    "is a port of container {:?}, so callers go past the {direction} guard {:?}",
                    server.name, guard.name
                ),
            )
            .under(under)
            .fix(expose(workload, index, guard))
            .in_declaration(facts);
    }
    let exposed = |told: &Told| workload.spec.exposure.iter().any(|exposure| exposure.port == told.port);
    let mut of_guards = told.iter().filter(|(container, serves, _)| {
        container.name == guard.name || (is_guard(workload, container) && !serves)
    });
    let own = told.iter().find(|(container, ..)| container.name == guard.name);
    let Some(first) = own.and_then(|(_, _, told)| told.first()) else { return };
    if workload.spec.exposure.is_empty() || of_guards.any(|(_, _, told)| told.iter().any(exposed)) {
        return;
    }
    report
        .violated(
            pod.at(guard.path(&first.at.field())).value(&first.word),
            format!(
                "names no port among spec.exposure of {}, so callers go past the {direction} guard {:?}",
                Facts::name_of(workload),
                guard.name
            ),
        )
        .under(under)
        .fix(Fix::Text(format!("let container {:?} listen on the port that is exposed", guard.name)))
        .may_arrive();
}

/// Whether a container is declared as a guard of some direction.
fn is_guard(workload: &api::AIWorkload, container: &ContainerView<'_>) -> bool {
    let guards = workload.spec.guardrails.iter().flat_map(|guards| [&guards.input, &guards.output]);
    guards.flatten().any(|guard| guard.container.as_deref() == Some(container.name))
}

/// Exposes the first port of the guard, where it has one that is not exposed already.
fn expose(workload: &api::AIWorkload, index: usize, guard: &ContainerView<'_>) -> Fix {
    let words = format!("let container {:?} call the other, and expose its port", guard.name);
    let exposed = i32::from(workload.spec.exposure[index].port);
    match guard.ports.first().filter(|port| port.container_port != exposed) {
        Some(port) => {
            let place = at(workload, format!("spec.exposure[{index}].port"));
            Fix::set_at(&place, "", port.container_port).after(words)
        }
        None => Fix::Text(words),
    }
}
