//! `threat-model-current`: a threat model fits the present shape and sensitivity of the workload.

use crate::api::common::{Criticality, Sensitivity};
use crate::api::workload::DatasetPurpose;
use crate::api::{AIEvidence, AIWorkload};
use crate::policy::composition::shape;
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall, entries, unnamed, words};
use crate::policy::facts::{Facts, Place};

/// A threat model that treats every part of the workload as it is.
pub(super) const CONTROL: Control = Control {
    id: "threat-model-current",
    title: "a threat model fits the present shape and sensitivity of the workload",
    room: Room::Governance,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-3.1",
        "CoP-3.1.2",
        "CoP-3.3",
        "CoP-3.1-n1",
        "CoP-3.1-n2",
        "CoP-3.1.2-n1",
        "NCSC-D2.3",
        "NCSC-D2.4",
        "FC-3",
    ],
    why: "defences built against the wrong attack cost as much and stop nothing",
    remedy: "update the threat model and record ThreatModel evidence for the present composition",
    gaps: &[
        Gap {
            provisions: &[
                "CoP-3.1",
                "CoP-3.1.2",
                "CoP-3.3",
                "CoP-3.1-n1",
                "CoP-3.1-n2",
                "CoP-3.1.2-n1",
                "NCSC-D2.3",
                "NCSC-D2.4",
                "FC-3",
            ],
            missing: "routes are not compared with a taxonomy of attacks",
        },
        Gap {
            provisions: &[
                "CoP-3.1",
                "CoP-3.1.2",
                "CoP-3.3",
                "CoP-3.1-n1",
                "CoP-3.1-n2",
                "CoP-3.1.2-n1",
                "NCSC-D2.3",
                "NCSC-D2.4",
                "FC-3",
            ],
            missing: "sensitivity is taken from the namespace and the datasets in use, not from the whole lineage of a model",
        },
    ],
    limits: &[],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let shape = shape(workload);
    let mut question =
        Question::of("ThreatModel", About::Workload(workload)).with(&["adversaries", "compositionShape"]);
    let critical = workload.spec.criticality == Criticality::Critical;
    if critical {
        question = question.within(facts.settings.days("threatModel.maxAge.critical", 183));
    }
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    short.hint("adversaries", vec!["{motivation: WHY, routes: [HOW]}".to_owned()]);
    short.hint("compositionShape", shape.iter().map(|part| format!("{part:?}")).collect());
    let model = short.ask(question);
    if let Some(model) = model {
        fits(facts, workload, model, &shape, &mut short);
    }
    short.tell(report, place(), &["CoP-3.1", "CoP-3.1.2", "CoP-3.3", "FC-3"]);
    if let Some(model) = model {
        ahead(facts, workload, model).tell(report, place(), &["NCSC-D2.3", "NCSC-D2.4"]);
        wide(facts, workload, model).tell(report, place(), &["CoP-3.1-n1", "CoP-3.1-n2", "CoP-3.1.2-n1"]);
    }
}

/// Whether it treats every part of the workload, why somebody would attack, and what makers of models warned of.
fn fits(
    facts: &Facts<'_>,
    workload: &AIWorkload,
    model: &AIEvidence,
    shape: &[String],
    short: &mut Shortfall<'_, '_>,
) {
    let name = Shortfall::name(model);
    let parts: Vec<&str> = shape.iter().map(String::as_str).collect();
    let new = unnamed(model, "compositionShape", &parts);
    if !new.is_empty() {
        short.require(false, || format!("{name} does not treat {}", Shortfall::list(&new)));
        short.fix("model the threats of the new parts and record a ThreatModel that names them in facts.compositionShape");
    }
    let reasoned = |adversary: &serde_json::Map<String, serde_json::Value>| {
        let motive = adversary.get("motivation").and_then(serde_json::Value::as_str);
        let routes = adversary.get("routes").and_then(serde_json::Value::as_array);
        motive.is_some_and(|text| !text.trim().is_empty()) && routes.is_some_and(|list| !list.is_empty())
    };
    if !entries(model, "adversaries").any(reasoned) || !entries(model, "adversaries").all(reasoned) {
        short.require(false, || format!("{name} has an adversary without motivation or routes"));
        short.fix("state in facts.adversaries for each a motivation and routes");
    }
    let models = workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name));
    let told: Vec<&str> = models.flat_map(|m| &m.spec.known_threats).map(String::as_str).collect();
    let open = unnamed(model, "threats", &told);
    if !open.is_empty() {
        short.require(false, || {
            format!("{name} leaves out what the makers of its models warned of: {}", Shortfall::list(&open))
        });
        short.fix("name these threats by id in facts.threats");
    }
}

/// Whether it reckons with the worth of the data and with threats that grow.
fn ahead<'f, 'a>(facts: &'f Facts<'a>, workload: &AIWorkload, model: &AIEvidence) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let name = Shortfall::name(model);
    let datasets = workload.spec.datasets.iter().filter_map(|used| {
        let home = facts.namespace_named(used.namespace.as_deref())?;
        home.datasets.get(&used.name)?.spec.sensitivity
    });
    let present = datasets.chain(facts.namespace.sensitivity()).max();
    let assumed =
        words(model, "assumedSensitivity").first().and_then(|text| text.parse::<Sensitivity>().ok());
    if let Some(present) = present
        && assumed.is_none_or(|assumed| assumed < present)
    {
        let assumed = assumed.map_or("no".to_owned(), |assumed| assumed.to_string());
        short.require(false, || format!("{name} assumes {assumed} data, and there is {present} data"));
        short.fix(format!("model the threats anew with facts.assumedSensitivity: [{present}]"));
    }
    short.require(!words(model, "outlook").is_empty(), || format!("{name} has no outlook in facts.outlook"));
    short.require(model.spec.expires_at.is_some(), || format!("{name} has no expiresAt"));
    short
}

/// Whether it looks at impacts, at both kinds of attack, at the worst outputs and at what comes in sideways.
fn wide<'f, 'a>(facts: &'f Facts<'a>, workload: &AIWorkload, model: &AIEvidence) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let name = Shortfall::name(model);
    short
        .require(!words(model, "impacts").is_empty(), || format!("{name} names no impacts in facts.impacts"));
    let categories = unnamed(model, "categories", &["ai", "it"]);
    short.require(categories.is_empty(), || {
        format!("{name} treats no attacks of category {}", Shortfall::list(&categories))
    });
    short.require(!words(model, "worstCaseOutputs").is_empty(), || {
        format!("{name} names no facts.worstCaseOutputs")
    });
    let reads = |use_| matches!(use_, Some(DatasetPurpose::Retrieval | DatasetPurpose::Feedback));
    let source = workload.spec.datasets.iter().find(|dataset| reads(dataset.use_)).map(|d| d.name.as_str());
    let source = source.or_else(|| workload.spec.external_apis.first().map(|api| api.name.as_str()));
    if let Some(source) = source {
        let indirect = entries(model, "adversaries")
            .filter_map(|adversary| adversary.get("routes")?.as_array())
            .flatten()
            .filter_map(serde_json::Value::as_str)
            .any(|route| route.starts_with("indirect-"));
        short.require(indirect, || {
            format!("{name} has no route indirect-..., and the workload reads {source:?}")
        });
    }
    short
}
