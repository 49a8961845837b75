//! `asset-documentation-complete`: cards of models, datasets and prompts are complete and reviewed on
//! time.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::api::common::Retention;
use crate::api::dataset::DataCard;
use crate::api::model::{ModelCard, ModelKind, Origin, Stage};
use crate::api::{AIDataset, AIModel, AIPrompt};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::lineage;
use crate::policy::dates;
use crate::policy::evidence::{About, Answer, EVER, Question, Shortfall, all, words};
use crate::policy::facts::{Facts, Place, Subject};

/// Whoever uses an asset can read what it is made of and where it fails.
pub(super) const CONTROL: Control = Control {
    id: "asset-documentation-complete",
    title: "cards of models, datasets and prompts are complete and reviewed on time",
    room: Room::Documentation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-2.2",
        "CoP-7.2",
        "CoP-8.1",
        "CoP-8.1.1",
        "CoP-8.1.2",
        "CoP-2.1-n4",
        "CoP-2.1-n6",
        "CoP-5.1-n1",
        "NCSC-D4.1",
        "NCSC-V3.3",
    ],
    why: "whoever inherits the model needs to know what it was made of and where it breaks",
    remedy: "fill the card of the asset, its limits, retention and failure modes among it, and set \
        lastReviewedAt",
    gaps: &[],
    limits: &[
        "a card behind https is not fetched: its digest is taken as written; one in a ConfigMap or a registry is read again",
        "whether what a card says is true",
    ],
    check: Check::Rule(check),
};

/// Longest time between two reviews of an asset, where no profile sets another in `review.maxInterval`.
const REVIEW_DAYS: i64 = 365;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Model(model) => of_model(facts, model, report),
        Subject::Dataset(dataset) => of_dataset(facts, dataset, report),
        Subject::Prompt(prompt) => of_prompt(facts, prompt, report),
        // A declaration may come before its assets; the pods come after both.
        Subject::Pod(_) => {
            let Some((_, workload)) = facts.ai_pod() else { return };
            let spec = &workload.spec;
            for model in spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
                of_model(facts, model, report);
            }
            for used in &spec.datasets {
                let home = facts.namespace_named(used.namespace.as_deref());
                if let Some(dataset) = home.and_then(|home| home.datasets.get(&used.name)) {
                    of_dataset(facts, dataset, report);
                }
            }
            for prompt in spec.prompts.iter().filter_map(|used| facts.namespace.prompts.get(&used.name)) {
                of_prompt(facts, prompt, report);
            }
        }
        _ => {}
    }
}

fn place(about: About<'_>) -> Place {
    Place::object(format!("{} {}/{}", about.kind(), about.namespace().unwrap_or_default(), about.name()))
}

/// Says which fields are not filled in, in one finding.
fn lacking(
    facts: &Facts<'_>,
    about: About<'_>,
    fields: &[(&str, bool)],
    provisions: &'static [&'static str],
    report: &mut Report<'_>,
) {
    let empty: Vec<&str> = fields.iter().filter(|(_, given)| !given).map(|(name, _)| *name).collect();
    if empty.is_empty() {
        return;
    }
    let mut short = Shortfall::new(facts);
    short.require(false, || format!("does not state {}", empty.join(", ")));
    short.fix("describe the asset as it is");
    for name in empty {
        short.set(about.object(), format!("spec.{name}"), blank(name));
    }
    short.tell(report, place(about), provisions);
}

/// What stands for the value of a field that people fill in.
fn blank(field: &str) -> Value {
    match field {
        "trainedOn" => json!([{"dataset": "DATASET"}]),
        "card.dataSources" => json!(["DATA-SOURCE"]),
        "card.limitations" => json!(["LIMITATION"]),
        "card.guardrails" => json!(["GUARDRAIL"]),
        "card.failureModes" => json!(["FAILURE-MODE"]),
        "card.complexityNotes" => json!(["NOTE"]),
        "retention.until" => json!("LAST-DAY"),
        "reviewEvery" => json!("P180D"),
        "lastReviewedAt" => json!("YYYY-MM-DD"),
        "sensitivity" => json!("SENSITIVITY"),
        _ => json!("TEXT"),
    }
}

fn of_model(facts: &Facts<'_>, model: &AIModel, report: &mut Report<'_>) {
    let spec = &model.spec;
    let about = About::Model(model);
    let unstated = ModelCard::default();
    let card = spec.card.as_ref().unwrap_or(&unstated);
    if spec.stage == Some(Stage::Released) {
        let made_elsewhere = matches!(spec.origin, Some(Origin::External | Origin::OpenSource));
        let fields = [
            ("card.architecture", card.architecture.is_some()),
            ("trainedOn", !spec.trained_on.is_empty() || made_elsewhere),
        ];
        lacking(facts, about, &fields, &["CoP-8.1", "CoP-2.2"], report);
    }
    let fields = [
        ("card.dataSources", !card.data_sources.is_empty()),
        ("card.intendedScope", card.intended_scope.is_some()),
        ("card.limitations", !card.limitations.is_empty()),
        ("card.guardrails", !card.guardrails.is_empty()),
        ("card.failureModes", !card.failure_modes.is_empty()),
        ("retention.until", spec.retention.as_ref().is_some_and(|keep| keep.until.is_some())),
        ("reviewEvery", spec.review_every.is_some()),
        ("lastReviewedAt", spec.last_reviewed_at.is_some()),
    ];
    lacking(facts, about, &fields, &["CoP-8.1.1", "CoP-7.2", "NCSC-V3.3"], report);
    review(facts, about, spec.review_every.as_deref(), spec.last_reviewed_at.as_deref(), report);
    linked(facts, "ModelCard", about, report);
    let mut names: Vec<&str> = lineage(facts, facts.namespace, model).models;
    names.extend([spec.digest.as_deref(), card.architecture.as_deref()].into_iter().flatten());
    warned(facts, about, &names, spec.last_reviewed_at.as_deref(), report);
    let made_of_others = spec.base_model_ref.is_some() || spec.model_kind == Some(ModelKind::Adapter);
    if made_of_others {
        lacking(
            facts,
            about,
            &[("card.complexityNotes", !card.complexity_notes.is_empty())],
            &["CoP-8.1.2"],
            report,
        );
    }
}

fn of_dataset(facts: &Facts<'_>, dataset: &AIDataset, report: &mut Report<'_>) {
    let spec = &dataset.spec;
    let about = About::Dataset(dataset);
    let times = (spec.review_every.as_deref(), spec.last_reviewed_at.as_deref());
    kept(facts, about, spec.retention.as_ref(), times, report);
    let unstated = DataCard::default();
    let card = spec.card.as_ref().unwrap_or(&unstated);
    let fields = [
        ("sensitivity", spec.sensitivity.is_some()),
        ("card.size", card.size.is_some()),
        ("card.integrity", card.integrity.is_some()),
        ("card.quality", card.quality.is_some()),
        ("card.age", card.age.is_some()),
        ("card.relevance", card.relevance.is_some()),
        ("card.diversity", card.diversity.is_some()),
    ];
    lacking(facts, about, &fields, &["CoP-2.1-n4", "NCSC-V3.3"], report);
    linked(facts, "DataCard", about, report);
}

fn of_prompt(facts: &Facts<'_>, prompt: &AIPrompt, report: &mut Report<'_>) {
    let spec = &prompt.spec;
    let about = About::Prompt(prompt);
    let times = (spec.review_every.as_deref(), spec.last_reviewed_at.as_deref());
    kept(facts, about, spec.retention.as_ref(), times, report);
    linked(facts, "PromptCard", about, report);
}

/// A card for people need not be there; one that is has to be the one that was written, of the asset as it is.
fn linked<'a>(facts: &Facts<'a>, type_: &'static str, about: About<'a>, report: &mut Report<'_>) {
    let mut short = Shortfall::new(facts);
    short
        .ask_if(Question::of(type_, about), |answer| !matches!(answer, Answer::Missing | Answer::Nowhere(_)));
    short.tell(report, place(about), &["NCSC-V3.3"]);
}

/// A bulletin that names the asset, what it was made of or how it is built makes its review due at once.
fn warned(facts: &Facts<'_>, about: About<'_>, names: &[&str], last: Option<&str>, report: &mut Report<'_>) {
    // That it was never reviewed is told already.
    let Some(reviewed) = last.and_then(dates::until) else { return };
    let mut short = Shortfall::new(facts);
    for organisation in facts.cluster.governances.values() {
        let bulletins = Question::of("ThreatBulletin", About::Organisation(organisation)).within(EVER);
        for bulletin in all(facts, &bulletins) {
            if dates::from(&bulletin.spec.issued_at).is_none_or(|issued| issued <= reviewed) {
                continue;
            }
            let affects = words(bulletin, "affects");
            let same = |name: &&&str| affects.iter().any(|word| word.eq_ignore_ascii_case(name));
            if let Some(name) = names.iter().find(same) {
                short.require(false, || {
                    format!(
                        "was last reviewed on {}, before {} of {} warned of {name}",
                        last.unwrap_or_default(),
                        Shortfall::name(bulletin),
                        bulletin.spec.issued_at
                    )
                });
                short.fix("review it in the light of the bulletin and set spec.lastReviewedAt");
            }
        }
    }
    short.tell(report, place(about), &["NCSC-D4.1"]);
}

/// Whether it is said how long data or a prompt stays, and whether it was reviewed: `every` so often, and `last` on a day.
fn kept(
    facts: &Facts<'_>,
    about: About<'_>,
    retention: Option<&Retention>,
    (every, last): (Option<&str>, Option<&str>),
    report: &mut Report<'_>,
) {
    let fields = [
        ("retention.until", retention.is_some_and(|keep| keep.until.is_some())),
        ("reviewEvery", every.is_some()),
        ("lastReviewedAt", last.is_some()),
    ];
    lacking(facts, about, &fields, &["CoP-8.1.1"], report);
    review(facts, about, every, last, report);
}

/// Whether the asset was looked at again in time, by its own rhythm and at least once a year.
fn review(
    facts: &Facts<'_>,
    about: About<'_>,
    every: Option<&str>,
    last: Option<&str>,
    report: &mut Report<'_>,
) {
    let (Some(every), Some(last)) = (every, last) else { return };
    let most = SignedDuration::from_hours(facts.settings.days("review.maxInterval", REVIEW_DAYS) * 24);
    let mut short = Shortfall::new(facts);
    match (dates::duration(every), dates::until(last)) {
        (Some(length), Some(at)) => {
            let days = most.as_hours() / 24;
            if length > most {
                short
                    .require(false, || format!("states reviewEvery {every}, which is more than {days} days"));
                short.set(about.object(), "spec.reviewEvery", format!("P{days}D"));
            }
            if dates::ahead(last, facts.now) {
                short.require(false, || format!("states lastReviewedAt {last}, which lies ahead"));
                short.fix("state the day on which it was reviewed");
                short.set(about.object(), "spec.lastReviewedAt", "YYYY-MM-DD");
            } else if facts.now.duration_since(at) > length.min(most) {
                short.require(false, || {
                    format!("was last reviewed on {last}, and its review is due every {every}")
                });
                short.fix("review it");
                short.set(about.object(), "spec.lastReviewedAt", "YYYY-MM-DD");
            }
        }
        (None, _) => {
            short.require(false, || format!("states reviewEvery {every:?}, which is no duration"));
            short.set(about.object(), "spec.reviewEvery", "P180D");
        }
        (_, None) => {
            short.require(false, || format!("states lastReviewedAt {last:?}, which is no date"));
            short.set(about.object(), "spec.lastReviewedAt", "YYYY-MM-DD");
        }
    }
    short.tell(report, place(about), &["CoP-8.1.1", "NCSC-D4.1"]);
}
