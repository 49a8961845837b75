//! `io-guardrails`: a safeguard that is not AI stands in the only path to the model, with an input guard
//! for outside input.

use serde_json::json;

use crate::api;
use crate::api::common::Audience;
use crate::api::model::ModelKind;
use crate::api::workload::{DatasetPurpose, GuardrailKind, OversightMode, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::guards::stands;

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
