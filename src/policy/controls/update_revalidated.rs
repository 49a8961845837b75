//! `update-revalidated`: a changed model, prompt, guardrail or dataset is a new version and is evaluated
//! afresh.

use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Answer, Question, Shortfall};
use crate::policy::facts::{Facts, Place};

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
    gaps: &[
        Gap {
            provisions: &["CoP-5.4.1", "CoP-9.2.1", "CoP-11.3", "CoP-11.4"],
            missing: "minor changes of first-party images are not told from major ones",
        },
        Gap {
            provisions: &["CoP-5.4.1", "CoP-9.2.1", "CoP-11.3", "CoP-11.4"],
            missing: "that a change ran in staging before production is not judged",
        },
        Gap {
            provisions: &["CoP-5.4.1", "CoP-9.2.1", "CoP-11.3", "CoP-11.4"],
            missing: "evaluations that a change made lapse are seen only while they still exist",
        },
    ],
    limits: &[],
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
    for type_ in OF_THE_WHOLE {
        short.ask_if(Question::of(type_, About::Workload(workload)).bound().passed(), lapsed);
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
