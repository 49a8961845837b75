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
    let mut question = question(workload);
    let critical = workload.spec.criticality == Criticality::Critical;
    if critical {
        question = question.within(facts.settings.days("threatModel.maxAge.critical", 183));
    }
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    let sideways = source(workload).map(|_| format!("{{motivation: WHY, routes: [{INDIRECT}]}}"));
    let adversary = || "{motivation: WHY, routes: [HOW]}".to_owned();
    short.hint("adversaries", vec![sideways.unwrap_or_else(adversary)]);
    short.hint("assumedSensitivity", present(facts, workload).iter().map(ToString::to_string).collect());
    short.hint("categories", vec!["ai".to_owned(), "it".to_owned()]);
    let mut threats = told(facts, workload);
    if threats.is_empty() {
        threats.push("T1");
    }
    short.hint("threats", threats.iter().map(|id| format!("{{id: {id:?}, status: STATUS}}")).collect());
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

/// What every other way in of somebody who puts his words where the model reads is called.
const INDIRECT: &str = "indirect-prompt-injection";

fn question(workload: &AIWorkload) -> Question<'_> {
    Question::of("ThreatModel", About::Workload(workload)).with(&["adversaries", "compositionShape"]).showing(
        &[
            "threats",
            "assumedSensitivity",
            "outlook",
            "impacts",
            "categories",
            "worstCaseOutputs",
            "spec.expiresAt",
        ],
    )
}

/// What the makers of the models warned of.
fn told<'a>(facts: &Facts<'a>, workload: &'a AIWorkload) -> Vec<&'a str> {
    let models = workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name));
    models.flat_map(|model| &model.spec.known_threats).map(String::as_str).collect()
}

/// The most sensitive data that there is.
fn present(facts: &Facts<'_>, workload: &AIWorkload) -> Option<Sensitivity> {
    sensitivity(facts, workload).map(|(sensitivity, _)| sensitivity).max(facts.namespace.sensitivity())
}

/// Something that the workload reads and others write.
fn source(workload: &AIWorkload) -> Option<&str> {
    let reads = |use_| matches!(use_, Some(DatasetPurpose::Retrieval | DatasetPurpose::Feedback));
    let source = workload.spec.datasets.iter().find(|dataset| reads(dataset.use_)).map(|d| d.name.as_str());
    source.or_else(|| workload.spec.external_apis.first().map(|api| api.name.as_str()))
}

/// Whether it treats every part of the workload, why somebody would attack, and what makers of models warned of.
fn fits<'a>(
    facts: &Facts<'a>,
    workload: &'a AIWorkload,
    model: &'a AIEvidence,
    shape: &[String],
    short: &mut Shortfall<'_, 'a>,
) {
    let name = Shortfall::name(model);
    let parts: Vec<&str> = shape.iter().map(String::as_str).collect();
    let new = unnamed(model, "compositionShape", &parts);
    if !new.is_empty() {
        short.require(false, || format!("{name} does not treat {}", Shortfall::list(&new)));
        short.fix("model the threats of the new parts");
        let parts = shape.iter().map(|part| format!("{part:?}")).collect();
        short.renew(question(workload), model, [("compositionShape", parts)]);
    }
    let reasoned = |adversary: &serde_json::Map<String, serde_json::Value>| {
        let motive = adversary.get("motivation").and_then(serde_json::Value::as_str);
        let routes = adversary.get("routes").and_then(serde_json::Value::as_array);
        motive.is_some_and(|text| !text.trim().is_empty()) && routes.is_some_and(|list| !list.is_empty())
    };
    if !entries(model, "adversaries").any(reasoned) || !entries(model, "adversaries").all(reasoned) {
        short.require(false, || format!("{name} has an adversary without motivation or routes"));
        short.fix("state for each why and how");
        let mut adversaries: Vec<String> = entries(model, "adversaries").map(reason).collect();
        if adversaries.is_empty() {
            adversaries.push("{motivation: WHY, routes: [HOW]}".to_owned());
        }
        short.renew(question(workload), model, [("adversaries", adversaries)]);
    }
    let open = unnamed(model, "threats", &told(facts, workload));
    if !open.is_empty() {
        short.require(false, || {
            format!("{name} leaves out what the makers of its models warned of: {}", Shortfall::list(&open))
        });
        short.fix("treat these threats too");
        let threats: Vec<String> = open.iter().map(|id| format!("{{id: {id:?}, status: STATUS}}")).collect();
        let threats: Vec<&str> = threats.iter().map(String::as_str).collect();
        short.renew(question(workload), model, [Shortfall::also(model, "threats", &threats)]);
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

/// An adversary as YAML, with what to fill in where no reason or no way in stands.
fn reason(adversary: &serde_json::Map<String, serde_json::Value>) -> String {
    let mut adversary = adversary.clone();
    if adversary.get("motivation").and_then(|text| text.as_str()).is_none_or(|text| text.trim().is_empty()) {
        adversary.insert("motivation".to_owned(), "WHY".into());
    }
    if adversary.get("routes").and_then(|list| list.as_array()).is_none_or(Vec::is_empty) {
        adversary.insert("routes".to_owned(), vec!["HOW"].into());
    }
    serde_json::Value::Object(adversary).to_string()
}

/// Whether it reckons with the worth of the data and with threats that grow.
fn ahead<'f, 'a>(facts: &'f Facts<'a>, workload: &'a AIWorkload, model: &'a AIEvidence) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let name = Shortfall::name(model);
    let data = sensitivity(facts, workload);
    let assumed =
        words(model, "assumedSensitivity").first().and_then(|text| text.parse::<Sensitivity>().ok());
    if let Some(present) = present(facts, workload)
        && assumed.is_none_or(|assumed| assumed < present)
    {
        let assumed = assumed.map_or("no".to_owned(), |assumed| assumed.to_string());
        let behind = data.filter(|(sensitivity, _)| *sensitivity == present);
        let which = behind.map_or(String::new(), |(_, data)| format!(", {}", data.object()));
        short.require(false, || format!("{name} assumes {assumed} data, and there is {present} data{which}"));
        short.fix("model the threats anew for this data");
        short.renew(question(workload), model, [("assumedSensitivity", vec![present.to_string()])]);
    }
    if words(model, "outlook").is_empty() {
        short.require(false, || format!("{name} has no outlook in facts.outlook"));
        short.renew(question(workload), model, [("outlook", Vec::new())]);
    }
    let limit = kind("ThreatModel").and_then(|kind| kind.limit(facts.settings)).unwrap_or(365);
    match model.spec.expires_at.as_deref().map(|end| (end, dates::until(end))) {
        None => {
            short.require(false, || format!("{name} has no expiresAt"));
            short.renew(question(workload), model, []);
        }
        // That it cannot be read is told elsewhere.
        Some((end, until)) => {
            let issued = dates::from(&model.spec.issued_at);
            let days = until.zip(issued).map(|(until, issued)| until.duration_since(issued).as_hours() / 24);
            if days.is_some_and(|days| days > limit) {
                short.require(false, || {
                    format!("{name} is said to count until {end}, more than {limit} days after its issue")
                });
                short.renew(question(workload), model, []);
            }
        }
    }

    short
}

/// Whether it looks at impacts, at both kinds of attack, at the worst outputs and at what comes in sideways.
fn wide<'f, 'a>(facts: &'f Facts<'a>, workload: &'a AIWorkload, model: &'a AIEvidence) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let name = Shortfall::name(model);
    let anew = || question(workload);
    let mut struck = vec!["system", "users", "organisation"];
    if workload.spec.exposure.iter().any(|exposure| exposure.audience == Some(Audience::Public)) {
        struck.push("society");
    }
    let said: Vec<&str> = entries(model, "impacts")
        .filter_map(|impact| impact.get("stakeholder")?.as_str())
        .chain(words(model, "impacts"))
        .collect();
    struck.retain(|who| !said.iter().any(|impact| impact.contains(who)));
    if !struck.is_empty() {
        short
            .require(false, || format!("{name} names in facts.impacts none on {}", Shortfall::list(&struck)));
        short.renew(anew(), model, [Shortfall::also(model, "impacts", &struck)]);
    }
    let categories = unnamed(model, "categories", &["ai", "it"]);
    if !categories.is_empty() {
        short.require(false, || {
            format!("{name} treats no attacks of category {}", Shortfall::list(&categories))
        });
        short.renew(anew(), model, [Shortfall::also(model, "categories", &categories)]);
    }
    if words(model, "worstCaseOutputs").is_empty() {
        short.require(false, || format!("{name} names no facts.worstCaseOutputs"));
        short.renew(anew(), model, [("worstCaseOutputs", Vec::new())]);
    }
    let worst = words(model, "worstCaseOutputs");
    let actions = workload.spec.actions.iter();
    let unheard: Vec<&str> = actions
        .map(|action| action.target.as_str())
        .filter(|target| !worst.iter().any(|output| output.contains(target)))
        .collect();
    if !unheard.is_empty() {
        short.require(false, || {
            format!("{name} names in facts.worstCaseOutputs no harm through {}", Shortfall::list(&unheard))
        });
        short.renew(anew(), model, [Shortfall::also(model, "worstCaseOutputs", &unheard)]);
    }
    if let Some(source) = source(workload) {
        let indirect = routes(model).any(|route| route.starts_with("indirect-") || SIDEWAYS.contains(&route));
        if !indirect {
            short.require(false, || {
                format!("{name} has no route indirect-..., and the workload reads {source:?}")
            });
            short.fix(format!("model attacks through what {source:?} holds"));
            let more = format!("{{motivation: WHY, routes: [{INDIRECT}]}}");
            short.renew(anew(), model, [Shortfall::also(model, "adversaries", &[more.as_str()])]);
        }
    }
    short
}

#[cfg(test)]
#[path = "tests/threat_model_current.rs"]
mod tests;
