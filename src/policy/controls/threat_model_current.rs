//! `threat-model-current`: a threat model fits the present shape and sensitivity of the workload.

use crate::api::common::{Audience, Criticality, Sensitivity};
use crate::api::workload::DatasetPurpose;
use crate::api::{AIEvidence, AIWorkload};
use crate::policy::composition::shape;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::sensitivity;
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall, entries, kind, unnamed, words};
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
    gaps: &[],
    limits: &["how good the analysis is: its parts are compared with the workload, not judged"],
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
        named(facts, model).tell(report, place(), &["CoP-3.1.2"]);
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

/// Routes by their everyday names.
const EVERYDAY: [&str; 18] = [
    "data-leak",
    "data-poisoning",
    "denial-of-service",
    "evasion",
    "excessive-agency",
    "extraction",
    "indirect-poisoning",
    "indirect-prompt-injection",
    "insider",
    "inversion",
    "jailbreak",
    "membership-inference",
    "model-theft",
    "poisoning",
    "prompt-injection",
    "resource-exhaustion",
    "stolen-credentials",
    "supply-chain",
];
/// What comes in sideways, as MITRE ATLAS numbers it: injection through content, and poisoned data and stores.
const SIDEWAYS: [&str; 6] =
    ["AML.T0051.001", "AML.T0020", "AML.T0019", "AML.T0059", "AML.T0070", "AML.T0010.002"];

/// Whether a route is told by a name that others know: a number of a public list, or an everyday name.
fn is_known(route: &str) -> bool {
    let numbered = |start: &str| {
        route.strip_prefix(start).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_digit())
                && rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b':'))
        })
    };
    EVERYDAY.contains(&route) || ["AML.T", "T", "CAPEC-", "CWE-", "LLM"].iter().any(|start| numbered(start))
}

fn routes(model: &AIEvidence) -> impl Iterator<Item = &str> {
    entries(model, "adversaries")
        .filter_map(|adversary| adversary.get("routes")?.as_array())
        .flatten()
        .filter_map(serde_json::Value::as_str)
}

/// Whether each route has a name that others know, or is said to have none.
fn named<'f, 'a>(facts: &'f Facts<'a>, model: &AIEvidence) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let own = words(model, "ownRoutes");
    let strange: Vec<&str> = routes(model).filter(|route| !is_known(route) && !own.contains(route)).collect();
    if !strange.is_empty() {
        short.require(false, || {
            format!(
                "{} has routes under no name that others know: {}",
                Shortfall::name(model),
                Shortfall::list(&strange)
            )
        });
        short.fix(
            "name each route by its id of MITRE ATLAS (AML.T0051), ATT&CK (T1078), CAPEC, CWE or OWASP (LLM01), or list it in \
             facts.ownRoutes where none has one",
        );
    }
    short
}

/// Whether it reckons with the worth of the data and with threats that grow.
fn ahead<'f, 'a>(facts: &'f Facts<'a>, workload: &AIWorkload, model: &AIEvidence) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let name = Shortfall::name(model);
    let data = sensitivity(facts, workload);
    let present = data.map(|(sensitivity, _)| sensitivity).max(facts.namespace.sensitivity());
    let assumed =
        words(model, "assumedSensitivity").first().and_then(|text| text.parse::<Sensitivity>().ok());
    if let Some(present) = present
        && assumed.is_none_or(|assumed| assumed < present)
    {
        let assumed = assumed.map_or("no".to_owned(), |assumed| assumed.to_string());
        let behind = data.filter(|(sensitivity, _)| *sensitivity == present);
        let which = behind.map_or(String::new(), |(_, data)| format!(", {}", data.object()));
        short.require(false, || format!("{name} assumes {assumed} data, and there is {present} data{which}"));
        short.fix(format!("model the threats anew with facts.assumedSensitivity: [{present}]"));
    }
    short.require(!words(model, "outlook").is_empty(), || format!("{name} has no outlook in facts.outlook"));
    let limit = kind("ThreatModel").and_then(|kind| kind.limit(facts.settings)).unwrap_or(365);
    match model.spec.expires_at.as_deref().map(|end| (end, dates::until(end))) {
        None => short.require(false, || format!("{name} has no expiresAt")),
        // That it cannot be read is told elsewhere.
        Some((end, until)) => {
            let issued = dates::from(&model.spec.issued_at);
            let days = until.zip(issued).map(|(until, issued)| until.duration_since(issued).as_hours() / 24);
            short.require(days.is_none_or(|days| days <= limit), || {
                format!("{name} is said to count until {end}, more than {limit} days after its issue")
            });
        }
    }
    short
}

/// Whether it looks at impacts, at both kinds of attack, at the worst outputs and at what comes in sideways.
fn wide<'f, 'a>(facts: &'f Facts<'a>, workload: &AIWorkload, model: &AIEvidence) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let name = Shortfall::name(model);
    let mut struck = vec!["system", "users", "organisation"];
    if workload.spec.exposure.iter().any(|exposure| exposure.audience == Some(Audience::Public)) {
        struck.push("society");
    }
    let said: Vec<&str> = entries(model, "impacts")
        .filter_map(|impact| impact.get("stakeholder")?.as_str())
        .chain(words(model, "impacts"))
        .collect();
    struck.retain(|who| !said.iter().any(|impact| impact.contains(who)));
    short.require(struck.is_empty(), || {
        format!("{name} names in facts.impacts none on {}", Shortfall::list(&struck))
    });
    let categories = unnamed(model, "categories", &["ai", "it"]);
    short.require(categories.is_empty(), || {
        format!("{name} treats no attacks of category {}", Shortfall::list(&categories))
    });
    short.require(!words(model, "worstCaseOutputs").is_empty(), || {
        format!("{name} names no facts.worstCaseOutputs")
    });
    let worst = words(model, "worstCaseOutputs");
    let actions = workload.spec.actions.iter();
    let unheard: Vec<&str> = actions
        .map(|action| action.target.as_str())
        .filter(|target| !worst.iter().any(|output| output.contains(target)))
        .collect();
    short.require(unheard.is_empty(), || {
        format!("{name} names in facts.worstCaseOutputs no harm through {}", Shortfall::list(&unheard))
    });
    let reads = |use_| matches!(use_, Some(DatasetPurpose::Retrieval | DatasetPurpose::Feedback));
    let source = workload.spec.datasets.iter().find(|dataset| reads(dataset.use_)).map(|d| d.name.as_str());
    let source = source.or_else(|| workload.spec.external_apis.first().map(|api| api.name.as_str()));
    if let Some(source) = source {
        let indirect = routes(model).any(|route| route.starts_with("indirect-") || SIDEWAYS.contains(&route));
        short.require(indirect, || {
            format!("{name} has no route indirect-..., and the workload reads {source:?}")
        });
    }
    short
}

#[cfg(test)]
#[path = "tests/threat_model_current.rs"]
mod tests;
