//! `dataset-boundary`: datasets are used only by listed consumers, in environments and sensitivities that fit them.

use super::secrets_not_inline::referred;
use crate::api;
use crate::api::Environment;
use crate::api::common::{Audience, Sensitivity};
use crate::api::dataset::DatasetClass;
use crate::api::workload::{Access, DatasetPurpose, DatasetUse, GuardrailKind, Output, WorkloadType};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::{self, Data, Lineage, Mounted};
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::skeleton;

/// Who mounts a dataset is listed, and what is made of it stays as sensitive as it is.
pub(super) const CONTROL: Control = Control {
    id: "dataset-boundary",
    title: "datasets are mounted only by listed consumers, in environments and sensitivities that fit them",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.4", "CoP-5.4", "CoP-6.2.1", "NCSC-V2.6", "NCSC-V2.7", "NCSC-P5.3"],
    why: "data that learns or tests a model is worth most to a thief and easiest to spoil where anybody can \
        mount it",
    remedy: "list the workload under spec.consumers of the AIDataset, declare it under spec.datasets of the AIWorkload, \
        and run it in a namespace whose environment and sensitivity fit the dataset",
    gaps: &[],
    limits: &[
        "credentials open a dataset elsewhere only as far as its spec.source.openedBy names their Secrets",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Dataset(dataset) => {
            lives(facts, dataset, report);
            data::reclassified(facts, dataset, report);
        }
        Subject::Pod(pod) => {
            let (Some(_), Some(workload)) = (facts.governed_pod(), facts.declaration()) else { return };
            mounts(facts, pod, workload, report);
            declared(facts, workload, report);
        }
        Subject::Workload(workload) => declared(facts, workload, report),
        _ => {}
    }
}

fn at(workload: &api::AIWorkload, path: impl Into<String>) -> Place {
    Place::field(Facts::name_of(workload), path)
}

/// Where a dataset itself lives.
fn lives(facts: &Facts<'_>, dataset: &api::AIDataset, report: &mut Report<'_>) {
    let Some(environment) = facts.namespace.environment() else { return };
    let object = format!(
        "AIDataset {}/{}",
        facts.namespace.name,
        dataset.metadata.name.as_deref().unwrap_or_default()
    );
    let spec = &dataset.spec;
    let apart = matches!(spec.class, Some(DatasetClass::Training | DatasetClass::Test));
    if apart
        && spec.public_source != Some(true)
        && matches!(environment, Environment::Production | Environment::Staging)
    {
        let class = spec.class.map_or("", DatasetClass::as_str);
        report
            .violated(
                Place::field(&object, "spec.class").value(class),
                format!(
                    "belongs in a namespace of environment data, research or training, not in {environment}"
                ),
            )
            .under(&["CoP-6.2.1"])
            .fix(Fix::Text("keep the dataset and its volume in a namespace of environment data".to_owned()));
    }
    if let (Some(theirs), Some(own)) = (spec.sensitivity, facts.namespace.sensitivity())
        && own < theirs
    {
        report
            .violated(
                Place::field(&object, "spec.sensitivity").value(theirs.as_str()),
                format!(
                    "is more than namespace {:?} may hold, which is for {own} data",
                    facts.namespace.name
                ),
            )
            .under(&["CoP-6.2.1"])
            .fix(Fix::Text(format!("keep the dataset in a namespace of sensitivity {theirs} or above")));
    }
}

/// What a pod mounts it may mount, and both sides say so.
fn mounts(facts: &Facts<'_>, pod: &PodFacts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let volumes = if facts.namespace.datasets.is_empty() && workload.spec.datasets.is_empty() {
        Vec::new()
    } else {
        data::mounted(facts, pod)
    };
    let secrets = if facts.cluster.opened_by.is_empty() { Vec::new() } else { referred(pod) };
    let opened = secrets.iter().flat_map(|(path, secret)| data::opened(facts, path, secret));
    for mounted in volumes.into_iter().chain(opened) {
        let data = mounted.data;
        let entry = workload.spec.datasets.iter().find(|used| names(facts, used, &data));
        // A declared use is judged with the declaration, which says the same of it.
        if entry.is_none() {
            not_declared(pod, workload, &mounted, report);
            if !data.lists(workload) {
                unlisted(facts, workload, &data, report);
            }
            out_of_production(facts, workload, &data, None, report);
            too_sensitive(facts, workload, &data, None, report);
        }
        mounted.hidden(pod, report);
        let reads = entry.is_some_and(|entry| entry.access == Access::Read);
        for path in mounted.writable.iter().filter(|_| reads) {
            let finding = report.violated(
                pod.at(path),
                format!("can write to {}, which {} only reads", data.object(), Facts::name_of(workload)),
            );
            finding.under(&["NCSC-V2.6"]);
            if path.contains("volumeMounts") {
                finding.fix(Fix::set(format!("{}{path}.readOnly", pod.prefix), true));
            } else {
                finding.fix(Fix::set(
                    format!("{}{}.persistentVolumeClaim.readOnly", pod.prefix, mounted.path),
                    true,
                ));
            }
        }
    }
}

fn names(facts: &Facts<'_>, used: &DatasetUse, data: &Data<'_>) -> bool {
    used.name == data.name
        && used.namespace.as_deref().unwrap_or(&facts.namespace.name) == data.namespace.name
}

fn kind(mounted: &Mounted<'_>) -> &'static str {
    match mounted {
        Mounted { opens: true, .. } => "opens",
        Mounted { copy: true, .. } => "is a copy of",
        Mounted { .. } => "holds",
    }
}

fn not_declared(
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    mounted: &Mounted<'_>,
    report: &mut Report<'_>,
) {
    let data = &mounted.data;
    report
        .violated(
            pod.at(&mounted.path).value(mounted.source),
            format!(
                "{} {}, which {} does not declare",
                kind(mounted),
                data.object(),
                Facts::name_of(workload)
            ),
        )
        .under(&["NCSC-V2.6"])
        .fix(data.declare(workload).after("take it out of the pod, or declare the dataset"))
        .may_arrive();
}

/// The controllers of the data say who may use it.
fn unlisted(facts: &Facts<'_>, workload: &api::AIWorkload, data: &Data<'_>, report: &mut Report<'_>) {
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    report
        .violated(
            Place::field(data.object(), "spec.consumers"),
            format!("does not list workload {name:?} of namespace {:?}", facts.namespace.name),
        )
        .under(&["CoP-5.4"])
        .fix(data.list(workload).after("stop using it, or let a controller of the data list the workload"))
        .may_arrive();
}

/// What the declaration says of data, and what stands behind its models.
fn declared(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    let mut behind: Vec<(Data<'_>, Option<&str>)> = Vec::new();
    for (index, used) in spec.datasets.iter().enumerate() {
        let Some(data) = Data::named(facts, used.namespace.as_deref(), &used.name) else {
            let namespace = used.namespace.as_deref().unwrap_or(&facts.namespace.name);
            report
                .violated(
                    at(workload, format!("spec.datasets[{index}].name")).value(&used.name),
                    format!("no AIDataset of namespace {namespace:?} has this name"),
                )
                .under(&["NCSC-V2.6"])
                .fix(Fix::Record(
                    format!("apply an AIDataset {:?} in namespace {namespace:?}", used.name),
                    skeleton::dataset(namespace, &used.name, workload),
                ))
                .may_arrive();
            continue;
        };
        if !data.lists(workload) {
            unlisted(facts, workload, &data, report);
        }
        out_of_production(facts, workload, &data, Some(used), report);
        behind.push((data, None));
    }
    for used in &spec.models {
        let Some(model) = facts.namespace.models.get(&used.name) else { continue };
        if model.spec.trained_on.is_empty() && model.spec.base_model_ref.is_none() {
            continue;
        }
        let Lineage { datasets, endless, .. } = data::lineage(facts, facts.namespace, model);
        if let Some(why) = endless {
            report
                .unknown(
                    Place::field(
                        format!("AIModel {}/{}", facts.namespace.name, used.name),
                        "spec.baseModelRef",
                    ),
                    format!("how sensitive the data behind it is cannot be told: {why}"),
                )
                .under(&["CoP-2.4"])
                .fix(Fix::Text(
                    "name in spec.baseModelRef the model that this one was really made from".to_owned(),
                ))
                .may_arrive();
        }
        for data in datasets {
            if !behind.iter().any(|(known, _)| known.is(&data)) {
                behind.push((data, Some(used.name.as_str())));
            }
        }
    }
    for (data, model) in &behind {
        too_sensitive(facts, workload, data, *model, report);
        permitted(facts, workload, data, *model, report);
    }
    outputs(facts, workload, &behind, report);
}

/// How a message calls a dataset: by itself, or as what a model learnt from.
fn called(data: &Data<'_>, model: Option<&str>) -> String {
    match model {
        Some(model) => format!("{} behind AIModel {model:?}", data.object()),
        None => data.object(),
    }
}

fn too_sensitive(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    data: &Data<'_>,
    model: Option<&str>,
    report: &mut Report<'_>,
) {
    // Without a label namespace-classified speaks.
    let (Some(theirs), Some(own)) = (data.sensitivity(), facts.namespace.sensitivity()) else { return };
    // A dataset of this namespace is judged by itself.
    if theirs <= own || (model.is_none() && data.namespace.name == facts.namespace.name) {
        return;
    }
    report
        .violated(
            Place::field(data.object(), "spec.sensitivity").value(theirs.as_str()),
            format!(
                "{} is more than namespace {:?} may hold, which is for {own} data",
                called(data, model),
                facts.namespace.name
            ),
        )
        .under(&["CoP-2.4"])
        .fix(Fix::Text(format!(
            "run {} in a namespace of sensitivity {theirs} or above, or use other data",
            Facts::name_of(workload)
        )))
        .may_arrive();
}

/// Data to learn and to test from stays out of production; what users say there is written and not read back.
fn out_of_production(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    data: &Data<'_>,
    used: Option<&DatasetUse>,
    report: &mut Report<'_>,
) {
    use DatasetClass as C;
    use DatasetPurpose as P;
    if facts.namespace.environment() != Some(Environment::Production)
        || data.dataset.spec.public_source == Some(true)
    {
        return;
    }
    // Where the declared use is at fault already, environment-boundary speaks.
    if used.is_some_and(|used| {
        matches!(used.use_, Some(P::Training | P::FineTuning | P::Evaluation))
            || (used.use_ == Some(P::Feedback) && used.access == Access::Read)
    }) {
        return;
    }
    let writes = used.is_some_and(|used| used.access == Access::Write);
    let class = match data.dataset.spec.class {
        Some(class @ (C::Training | C::Test)) => class,
        Some(C::Feedback) if !writes => C::Feedback,
        _ => return,
    };
    report
        .violated(
            Place::field(data.object(), "spec.class").value(class.as_str()),
            format!("is brought into production by {}, where such data does not belong", Facts::name_of(workload)),
        )
        .under(&["CoP-6.2.1"])
        .fix(Fix::Text(
            "take the dataset out of the declaration and the pod; what is looked up while answering is a dataset of class \
             retrieval"
                .to_owned(),
        ))
        .may_arrive();
}

/// The controllers of the data say for what and for whom it may be used.
fn permitted(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    data: &Data<'_>,
    model: Option<&str>,
    report: &mut Report<'_>,
) {
    let spec = &data.dataset.spec;
    let used_for = workload.spec.purpose.as_ref().and_then(|purpose| purpose.use_category.as_ref());
    let supporting = workload.spec.type_ == WorkloadType::Supporting;
    if !spec.permitted_uses.is_empty()
        && !supporting
        && !used_for.is_some_and(|category| spec.permitted_uses.contains(category))
    {
        let place = at(workload, "spec.purpose.useCategory");
        let (place, what) = match used_for {
            Some(category) => (place.value(category), "is no use that"),
            None => (place, "is not set, and only some uses are what"),
        };
        report
            .violated(
                place.clone(),
                format!("{what} {} permits: {}", called(data, model), spec.permitted_uses.join(", ")),
            )
            .under(&["CoP-2.4"])
            .fix(Fix::set_at(&place, "", spec.permitted_uses[0].as_str()).after(
                "ask the controller of the data to permit the use, or where it is one of these, say so",
            ))
            .in_declaration(facts);
    }
    if spec.permitted_audiences.is_empty() {
        return;
    }
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        let Some(audience) = exposure.audience.filter(|a| *a != Audience::Nobody) else { continue };
        if spec.permitted_audiences.contains(&audience) {
            continue;
        }
        let allowed: Vec<&str> = spec.permitted_audiences.iter().map(|a| a.as_str()).collect();
        let lower = spec.permitted_audiences.iter().filter(|allowed| **allowed < audience).max();
        let words = "ask the controller of the data to permit it, use other data, or lower the audience";
        let place = at(workload, format!("spec.exposure[{index}].audience"));
        let lowered = lower.map(|lower| Fix::set_at(&place, "", lower.as_str()).after(words));
        report
            .violated(
                place.value(audience.as_str()),
                format!("is wider than {} permits: {}", called(data, model), allowed.join(", ")),
            )
            .under(&["CoP-2.4"])
            .fix(lowered.unwrap_or_else(|| Fix::Text(words.to_owned())))
            .in_declaration(facts);
    }
}

/// What comes out is as sensitive as what went in, unless something that is no model takes that out again.
fn outputs(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    behind: &[(Data<'_>, Option<&str>)],
    report: &mut Report<'_>,
) {
    let input = behind.iter().filter_map(|(data, model)| Some((data.sensitivity()?, data, *model)));
    let highest = input.max_by_key(|(sensitivity, ..)| *sensitivity);
    for (index, output) in workload.spec.outputs.iter().enumerate() {
        let place =
            || at(workload, format!("spec.outputs[{index}].sensitivity")).value(output.sensitivity.as_str());
        if let Some((wanted, data, model)) = highest.filter(|(wanted, ..)| *wanted > output.sensitivity)
            && !downgraded(workload, output)
        {
            report
                .violated(place(), format!("is less than what went in: {} is {wanted}", called(data, model)))
                .under(&["NCSC-V2.7"])
                .fix(Fix::set_at(&place(), "", wanted.as_str()).after(
                    "name in downgradedBy the container or object of the output guardrail of kind nonAI that takes it \
                     out, or say how sensitive it is",
                ))
                .in_declaration(facts);
        }
        if let Some(most) =
            holds(facts, workload, &output.destination).filter(|most| *most < output.sensitivity)
        {
            report
                .violated(
                    at(workload, format!("spec.outputs[{index}].destination")).value(&output.destination),
                    format!("is for {most} data at most, and {} results go there", output.sensitivity),
                )
                .under(&["NCSC-V2.7"])
                .fix(Fix::Text("choose a destination as sensitive as the results".to_owned()))
                .in_declaration(facts);
        }
    }
}

/// Whether the guardrail that an output names is the declared one and no model.
fn downgraded(workload: &api::AIWorkload, output: &Output) -> bool {
    let Some(by) = output.downgraded_by.as_deref() else { return false };
    let guard = workload.spec.guardrails.as_ref().and_then(|guardrails| guardrails.output.as_ref());
    guard.is_some_and(|guard| {
        guard.kind == GuardrailKind::NonAi
            && [&guard.container, &guard.ref_, &guard.policy_ref].into_iter().flatten().any(|name| name == by)
    })
}

/// The most sensitive data that a destination may hold, where that is known.
fn holds(facts: &Facts<'_>, workload: &api::AIWorkload, destination: &str) -> Option<Sensitivity> {
    let spec = &workload.spec;
    match destination.split_once('/')? {
        ("dataset", name) => {
            let used = spec.datasets.iter().find(|used| used.name == name);
            Data::named(facts, used.and_then(|used| used.namespace.as_deref()), name)?.sensitivity()
        }
        ("exposure", name) => match spec.exposure.iter().find(|exposure| exposure.name == name)?.audience? {
            Audience::Public => Some(Sensitivity::Internal),
            Audience::Partner => Some(Sensitivity::Confidential),
            Audience::Internal | Audience::Nobody => None,
        },
        ("sink", _) => spec.monitoring.as_ref()?.io_log.as_ref()?.sink.as_ref()?.sensitivity,
        _ => None,
    }
}

#[cfg(test)]
#[path = "tests/dataset_boundary.rs"]
mod tests;
