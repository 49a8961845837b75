//! `io-guardrails`: a safeguard that is not AI stands in the only path to the model, with an input guard
//! for outside input.

use serde_json::json;

use crate::api;
use crate::api::common::Audience;
use crate::api::model::ModelKind;
use crate::api::workload::{DatasetPurpose, Guardrail, GuardrailKind, OversightMode, WorkloadType};
use crate::policy::containers::{ContainerView, Role};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, PodFacts, Service, Subject};
use crate::policy::fix::Fix;
use crate::policy::selector;
use crate::policy::skeleton;

/// A safeguard that is not AI stands in the only path to the model, with an input guard for outside input.
pub(super) const CONTROL: Control = Control {
    id: "io-guardrails",
    title: "a safeguard that is not AI stands in the only path to the model, with an input guard for \
        outside input",
    room: Room::RuntimeHardening,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-4.1",
        "CoP-4.6",
        "CoP-5.4.1",
        "CoP-8.2",
        "CoP-12.3-n1",
        "NCSC-P2.2",
        "NCSC-P5.3",
        "ETSI-3",
    ],
    why: "a model can be talked round, a plain filter in its path cannot",
    remedy: "put a guard container or gateway in front of the model, declare it under spec.guardrails and \
        point the Service at its port",
    gaps: &[],
    limits: &[
        "whether the rules of a guard are good is shown by evaluation only",
        "of a guard that a gateway carries, the route to the workload is looked at, not the filter itself",
    ],
    check: Check::Rule(check),
};

/// Arguments and variables that make a server tell more of its insides than an answer needs.
const TELLING: [&str; 5] = [
    "--return-tokens-as-token-ids",
    "--enable-log-requests",
    "--log-level=debug",
    "--debug",
    "VLLM_TRACE_FUNCTION",
];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    if !matches!(workload.spec.type_, WorkloadType::Inference | WorkloadType::Agent | WorkloadType::Batch) {
        return;
    }
    output(facts, workload, report);
    input(facts, workload, report);
    fields(facts, workload, report);
    if let Some((pod, _)) = facts.ai_pod() {
        telling(pod, workload, report);
    }
}

fn at(workload: &api::AIWorkload, path: impl Into<String>) -> Place {
    Place::field(Facts::name_of(workload), path)
}

fn outside(workload: &api::AIWorkload) -> bool {
    let mut all = workload.spec.exposure.iter();
    all.any(|exposure| matches!(exposure.audience, Some(Audience::Partner | Audience::Public)))
}

/// Declares a container that is no model as the guard of a direction.
fn guarded_by(workload: &api::AIWorkload, direction: &str) -> Fix {
    let guard = json!({"kind": "nonAI", "container": "CONTAINER"});
    Fix::set_at(&at(workload, format!("spec.guardrails.{direction}")), "", guard)
}

/// What comes out passes something that is no model; where nobody calls, people may look instead.
fn output(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    let reviewed = spec
        .oversight
        .as_ref()
        .is_some_and(|oversight| matches!(oversight.mode, OversightMode::Approve | OversightMode::Review));
    if spec.type_ == WorkloadType::Batch && spec.exposure.is_empty() && reviewed {
        return;
    }
    let Some(guard) = spec.guardrails.as_ref().and_then(|guardrails| guardrails.output.as_ref()) else {
        report
            .violated(
                at(workload, "spec.guardrails.output"),
                "is missing, so nothing but the model decides what comes out",
            )
            .under(&["CoP-4.1"])
            .fix(
                guarded_by(workload, "output").after(
                    "put a container that checks answers by rules in front of the model, and declare it",
                ),
            )
            .in_declaration(facts);
        return;
    };
    if guard.kind == GuardrailKind::Ai {
        report
            .violated(
                at(workload, "spec.guardrails.output.kind").value("AI"),
                "rests on a model, which can be talked round like the one it watches",
            )
            .under(&["CoP-4.1"])
            .fix(
                guarded_by(workload, "output")
                    .after("put a guard that is no model there; one of kind AI may stand beside it"),
            )
            .in_declaration(facts);
        return;
    }
    stands(facts, workload, "output", guard, "CoP-4.1", report);
}

/// What comes in from outside, or from documents that others write, is checked before a language model reads it.
fn input(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    if let Some(guard) = spec.guardrails.as_ref().and_then(|guardrails| guardrails.input.as_ref()) {
        stands(facts, workload, "input", guard, "ETSI-3", report);
        return;
    }
    let models = spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name));
    let llm = models.into_iter().any(|model| model.spec.model_kind == Some(ModelKind::Llm));
    let retrieves = spec.datasets.iter().any(|used| used.use_ == Some(DatasetPurpose::Retrieval));
    let (why, under): (&str, &'static [&'static str]) = if outside(workload) {
        ("people outside the organisation send what the model reads", &["CoP-4.6", "ETSI-3"])
    } else if llm && retrieves {
        ("the language model reads documents that others write", &["ETSI-3"])
    } else {
        return;
    };
    report
        .violated(at(workload, "spec.guardrails.input"), format!("is missing, though {why}"))
        .under(under)
        .fix(guarded_by(workload, "input").after("let a container check requests, and declare it"))
        .in_declaration(facts);
}

/// The declared guard is in the pod, with the image that was declared, and before the model.
fn stands(
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
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        let serves = |container: &&ContainerView<'_>| {
            container.ports.iter().any(|port| {
                port.container_port == i32::from(exposure.port)
                    && metrics.is_none_or(|metrics| port.name.as_deref() != Some(metrics.port.as_str()))
            })
        };
        let Some(server) = pod.containers.iter().find(serves).filter(|server| server.name != guard.name)
        else {
            continue;
        };
        report
            .violated(
                Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].port"))
                    .value(exposure.port.to_string()),
                format!(
                    "is a port of container {:?}, so callers go past the {direction} guard {:?}",
                    server.name, guard.name
                ),
            )
            .under(under)
            .fix(expose(workload, index, guard))
            .in_declaration(facts);
    }
}

/// Exposes the first port of the guard, where it has one.
fn expose(workload: &api::AIWorkload, index: usize, guard: &ContainerView<'_>) -> Fix {
    let words = format!("let container {:?} call the other, and expose its port", guard.name);
    match guard.ports.first() {
        Some(port) => {
            let place = at(workload, format!("spec.exposure[{index}].port"));
            Fix::set_at(&place, "", port.container_port).after(words)
        }
        None => Fix::Text(words),
    }
}

/// Answers to people outside hold what they need.
fn fields(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        let leaves = matches!(exposure.audience, Some(Audience::Partner | Audience::Public));
        if leaves && exposure.output_fields.is_empty() {
            report
                .violated(
                    at(workload, format!("spec.exposure[{index}].outputFields")),
                    "is empty, so nobody decided what an answer to people outside may hold",
                )
                .under(&["CoP-8.2"])
                .fix(
                    Fix::set_at(
                        &at(workload, format!("spec.exposure[{index}].outputFields")),
                        "",
                        json!(["FIELD"]),
                    )
                    .after("list the fields of an answer that callers need, such as answer and citations"),
                )
                .in_declaration(facts);
        }
    }
}

/// Switches that put insides of the model into answers, where people outside read them.
fn telling(pod: &PodFacts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if !outside(workload) {
        return;
    }
    for container in &pod.containers {
        let words = [("command", container.command), ("args", container.args)];
        for (field, list) in words {
            for (index, word) in list.iter().enumerate() {
                let probabilities = word
                    .strip_prefix("--max-logprobs")
                    .map(|rest| rest.trim_start_matches('=').trim())
                    .or_else(|| (index > 0 && list[index - 1] == "--max-logprobs").then_some(word.as_str()))
                    .is_some_and(|number| !number.is_empty() && number != "0");
                if probabilities || TELLING.contains(&word.as_str()) {
                    report
                        .violated(
                            pod.at(container.path(&format!("{field}[{index}]"))).value(word),
                            "adds insides of the model to what people outside get",
                        )
                        .under(&["CoP-8.2"])
                        .fix(Fix::Text(
                            "remove the switch, or serve those who need it through an internal exposure"
                                .to_owned(),
                        ));
                }
            }
        }
        for (index, variable) in container.env.iter().enumerate() {
            if TELLING.contains(&variable.name.as_str()) && variable.value.as_deref() != Some("0") {
                report
                    .violated(
                        pod.at(container.path(&format!("env[{index}]"))).value(&variable.name),
                        "adds insides of the model to what people outside get",
                    )
                    .under(&["CoP-8.2"])
                    .fix(Fix::Text("remove the variable".to_owned()));
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/io_guardrails.rs"]
mod tests;
