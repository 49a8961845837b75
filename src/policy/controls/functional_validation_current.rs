//! `functional-validation-current`: validation shows that each model does what is intended, before and
//! after deployment.

use jiff::Timestamp;
use serde_json::Value;

use crate::api::{AIEvidence, AIWorkload};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Question, Shortfall, entries, unnamed, words};
use crate::policy::facts::{Facts, Place};
use crate::policy::preview;

/// Each model was shown to do what is intended, by figures that hold.
pub(super) const CONTROL: Control = Control {
    id: "functional-validation-current",
    title: "validation shows that each model does what is intended, before and after deployment",
    room: Room::Evaluation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-9.2", "CoP-9.2.1"],
    why: "a model that fails its task fails its users, and often its safeguards too",
    remedy: "record FunctionalValidation for the model's digest and intended use, and PostDeploymentTest \
        after each rollout",
    gaps: &[],
    limits: &["that those who are named as testers tested together is taken from the evidence"],
    check: Check::Rule(check),
};

/// Days after which a workload that runs has to have been tested in the field.
const FIELD_DAYS: i64 = 7;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let place = || Place::object(Facts::name_of(workload));
    let intended = workload.spec.purpose.as_ref().and_then(|purpose| purpose.intended_use.as_deref());
    let mut short = Shortfall::new(facts);
    short.hint("metrics", vec!["{name: NAME, value: 0, threshold: 0}".to_owned()]);
    if let Some(use_) = intended {
        short.hint("intendedUse", vec![format!("{use_:?}")]);
    }
    for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
        let question = Question::of("FunctionalValidation", About::Model(model)).bound().passed();
        let question = question.with(&["metrics", "intendedUse"]);
        let Some(validation) = short.ask(question.clone()) else { continue };
        let name = Shortfall::name(validation);
        for missed in missed(validation) {
            short.require(false, || format!("{name} says pass, and {missed}"));
            short.fix("correct the model or the claim, and validate again");
        }
        if let Some(use_) = intended
            && !words(validation, "intendedUse").contains(&use_)
        {
            short.require(false, || {
                format!("{name} was made for another intended use than spec.purpose.intendedUse")
            });
            short.fix("validate for the use as it is intended now");
            short.renew(question, validation, [("intendedUse", vec![format!("{use_:?}")])]);
        }
    }
    short.tell(report, place(), &["CoP-9.2"]);

    let since = since(facts, workload);
    let within = facts.settings.days("postDeployTest.within", FIELD_DAYS);
    if since.is_some_and(|since| facts.now.duration_since(since).as_hours() > within * 24) {
        let mut short = Shortfall::new(facts);
        short.hint("roles", TESTERS.map(str::to_owned).to_vec());
        let question = Question::of("PostDeploymentTest", About::Workload(workload)).bound().passed();
        if let Some(test) = short.ask(question.with(&["roles"])) {
            let left = unnamed(test, "roles", &TESTERS);
            short.require(left.is_empty(), || {
                format!("{} was made without {}", Shortfall::name(test), Shortfall::list(&left))
            });
        }
        short.tell(report, place(), &["CoP-9.2.1"]);
    }
}

/// Who tests together after a rollout.
const TESTERS: [&str; 2] = ["Developer", "SystemOperator"];

/// Since when the present composition is declared, as far as it is known: what comes now is new.
fn since(facts: &Facts<'_>, workload: &AIWorkload) -> Option<Timestamp> {
    let created = || workload.metadata.creation_timestamp.as_ref().map(|time| time.0);
    match preview::lineage(workload) {
        Some(known) if known.composition_digest == facts.composition() => {
            dates::from(&known.since).or_else(created)
        }
        Some(_) => None,
        None => created(),
    }
}

/// Figures that miss their threshold, as clauses.
fn missed(validation: &AIEvidence) -> impl Iterator<Item = String> {
    entries(validation, "metrics").filter_map(|metric| {
        let name = metric.get("name").and_then(Value::as_str).unwrap_or("a metric");
        let number = |key: &str| metric.get(key).and_then(Value::as_f64);
        let (Some(value), Some(threshold)) = (number("value"), number("threshold")) else {
            return Some(format!("{name} has no value or no threshold"));
        };
        let at_most = metric.get("better").and_then(Value::as_str) == Some("lower");
        let kept = if at_most { value <= threshold } else { value >= threshold };
        (!kept).then(|| format!("{name} is {value} against a threshold of {threshold}"))
    })
}
