//! `capability-minimised`: capabilities that the system does not use are switched off or accepted as a
//! risk.

use serde_json::json;

use crate::api;
use crate::api::workload::{CapabilityDisabled, Consent, ModelUse};
use crate::policy::containers::Role;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, Question, ask, words};
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::servers::{Ability, Loaded, Mend};

/// Capabilities that the system does not use are switched off or accepted as a risk.
pub(super) const CONTROL: Control = Control {
    id: "capability-minimised",
    title: "capabilities that the system does not use are switched off or accepted as a risk",
    room: Room::RuntimeHardening,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.1.3", "CoP-10.3.2", "NCSC-D3.16"],
    why: "an input or tool that nobody needs is still there for the attacker",
    remedy: "switch each unused capability off and name the means under capabilitiesDisabledBy, or record a \
        RiskAcceptance for the model's digest",
    gaps: &[],
    limits: &[
        "a capability that a gateway or guard turns off by a rule is taken as declared",
        "what a server does without being told by a flag or variable, such as taking images, is not seen",
        "what a model can do is known from spec.capabilities of its AIModel; one that lists nothing is taken to do what is used",
    ],
    check: Check::Rule(check),
};

/// Capabilities that users have to choose knowingly, unless a profile lists others under `riskyCapabilities`.
const RISKY: [&str; 6] =
    ["code-execution", "tool-use", "web-browsing", "biometric", "fine-tune-api", "user-finetuning"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    for (index, used) in workload.spec.models.iter().enumerate() {
        let Some(model) = facts.namespace.models.get(&used.name) else { continue };
        offered(facts, workload, (index, used), model, report);
        risky(facts, workload, (index, used), report);
    }
    if let Some((pod, workload)) = facts.ai_pod() {
        switched_on(facts, pod, workload, report);
    }
}

/// A server is told to do what the declaration does not say that the system uses.
fn switched_on(facts: &Facts<'_>, pod: &PodFacts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    for (container, Loaded { abilities, adapters, .. }) in facts.loaded() {
        let uses = |ability: Ability| {
            let used = spec.models.iter().flat_map(|model| &model.capabilities_used);
            used.into_iter().any(|used| ability.names().contains(&used.name.as_str()))
                || (ability == Ability::Tools && !spec.actions.is_empty())
                // Which adapter may be loaded is judged by other controls.
                || (ability == Ability::Adapters && *adapters)
        };
        let surplus: Vec<_> = abilities.iter().filter(|(ability, _)| !uses(*ability)).collect();
        let mut mend = Mend::default();
        let mended: Vec<bool> = surplus.iter().map(|(_, seen)| mend.drop_words(container, seen)).collect();
        for ((ability, seen), mended) in surplus.iter().zip(mended) {
            let name = ability.names()[0];
            let words = format!(
                "take it out, or where the system needs it, add {name:?} to capabilitiesUsed of the model in {}",
                Facts::name_of(workload)
            );
            let fix = mend.fix(container, pod.prefix).filter(|_| mended);
            report
                .violated(
                    pod.at(container.path(&seen.at.field())).value(&seen.word),
                    format!("gives the server {name:?}, which {} does not use", Facts::name_of(workload)),
                )
                .under(&["CoP-3.1.3"])
                .fix(fix.map_or_else(|| Fix::Text(words.clone()), |fix| fix.after(words.clone())));
        }
    }
}

fn at(workload: &api::AIWorkload, path: String) -> Place {
    Place::field(Facts::name_of(workload), path)
}

fn offered<'a>(
    facts: &Facts<'a>,
    workload: &api::AIWorkload,
    (index, used): (usize, &ModelUse),
    model: &'a api::AIModel,
    report: &mut Report<'_>,
) {
    let has = &model.spec.capabilities;
    for (number, capability) in used.capabilities_used.iter().enumerate() {
        if !has.is_empty() && !has.contains(&capability.name) {
            let path = format!("spec.models[{index}].capabilitiesUsed[{number}]");
            report
                .violated(
                    at(workload, format!("{path}.name")).value(&capability.name),
                    format!("is nothing that AIModel {:?} says it can do: {}", used.name, has.join(", ")),
                )
                .under(&["CoP-3.1.3"])
                .fix(
                    Fix::remove_at(&at(workload, path))
                        .after("write a name that the model has, or take it out"),
                )
                .in_declaration(facts);
        }
    }
    // A declaration that names none of what it uses has not begun to say what it leaves unused.
    let unused = has.iter().filter(|name| !used.capabilities_used.iter().any(|used| used.name == **name));
    let mut accepted: Option<Vec<&str>> = None;
    for name in unused {
        if let Some(number) = used.capabilities_disabled_by.iter().position(|disabled| disabled.name == *name)
        {
            if let Some((pod, _)) = facts.ai_pod() {
                switched(pod, workload, (index, number), &used.capabilities_disabled_by[number], report);
            }
        } else {
            let accepted = accepted.get_or_insert_with(|| {
                match ask(
                    facts,
                    &Question::of("RiskAcceptance", About::Model(model)).bound().with(&["capabilities"]),
                ) {
                    Answer::Held(evidence) => words(evidence, "capabilities"),
                    _ => Vec::new(),
                }
            });
            if accepted.contains(&name.as_str()) {
                continue;
            }
            report
                    .violated(
                        at(workload, format!("spec.models[{index}].capabilitiesDisabledBy")),
                        format!("does not name {name:?}, which AIModel {:?} can do and the workload does not use", used.name),
                    )
                    .under(&["CoP-3.1.3"])
                    .fix(
                        Fix::set_at(
                            &at(workload, format!("spec.models[{index}].capabilitiesDisabledBy")),
                            "[+]",
                            json!({"name": name, "arg": "ARGUMENT"}),
                        )
                        .after(
                            "name it in facts.capabilities of an AIEvidence of type RiskAcceptance for the digest of the \
                             model, or turn it off by an argument",
                        ),
                    )
                    .in_declaration(facts);
        }
    }
}

/// The switch that the declaration names is in the pod.
fn switched(
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    (model, number): (usize, usize),
    disabled: &CapabilityDisabled,
    report: &mut Report<'_>,
) {
    let of_args = |wanted: &str| {
        let mut lists = pod.containers.iter().flat_map(|container| [container.command, container.args]);
        lists.any(|list| {
            list.iter().any(|word| word == wanted)
                || list
                    .windows(2)
                    .any(|pair| wanted.split_once([' ', '=']) == Some((pair[0].as_str(), pair[1].as_str())))
        })
    };
    let of_env = |wanted: &str| {
        let Some((name, value)) = wanted.split_once('=') else { return false };
        let mut all = pod.containers.iter().flat_map(|container| container.env);
        all.any(|variable| variable.name == name && variable.value.as_deref() == Some(value))
    };
    let (field, wanted, found) = match (&disabled.arg, &disabled.env) {
        (Some(arg), _) => ("arg", arg, of_args(arg)),
        (None, Some(env)) => ("env", env, of_env(env)),
        (None, None) => return,
    };
    if found {
        return;
    }
    report
        .violated(
            pod.at("spec.containers"),
            format!(
                "has no {field} {wanted:?}, by which {} turns {:?} off",
                Facts::name_of(workload),
                disabled.name
            ),
        )
        .under(&["CoP-3.1.3"])
        .may_arrive()
        .fix(switch(
            pod,
            field,
            wanted,
            &format!("spec.models[{model}].capabilitiesDisabledBy[{number}].{field}"),
        ));
}

/// Turns a capability off in the first container, which need not be the right one.
fn switch(pod: &PodFacts<'_>, field: &str, wanted: &str, declared: &str) -> Fix {
    let words = format!("correct {declared}, or let the container that serves the model have it");
    let Some(container) = pod.containers.iter().find(|container| container.role == Role::Main) else {
        return Fix::Text(words);
    };
    let (list, value) = match wanted.split_once('=').filter(|_| field == "env") {
        Some((name, value)) => ("env[+]", json!({"name": name, "value": value})),
        None => ("args[+]", json!(wanted)),
    };
    Fix::set_at(&pod.at(container.path(list)), "", value).after(words)
}

/// What is risky is off until a user turns it on.
fn risky(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, used): (usize, &ModelUse),
    report: &mut Report<'_>,
) {
    for (number, capability) in used.capabilities_used.iter().enumerate() {
        let mut listed = facts.settings.words("riskyCapabilities").peekable();
        let risky = if listed.peek().is_some() {
            listed.any(|name| name == capability.name)
        } else {
            RISKY.contains(&capability.name.as_str())
        };
        if !risky || (capability.consent == Some(Consent::OptIn) && capability.setting_ref.is_some()) {
            continue;
        }
        let field = if capability.consent == Some(Consent::OptIn) { "settingRef" } else { "consent" };
        let path = format!("spec.models[{index}].capabilitiesUsed[{number}]");
        let mut edits = Fix::set_at(&at(workload, format!("{path}.consent")), "", "optIn").edits().to_vec();
        if capability.setting_ref.is_none() {
            edits.extend_from_slice(
                Fix::set_at(&at(workload, format!("{path}.settingRef")), "", "SETTING").edits(),
            );
        }
        report
            .violated(
                at(workload, format!("{path}.{field}")),
                format!("does not let users of {:?} choose it knowingly", capability.name),
            )
            .under(&["NCSC-D3.16"])
            .fix(Fix::Advice("let it stay off until a user turns it on".to_owned(), edits))
            .in_declaration(facts);
    }
}

#[cfg(test)]
#[path = "tests/capability_minimised.rs"]
mod tests;
