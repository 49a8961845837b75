//! What a change of a dataset would take away from its protection.

use crate::api;
use crate::api::dataset::DatasetClass;
use crate::policy::control::Report;
use crate::policy::evidence::{About, By, Question, Shortfall, words};
use crate::policy::facts::{Facts, Place};

/// Data to learn and to test from does not become something else by a stroke of the pen: one of its controllers reviews
/// that first. Those who were controllers before count, or the change could name its own reviewer.
///
/// What it was is what the watches know: the dataset under judgement differs from that only while it is being changed.
pub fn reclassified<'a>(facts: &Facts<'a>, dataset: &'a api::AIDataset, report: &mut Report<'_>) {
    let apart = |class| matches!(class, Some(DatasetClass::Training | DatasetClass::Test));
    let name = dataset.metadata.name.as_deref().unwrap_or_default();
    let Some(former) = facts.namespace.datasets.get(name) else { return };
    let (before, after) = (former.spec.class, dataset.spec.class);
    if !apart(before) || apart(after) {
        return;
    }
    let before = before.map_or("", DatasetClass::as_str);
    let after = after.map_or("none", DatasetClass::as_str);
    let mut short = Shortfall::new(facts);
    short.hint("class", vec![after.to_owned()]);
    let question = Question::of("DataControllerReview", About::Dataset(dataset)).undocumented();
    let question = question.with(&["class"]).by(By::OneOf(&former.spec.controllers));
    if let Some(review) = short.ask(question) {
        let review_of = Shortfall::name(review);
        short.require(words(review, "class").contains(&after), || {
            format!("{review_of} does not name {after:?} under facts.class")
        });
    }
    short.require(short.is_empty(), || format!("so what is of class {before:?} cannot become {after:?}"));
    let place = Place::field(format!("AIDataset {}/{name}", facts.namespace.name), "spec.class").value(after);
    if let Some(finding) = short.tell(report, place, &["CoP-6.2.1"]) {
        // The review comes first: a change that passed would be what is known from then on.
        finding.may_arrive = false;
    }
}
