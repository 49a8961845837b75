//! `purpose-and-design-recorded`: need, intended use, alternatives and design choices are on record.

use serde_json::json;

use crate::api::AIWorkload;
use crate::api::common::Environment;
use crate::api::governance::CompanionCode;
use crate::api::model::{Acquisition, ModelSourceKind, Origin};
use crate::api::workload::{Purpose, Role};
use crate::policy::blanks::is_blank;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall, unnamed};
use crate::policy::facts::{Facts, Place};
use crate::policy::owners;

/// Why the workload exists, and why it is built as it is.
pub(super) const CONTROL: Control = Control {
    id: "purpose-and-design-recorded",
    title: "need, intended use, alternatives and design choices are on record",
    room: Room::Documentation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-2.1",
        "CoP-2.1-n1",
        "CoP-2.1-n2",
        "CoP-2.1-n3",
        "CoP-2.1-n5",
        "NCSC-G7",
        "NCSC-D3.1",
        "NCSC-D3.2",
        "NCSC-D3.3",
        "NCSC-D4.1",
        "NCSC-P2.5",
        "CfV-COMPANION",
    ],
    why: "a system whose purpose nobody wrote down cannot be judged, limited or ended",
    remedy: "fill spec.purpose and add BusinessCase and DesignRationale evidence",
    gaps: &[],
    limits: &[
        "the reasons for a design are read by their headings, not judged",
        "whether the stated need is genuine",
    ],
    check: Check::Rule(check),
};

/// What a rationale weighs, as its facts name it.
const CONSIDERED: [&str; 5] = ["complexity", "suitability", "interpretability", "hardening", "privacy"];
/// The codes that every organisation in scope keeps beside this one.
const COMPANIONS: [&str; 2] = ["software-code", "cyber-governance-code"];
/// One of these beside them: they ask for the same.
const BASICS: [&str; 4] = ["cyber-essentials", "iso-27001", "nist-csf", "soc-2"];
/// What else a design is weighed against, as its facts name it.
const THEMES: [&str; 8] =
    ["function", "user-experience", "environment", "performance", "assurance", "oversight", "ethics", "law"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let spec = &workload.spec;
    let about = About::Workload(workload);
    let place = || Place::object(Facts::name_of(workload));
    let unstated = Purpose::default();
    let purpose = spec.purpose.as_ref().unwrap_or(&unstated);

    let mut short = Shortfall::new(facts);
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !is_blank(text));
    if !given(&purpose.business_need) || !given(&purpose.intended_use) {
        short.require(given(&purpose.business_need), || "spec.purpose.businessNeed is not stated".to_owned());
        short.require(given(&purpose.intended_use), || "spec.purpose.intendedUse is not stated".to_owned());
        if !given(&purpose.business_need) {
            short.set(about.object(), "spec.purpose.businessNeed", "NEED-IN-AT-LEAST-40-CHARACTERS");
        }
        if !given(&purpose.intended_use) {
            short.set(about.object(), "spec.purpose.intendedUse", "USE");
        }
    }
    let created = workload.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let decided = purpose.decision_date.as_deref().and_then(dates::from);
    if dates::ahead(purpose.decision_date.as_deref().unwrap_or_default(), facts.now) {
        short.require(false, || "spec.purpose.decisionDate lies ahead".to_owned());
        short.fix("decide before building, and state the day of that decision");
    } else if let (Some(created), Some(decided)) = (created, decided)
        && decided > created
    {
        short.require(false, || "spec.purpose.decisionDate lies after the workload was declared".to_owned());
        short.fix("decide before building, and state the day of that decision");
    }
    if let Some(user) = purpose.decided_by.as_deref().filter(|user| !owners::knows(facts, workload, user)) {
        short.require(false, || {
            format!("spec.purpose.decidedBy is {user:?}, whom neither the owners nor the organisation name")
        });
        short.fix("name who stands by that decision");
        short.set(about.object(), "spec.purpose.decidedBy", "USER");
    }
    if facts.namespace.environment() == Some(Environment::Production) {
        short.ask(Question::of("BusinessCase", about));
    }
    short.tell(report, place(), &["CoP-2.1"]);

    let mut short = Shortfall::new(facts);
    if !purpose.alternatives_considered.iter().any(|other| given(&other.why_not)) {
        short.require(false, || {
            "spec.purpose.alternativesConsidered gives no alternative with the reason against it".to_owned()
        });
        short.fix("weigh at least one way without AI");
        if purpose.alternatives_considered.is_empty() {
            let other = json!({"name": "ALTERNATIVE", "whyNot": "REASON"});
            short.set(about.object(), "spec.purpose.alternativesConsidered[0]", other);
        } else {
            short.set(about.object(), "spec.purpose.alternativesConsidered[0].whyNot", "REASON");
        }
    }
    short.hint("considerations", CONSIDERED.iter().chain(&THEMES).map(|name| (*name).to_owned()).collect());
    let question = Question::of("DesignRationale", about).with(&["considerations", "acquisitionReason"]);
    let rationale = short.ask(question.clone());
    let model = crate::policy::evidence::ask(facts, &Question::of("ThreatModel", about));
    if let (Some(rationale), crate::policy::evidence::Answer::Held(model)) = (rationale, model)
        && dates::until(&rationale.spec.issued_at) < dates::from(&model.spec.issued_at)
    {
        short.require(false, || {
            format!(
                "{} of {} is older than the {}",
                Shortfall::name(rationale),
                rationale.spec.issued_at,
                Shortfall::name(model)
            )
        });
        short.fix("weigh the design again against the newest threat model");
        short.renew(question.clone(), rationale, []);
    }
    short.tell(report, place(), &["NCSC-D3.1", "NCSC-D3.2", "NCSC-D3.3", "NCSC-D4.1"]);
    acquired(facts, workload).tell(report, place(), &["NCSC-D3.3"]);

    if let Some(rationale) = rationale {
        let mut short = Shortfall::new(facts);
        let left = unnamed(rationale, "considerations", &THEMES);
        if !left.is_empty() {
            let named = Shortfall::list(&left);
            short.require(false, || format!("{} does not weigh {named}", Shortfall::name(rationale)));
            short.fix(format!("weigh {named} in the document"));
            short.renew(question.clone(), rationale, [Shortfall::also(rationale, "considerations", &left)]);
        }
        short.tell(report, place(), &["NCSC-D3.2"]);
        let mut short = Shortfall::new(facts);
        let left = unnamed(rationale, "considerations", &CONSIDERED);
        if !left.is_empty() {
            let named = Shortfall::list(&left);
            short.require(false, || format!("{} does not weigh {named}", Shortfall::name(rationale)));
            short.fix(format!("weigh {named} in the document"));
            short.renew(question, rationale, [Shortfall::also(rationale, "considerations", &left)]);
        }
        short.tell(report, place(), &["CoP-2.1-n1", "CoP-2.1-n2", "CoP-2.1-n3", "CoP-2.1-n5", "NCSC-P2.5"]);
    }

    companions(facts, workload).tell(report, place(), &["CfV-COMPANION", "NCSC-G7"]);
}

/// Whether the organisation keeps the codes that stand beside this one, and looked at them within the year.
fn companions<'f, 'a>(facts: &'f Facts<'a>, workload: &AIWorkload) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    if let Some(organisation) = short.organisation(workload) {
        let kept: Vec<&str> =
            organisation.spec.companion_codes.iter().map(|code| code.name.as_str()).collect();
        let left: Vec<&str> = COMPANIONS.into_iter().filter(|name| !kept.contains(name)).collect();
        if !left.is_empty() {
            short.require(false, || {
                format!(
                    "{} does not say how far it keeps {}",
                    About::Organisation(organisation),
                    Shortfall::list(&left)
                )
            });
            short.fix("choose full, partial, planned or notApplicable for each");
            for name in &left {
                short.set(
                    About::Organisation(organisation).object(),
                    "spec.companionCodes[+]",
                    json!({"name": name, "adherence": "ADHERENCE"}),
                );
            }
        }
        if !kept.iter().any(|name| BASICS.contains(name)) {
            short.require(false, || {
                format!(
                    "{} says of none of {} how far it keeps it",
                    About::Organisation(organisation),
                    BASICS.join(", ")
                )
            });
            short.fix("choose one that is kept, and say how far");
            short.set(
                About::Organisation(organisation).object(),
                "spec.companionCodes[+]",
                json!({"name": BASICS[0], "adherence": "ADHERENCE"}),
            );
        }
        let assessed =
            Question::of("CompanionCodes", About::Organisation(organisation)).with(&["frameworks"]);
        let year = jiff::SignedDuration::from_hours(365 * 24);
        let fresh = |code: &&CompanionCode| {
            let at = code.assessed_at.as_deref().and_then(dates::until);
            at.is_some_and(|at| facts.now.duration_since(at) <= year)
        };
        if workload.spec.roles.contains(&Role::Developer) {
            short.ask(assessed);
        } else if !organisation.spec.companion_codes.iter().all(|code| fresh(&code)) {
            // Each on its own day, or all in one assessment.
            short.ask(assessed);
        }
    }
    short
}

/// Whether how a model was come by agrees with what it is made of and where it runs.
fn acquired<'f, 'a>(facts: &'f Facts<'a>, workload: &AIWorkload) -> Shortfall<'f, 'a> {
    let mut short = Shortfall::new(facts);
    for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
        let spec = &model.spec;
        let about = About::Model(model);
        let outside = spec.source.as_ref().is_some_and(|source| source.kind == ModelSourceKind::Api);
        let elsewhere = matches!(spec.origin, Some(Origin::External | Origin::OpenSource));
        let against = match spec.acquisition {
            None => {
                short.require(false, || format!("{about} does not state spec.acquisition"));
                continue;
            }
            Some(Acquisition::Trained) if spec.base_model_ref.is_some() => {
                Some("it has a base model".to_owned())
            }
            Some(Acquisition::Trained) if elsewhere => {
                Some(format!("its origin is {}", spec.origin.map_or("", Origin::as_str)))
            }
            Some(Acquisition::FineTuned) if spec.base_model_ref.is_none() => {
                Some("it names no baseModelRef".to_owned())
            }
            Some(Acquisition::ExternalApi) if !outside => Some("its weights are here".to_owned()),
            Some(Acquisition::ExternalApi) if workload.spec.external_apis.is_empty() => {
                Some("the workload declares no externalApis".to_owned())
            }
            Some(other) if outside && other != Acquisition::ExternalApi => {
                Some("it is reached over an interface of others".to_owned())
            }
            Some(_) => None,
        };
        if let Some(against) = against {
            let stated = spec.acquisition.map_or("", Acquisition::as_str);
            short.require(false, || format!("{about} states acquisition {stated:?}, and {against}"));
        }
    }
    short.fix("set spec.acquisition of the AIModel, with origin, source and baseModelRef that agree with it");
    short
}
