//! What the webhook is given and has to answer where tests compare it with the command line.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use portcullis::cli::check::signatures::Signatures;
use portcullis::gather::signatures::{ImageQuestion, SignatureSource};
use portcullis::policy::Finding;
use portcullis::policy::facts::{Labels, Signature};
use portcullis::render::words;
use portcullis::webhook::attempts::{Change, Refusal, RefusalSink};
use portcullis::webhook::running::{RunningPods, Visitor};
use portcullis::webhook::wire::Answer;
use tokio::time::Instant;

use super::fixtures::Said;

/// What the documents of fixtures say of signatures, by namespace.
pub struct Known(pub BTreeMap<String, Signatures>);

impl Known {
    fn of(&self, namespace: &str, images: &[ImageQuestion]) -> BTreeMap<String, Signature> {
        let here = self.0.get(namespace);
        let known = |image: &str| here.map_or(Signature::Unasked, |known| known.of(namespace, image));
        images.iter().map(|image| (image.reference.clone(), known(&image.reference))).collect()
    }
}

impl SignatureSource for Known {
    fn signatures<'a>(
        &'a self,
        namespace: &'a str,
        questions: Vec<ImageQuestion>,
        _: Instant,
    ) -> BoxFuture<'a, BTreeMap<String, Signature>> {
        Box::pin(async move { self.of(namespace, &questions) })
    }

    fn remembered(&self, namespace: &str, images: &[ImageQuestion]) -> BTreeMap<String, Signature> {
        self.of(namespace, images)
    }
}

/// Nobody hears of refusals, and nothing runs.
pub struct Nobody;

impl RefusalSink for Nobody {
    fn refused(&self, _: Refusal) {}

    fn recorded(&self, _: Refusal) {}

    fn changed(&self, _: Change) {}
}

impl RunningPods for Nobody {
    fn one<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Instant,
    ) -> BoxFuture<'a, Result<Option<portcullis::gather::objects::PodObject>, String>> {
        Box::pin(async { Ok(None) })
    }

    fn visit<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a Labels>,
        _: Instant,
        _: Visitor<'a>,
    ) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async { Ok(false) })
    }
}

/// The resource of a kind.
pub fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    let stem = lower.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o']));
    match (stem, lower.ends_with('s')) {
        (Some(stem), _) => format!("{stem}ies"),
        (None, true) => format!("{lower}es"),
        (None, false) => format!("{lower}s"),
    }
}

/// A warning as the webhook words it.
pub fn warning(finding: &Finding) -> String {
    words::warning(finding)
}

/// An answer carries no more warnings than this.
const MOST_WARNINGS: usize = 8;

/// What differs between the command line and the webhook about one object.
pub fn differs(said: &Said, answer: &Answer) -> Option<String> {
    let refused = &said.decision.refused;
    let (later, never): (Vec<&Finding>, Vec<&Finding>) = refused.iter().partition(|f| f.may_arrive);
    // The webhook judges the pods again, so it only warns of what may arrive; to files nothing arrives.
    let lenient =
        !matches!(said.kind.as_str(), "Pod" | "RoleBinding" | "ClusterRoleBinding" | "NetworkPolicy");
    if !lenient || later.is_empty() {
        let warned: Vec<String> = said.decision.warned.iter().map(warning).collect();
        // What evidence is worth beside all else is told when it is recorded; of files each control tells it by itself.
        let told = answer.warnings.iter().filter(|told| !told.contains(": it counts for nothing: "));
        return (answer.denial != said.denial || !told.eq(&warned))
            .then(|| format!("check: {:#?} {warned:#?}\nwebhook: {answer:#?}", said.denial));
    }
    let denial = answer.denial.as_deref().unwrap_or_default();
    let wrong: Vec<String> = later
        .iter()
        .filter(|finding| {
            answer.warnings.len() < MOST_WARNINGS && !answer.warnings.contains(&warning(finding))
        })
        .chain(never.iter().filter(|finding| !denial.contains(&words::sentence(finding))))
        .map(|finding| words::one_line(finding))
        .collect();
    let extra = denial.is_empty() != never.is_empty();
    (extra || !wrong.is_empty()).then(|| format!("not told by the webhook: {wrong:#?}\n{answer:#?}"))
}
