//! `update-revalidated`: a changed model, prompt, guardrail or dataset is a new version and is evaluated
//! afresh.

use super::robustness_evidence_current::routes;
use super::security_assessment_current::own_images;
use crate::api::{AIEvidence, AIWorkload};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, By, Question, Shortfall, ask, unnamed, words};
use crate::policy::facts::{Facts, Place};
use crate::policy::preview;

/// What was evaluated for a former state is evaluated again.
pub(super) const CONTROL: Control = Control {
    id: "update-revalidated",
    title: "a changed model, prompt, guardrail or dataset is a new version and is evaluated afresh",
    room: Room::Evaluation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-5.4.1", "CoP-9.2.1", "CoP-11.3", "CoP-11.4"],
    why: "small changes of data or prompt can turn behaviour round",
    remedy: "raise the version, evaluate the new digests and record the evidence before the rollout",
    gaps: &[],
    limits: &["that a change of a program is small is taken from the ConfigChangeAssessment that says so"],
    check: Check::Rule(check),
};

/// Evaluations of the whole and of each model that a change makes lapse; those that other controls ask for say so there.
const OF_THE_WHOLE: [&str; 2] = ["RedTeam", "PostDeploymentTest"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let lapsed = |answer: &Answer<'_>| matches!(answer, Answer::OtherDigest(_, Some(_)));
    let mut short = Shortfall::new(facts);
    let models = || workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name));
    let prompts = || workload.spec.prompts.iter().filter_map(|used| facts.namespace.prompts.get(&used.name));
    // Whoever deletes what a change made lapse has evaluated nothing: after a change, missing is lapsed.
    let changed = preview::changed(facts, workload);
    let none = |answer: &Answer<'_>| matches!(answer, Answer::Missing | Answer::WrongPerson(..));
    let due = |answer: &Answer<'_>| lapsed(answer) || (changed && none(answer));
    let images = own_images(facts);
    short.hint("images", images.iter().map(|digest| (*digest).to_owned()).collect());
    short.hint_of("RedTeam", "scope", vec!["system".to_owned()]);
    let routes = routes(facts, workload).into_iter().map(str::to_owned).collect();
    short.hint_of("RedTeam", "techniques", routes);
    for type_ in OF_THE_WHOLE {
        let question = Question::of(type_, About::Workload(workload)).bound().passed();
        if type_ != "RedTeam" {
            short.ask_if(question, lapsed);
            continue;
        }
        // What robustness-evidence-current asks of it is printed too, or the next refusal would ask for it.
        let question = question.by(By::Another).showing(&["scope", "techniques", "spec.evaluator"]);
        let question = if images.is_empty() { question } else { question.with(&["images"]) };
        let due = |answer: &Answer<'_>| due(answer) || matches!(answer, Answer::Lacks(..));
        if let Some(team) = short.ask_if(question, due) {
            programs(facts, workload, (team, &images), &mut short);
        }
    }
    for model in models() {
        short.ask_if(Question::of("Benchmark", About::Model(model)).bound(), lapsed);
    }
    for prompt in prompts() {
        short.ask_if(Question::of("FunctionalValidation", About::Prompt(prompt)).bound(), lapsed);
    }
    let place = || Place::object(Facts::name_of(workload));
    short.tell(report, place(), &["CoP-11.3", "CoP-9.2.1"]);
}

/// Programs made here that changed since the red team tried them: a new one is tried again, unless an assessment of the
/// change calls it minor.
fn programs<'a>(
    facts: &Facts<'a>,
    workload: &'a AIWorkload,
    (team, images): (&AIEvidence, &[&str]),
    short: &mut Shortfall<'_, 'a>,
) {
    let mut left = unnamed(team, "images", images);
    if left.is_empty() {
        return;
    }
    let question = Question::of("ConfigChangeAssessment", About::Workload(workload));
    if let Answer::Held(assessment) = ask(facts, &question) {
        let minor = words(assessment, "minorImages");
        left.retain(|digest| !minor.contains(digest));
    }
    if left.is_empty() {
        return;
    }
    short
        .require(false, || format!("{} did not try image {}", Shortfall::name(team), Shortfall::list(&left)));
    short.fix(
        "try it again with the image among facts.images, or assess the change as minor: name the image in \
         facts.minorImages of a ConfigChangeAssessment",
    );
}
