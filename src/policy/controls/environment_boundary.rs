//! `environment-boundary`: research, training, staging, production, data and quarantine stay apart.

use crate::api::common::Audience;
use crate::api::model::Stage;
use crate::api::workload::{Access, DatasetPurpose, WorkloadType};
use crate::api::{self, Environment, Sensitivity};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, Question, Shortfall, ask};
use crate::policy::facts::{Facts, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::{rights, skeleton};

/// What runs, and what it refers to, fits the environment of its namespace.
pub(super) const CONTROL: Control = Control {
    id: "environment-boundary",
    title: "workloads, models and references stay within their environment, and production runs released models only",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-6.2", "CoP-6.2.1", "CoP-6.2.2", "NCSC-P5.3", "CoP-6.2-n1"],
    why: "what is tried out, half finished or sensitive should not meet what users rely on",
    remedy: "run the workload in a namespace of the right environment, with models released for it and references along \
        research, training, staging, production",
    gaps: &[],
    limits: &[
        "pods of different environments may share a node unless spec.isolation of an AIProfile sets them apart by sensitivity",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    // Without a known environment there is no boundary to judge by; namespace-classified says so.
    let Some(environment) = facts.namespace.environment() else { return };
    match &facts.subject {
        Subject::Namespace if environment == Environment::Production => return both_sides(facts, report),
        Subject::Model(model) => return evaluated(facts, model, report),
        _ => {}
    }
    if let Some(pod) = facts.governed_pod() {
        isolated(facts, pod, report);
    }
    let Some(workload) = facts.declaration() else { return };
    fits(facts, workload, environment, report);
    models(facts, workload, environment, report);
    datasets(facts, workload, environment, report);
    references(facts, workload, environment, report);
    prohibited(facts, workload, report);
}

/// Whether something of environment `from` may be used in environment `to`: the same, data, or one step of promotion.
pub(super) fn along_the_path(from: Environment, to: Environment) -> bool {
    use Environment as E;
    from == to
        || from == E::Data
        || matches!(
            (from, to),
            (E::Research, E::Training | E::Staging) | (E::Training, E::Staging) | (E::Staging, E::Production)
        )
}

/// A model is released after somebody has measured it.
fn evaluated(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    if model.spec.stage != Some(Stage::Released) {
        return;
    }
    let question = |kind| Question::of(kind, About::Model(model)).bound().passed();
    let measured = ["SecurityAssessment", "RedTeam", "Benchmark"];
    if measured.iter().any(|kind| matches!(ask(facts, &question(kind)), Answer::Held(_))) {
        return;
    }
    let mut short = Shortfall::new(facts);
    short.ask(question("FunctionalValidation"));
    let name = model.metadata.name.as_deref().unwrap_or_default();
    let place =
        Place::field(format!("AIModel {}/{name}", facts.namespace.name), "spec.stage").value("released");
    if let Some(finding) = short.tell(report, place, &["CoP-6.2.2"]) {
        finding.of_namespace();
    }
}

/// What the input guard stops names each use that is not allowed and that a guard can tell.
fn prohibited(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let uses = workload.spec.purpose.as_ref().map_or(&[][..], |purpose| &purpose.prohibited_uses);
    let guard = workload.spec.guardrails.as_ref().and_then(|guards| guards.input.as_ref());
    let (Some(guard), false) = (guard, uses.is_empty()) else { return };
    let name = Facts::name_of(workload);
    let rules = guard.policy_ref.as_deref().map(|rules| rules.strip_prefix("AIPrompt/").unwrap_or(rules));
    let known = rules.map(|rules| (rules, facts.namespace.prompts.get(rules)));
    // Rules that do not exist are prompt-integrity's.
    let stops = match known {
        Some((_, None)) => return,
        Some((_, Some(prompt))) => &prompt.spec.prohibited_uses[..],
        None => &[],
    };
    let mut added = 0;
    for (index, prohibited) in uses.iter().enumerate() {
        if prohibited.not_checked_because.is_some() || stops.contains(&prohibited.use_) {
            continue;
        }
        let what = match rules {
            Some(rules) => format!("is no use that the rules of the input guard, AIPrompt {rules:?}, stop"),
            None => "is stopped by no rule: spec.guardrails.input.policyRef names none".to_owned(),
        };
        report
            .violated(
                Place::field(&name, format!("spec.purpose.prohibitedUses[{index}].use"))
                    .value(&prohibited.use_),
                what,
            )
            .under(&["NCSC-P5.3"])
            .fix(stop(facts, &name, index, rules.map(|rules| (rules, stops.len() + added)), &prohibited.use_))
            .in_declaration(facts);
        added += 1;
    }
}

/// Lets the rules of the guard, with the place of the next one, stop a use; where there are none, why is said instead.
fn stop(facts: &Facts<'_>, workload: &str, index: usize, rules: Option<(&str, usize)>, use_: &str) -> Fix {
    if let Some((rules, next)) = rules {
        let object = format!("AIPrompt {}/{rules}", facts.namespace.name);
        return Fix::set_at(&Place::field(object, format!("spec.prohibitedUses[{next}]")), "", use_)
            .after("say in notCheckedBecause why no guard can tell it, or let the guard's rules stop it");
    }
    let place = Place::field(workload, format!("spec.purpose.prohibitedUses[{index}].notCheckedBecause"));
    Fix::set_at(&place, "", "REASON").after(format!(
        "name rules in spec.guardrails.input.policyRef that stop {use_:?}, or say why no guard can tell it"
    ))
}

/// Who tries things out in research does not change what users rely on, unless somebody decided so.
fn both_sides(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(research) = facts.holders.iter().find_map(|held| held.research) else { return };
    let what = format!("write here and in research, such as namespace {research:?},");
    let found = rights::tell(facts, |held| held.research.is_some(), &what, rights::BOTH_SIDES, report);
    if let Some(finding) = found {
        finding.under(&["CoP-6.2.2"]);
    }
}

fn fits(facts: &Facts<'_>, workload: &api::AIWorkload, environment: Environment, report: &mut Report<'_>) {
    use WorkloadType as T;
    let kind = workload.spec.type_;
    let name = Facts::name_of(workload);
    let served = matches!(kind, T::Inference | T::Agent | T::Batch | T::Supporting);
    if environment == Environment::Production && !served {
        report
            .violated(
                Place::field(&name, "spec.type").value(kind.as_str()),
                "does not belong in production, which runs inference, agent, batch and supporting only",
            )
            .under(&["CoP-6.2.2"])
            .fix(Fix::Text(format!(
                "declare and run it in a {} namespace",
                if kind == T::Notebook { "research" } else { "research, training or data" }
            )))
            .in_declaration(facts);
    } else if kind == T::Notebook && environment != Environment::Research {
        report
            .violated(
                Place::field(&name, "spec.type").value(kind.as_str()),
                format!("belongs in research, not in {environment}"),
            )
            .under(&["CoP-6.2.2"])
            .fix(Fix::Text("declare and run it in a research namespace".to_owned()))
            .in_declaration(facts);
    }
    if environment != Environment::Research && environment != Environment::Quarantine {
        return;
    }
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        if let Some(audience @ (Audience::Partner | Audience::Public)) = exposure.audience {
            let place = Place::field(&name, format!("spec.exposure[{index}].audience"));
            report
                .violated(
                    place.clone().value(audience.as_str()),
                    format!("offers {environment} to people outside the organisation"),
                )
                .under(&["CoP-6.2.2"])
                .fix(
                    Fix::set_at(&place, "", "internal")
                        .after("promote the workload to production, or keep people outside out"),
                )
                .in_declaration(facts);
        }
    }
}

fn models(facts: &Facts<'_>, workload: &api::AIWorkload, environment: Environment, report: &mut Report<'_>) {
    let namespace = &facts.namespace.name;
    for (index, used) in workload.spec.models.iter().enumerate() {
        let Some(model) = facts.namespace.models.get(&used.name) else {
            report
                .violated(
                    Place::field(Facts::name_of(workload), format!("spec.models[{index}].name"))
                        .value(&used.name),
                    format!("no AIModel of namespace {namespace:?} has this name"),
                )
                .fix(Fix::Record(
                    format!(
                        "apply an AIModel {:?} in namespace {namespace:?}; in one file with the AIWorkload it stands before it",
                        used.name
                    ),
                    skeleton::model(namespace, &used.name, None),
                ))
                .may_arrive();
            continue;
        };
        released(facts, &used.name, model, environment, report);
        permitted(facts, workload, &used.name, model, report);
    }
}

fn released(
    facts: &Facts<'_>,
    name: &str,
    model: &api::AIModel,
    environment: Environment,
    report: &mut Report<'_>,
) {
    let place = Place::field(format!("AIModel {}/{name}", facts.namespace.name), "spec.stage");
    let (place, what) = match model.spec.stage {
        Some(Stage::Retired) => (place.value("retired"), "is retired and runs nowhere any more"),
        Some(Stage::Released) => return,
        _ if environment != Environment::Production => return,
        Some(stage) => {
            (place.value(stage.as_str()), "is not released, and production runs released models only")
        }
        None => (place, "is not set, and production runs released models only"),
    };
    let fix = if model.spec.stage == Some(Stage::Retired) {
        Fix::Text("use another model".to_owned())
    } else {
        Fix::set_at(&place, "", "released").after(
            "use another model, run the workload in a research or staging namespace, or release this one once it was \
             evaluated",
        )
    };
    report.violated(place, what).under(&["CoP-6.2.2"]).fix(fix).may_arrive();
}

/// The owner of a model decides where and for what it may run.
fn permitted(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    name: &str,
    model: &api::AIModel,
    report: &mut Report<'_>,
) {
    let object = format!("AIModel {}/{name}", facts.namespace.name);
    let namespaces = &model.spec.allowed_namespaces;
    if !namespaces.is_empty() && !namespaces.contains(&facts.namespace.name) {
        report
            .violated(
                Place::field(&object, "spec.allowedNamespaces").value(namespaces.join(", ")),
                format!("does not name namespace {:?}", facts.namespace.name),
            )
            .under(&["NCSC-P5.3"])
            .fix(
                Fix::set_at(
                    &Place::field(&object, "spec.allowedNamespaces[+]"),
                    "",
                    facts.namespace.name.as_str(),
                )
                .after("use another model, or let the model's owner allow it here"),
            )
            .may_arrive();
    }
    let uses = &model.spec.allowed_uses;
    let used_for = workload.spec.purpose.as_ref().and_then(|p| p.use_category.as_ref());
    if uses.is_empty() || used_for.is_some_and(|category| uses.contains(category)) {
        return;
    }
    let place = Place::field(Facts::name_of(workload), "spec.purpose.useCategory");
    let (place, what) = match used_for {
        Some(category) => (place.value(category), "is no use that"),
        None => (place, "is not set, and only some uses are what"),
    };
    report
        .violated(place.clone(), format!("{what} the owner of {object} allows: {}", uses.join(", ")))
        .under(&["NCSC-P5.3"])
        .fix(
            Fix::set_at(&place, "", uses[0].as_str())
                .after("ask the model's owner to allow the use, or where it is one of these, say so"),
        )
        .in_declaration(facts);
}

/// Data to learn and to test from stays out of production; what users say there is written and not read back.
fn datasets(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    environment: Environment,
    report: &mut Report<'_>,
) {
    use DatasetPurpose as P;
    if environment != Environment::Production {
        return;
    }
    for (index, dataset) in workload.spec.datasets.iter().enumerate() {
        let Some(purpose) = dataset.use_ else { continue };
        let kept_out = matches!(purpose, P::Training | P::FineTuning | P::Evaluation)
            || (purpose == P::Feedback && dataset.access == Access::Read);
        if kept_out {
            report
                .violated(
                    Place::field(Facts::name_of(workload), format!("spec.datasets[{index}].use"))
                        .value(purpose.as_str()),
                    format!("brings data of dataset {:?} into production that belongs elsewhere", dataset.name),
                )
                .under(&["CoP-6.2.1"])
                .fix(
                    Fix::remove_at(&Place::field(Facts::name_of(workload), format!("spec.datasets[{index}]")))
                        .after("use a dataset made for retrieval or operation, and take this one out, of the pod too"),
                )
                .in_declaration(facts);
        }
    }
}

/// A reference into another namespace.
struct Reference<'a> {
    path: String,
    namespace: Option<&'a str>,
    /// Whether the other side uses this workload, not the other way round.
    inward: bool,
    /// The most sensitive data that leaves through it, where data leaves.
    sends: Option<Sensitivity>,
}

fn references(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    environment: Environment,
    report: &mut Report<'_>,
) {
    let spec = &workload.spec;
    let own = facts.namespace.sensitivity();
    let datasets = spec.datasets.iter().enumerate().map(|(i, d)| Reference {
        path: format!("spec.datasets[{i}].namespace"),
        namespace: d.namespace.as_deref(),
        inward: false,
        sends: None,
    });
    let services = spec.services.iter().enumerate().map(|(i, s)| Reference {
        path: format!("spec.services[{i}].namespace"),
        namespace: s.namespace.as_deref(),
        inward: false,
        sends: s.sensitivity.or(own),
    });
    let callers = spec.exposure.iter().enumerate().flat_map(|(i, exposure)| {
        exposure.from.iter().enumerate().map(move |(j, peer)| Reference {
            path: format!("spec.exposure[{i}].from[{j}].namespace"),
            namespace: peer.namespace.as_deref(),
            inward: true,
            sends: None,
        })
    });
    for reference in datasets.chain(services).chain(callers) {
        let Some(name) = reference.namespace.filter(|name| *name != facts.namespace.name) else { continue };
        // What is not governed has no environment; egress and exposure are declared there all the same.
        let Some(other) = facts.cluster.namespaces.get(name) else { continue };
        let place = || Place::field(Facts::name_of(workload), &reference.path).value(name);
        if let Some(theirs) = other.environment() {
            let (from, to) = if reference.inward { (environment, theirs) } else { (theirs, environment) };
            if !along_the_path(from, to) {
                report
                    .violated(
                        place(),
                        format!(
                            "is a namespace of environment {theirs}, which {environment} does not share with"
                        ),
                    )
                    .under(&["CoP-6.2"])
                    .fix(Fix::set_at(&place(), "", "NAMESPACE").after(format!(
                        "refer to a namespace of environment {environment}, or of the step before it"
                    )))
                    .in_declaration(facts);
                continue;
            }
        }
        if let (Some(sent), Some(theirs)) = (reference.sends, other.sensitivity())
            && theirs < sent
        {
            report
                .violated(place(), format!("is for {theirs} data, and {sent} data would be sent there"))
                .under(&["CoP-6.2"])
                .fix(Fix::Text(
                    "send it to a namespace as sensitive as the data, or state the sensitivity of what is really sent in \
                     spec.services[].sensitivity"
                        .to_owned(),
                ))
                .in_declaration(facts);
        }
    }
}

/// Pods of a sensitive namespace are set apart as the profiles say.
fn isolated(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some(sensitivity) = facts.namespace.sensitivity() else { return };
    let mut asked = false;
    for isolation in facts.settings.isolation.iter().filter(|i| i.sensitivity == sensitivity) {
        if let Some(first) = isolation.runtime_class_names.first() {
            asked = true;
            let class = pod.spec.runtime_class_name.as_deref().unwrap_or_default();
            if !isolation.runtime_class_names.iter().any(|name| name == class) {
                report
                    .violated(
                        pod.at("spec.runtimeClassName").value(class),
                        format!(
                            "does not set a pod for {sensitivity} data apart, one of {} does",
                            isolation.runtime_class_names.join(", ")
                        ),
                    )
                    .under(&["CoP-6.2-n1"])
                    .fix(Fix::set(format!("{}spec.runtimeClassName", pod.prefix), first.as_str()));
            }
        }
        for (key, value) in &isolation.node_selector {
            asked = true;
            let chosen = pod.spec.node_selector.as_ref().and_then(|labels| labels.get(key));
            if chosen != Some(value) {
                let path = format!("spec.nodeSelector[{key:?}]");
                report
                    .violated(
                        pod.at(&path).value(chosen.map_or("", String::as_str)),
                        format!("does not choose the nodes for {sensitivity} data, which are labelled {key}={value}"),
                    )
                    .under(&["CoP-6.2-n1"])
                    .fix(Fix::set(format!("{}{path}", pod.prefix), value.as_str()));
            }
        }
    }
    if sensitivity == Sensitivity::Restricted && !asked {
        report
            .unknown(
                pod.at("spec"),
                "no AIProfile says by which runtime class or which nodes pods for restricted data are set apart",
            )
            .under(&["CoP-6.2-n1"])
            .fix(Fix::Text(
                "ask those who keep the cluster to set spec.isolation for sensitivity restricted in an AIProfile".to_owned(),
            ))
            .may_arrive();
    }
}

#[cfg(test)]
#[path = "tests/environment_boundary.rs"]
mod tests;
