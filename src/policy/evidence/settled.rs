//! Whether it is known by now who made what a proof vouches for.
//!
//! The webhook hears who writes what, and the controller brings that into statuses some seconds later. In between nobody could
//! tell that a proof is of the own work, so no new pod comes in by it; pods that run are judged by what is known.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::About;
use crate::api::AIEvidence;
use crate::api::common::AssetStatus;
use crate::policy::dates;
use crate::policy::facts::{Facts, Stage, Subject};

/// How long it takes at most until a status tells who wrote its object: the webhook's replicas are asked every five seconds.
const TOLD: SignedDuration = SignedDuration::from_secs(20);
/// How much later than ours the clock of the API server may be.
const APART: SignedDuration = SignedDuration::from_mins(1);

/// Why a new pod waits for who made what `evidence` vouches for; nothing where that is known, and for pods that run.
pub(super) fn unsettled(facts: &Facts<'_>, about: &About<'_>, evidence: &AIEvidence) -> Option<String> {
    if !matches!(&facts.subject, Subject::Pod(pod) if pod.stage == Stage::Entering) {
        return None;
    }
    let fresh = |at: Timestamp| (-APART..TOLD).contains(&facts.now.duration_since(at));
    let made = |metadata: &ObjectMeta| metadata.creation_timestamp.as_ref().is_some_and(|time| fresh(time.0));
    let since = |at: &str| dates::from(at).is_some_and(fresh);
    if made(&evidence.metadata) {
        return Some("it was recorded a moment ago".to_owned());
    }
    let of_asset = |metadata, status: Option<&AssetStatus>, digest: Option<&str>| {
        let last = status.and_then(|status| status.history.last());
        made(metadata) || last.is_some_and(|last| last.digest.as_deref() != digest || since(&last.at))
    };
    let moves = match about {
        About::Workload(workload) => {
            let lineage = workload.status.as_ref().and_then(|status| status.lineage.as_ref());
            made(&workload.metadata)
                || lineage.is_some_and(|lineage| {
                    Some(lineage.composition_digest.as_str()) != about.digest(facts) || since(&lineage.since)
                })
        }
        About::Model(o) => of_asset(&o.metadata, o.status.as_ref(), o.spec.digest.as_deref()),
        About::Dataset(o) => of_asset(&o.metadata, o.status.as_ref(), o.spec.digest.as_deref()),
        About::Prompt(o) => of_asset(&o.metadata, o.status.as_ref(), o.spec.digest.as_deref()),
        About::Sealed(..) | About::Image(_) | About::Organisation(_) | About::Supplier(_) => false,
    };
    moves.then(|| format!("{about} was changed a moment ago, and who did it is not known yet"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use crate::policy::evidence::{About, Answer, By, Question};
    use crate::policy::facts::{Labels, Matched, PodFacts, Stage, Subject};
    use crate::policy::testing::{Bench, DIGEST, read};

    /// What becomes of a proof that was recorded so many seconds ago, of a workload with this metadata and status.
    fn said(recorded: i64, stage: Stage, declared: &Value) -> String {
        let proof = json!({"type": "RedTeam", "subject": {"kind": "AIWorkload", "name": "chat"},
            "ref": "https://documents.example/a", "digest": DIGEST, "issuedAt": "2025-12-01", "attestedBy": "mallory"});
        let mut bench = Bench::new("production", "internal").workload(&json!({})).evidence("a", &proof);
        let ago = |seconds: i64| {
            let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            json!((now - jiff::SignedDuration::from_secs(seconds)).to_string())
        };
        let proof = Arc::make_mut(bench.namespace.evidence.get_mut("a").unwrap());
        proof.metadata.creation_timestamp = Some(read(ago(recorded)));
        let chat = Arc::make_mut(bench.namespace.workloads.get_mut("chat").unwrap());
        chat.metadata.creation_timestamp = declared["created"].as_i64().map(|seconds| read(ago(seconds)));
        let (spec, labels, none): (_, Labels, Labels) =
            (read(json!({"containers": []})), read(json!({"app": "chat"})), read(json!({})));
        let asked = |bench: &Bench, question: &dyn Fn(&crate::policy::facts::Facts<'_>) -> String| {
            let mut pod = PodFacts::new(&spec, &labels, &none);
            (pod.stage, pod.matched) = (stage, Matched::One(&bench.namespace.workloads["chat"]));
            bench.with_facts(Subject::Pod(pod), |facts| question(facts))
        };
        let present = asked(&bench, &|facts| facts.composition().to_owned());
        let chat = Arc::make_mut(bench.namespace.workloads.get_mut("chat").unwrap());
        chat.status = declared["since"].as_i64().map(|seconds| {
            let digest = declared["digest"].as_str().unwrap_or(&present);
            read(json!({"lineage": {"compositionDigest": digest, "since": ago(seconds)}}))
        });
        asked(&bench, &|facts| {
            let about = About::Workload(&facts.namespace.workloads["chat"]);
            match crate::policy::evidence::ask(facts, &Question::of("RedTeam", about).by(By::Another)) {
                Answer::Held(_) => "held".to_owned(),
                Answer::Unsettled(_, why) => why,
                other => format!("{other:?}"),
            }
        })
    }

    #[test]
    fn a_new_pod_waits_until_it_is_known_who_wrote_what_is_vouched_for() {
        let of_new = |recorded, declared: Value| said(recorded, Stage::Entering, &declared);
        let moved = "AIWorkload \"chat\" was changed a moment ago, and who did it is not known yet";
        assert_eq!(of_new(19, json!({})), "it was recorded a moment ago");
        assert_eq!(of_new(-5, json!({})), "it was recorded a moment ago", "clocks differ");
        assert_eq!(of_new(21, json!({})), "held");
        assert_eq!(said(19, Stage::Running, &json!({})), "held", "what runs is judged by what is known");
        assert_eq!(of_new(60, json!({"created": 3})), moved);
        assert_eq!(of_new(60, json!({"created": 60, "since": 30})), "held");
        assert_eq!(of_new(60, json!({"created": 60, "since": 19})), moved);
        assert_eq!(
            of_new(60, json!({"created": 60, "since": 60, "digest": DIGEST})),
            moved,
            "nobody looked yet"
        );
    }
}
