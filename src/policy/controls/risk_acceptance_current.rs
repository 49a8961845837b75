//! `risk-acceptance-current`: every risk is treated by a control in force or accepted by its owner until
//! a date.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::api::common::{AssetRisk, AssetValue, Audience, Criticality, Level, Sensitivity};
use crate::api::{AIEvidence, AIWorkload};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::sensitivity;
use crate::policy::dates;
use crate::policy::evidence::{About, Answer, By, Question, Shortfall, ask, entries, fails, words};
use crate::policy::facts::{Facts, Namespace, Place};
use crate::policy::fix::Fix;
use crate::policy::owners;

/// Risks end in controls that are kept, or in the name of who bears them.
pub(super) const CONTROL: Control = Control {
    id: "risk-acceptance-current",
    title: "every risk is treated by a control in force or accepted by its owner until a date",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.4", "CoP-3.5", "CoP-3.6", "CoP-5.1", "NCSC-G4", "NCSC-V2.1", "FC-3"],
    why: "a risk that nobody signed for is carried by whoever is hit",
    remedy: "treat the risk with a control that passes, or record RiskAcceptance by owners.accountable with \
        an end date",
    gaps: &[],
    limits: &["whether a control that a risk names is the right one for it"],
    check: Check::Rule(check),
};

/// For how many days ahead the risk of an asset may be accepted: two years.
const RISK_DAYS: i64 = 731;
/// What guards an asset that is worth much.
const GUARDED: [&str; 2] = ["storage-encrypted", "interactive-access-blocked"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let place = || Place::object(Facts::name_of(workload));
    critical(facts, workload, report);
    assets(facts, workload, report);

    let mut short = Shortfall::new(facts);
    short.hint("risks", vec!["{id: R1, threat: T1, level: low, controls: [pod-hardened]}".to_owned()]);
    let question = Question::of("RiskRegister", About::Workload(workload)).with(&["risks"]);
    let register = short.ask(question.clone());
    if let Some(register) = register {
        let model = ask(facts, &Question::of("ThreatModel", About::Workload(workload)));
        if let Answer::Held(model) = model {
            dangling(workload, register, model, &mut short);
        }
    }
    short.tell(report, place(), &["FC-3"]);
    if let Some(register) = register {
        treated(facts, workload, register).tell(report, place(), &["CoP-3.5", "CoP-3.6"]);
    }
}

/// Harm that a failure could do makes a workload critical, and so does sensitive data behind a way in for everybody.
fn critical(facts: &Facts<'_>, workload: &AIWorkload, report: &mut Report<'_>) {
    let public = workload.spec.exposure.iter().find(|exposure| exposure.audience == Some(Audience::Public));
    if let Some(exposure) = public
        && workload.spec.criticality == Criticality::Standard
        && let Some((sensitivity, data)) = sensitivity(facts, workload)
        && sensitivity >= Sensitivity::Confidential
    {
        let place = Place::field(Facts::name_of(workload), "spec.criticality").value("standard");
        report
            .violated(
                place,
                format!(
                    "does not fit the public exposure {:?} of {sensitivity} data, which {} holds",
                    exposure.name,
                    data.object()
                ),
            )
            .under(&["NCSC-G4"])
            .fix(Fix::Text("set spec.criticality: critical".to_owned()))
            .may_arrive();
    }
    let Some(impact) = workload.spec.impact else { return };
    let harms = [
        ("physical", impact.physical),
        ("reputational", impact.reputational),
        ("businessLoss", impact.business_loss),
        ("leakage", impact.leakage),
        ("legal", impact.legal),
    ];
    let named: Vec<&str> = harms.iter().filter(|(_, is)| *is == Some(true)).map(|(name, _)| *name).collect();
    if !named.is_empty() && workload.spec.criticality == Criticality::Standard {
        let place = Place::field(Facts::name_of(workload), "spec.criticality").value("standard");
        report
            .violated(place.clone(), format!("does not fit spec.impact, which states {}", named.join(", ")))
            .under(&["NCSC-G4"])
            .fix(Fix::set_at(&place, "", "critical"))
            .in_declaration(facts);
    }
}

/// The namespace and the claim that hold an asset.
type Stored<'s> = Option<(&'s Namespace, &'s str)>;

/// Whether a storage class is one of those that encrypt.
fn encrypts(facts: &Facts<'_>, class: &str) -> bool {
    facts.settings.words("storage.encryptedClasses").any(|known| known == class)
}

/// Each asset in use has a worth, and a risk that somebody accepted until a day.
fn assets(facts: &Facts<'_>, workload: &AIWorkload, report: &mut Report<'_>) {
    let spec = &workload.spec;
    let mut worth = Shortfall::new(facts);
    let mut precious: Option<String> = None;
    let mut risk = Shortfall::new(facts);
    let mut look =
        |about: About<'_>, value: Option<&AssetValue>, accepted: Option<&AssetRisk>, on: Stored<'_>| {
            if value.is_none_or(|v| v.business.is_none() || v.attacker_gain.is_none()) {
                worth.require(false, || {
                    format!("{about} does not state its worth to the organisation and to an attacker")
                });
                worth.fix("choose low, medium or high for each");
                let stated = json!({"business": "LEVEL", "attackerGain": "LEVEL"});
                worth.set(about.object(), "spec.value", stated);
            }
            if value.is_some_and(|v| v.business == Some(Level::High) || v.attacker_gain == Some(Level::High))
            {
                precious.get_or_insert_with(|| about.to_string());
                let class = on.and_then(|(place, claim)| place.claims.get(claim)?.storage_class.as_deref());
                if let Some(class) = class.filter(|class| !encrypts(facts, class)) {
                    worth.require(false, || {
                    format!(
                        "{about} is worth much, and lies on class {class:?}, which no profile calls encrypted"
                    )
                });
                    worth.fix("keep it on a class of the parameter storage.encryptedClasses");
                }
            }
            borne(facts, workload, about, accepted, &mut risk);
        };
    for model in spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
        let claim = model.spec.source.as_ref().and_then(|source| source.claim());
        let on = claim.map(|claim| (facts.namespace, claim));
        look(About::Model(model), model.spec.value.as_ref(), model.spec.risk.as_ref(), on);
    }
    for prompt in spec.prompts.iter().filter_map(|used| facts.namespace.prompts.get(&used.name)) {
        look(About::Prompt(prompt), prompt.spec.value.as_ref(), prompt.spec.risk.as_ref(), None);
    }
    for used in &spec.datasets {
        let home = facts.namespace_named(used.namespace.as_deref());
        if let Some((home, dataset)) = home.and_then(|home| Some((home, home.datasets.get(&used.name)?))) {
            let claim = dataset.spec.source.as_ref().and_then(|source| source.claim_name.as_deref());
            let on = claim.map(|claim| (home, claim));
            look(About::Dataset(dataset), dataset.spec.value.as_ref(), dataset.spec.risk.as_ref(), on);
        }
    }
    risk.fix("let whoever answers for the asset weigh its risk and accept what remains");
    risk.tell(report, Place::object(Facts::name_of(workload)), &["CoP-5.1"]);
    for control in GUARDED.iter().filter(|_| precious.is_some()) {
        if let Some(Some(why)) = fails(facts, control) {
            let asset = precious.as_deref().unwrap_or_default();
            worth.require(false, || format!("{asset} is worth much, and {control} is not kept: {why}"));
            worth.fix(format!("bring {control} into line"));
        }
    }
    worth.tell(report, Place::object(Facts::name_of(workload)), &["NCSC-V2.1"]);
}

/// Whether somebody who answers for it accepted the risk of an asset, until a day that is not too far away.
fn borne(
    facts: &Facts<'_>,
    workload: &AIWorkload,
    about: About<'_>,
    accepted: Option<&AssetRisk>,
    risk: &mut Shortfall<'_, '_>,
) {
    let until = accepted.and_then(|risk| risk.review_by.as_deref());
    let by = accepted.and_then(|risk| risk.accepted_by.as_deref());
    risk.require(by.is_some() && until.is_some(), || {
        format!("nobody accepted the risk of {about} until a day")
    });
    let end = until.and_then(dates::until);
    let most = facts.now.checked_add(SignedDuration::from_hours(RISK_DAYS * 24)).ok();
    let (over, long) = (end.is_none_or(|end| end < facts.now), end > most);
    if let Some(text) = until {
        risk.require(!over, || format!("the risk of {about} was accepted until {text}"));
        risk.require(!long, || {
            format!("the risk of {about} is accepted until {text}, more than {RISK_DAYS} days ahead")
        });
    }
    if over || long {
        risk.set(about.object(), "spec.risk.reviewBy", "LAST-DAY");
    }
    match by {
        None => risk.set(about.object(), "spec.risk.acceptedBy", "USER"),
        Some(user) if !owners::may_bear(facts, workload, about.owners(), user) => {
            risk.require(false, || {
                format!("the risk of {about} was accepted by {user:?}, whom neither the owners nor the organisation name")
            });
            risk.set(about.object(), "spec.risk.acceptedBy", "USER");
        }
        Some(_) => {}
    }
}

/// Threats of the model that no risk of the register takes up.
fn dangling<'a>(
    workload: &'a AIWorkload,
    register: &'a AIEvidence,
    model: &AIEvidence,
    short: &mut Shortfall<'_, 'a>,
) {
    let taken: Vec<&str> =
        entries(register, "risks").filter_map(|risk| risk.get("threat").and_then(Value::as_str)).collect();
    let left: Vec<&str> = words(model, "threats").into_iter().filter(|id| !taken.contains(id)).collect();
    if !left.is_empty() {
        short.require(false, || {
            format!("{} has no risk for the threats {}", Shortfall::name(register), Shortfall::list(&left))
        });
        short.fix("weigh the risk of each threat, and say which controls treat it");
        let risks: Vec<String> = left
            .iter()
            .map(|threat| {
                format!("{{id: RISK-{threat}, threat: {threat:?}, level: LEVEL, controls: [CONTROL]}}")
            })
            .collect();
        let risks: Vec<&str> = risks.iter().map(String::as_str).collect();
        let question = Question::of("RiskRegister", About::Workload(workload)).with(&["risks"]);
        short.renew(question, register, [Shortfall::also(register, "risks", &risks)]);
    }
}

/// Every risk rests on controls that are kept, or was accepted by who answers for the workload.
fn treated<'f, 'a>(
    facts: &'f Facts<'a>,
    workload: &'a AIWorkload,
    register: &'a AIEvidence,
) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    let mut open = Vec::new();
    let mut wrong = Vec::new();
    for risk in entries(register, "risks") {
        let id = risk.get("id").and_then(Value::as_str).unwrap_or("without id");
        let controls = named(risk, "controls");
        if controls.is_empty() && risk.get("level").and_then(Value::as_str) != Some("low") {
            open.push(id);
        }
        for control in controls {
            match fails(facts, control) {
                None => {
                    short
                        .require(false, || format!("risk {id:?} relies on {control:?}, which is no control"));
                    wrong.push(control);
                }
                Some(Some(why)) => {
                    short.require(false, || {
                        format!("risk {id:?} relies on {control}, which is not kept: {why}")
                    });
                }
                Some(None) => {}
            }
        }
    }
    if !wrong.is_empty() {
        short.fix("say which controls treat the risk; `portcullis explain` lists them");
        let risks = entries(register, "risks").map(|risk| corrected(risk, &wrong)).collect();
        let question = Question::of("RiskRegister", About::Workload(workload)).with(&["risks"]);
        short.renew(question, register, [("risks", risks)]);
    } else if !short.is_empty() {
        short.fix("bring the control into line, treat the risk in another way, or have it accepted");
    }
    if open.is_empty() {
        return short;
    }
    let owner = std::slice::from_ref(&workload.spec.owners.accountable);
    short.hint("riskIds", open.iter().map(|id| (*id).to_owned()).collect());
    let question =
        Question::of("RiskAcceptance", About::Workload(workload)).with(&["riskIds"]).undocumented();
    // A group cannot be compared with a person; then anybody who signs by name will do.
    let by =
        if workload.spec.owners.accountable.user.is_some() { By::OneOf(owner) } else { By::NotTheAuthor };
    let question = question.by(by);
    if let Some(acceptance) = short.ask(question.clone()) {
        let accepted = words(acceptance, "riskIds");
        let left: Vec<&str> = open.into_iter().filter(|id| !accepted.contains(id)).collect();
        if !left.is_empty() {
            short.require(false, || {
                format!("{} does not accept risks {}", Shortfall::name(acceptance), Shortfall::list(&left))
            });
            short.renew(question, acceptance, [Shortfall::also(acceptance, "riskIds", &left)]);
        }
    }
    short
}

/// A risk as YAML, with a control to name in place of each that is none.
fn corrected(risk: &Map<String, Value>, wrong: &[&str]) -> String {
    let controls = named(risk, "controls");
    let mut risk = risk.clone();
    let kept = controls.iter().map(|control| if wrong.contains(control) { "CONTROL" } else { control });
    risk.insert("controls".to_owned(), kept.collect());
    Value::Object(risk).to_string()
}

fn named<'r>(risk: &'r Map<String, Value>, key: &str) -> Vec<&'r str> {
    risk.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).take(32).collect()
}

#[cfg(test)]
#[path = "tests/risk_acceptance_current.rs"]
mod tests;
