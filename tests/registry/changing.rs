//! Registries that answer the same question differently the next time: between the parts of one look-up, and between two.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use portcullis::gather::registry::{
    Artifact, Cause, CompiledTrust, Question, Verification, Verifier, VerifierConfig,
};
use serde_json::json;

use super::server::{INDEX, MANIFEST, Registry};
use super::{ask, authority, image, policy, public, soon, trust};

/// Answers the first request of each path as it is, and every later one with `other`, where that has an answer.
fn from_the_second_on(
    registry: &Registry,
    other: impl Fn(&str) -> Option<Response> + Send + Sync + 'static,
) -> Arc<Mutex<BTreeMap<String, usize>>> {
    let counts = Arc::new(Mutex::new(BTreeMap::new()));
    let seen_before = Arc::clone(&counts);
    registry.twist(move |seen| {
        let mut counts = seen_before.lock().unwrap();
        let count: &mut usize = counts.entry(seen.path.clone()).or_default();
        *count += 1;
        if *count > 1 { other(&seen.path) } else { None }
    });
    counts
}

fn nothing(kind: &'static str) -> Response {
    let body = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": [], "layers": [] }).to_string();
    ([(CONTENT_TYPE, kind)], body).into_response()
}

#[tokio::test]
async fn no_part_of_a_look_up_is_asked_for_twice_and_nothing_by_head() {
    for name in ["v2-ecdsa-p256", "v3-ecdsa-p256", "stated-v2", "stated-v3", "index-signed", "two-signers"] {
        for referrers in [false, true] {
            let registry = Registry::start(referrers).await;
            let digest = registry.load(name);
            // What a second request would be told never matters.
            let counts = from_the_second_on(&registry, |path| {
                Some(nothing(if path.contains("/referrers/") { INDEX } else { MANIFEST }))
            });
            ask(&image(&registry, name, &digest), &trust(&registry.host(), &["ecdsa-p256"])).await;
            let twice: Vec<_> =
                counts.lock().unwrap().iter().filter(|(_, n)| **n > 1).map(|(p, _)| p.clone()).collect();
            assert_eq!(twice, Vec::<String>::new(), "{name} {referrers}");
            assert!(registry.seen().iter().all(|seen| seen.method == Method::GET), "{name}");
        }
    }
}

#[tokio::test]
async fn a_tag_of_a_signature_that_names_other_bytes_than_its_blobs_proves_nothing() {
    let registry = Registry::start(true).await;
    let signed = registry.load("v2-ecdsa-p256");
    let other = registry.load("v2-rsa-3072");
    // The tag's manifest is the right one; its blobs are those of another artifact.
    let theirs = registry.manifest("team/v2-rsa-3072", &format!("{}.sig", other.replace(':', "-")));
    let stolen = theirs["layers"][0]["digest"].as_str().unwrap().to_owned();
    let payload = Arc::new(Mutex::new(None));
    let blobs = Arc::clone(&payload);
    let (address, path) = (registry.host(), format!("/v2/team/v2-rsa-3072/blobs/{stolen}"));
    let bytes = reqwest::get(format!("http://{address}{path}")).await.unwrap().bytes().await.unwrap();
    *blobs.lock().unwrap() = Some(bytes.to_vec());
    registry.twist(move |seen| {
        let hit = seen.path.starts_with("/v2/team/v2-ecdsa-p256/blobs/");
        hit.then(|| payload.lock().unwrap().clone().unwrap_or_default().into_response())
    });
    let answer =
        ask(&image(&registry, "v2-ecdsa-p256", &signed), &trust(&registry.host(), &["ecdsa-p256"])).await;
    let reason = format!(
        "a signature's payload of registry \"{}\" is malformed: its bytes are not those of its digest",
        registry.host()
    );
    assert_eq!(answer, Verification::Unknown { cause: Cause::Malformed, reason });
}

#[tokio::test]
async fn a_digest_that_has_other_bytes_the_second_time_proves_nothing() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-files");
    let repository = "team/model-files";
    let mut altered = registry.manifest(repository, &digest);
    altered["layers"][0]["digest"] = altered["layers"][1]["digest"].clone();
    let body = altered.to_string();
    let manifest = format!("/v2/{repository}/manifests/{digest}");
    registry.twist(move |seen| {
        (seen.path == manifest).then(|| ([(CONTENT_TYPE, MANIFEST)], body.clone()).into_response())
    });
    let mut spec = policy(&registry.host(), vec![authority("models", &public("model"))]);
    spec.rules[0].artifact = Artifact::Model;
    let trust = Arc::new(CompiledTrust::compile(&[spec]));
    let subject = image(&registry, "model-files", &digest);
    let question = Question { image: &subject, artifact: Artifact::Model, namespace: None };
    let answer = super::verifier().verify(question, &trust, None, soon()).await;
    let reason = format!(
        "a manifest of registry \"{}\" is malformed: its bytes are not those of its digest",
        registry.host()
    );
    assert_eq!(*answer, Verification::Unknown { cause: Cause::Malformed, reason });
}

#[tokio::test]
async fn a_proof_outlives_a_changed_mind_and_a_refusal_is_short() {
    let registry = Registry::start(true).await;
    let name = "v3-ecdsa-p256";
    let digest = registry.load(name);
    let (subject, trust) = (image(&registry, name, &digest), trust(&registry.host(), &["ecdsa-p256"]));
    let short = VerifierConfig { negative_ttl: Duration::from_millis(50), ..VerifierConfig::default() };
    let verifier = Verifier::new(short);
    // First there is no signature, then there is one, then there is none again.
    let round = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&round);
    registry.twist(move |seen| {
        let hidden = now.load(Ordering::Relaxed) != 1 && seen.path.contains("/referrers/");
        hidden.then(|| nothing(INDEX))
    });
    let first = verifier.verify(Question::image(&subject), &trust, None, soon()).await;
    assert!(matches!(*first, Verification::NotSigned { .. }), "{first:?}");
    round.store(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(80)).await;
    let second = verifier.verify(Question::image(&subject), &trust, None, soon()).await;
    assert!(second.is_verified(), "{second:?}");
    round.store(2, Ordering::Relaxed);
    registry.seen();
    let third = verifier.verify(Question::image(&subject), &trust, None, soon()).await;
    assert_eq!((third.is_verified(), registry.seen().len()), (true, 0), "the bytes are what was signed");
    // Another process believes what it sees, and nothing that is not signed.
    let fresh = Verifier::new(VerifierConfig::default());
    let answer = fresh.verify(Question::image(&subject), &trust, None, soon()).await;
    assert!(matches!(*answer, Verification::NotSigned { .. }), "{answer:?}");
}
