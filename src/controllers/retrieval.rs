//! Looks, now and then, whether what workloads would go back to can still be fetched from the registries.
//!
//! Only what trust policies allow is asked for, by digest, a few at a time; nothing waits for it, and pods that run are not
//! judged by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use super::conditions::{Holds, KNOWN_GOOD_HELD, Said};
use super::dirty::Dirty;
use crate::api::AIWorkload;
use crate::gather::registry::Presence;
use crate::gather::signatures::{ImageQuestion, Signatures};
use crate::gather::world::{Touched, World};
use crate::policy::facts::Namespace;

/// Before the first round: right after a start others need the registries more.
const FIRST: Duration = Duration::from_mins(2);
/// Between two rounds.
const EVERY: Duration = Duration::from_hours(1);
/// For one answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// Questions at the same time.
const TOGETHER: usize = 4;
/// Questions of one round; the next one begins where it ended.
const MOST: usize = 2_000;
/// Parts that a message names.
const NAMED: usize = 3;

/// A part of a known good composition: whose it is, and the reference that is asked for.
type Part = (String, String, ImageQuestion);

/// What was found, by namespace and workload: the parts that are gone, and why others could not be found out.
#[derive(Debug, Default)]
pub struct Retrieved(Mutex<BTreeMap<(String, String), Found>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    gone: BTreeSet<String>,
    unknown: Option<String>,
    asked: usize,
}

impl Retrieved {
    /// What is to be said of a workload; nothing where nobody has asked.
    #[must_use]
    pub fn of(&self, namespace: &str, workload: &str) -> Option<Said> {
        let all = self.lock();
        let found = all.get(&(namespace.to_owned(), workload.to_owned())).filter(|found| found.asked > 0)?;
        let says = |holds, reason, message: String| Some(Said::new(KNOWN_GOOD_HELD, holds, reason, message));
        if !found.gone.is_empty() {
            let named: Vec<&str> = found.gone.iter().take(NAMED).map(String::as_str).collect();
            let rest = found.gone.len() - named.len();
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            return says(Holds::No, "Gone", format!("the registry has no {}{more}", named.join(", ")));
        }
        match &found.unknown {
            Some(why) => says(Holds::Unknown, "NotFoundOut", why.clone()),
            None => says(
                Holds::Yes,
                "Held",
                "the registries have every part that lies in one, with all of its layers".to_owned(),
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the answers of one workload. Returns whether something else is to be said than before.
    fn take(&self, whose: &(String, String), answers: Vec<(String, Presence)>) -> bool {
        let mut found = Found { asked: answers.len(), ..Found::default() };
        for (reference, presence) in answers {
            match presence {
                Presence::There => {}
                Presence::Gone(digest) if reference.ends_with(&digest) => drop(found.gone.insert(reference)),
                Presence::Gone(digest) => drop(found.gone.insert(format!("{digest} of {reference}"))),
                Presence::Unknown(why, _) => found.unknown = Some(format!("{reference}: {why}")),
            }
        }
        let mut all = self.lock();
        let known = all.get(whose);
        // A registry that is away for an hour takes back nothing of what was seen.
        if found.gone.is_empty()
            && found.unknown.is_some()
            && let Some(known) = known
        {
            found.gone.clone_from(&known.gone);
        }
        let news = known != Some(&found);
        all.insert(whose.clone(), found);
        news
    }
}

/// Asks the registries.
pub struct Retriever {
    /// What is known.
    pub world: Arc<RwLock<World>>,
    /// What asks registries, and with which credentials.
    pub signatures: Arc<Signatures>,
    /// What has changed.
    pub dirty: Arc<Dirty>,
    /// Where it is remembered.
    pub found: Arc<Retrieved>,
}

impl Retriever {
    /// Asks, round after round, until it is dropped.
    pub async fn run(self) {
        let mut every = tokio::time::interval_at(Instant::now() + FIRST, EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut from = 0;
        loop {
            every.tick().await;
            from = self.round(from).await;
        }
    }

    /// One round from the part at `from` on. Returns where the next one begins.
    async fn round(&self, from: usize) -> usize {
        let (parts, next) = self.parts(from);
        let mut answers = stream::iter(parts)
            .map(|(namespace, workload, question)| async move {
                let deadline = Instant::now() + PATIENCE;
                let presence = self.signatures.presence(&namespace, &question, deadline).await;
                ((namespace, workload), question.reference, presence)
            })
            .buffer_unordered(TOGETHER);
        let mut by_workload: BTreeMap<(String, String), Vec<(String, Presence)>> = BTreeMap::new();
        while let Some((whose, reference, presence)) = answers.next().await {
            by_workload.entry(whose).or_default().push((reference, presence));
        }
        drop(answers);
        for (whose, answers) in by_workload {
            if self.found.take(&whose, answers) {
                self.dirty.add(Touched::namespace(&whose.0));
            }
        }
        next
    }

    /// The parts of whole workloads, at most [`MOST`], from the workload at `from` on; and the workload after them.
    fn parts(&self, from: usize) -> (Vec<Part>, usize) {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let governed = world.cluster.namespaces.values().filter(|n| n.governed() && !n.terminating);
        let workloads: Vec<(&Namespace, &AIWorkload)> = governed
            .flat_map(|namespace| namespace.workloads.values().map(move |w| (namespace, w.as_ref())))
            .collect();
        let whose = |(namespace, workload): &(&Namespace, &AIWorkload)| {
            (namespace.name.clone(), workload.metadata.name.clone().unwrap_or_default())
        };
        let alive: BTreeSet<_> = workloads.iter().map(whose).collect();
        self.found.lock().retain(|one, _| alive.contains(one));
        let mut out = Vec::new();
        for (index, (namespace, workload)) in workloads.iter().enumerate().skip(from) {
            let questions = questions(namespace, workload);
            if out.len() + questions.len() > MOST {
                return (out, index);
            }
            let name = workload.metadata.name.clone().unwrap_or_default();
            out.extend(questions.into_iter().map(|one| (namespace.name.clone(), name.clone(), one)));
        }
        (out, 0)
    }
}

/// What one would fetch to go back: images, and models that lie in a registry. Prompts and volumes are not asked for.
fn questions(namespace: &Namespace, workload: &AIWorkload) -> Vec<ImageQuestion> {
    let good = workload.status.as_ref().and_then(|status| status.known_good.as_ref());
    let account = workload.metadata.name.clone().unwrap_or_default();
    let question = |reference: String, volume| ImageQuestion {
        reference,
        volume,
        pull_secrets: Vec::new(),
        account: account.clone(),
    };
    let mut out: Vec<ImageQuestion> = Vec::new();
    for part in good.into_iter().flat_map(|good| &good.parts) {
        let Some((name, digest)) = part.rsplit_once('@').filter(|(_, digest)| digest.starts_with("sha256:"))
        else {
            continue;
        };
        if name.starts_with("AIPrompt/") {
            continue;
        }
        let Some(model) = name.strip_prefix("AIModel/") else {
            out.push(question(part.clone(), false));
            continue;
        };
        // The place of the model as it is now; the state as it was then.
        let source = namespace.models.get(model).and_then(|model| model.spec.source.as_ref());
        let place = source.and_then(|source| source.reference.as_deref()).filter(|_| {
            source.is_some_and(|source| matches!(source.kind, crate::api::model::ModelSourceKind::Oci))
        });
        if let Some((repository, _)) = place.and_then(|place| place.rsplit_once('@')) {
            out.push(question(format!("{repository}@{digest}"), true));
        }
    }
    // An image volume stands among the images too: the model speaks for it.
    let volumes: BTreeSet<String> =
        out.iter().filter(|one| one.volume).map(|one| one.reference.clone()).collect();
    out.retain(|one| one.volume || !volumes.contains(&one.reference));
    out.sort();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{Bench, DIGEST};
    use serde_json::json;

    #[test]
    fn what_lies_in_registries_is_asked_for() {
        let mut bench = Bench::new("production", "internal").workload(&json!({})).model(
            "m",
            &json!({"version": "1", "source": {"kind": "oci", "reference": format!("r.example/m@{}", DIGEST.replace('a', "b"))}}),
        );
        let mut workload = (*bench.namespace.workloads["chat"]).clone();
        workload.status = serde_json::from_value(json!({"knownGood": {"compositionDigest": DIGEST, "since": "2026-01-01",
            "parts": [format!("AIModel/m@{DIGEST}"), format!("AIPrompt/p@{DIGEST}"), format!("r.example/m@{DIGEST}"),
                      format!("r.example/chat@{DIGEST}"), "AIModel/gone@undigested"]}}))
        .unwrap();
        bench.namespace.workloads.insert("chat".to_owned(), Arc::new(workload));
        let asked = questions(&bench.namespace, &bench.namespace.workloads["chat"]);
        let short: Vec<_> = asked.iter().map(|one| (one.reference.clone(), one.volume)).collect();
        assert_eq!(
            short,
            [(format!("r.example/chat@{DIGEST}"), false), (format!("r.example/m@{DIGEST}"), true)]
        );
        assert_eq!(asked[0].account, "chat");
    }

    #[test]
    fn what_was_seen_to_be_gone_stays_gone_while_nobody_answers() {
        let found = Retrieved::default();
        let whose = ("a".to_owned(), "chat".to_owned());
        let reason = || found.of("a", "chat").map(|said| (said.holds, said.reason));
        assert_eq!(reason(), None);
        let answer = |presence: Presence| vec![("r/i@d".to_owned(), presence)];
        assert!(found.take(&whose, answer(Presence::There)));
        assert!(!found.take(&whose, answer(Presence::There)), "no news");
        assert_eq!(reason(), Some((Holds::Yes, "Held".to_owned())));
        assert!(found.take(&whose, answer(Presence::Gone("sha256:1".to_owned()))));
        let message = found.of("a", "chat").unwrap().message;
        assert_eq!(message, "the registry has no sha256:1 of r/i@d");
        assert!(found.take(&whose, answer(Presence::Gone("d".to_owned()))));
        assert_eq!(found.of("a", "chat").unwrap().message, "the registry has no r/i@d");
        found.take(&whose, answer(Presence::Unknown("away".to_owned(), false)));
        assert_eq!(reason(), Some((Holds::No, "Gone".to_owned())));
        found.take(&whose, answer(Presence::There));
        assert_eq!(reason(), Some((Holds::Yes, "Held".to_owned())));
    }
}
