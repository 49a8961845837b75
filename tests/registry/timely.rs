//! `signWithin`: signatures that were made soon enough after the artifact, by the log's time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use portcullis::gather::registry::{CompiledTrust, PolicySpec, Verification};
use serde_json::{Value, json};

use super::keyless::{attach_bundle, exact, keyless};
use super::server::{INDEX, MANIFEST, Registry};
use super::sigstore::{Flaw, ISSUER, SIGN, SUBJECT, Sigstore};
use super::{ask, authority, image, policy};

const REPOSITORY: &str = "team/app";

/// An image whose configuration says when it was made; the answer is its digest.
fn image_made(registry: &Registry, created: &Value) -> String {
    let config = registry.put_blob(json!({ "created": created }).to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
    let descriptor = registry.put_manifest(REPOSITORY, None, MANIFEST, manifest.to_string().as_bytes());
    descriptor["digest"].as_str().unwrap().to_owned()
}

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

fn within(host: &str, root: String, hours: i64) -> PolicySpec {
    let mut spec = policy(host, vec![keyless(root, exact())]);
    spec.rules[0].sign_within = Some(SignedDuration::from_hours(hours));
    spec
}

async fn verdict(registry: &Registry, sigstore: &Sigstore, subject: &str, hours: i64) -> Verification {
    let signer = sigstore.certify(SUBJECT, ISSUER);
    attach_bundle(registry, subject, &sigstore.bundle(&signer, subject, SIGN, Flaw::None));
    let trust = CompiledTrust::compile(&[within(&registry.host(), sigstore.root(), hours)]);
    assert_eq!(trust.problems(), []);
    ask(&image(registry, "app", subject), &Arc::new(trust)).await
}

fn second_reason(answer: &Verification) -> &str {
    let Verification::Untrusted { reasons } = answer else { panic!("{answer:?}") };
    &reasons[1]
}

#[tokio::test]
async fn a_signature_counts_only_within_its_time() {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let subject = image_made(&registry, &json!(ago(10).to_string()));
    assert!(verdict(&registry, &sigstore, &subject, 11).await.is_verified());
    let late = verdict(&registry, &sigstore, &subject, 9).await;
    let words = second_reason(&late);
    assert!(words.contains("later than signWithin allows after"), "{words}");
    let never = image_made(&registry, &json!("0001-01-01T00:00:00Z"));
    let words = verdict(&registry, &sigstore, &never, 24).await;
    assert!(second_reason(&words).contains("later than signWithin allows after"), "{words}");
    let future = image_made(&registry, &json!(ago(-10).to_string()));
    let early = verdict(&registry, &sigstore, &future, 24).await;
    assert!(second_reason(&early).contains("before the artifact was at"), "{early}");
}

#[tokio::test]
async fn a_time_that_nobody_states_is_missing() {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    for created in [json!(null), json!("yesterday"), json!("")] {
        let subject = image_made(&registry, &created);
        let answer = verdict(&registry, &sigstore, &subject, 24).await;
        let wanted = "a signature does not count for \"ci\": neither a provenance nor its configuration says when the \
                      artifact was made";
        assert_eq!(second_reason(&answer), wanted, "{created}");
    }
}

#[tokio::test]
async fn the_youngest_platform_of_an_index_counts() {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let children: Vec<_> = [30, 2]
        .map(|hours| {
            let digest = image_made(&registry, &json!(ago(hours).to_string()));
            json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 })
        })
        .into();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children }).to_string();
    let subject = registry.put_manifest(REPOSITORY, None, INDEX, index.as_bytes());
    let subject = subject["digest"].as_str().unwrap();
    assert!(verdict(&registry, &sigstore, subject, 3).await.is_verified());
    assert!(!verdict(&registry, &sigstore, subject, 1).await.is_verified());
}

#[test]
fn an_authority_that_proves_no_time_is_named() {
    let mut spec = policy("registry.example", vec![authority("ci", &super::public("ecdsa-p256"))]);
    spec.rules[0].sign_within = Some(SignedDuration::from_hours(1));
    let trust = CompiledTrust::compile(&[spec]);
    let problems: Vec<_> = trust.problems().iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    let wanted =
        "rules[0].signWithin: signatures of authority \"ci\" prove no time: set its requireTransparencyLog";
    assert_eq!(problems, [wanted]);
}
