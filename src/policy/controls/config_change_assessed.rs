//! `config-change-assessed`: the settings in force are covered by a risk assessment.

use std::sync::Arc;

use crate::api::common::LABEL_SETTINGS;
use crate::api::workload::Setting;
use crate::api::{AIPrompt, Environment};
use crate::policy::composition;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall, unnamed};
use crate::policy::facts::{Facts, Place, PodFacts};
use crate::policy::fix::Fix;
use crate::policy::maps;

/// Arguments, environment and settings as they are were assessed.
pub(super) const CONTROL: Control = Control {
    id: "config-change-assessed",
    title: "the settings in force are covered by a risk assessment",
    room: Room::RuntimeHardening,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.1.1", "CoP-8.1.2", "NCSC-P5.2"],
    why: "one changed flag can undo every other safeguard, and nobody looks twice at a flag",
    remedy: "assess the new settings, record ConfigChangeAssessment for their digest, or go back to the \
        secure default",
    gaps: &[],
    limits: &[
        "values of Secrets are never read, so a change of one is not seen",
        "whoever changes a setting may record its assessment: that it was looked at is shown, not by whom else; another person is asked \
         for by the SecurityAssessment and the RedTeam",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let place = || Place::object(Facts::name_of(workload));
    let about = About::Workload(workload);
    let departs = |setting: &Setting| setting.value != setting.secure_default;
    let mut short = Shortfall::new(facts);
    for (index, setting) in workload.spec.settings.iter().enumerate().filter(|(_, setting)| departs(setting))
    {
        let named = setting.assessment_ref.as_deref();
        let assessed = named.and_then(|name| facts.namespace.evidence.get(name));
        if assessed.is_none_or(|evidence| evidence.spec.type_ != "ConfigChangeAssessment") {
            short.require(false, || format!(
                "setting {:?} is {:?} instead of its secure default {:?}, and assessmentRef names no ConfigChangeAssessment",
                setting.name, setting.value, setting.secure_default
            ));
            short.fix("assess the departure and name it in assessmentRef, or restore the secure default");
            short.set(
                about.object(),
                format!("spec.settings[{index}].value"),
                setting.secure_default.as_str(),
            );
        }
    }
    short.tell(report, place(), &["NCSC-P5.2"]);

    // Only pods have arguments and environment.
    let Some(pod) = facts.pod() else { return };
    unread(facts, pod, report);
    let present = composition::configuration(pod.spec, &pod.containers, facts.namespace);
    let mut short = Shortfall::new(facts);
    short.hint("configDigests", vec![present.clone()]);
    let question = Question::of("ConfigChangeAssessment", about).with(&["configDigests"]);
    if let Some(assessment) = short.ask(question.clone()) {
        let left = unnamed(assessment, "configDigests", &[present.as_str()]);
        if !left.is_empty() {
            short.require(false, || {
                format!("{} does not cover configuration {present}", Shortfall::name(assessment))
            });
            short.fix("assess arguments and environment");
            short.renew(question, assessment, [Shortfall::also(assessment, "configDigests", &left)]);
        }
    }
    short.tell(report, place(), &["CoP-3.1.1", "CoP-8.1.2"]);
}

/// In production every map that a pod takes values from is one whose values are known: as a prompt, or as settings.
fn unread(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let namespace = facts.namespace;
    if namespace.environment() != Some(Environment::Production) {
        return;
    }
    for (name, path) in maps::named(pod.spec, &pod.containers) {
        // What an AIPrompt names is prompt-integrity's.
        let source = |prompt: &Arc<AIPrompt>| {
            prompt.spec.source.as_ref().and_then(|source| source.name.as_deref()) == Some(name)
        };
        if namespace.config_maps.contains_key(name)
            || namespace.settings_maps.contains_key(name)
            || namespace.prompts.values().any(source)
        {
            continue;
        }
        report
            .unknown(
                pod.at(path).value(name),
                format!("is a ConfigMap without the label {LABEL_SETTINGS}, so its values are not looked at"),
            )
            .under(&["CoP-3.1.1", "CoP-8.1.2"])
            .fix(Fix::Command(format!(
                "kubectl label configmap {name} -n {} {LABEL_SETTINGS}=",
                namespace.name
            )))
            .may_arrive();
    }
}
