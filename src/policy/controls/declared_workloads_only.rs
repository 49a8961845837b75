//! `declared-workloads-only`: nothing runs in a governed namespace that nobody has declared.

use crate::api;
use crate::api::model::ModelKind;
use crate::api::workload::{DatasetPurpose, DatasetUse, LifecycleState, ModelUse, WorkloadType};
use crate::policy::blanks::is_blank;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Matched, Place, PodFacts, Stage, Subject};
use crate::policy::fix::Fix;
use crate::policy::selector::{self, Overlap};
use crate::policy::{artifacts, skeleton};

/// Every pod belongs to one AIWorkload, and what it mounts is registered.
pub(super) const CONTROL: Control = Control {
    id: "declared-workloads-only",
    title: "every pod of a governed namespace belongs to exactly one AIWorkload, and the artifacts it mounts are registered",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-5.1", "CoP-5.1-n1", "CfV-SCOPE"],
    why: "only what is known, with its place and its owner, can be protected",
    remedy: "create an AIWorkload whose spec.selector matches the pod's labels, and an AIModel for each artifact it mounts",
    gaps: &[],
    limits: &[
        "which models are language models is known from spec.modelKind; that one runs without a prompt is taken from the reason given",
        "AI outside governed namespaces, and in pods that are declared to support it, is told by devices, by known model servers, by \
         what they are told to load and by registered artifacts; a program of one's own on ordinary processors looks like any other, \
         and whoever mounts a claim with a model may be filling or keeping it",
        "what a driver of volumes brings is not looked at: into pods of AI those are let in that bring certificates, identities and \
         Secrets, and no others; pods that support AI may mount what they like but models",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Pod(pod) if !facts.is_platform_agent(pod) => {
            belongs(facts, pod, report);
            artifacts::mounts(facts, pod, report);
            artifacts::claims(facts, pod, report);
            artifacts::disguised(facts, pod, report);
            kept_apart(facts, pod, report);
            active(facts, pod, report);
            prompted(facts, report);
            learns(facts, report);
        }
        Subject::Workload(workload) => {
            shared(facts, workload, report);
            prompted(facts, report);
            learns(facts, report);
        }
        Subject::DeclarationDeletion(workload) if !facts.namespace.terminating => kept(workload, report),
        Subject::Cluster => {
            for line in &facts.cluster.undeclared {
                report.violated(Place::object(line), "looks like AI outside every governed namespace");
            }
        }
        _ => {}
    }
}

fn belongs(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    match &pod.matched {
        Matched::One(_) => {}
        Matched::None => {
            let labels: Vec<String> = pod.labels.iter().take(4).map(|(k, v)| format!("{k}={v}")).collect();
            report
                .violated(
                    pod.at("metadata.labels").value(labels.join(",")),
                    format!("no AIWorkload of namespace {:?} selects this pod", facts.namespace.name),
                )
                .fix(declare(&facts.namespace.name, pod))
                .may_arrive();
        }
        Matched::Many(names) => {
            report
                .violated(
                    pod.at("metadata.labels"),
                    format!("{} AIWorkloads select this pod: {}", names.len(), names.join(", ")),
                )
                .fix(Fix::Text(
                    "give each workload a label of its own and let spec.selector ask for it".to_owned(),
                ));
        }
    }
}

/// A declaration to fill in; without labels there is nothing that one could select.
fn declare(namespace: &str, pod: &PodFacts<'_>) -> Fix {
    let words = format!(
        "apply an AIWorkload in namespace {namespace:?} whose spec.selector.matchLabels are among these labels (type: \
         supporting if this is no AI)"
    );
    if pod.labels.is_empty() {
        return Fix::Text(words);
    }
    Fix::Record(words, skeleton::workload(namespace, pod.labels))
}

/// New pods come only while the workload is active; those that run stay for whoever looks into it.
fn active(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.declaration() else { return };
    let state = workload.state();
    if state == LifecycleState::Active || !matches!(pod.stage, Stage::Entering | Stage::Carried) {
        return;
    }
    let way = match state {
        LifecycleState::Planned => "set it to Active when the workload is to run",
        LifecycleState::Quarantined => {
            "find out what happened and mend it, then set it to Active again, or to Disposed if it is not to run again"
        }
        _ => "declare a new AIWorkload if this is to run again",
    };
    report
        .violated(
            Place::field(Facts::name_of(workload), "spec.lifecycle.state").value(state.as_str()),
            "lets no new pods in",
        )
        .under(&["CfV-SCOPE"])
        .fix(Fix::Text(way.to_owned()))
        .may_arrive();
}

/// What is cut off stays so under whichever labels: those by which the quarantine finds it stay on it.
fn kept_apart(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some(former) = pod.former_labels else { return };
    let quarantined = facts.namespace.workloads.iter().filter(|(_, workload)| workload.is_quarantined());
    let left = quarantined.filter(|(_, workload)| {
        let wanted = &workload.spec.selector.match_labels;
        selector::contains(wanted, former) && !selector::contains(wanted, pod.labels)
    });
    for (name, _) in left {
        report
            .violated(
                pod.at("metadata.labels"),
                format!("are not those of AIWorkload {name:?} any more, whose quarantine holds for this pod"),
            )
            .under(&["CfV-SCOPE"])
            .fix(Fix::Text(format!(
                "leave the labels that spec.selector of AIWorkload {name:?} names on the pod; once it is known what happened, \
                 delete the pod"
            )));
    }
}

/// A quarantine does not end with its declaration: what runs is evidence, and whoever declares it anew would let pods in.
fn kept(workload: &api::AIWorkload, report: &mut Report<'_>) {
    if !workload.is_quarantined() {
        return;
    }
    let place = Place::field(Facts::name_of(workload), "spec.lifecycle.state");
    report
        .violated(
            place.value(LifecycleState::Quarantined.as_str()),
            "keeps the declaration: without it the quarantine would be over, and what is known of it gone",
        )
        .under(&["CfV-SCOPE"])
        .fix(
            Fix::set_at(
                &Place::field(Facts::name_of(workload), "spec.lifecycle.state"),
                "",
                LifecycleState::Disposed.as_str(),
            )
            .after(
                "once it is known what happened and nothing of it is left, let who acts in incidents end the quarantine, which \
                 gives it no network back",
            ),
        );
}

/// A language model that answers or acts does so by a prompt, which is an asset; that there is none is said with its reason.
fn prompted(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let spec = &workload.spec;
    let answers = matches!(spec.type_, WorkloadType::Inference | WorkloadType::Agent | WorkloadType::Batch);
    let said = spec.no_prompt_reason.as_deref().is_some_and(|reason| !is_blank(reason));
    if !answers || said || !spec.prompts.is_empty() {
        return;
    }
    let of_language = |used: &&ModelUse| {
        let model = facts.namespace.models.get(&used.name);
        model.is_some_and(|model| model.spec.model_kind == Some(ModelKind::Llm))
    };
    let Some(used) = spec.models.iter().find(of_language) else { return };
    let place = Place::field(Facts::name_of(workload), "spec.prompts");
    let fix = Fix::set_at(&Place::field(Facts::name_of(workload), "spec.noPromptReason"), "", "WHY-NONE");
    report
        .violated(place, format!("is empty, and AIModel {:?} is a language model", used.name))
        .under(&["CoP-5.1-n1"])
        .fix(fix.after(
            "apply an AIPrompt with the text that the model is instructed by and name it in spec.prompts; where there is none, \
             say why instead",
        ))
        .in_declaration(facts);
}

/// What users' data teaches a model is a dataset, unless somebody else who is named learns from it.
fn learns(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let Some(told) = workload.spec.user_data.as_ref().filter(|told| told.used_for_training == Some(true))
    else {
        return;
    };
    let kept = |used: &DatasetUse| {
        matches!(
            used.use_,
            Some(DatasetPurpose::Feedback | DatasetPurpose::Training | DatasetPurpose::FineTuning)
        )
    };
    let elsewhere = !told.third_parties.is_empty() || !workload.spec.external_apis.is_empty();
    if elsewhere || workload.spec.datasets.iter().any(kept) {
        return;
    }
    let place = Place::field(Facts::name_of(workload), "spec.userData.usedForTraining").value("true");
    let fix = Fix::set_at(&place, "", false);
    report
        .violated(place, "says that models learn from users' data, and no dataset of spec.datasets holds it")
        .under(&["CoP-5.1-n1"])
        .fix(fix.after(
            "declare the AIDataset that collects it in spec.datasets with use: feedback, or who else learns from it in \
             spec.userData.thirdParties; only where nobody does",
        ))
        .in_declaration(facts);
}

/// Pods that two declarations select are refused, so a second declaration may not take in what another one selects.
fn shared(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let own = workload.metadata.name.as_deref();
    for (name, other) in facts.namespace.workloads.iter().filter(|(name, _)| own != Some(name.as_str())) {
        let labels = &workload.spec.selector.match_labels;
        let what = match selector::overlap(labels, &other.spec.selector.match_labels) {
            Overlap::None | Overlap::Some => continue,
            Overlap::Same => format!("select the same pods as AIWorkload {name:?}"),
            Overlap::First => format!("select only pods that AIWorkload {name:?} selects too"),
            Overlap::Second => format!("select every pod of AIWorkload {name:?} too"),
        };
        report
            .violated(
                Place::field(Facts::name_of(workload), "spec.selector.matchLabels"),
                format!("{what}, and a pod that two select is refused"),
            )
            .fix(Fix::Text(format!(
                "add a label that only these pods carry to them and to spec.selector.matchLabels; if it takes the place \
                 of {name:?}, {}delete that one first: kubectl delete aiworkload {name} -n {}",
                if other.is_quarantined() { "which is in quarantine, end that and " } else { "" },
                facts.namespace.name
            )));
    }
}

#[cfg(test)]
#[path = "tests/declared_workloads_only.rs"]
mod tests;
