//! `action-scope-declared`: an agent declares each action with target, verb and fail-safe, and can do no
//! more.

use serde_json::{Value, json};

use crate::api;
use crate::api::workload::{AgentAction, FailSafeKind, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// An agent declares each action with target, verb and fail-safe, and can do no more.
pub(super) const CONTROL: Control = Control {
    id: "action-scope-declared",
    title: "an agent declares each action with target, verb and fail-safe, and can do no more",
    room: Room::Identity,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-2.5", "CoP-2.5-n2", "ETSI-3"],
    why: "an agent does whatever its inputs talk it into, as far as its rights reach",
    remedy: "list each action under spec.actions with a fail-safe, and take away rights and destinations \
        beyond them",
    gaps: &[],
    limits: &["whether a fail-safe really stops an action is shown by evaluation only"],
    check: Check::Rule(check),
};

/// Verbs that change nothing.
const READING: [&str; 3] = ["get", "list", "watch"];

/// Stands for the object that keeps an action safe.
const PROVIDER: &str = "KIND/NAME";

/// The safest way to keep an action within bounds.
fn safe() -> Value {
    json!({"kind": "humanApproval", "ref": PROVIDER})
}

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    // What acts on other systems is bounded, whatever it is called.
    for (index, action) in workload.spec.actions.iter().enumerate() {
        guarded(facts, workload, (index, action), report);
        reachable(facts, workload, (index, action), report);
    }
    if workload.spec.type_ == WorkloadType::Agent {
        beyond(facts, workload, report);
        idle(facts, workload, report);
    }
}

/// An agent says at least one thing that it does.
fn idle(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    let rights = spec.identity.iter().flat_map(|identity| &identity.permissions);
    // What is within its reach is told of one by one.
    let reached = !spec.services.is_empty() || !spec.external_apis.is_empty();
    if !spec.actions.is_empty() || reached || rights.flat_map(|right| &right.verbs).any(|verb| !reading(verb))
    {
        return;
    }
    // Whatever it may read is at least that.
    let mut rights = spec.identity.iter().flat_map(|identity| &identity.permissions);
    let readable = rights.find_map(|right| Some((right.resources.first()?, right.verbs.first()?)));
    let action = readable.map_or_else(
        || json!({"target": "TARGET", "verb": "VERB", "failSafe": safe()}),
        |(target, verb)| json!({"target": target, "verb": verb}),
    );
    report
        .violated(at(workload, "spec.actions"), "is empty, so nothing says what the agent does")
        .under(&["CoP-2.5-n2"])
        .fix(
            Fix::set_at(&at(workload, "spec.actions[+]"), "", action)
                .after("say what it does, or choose another spec.type if it acts on nothing"),
        )
        .in_declaration(facts);
}

fn at(workload: &api::AIWorkload, path: impl Into<String>) -> Place {
    Place::field(Facts::name_of(workload), path)
}

fn reads(action: &AgentAction) -> bool {
    reading(&action.verb) || action.verb == "read"
}

fn reading(verb: &str) -> bool {
    READING.contains(&verb)
}

/// Something other than the model keeps each action that changes something within bounds.
fn guarded(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, action): (usize, &AgentAction),
    report: &mut Report<'_>,
) {
    let Some(safe) = &action.fail_safe else {
        if !reads(action) {
            report
                .violated(
                    at(workload, format!("spec.actions[{index}].failSafe")),
                    format!(
                        "is missing, so nothing but the model bounds {:?} on {:?}",
                        action.verb, action.target
                    ),
                )
                .under(&["CoP-2.5-n2", "ETSI-3"])
                .fix(
                    Fix::set_at(&at(workload, format!("spec.actions[{index}]")), "failSafe", safe()).after(
                        "let a person or something that is no model keep the action safe, and name it",
                    ),
                )
                .in_declaration(facts);
        }
        return;
    };
    let needs_object = matches!(safe.kind, FailSafeKind::HumanApproval | FailSafeKind::Limit);
    let place = || at(workload, format!("spec.actions[{index}].failSafe.ref"));
    match safe.ref_.as_deref().map(|name| (name, name.split_once('/'))) {
        None if needs_object => {
            report
                .violated(
                    place(),
                    format!("is missing, so nothing is named that provides {:?}", safe.kind.as_str()),
                )
                .under(&["CoP-2.5-n2"])
                .fix(Fix::set_at(&place(), "", PROVIDER).after("name the object that provides it"))
                .in_declaration(facts);
        }
        Some((name, Some(("Service", service)))) if !facts.namespace.services.contains_key(service) => {
            report
                .violated(
                    place().value(name),
                    format!("no Service {service:?} is in namespace {:?}", facts.namespace.name),
                )
                .under(&["CoP-2.5-n2"])
                .fix(Fix::Text("create the Service, or correct the reference".to_owned()))
                .may_arrive();
        }
        Some((name, Some(("Container", container)))) => {
            if let Some((pod, _)) = facts.ai_pod()
                && !pod.containers.iter().any(|known| known.name == container)
            {
                report
                    .violated(place().value(name), format!("no container {container:?} is in the pod"))
                    .under(&["CoP-2.5-n2"])
                    .fix(
                        Fix::set_at(&place(), "", PROVIDER)
                            .after("add the container to the pod, or name what keeps the action safe"),
                    )
                    .may_arrive();
            }
        }
        _ => {}
    }
}

/// An action that nothing lets through is a mistake in one place or the other.
fn reachable(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, action): (usize, &AgentAction),
    report: &mut Report<'_>,
) {
    let spec = &workload.spec;
    let target = action.target.as_str();
    let known = spec.services.iter().any(|service| service.name == target)
        || spec.external_apis.iter().any(|api| api.name == target)
        || spec
            .identity
            .iter()
            .flat_map(|identity| &identity.permissions)
            .any(|p| p.resources.iter().any(|r| r == target));
    if !known {
        report
            .violated(
                at(workload, format!("spec.actions[{index}].target")).value(target),
                "is no name in spec.services or spec.externalApis and no resource of spec.identity.permissions",
            )
            .under(&["CoP-2.5"])
            .fix(
                Fix::remove_at(&at(workload, format!("spec.actions[{index}]")))
                    .after("declare the way to it under one of these, or take the action out"),
            )
            .in_declaration(facts);
    }
}

/// What the agent may reach or change without an action that says so.
fn beyond(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    let acted = |target: &str| spec.actions.iter().any(|action| action.target == target);
    let sink = spec.monitoring.as_ref().and_then(|m| m.io_log.as_ref()).and_then(|log| log.sink.as_ref());
    let logs = |name: &str| {
        sink.and_then(|sink| sink.ref_.as_deref()).is_some_and(|to| to.rsplit('/').next() == Some(name))
    };
    let apis = spec
        .external_apis
        .iter()
        .enumerate()
        .map(|(i, api)| (format!("spec.externalApis[{i}].name"), &api.name));
    let services =
        spec.services.iter().enumerate().map(|(i, s)| (format!("spec.services[{i}].name"), &s.name));
    let add = |target: &str, verb: &str| {
        let action = json!({"target": target, "verb": verb, "failSafe": safe()});
        Fix::set_at(&at(workload, "spec.actions[+]"), "", action)
    };
    for (path, name) in apis.chain(services).filter(|(_, name)| !acted(name) && !logs(name)) {
        report
            .violated(
                at(workload, path).value(name),
                "is within reach of the agent, and no entry of spec.actions says for what",
            )
            .under(&["CoP-2.5"])
            .fix(add(name, "VERB").after("say for what, or take the way to it out"))
            .in_declaration(facts);
    }
    for (index, permission) in spec.identity.iter().flat_map(|identity| &identity.permissions).enumerate() {
        for verb in permission.verbs.iter().filter(|verb| !READING.contains(&verb.as_str())) {
            for resource in &permission.resources {
                if spec.actions.iter().any(|action| action.target == *resource && action.verb == *verb) {
                    continue;
                }
                report
                    .violated(
                        at(workload, format!("spec.identity.permissions[{index}].verbs")).value(verb),
                        format!("lets the agent {verb} {resource}, and no entry of spec.actions says so"),
                    )
                    .under(&["CoP-2.5"])
                    .fix(add(resource, verb).after("take the right away, or say for what"))
                    .in_declaration(facts);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/action_scope_declared.rs"]
mod tests;
