//! `robustness-evidence-current`: red-team tests and benchmarks cover the running composition, by
//! qualified and independent people.

use serde_json::Value;

use crate::api::common::Criticality;
use crate::api::evidence::Independence;
use crate::api::model::Stage;
use crate::api::{AIEvidence, AIModel, AIWorkload};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::evidence::{About, Answer, By, Question, Shortfall, ask, entries, unnamed, words};
use crate::policy::facts::{Facts, Place};

/// Somebody able and apart attacked the whole, and figures say how it stands.
pub(super) const CONTROL: Control = Control {
    id: "robustness-evidence-current",
    title: "red-team tests and benchmarks cover the running composition, by qualified and independent people",
    room: Room::Evaluation,
    wave: 3,
    modes: Modes::new(Mode::Warn, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-8.2", "CoP-9.2.2", "CoP-9.2.3", "CoP-9.3"],
    why: "attackers test the whole system, so somebody friendly should do it first",
    remedy: "record RedTeam evidence of scope system and a Benchmark for the model version",
    gaps: &[],
    limits: &["that outputs carry no surplus is taken from the cases of the red team, which are not judged"],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let about = About::Workload(workload);
    let place = || Place::object(Facts::name_of(workload));
    // Evidence that a change made lapse is the finding of update-revalidated.
    let here = |answer: &Answer<'_>| !matches!(answer, Answer::OtherDigest(_, Some(_)));
    let mut short = Shortfall::new(facts);
    short.hint("scope", vec!["system".to_owned()]);
    let routes = routes(facts, workload);
    short.hint_of("RedTeam", "techniques", routes.iter().map(|route| (*route).to_owned()).collect());
    let question = Question::of("RedTeam", about)
        .bound()
        .passed()
        .by(By::Another)
        .with(&["scope", "techniques"])
        .showing(&["spec.evaluator"]);
    let team = short.ask_if(question.clone(), here);
    if let Some(team) = team {
        let name = Shortfall::name(team);
        if !words(team, "scope").contains(&"system") {
            short.require(false, || format!("{name} tried parts only, not the whole system"));
            short.fix("let others attack the whole system");
            short.renew(question.clone(), team, [Shortfall::also(team, "scope", &["system"])]);
        }
        let left = unnamed(team, "techniques", &routes);
        if !left.is_empty() {
            let named = Shortfall::list(&left);
            short.require(false, || format!("{name} did not try {named}, which the threat model names"));
            short.fix(format!("let others try {named}"));
            short.renew(question.clone(), team, [Shortfall::also(team, "techniques", &left)]);
        }
    }
    for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
        if matches!(model.spec.stage, Some(Stage::Candidate | Stage::Released)) {
            let question = Question::of("Benchmark", About::Model(model)).bound().with(&["suite", "score"]);
            if let Some(benchmark) = short.ask_if(question, here) {
                fell(benchmark, &mut short);
                crept(facts, model, benchmark, &mut short);
            }
        }
    }
    short.tell(report, place(), &["CoP-8.2", "CoP-9.2.2", "CoP-9.3"]);

    let assessment = match ask(facts, &Question::of("SecurityAssessment", about).bound()) {
        Answer::Held(assessment) => Some(assessment),
        _ => None,
    };
    let critical = workload.spec.criticality == Criticality::Critical;
    let mut short = Shortfall::new(facts);
    let assessed = Question::of("SecurityAssessment", about)
        .bound()
        .passed()
        .by(By::Another)
        .showing(&["spec.evaluator"]);
    for (question, evidence) in [(question, team), (assessed, assessment)] {
        if let Some(evidence) = evidence
            && !evaluator(evidence, critical, &mut short)
        {
            short.renew(question, evidence, []);
        }
    }
    short.fix("say who evaluated, with the qualification");
    short.tell(report, place(), &["CoP-9.2.3"]);
}

/// Whether the score is below the baseline by more than the tolerance.
fn fell(benchmark: &AIEvidence, short: &mut Shortfall<'_, '_>) {
    let number = |key: &str| benchmark.spec.facts.get(key).and_then(Value::as_f64);
    if let (Some(score), Some(baseline)) = (number("score"), number("baseline")) {
        let kept = score >= baseline - number("tolerance").unwrap_or(0.0);
        if !kept {
            short
                .require(false, || format!("{} fell from {baseline} to {score}", Shortfall::name(benchmark)));
            short.fix("find out why, and run a version that is as robust as the one before");
        }
    }
}

/// Whether the score is below the best that any earlier benchmark of this model, in the same suite, had: a fall in small
/// steps shows in none of them.
fn crept<'a>(facts: &Facts<'a>, model: &'a AIModel, present: &AIEvidence, short: &mut Shortfall<'_, '_>) {
    let number = |evidence: &AIEvidence, key: &str| evidence.spec.facts.get(key).and_then(Value::as_f64);
    let Some(score) = number(present, "score") else { return };
    let (about, suite, day) =
        (&present.spec.subject, words(present, "suite"), dates::from(&present.spec.issued_at));
    let earlier = facts.namespace.evidence.values().filter(|other| {
        other.spec.type_ == "Benchmark"
            && other.spec.subject.kind == about.kind
            && Some(&other.spec.subject.name) == model.metadata.name.as_ref()
            && other.spec.subject.digest != about.digest
            && words(other, "suite") == suite
            && dates::from(&other.spec.issued_at).is_some_and(|at| Some(at) <= day)
    });
    let scores = earlier.filter_map(|other| Some((number(other, "score")?, other)));
    let Some((best, of)) = scores.max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
    let kept = score >= best - number(present, "tolerance").unwrap_or(0.0);
    short.require(kept, || {
        format!("{} has {score}, and {} had {best}", Shortfall::name(present), Shortfall::name(of))
    });
    if !kept {
        short.fix("find out what each version lost, and mend the model");
    }
}

/// The ways in that the threat model names.
pub(super) fn routes<'a>(facts: &Facts<'a>, workload: &'a AIWorkload) -> Vec<&'a str> {
    let Answer::Held(model) = ask(facts, &Question::of("ThreatModel", About::Workload(workload))) else {
        return Vec::new();
    };
    entries(model, "adversaries")
        .filter_map(|adversary| adversary.get("routes")?.as_array())
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .collect()
}

/// Whether a proof says who made it, and that this is somebody able and independent.
fn evaluator(evidence: &AIEvidence, critical: bool, short: &mut Shortfall<'_, '_>) -> bool {
    let name = Shortfall::name(evidence);
    let Some(by) = &evidence.spec.evaluator else {
        short.require(false, || format!("{name} does not say who evaluated"));
        return false;
    };
    short.require(by.qualification.is_some(), || format!("{name} states no qualification of {:?}", by.name));
    let far = match by.independence {
        Some(Independence::External) => true,
        Some(Independence::Internal) => !critical,
        Some(Independence::SelfMade) | None => false,
    };
    short.require(far || by.reason.is_some(), || {
        format!("{name} was made by {:?}, who is not independent enough, without a reason", by.name)
    });
    by.qualification.is_some() && (far || by.reason.is_some())
}
