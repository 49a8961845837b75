//! Lists of referrers that lie, and statements in bundles that say more or less than one thing.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::gather::registry::{Bundles, Cause, CompiledTrust, Verification, Verifier, VerifierConfig};
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};

use super::server::{INDEX, MANIFEST, Registry, digest};
use super::sigstore::{SIGN, Sigstore};
use super::{ask, authority, image, policy};

const REPOSITORY: &str = "team/app";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const TYPE: &str = "application/vnd.in-toto+json";

/// A registry, an image and the key that signs it.
struct Scene {
    registry: Registry,
    key: KeyPair,
    subject: String,
}

impl Scene {
    async fn new(referrers: bool) -> Self {
        let key = Sigstore::key().key;
        Self { registry: Registry::start(referrers).await, key, subject: digest(b"image") }
    }

    fn trust(&self) -> CompiledTrust {
        let ci = authority("ci", &self.key.public_key_pem());
        CompiledTrust::compile(&[policy(&self.registry.host(), vec![ci])])
    }

    async fn verdict(&self) -> Verification {
        ask(&image(&self.registry, "app", &self.subject), &Arc::new(self.trust())).await
    }

    /// A referrer with these layers.
    fn referrer(&self, layers: &[Value]) -> Value {
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers }).to_string();
        self.registry.put_manifest(REPOSITORY, None, MANIFEST, manifest.as_bytes())
    }

    fn holding(&self, bundle: &[u8]) -> Value {
        let mut layer = self.registry.put_blob(bundle);
        layer["mediaType"] = json!(BUNDLE);
        self.referrer(&[layer])
    }

    fn good(&self) -> Value {
        self.holding(&envelope(TYPE, &about(&[&self.subject]), &[(&self.key, TYPE)]))
    }

    fn junk(&self, number: usize) -> Value {
        let bytes = format!("{{\"schemaVersion\":2,\"layers\":[],\"number\":{number}}}");
        self.registry.put_manifest(REPOSITORY, None, MANIFEST, bytes.as_bytes())
    }

    fn list(&self, referrers: &[Value]) {
        self.registry.put_referrers(REPOSITORY, &self.subject, referrers);
    }
}

/// A statement that the digests are signed.
fn about(digests: &[&str]) -> String {
    let subject: Vec<_> = digests
        .iter()
        .map(|digest| json!({ "name": "x", "digest": { "sha256": digest.trim_start_matches("sha256:") } }))
        .collect();
    json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": SIGN, "predicate": {}, "subject": subject })
        .to_string()
}

/// A bundle whose envelope says it is of type `kind`, signed by keys as what they take it for.
fn envelope(kind: &str, payload: &str, signers: &[(&KeyPair, &str)]) -> Vec<u8> {
    let signatures: Vec<_> = signers
        .iter()
        .map(|(key, kind)| {
            let message = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
            json!({ "sig": STANDARD.encode(key.sign(message.as_bytes()).unwrap()) })
        })
        .collect();
    json!({ "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [] },
        "dsseEnvelope": { "payload": STANDARD.encode(payload), "payloadType": kind, "signatures": signatures } })
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn what_the_list_says_of_an_entry_decides_nothing() {
    for referrers in [true, false] {
        let scene = Scene::new(referrers).await;
        for (field, lie) in [
            ("artifactType", json!("application/spdx+json")),
            ("artifactType", json!("")),
            ("mediaType", json!("text/plain")),
            ("size", json!(0)),
            ("size", json!(u64::MAX)),
            ("annotations", json!({ "dev.sigstore.bundle.predicateType": "https://spdx.dev/Document" })),
        ] {
            let mut entry = scene.good();
            entry[field] = lie.clone();
            let mut all: Vec<_> = (0..10).map(|number| scene.junk(number)).collect();
            for junk in &mut all {
                junk["artifactType"] = json!(BUNDLE);
            }
            all.push(entry);
            scene.list(&all);
            let answer = scene.verdict().await;
            assert!(answer.is_verified(), "{field} {lie}: {answer:?}");
        }
        // What claims to be a signature and is none, is none.
        let mut junk = scene.junk(0);
        junk["artifactType"] = json!(BUNDLE);
        junk["annotations"] = json!({ "dev.sigstore.bundle.predicateType": SIGN });
        scene.list(&[junk]);
        let wanted = "no signature by authority \"ci\": no signature is attached to it";
        assert_eq!(scene.verdict().await.to_string(), wanted);
        // A list that is none is no empty list.
        let mut odd = scene.good();
        odd["size"] = json!(-1);
        scene.list(&[odd]);
        let answer = scene.verdict().await;
        let wanted = "is malformed: it cannot be read";
        assert!(
            matches!(&answer, Verification::Unknown { reason, .. } if reason.ends_with(wanted)),
            "{answer:?}"
        );
    }
}

/// What somebody who may push adds to the list, and what is said where it stands there alone.
fn broken(scene: &Scene) -> Vec<(&'static str, Value, &'static str)> {
    let mut longer = scene.good();
    longer["digest"] = json!(format!("sha512:{}", "a".repeat(128)));
    let mut upper = scene.good();
    upper["digest"] = json!(upper["digest"].as_str().unwrap().to_uppercase());
    let gone = json!({ "mediaType": MANIFEST, "digest": digest(b"gone"), "size": 4 });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string();
    let index = scene.registry.put_manifest(REPOSITORY, None, INDEX, index.as_bytes());
    let text = scene.registry.put_manifest(REPOSITORY, None, MANIFEST, b"[]");
    let mut absent = json!({ "mediaType": BUNDLE, "digest": digest(b"absent"), "size": 4 });
    let without = scene.referrer(&[absent.clone()]);
    absent["size"] = json!(5 << 20);
    let long = scene.referrer(&[absent]);
    vec![
        ("another algorithm", longer, "a digest is no sha256"),
        ("a digest in capitals", upper, "a digest is no sha256"),
        ("a manifest that has gone", gone, "it names a manifest that is not there"),
        ("a list in the place of a manifest", index, "it is of another type"),
        ("a manifest that is none", text, "it cannot be read"),
        ("a bundle that has gone", without, "it names a blob that is not there"),
        ("a bundle that is too long", long, "is longer than 1048576 bytes"),
    ]
}

#[tokio::test]
async fn a_broken_referrer_hides_no_good_one_and_is_said_where_there_is_none() {
    let scene = Scene::new(true).await;
    for (name, entry, wanted) in broken(&scene) {
        let mut first = entry.clone();
        first["annotations"] = json!({ "dev.sigstore.bundle.predicateType": SIGN });
        scene.list(&[first, scene.good()]);
        let answer = scene.verdict().await;
        assert!(answer.is_verified(), "{name}: {answer:?}");
        scene.list(&[entry]);
        let answer = scene.verdict().await;
        assert!(
            matches!(&answer, Verification::Unknown { reason, .. } if reason.ends_with(wanted)),
            "{name}: {answer:?}"
        );
    }
    // Bytes of another manifest under the digest of a listed one.
    let (good, other) = (scene.good(), scene.junk(1));
    scene.list(&[other.clone(), good.clone()]);
    let path = format!("/v2/{REPOSITORY}/manifests/{}", other["digest"].as_str().unwrap());
    let bytes = scene.registry.bytes(REPOSITORY, good["digest"].as_str().unwrap());
    scene.registry.twist(move |seen| {
        use axum::response::IntoResponse as _;
        (seen.path == path).then(|| ([("content-type", MANIFEST)], bytes.clone()).into_response())
    });
    assert!(scene.verdict().await.is_verified());
    scene.list(&[other]);
    let answer = scene.verdict().await;
    assert!(answer.to_string().ends_with("its bytes are not those of its digest"), "{answer:?}");
}

#[tokio::test]
async fn abuse_054_of_thousands_under_the_tag_the_named_one_is_found_and_else_the_bound_is_said() {
    let scene = Scene::new(false).await;
    let mut all: Vec<_> = (0..3000).map(|number| scene.junk(number)).collect();
    all.push(scene.good());
    scene.list(&all);
    let wanted =
        format!("registry \"{}\" lists more than 20 referrers for one artifact", scene.registry.host());
    let answer = scene.verdict().await;
    assert_eq!(answer, Verification::Unknown { cause: Cause::LimitExceeded, reason: wanted });
    all.last_mut().unwrap()["annotations"] = json!({ "dev.sigstore.bundle.predicateType": SIGN });
    scene.list(&all);
    assert!(scene.verdict().await.is_verified());
    // Whoever names theirs so too only gets it refused.
    for one in &mut all {
        one["annotations"] = json!({ "dev.sigstore.bundle.predicateType": SIGN });
    }
    scene.list(&all);
    assert!(matches!(scene.verdict().await, Verification::Unknown { cause: Cause::LimitExceeded, .. }));
}

#[tokio::test]
async fn abuse_050_a_statement_counts_for_what_it_says_and_only_as_it_was_signed() {
    let scene = Scene::new(true).await;
    let (key, other) = (&scene.key, Sigstore::key().key);
    let (mine, theirs) = (scene.subject.as_str(), digest(b"other"));
    let plain = |payload: &str| envelope(TYPE, payload, &[(key, TYPE)]);
    let odd = |digests: Value| {
        let mut statement: Value = serde_json::from_str(&about(&[mine])).unwrap();
        statement["subject"] = digests;
        plain(&statement.to_string())
    };
    let hex = mine.trim_start_matches("sha256:");
    let twice = about(&[&theirs]).replacen(
        '{',
        &format!("{{\"subject\":[{{\"digest\":{{\"sha256\":\"{hex}\"}}}}],"),
        1,
    );
    let mut message: Value = serde_json::from_slice(&plain(&about(&[mine]))).unwrap();
    message.as_object_mut().unwrap().remove("dsseEnvelope");
    message["messageSignature"] = json!({ "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(hex::decode(hex).unwrap()) },
        "signature": STANDARD.encode(key.sign(b"image").unwrap()) });
    for (name, bundle, wanted) in [
        ("one subject", plain(&about(&[mine])), None),
        ("the second of two subjects", plain(&about(&[&theirs, mine])), None),
        ("two other subjects", plain(&about(&[&theirs, &theirs])), Some("it is for another digest")),
        ("no subject", plain(&about(&[])), Some("it is for another digest")),
        (
            "the digest under another algorithm",
            odd(json!([{ "digest": { "sha512": hex, "gitCommit": hex } }])),
            Some("it is for another digest"),
        ),
        (
            "the digest in capitals",
            odd(json!([{ "digest": { "sha256": hex.to_uppercase() } }])),
            Some("it is for another digest"),
        ),
        (
            "the digest with its algorithm",
            odd(json!([{ "digest": { "sha256": mine } }])),
            Some("it is for another digest"),
        ),
        (
            "the digest as a name",
            odd(json!([{ "name": mine, "digest": {} }])),
            Some("it is for another digest"),
        ),
        ("a subject that is no list", odd(json!({ "digest": { "sha256": hex } })), Some("cannot be read")),
        ("the subject twice", plain(&twice), Some("its statement cannot be read")),
        (
            "another payload type",
            envelope("text/plain", &about(&[mine]), &[(key, "text/plain")]),
            Some("its payload is of type \"text/plain\""),
        ),
        (
            "signed as another payload type",
            envelope(TYPE, &about(&[mine]), &[(key, "text/plain")]),
            Some("it was made with another key"),
        ),
        (
            "signed by somebody else",
            envelope(TYPE, &about(&[mine]), &[(&other, TYPE)]),
            Some("it was made with another key"),
        ),
        (
            "a second signature",
            envelope(TYPE, &about(&[mine]), &[(&other, TYPE), (key, TYPE)]),
            Some("it is no sigstore bundle"),
        ),
        (
            "a second signature behind the good one",
            envelope(TYPE, &about(&[mine]), &[(key, TYPE), (&other, TYPE)]),
            Some("it is no sigstore bundle"),
        ),
        ("no signature", envelope(TYPE, &about(&[mine]), &[]), Some("it is no sigstore bundle")),
        (
            "a signature over the image itself",
            message.to_string().into_bytes(),
            Some("its bundle holds no statement about the digest"),
        ),
    ] {
        scene.list(&[scene.holding(&bundle)]);
        let answer = scene.verdict().await;
        match wanted {
            None => assert!(answer.is_verified(), "{name}: {answer:?}"),
            Some(wanted) => {
                assert!(matches!(&answer, Verification::Untrusted { .. }), "{name}: {answer:?}");
                assert!(answer.to_string().ends_with(wanted), "{name}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn of_what_refers_to_a_proof_the_likely_is_read_first_and_the_rest_is_said() {
    let scene = Scene::new(true).await;
    let verifier = Verifier::new(VerifierConfig::default());
    let asked = image(&scene.registry, "app", &scene.subject);
    let read = async || verifier.bundles(&asked, &scene.trust(), None).await.unwrap();
    let mut last = scene.holding(b"{\"the\":\"statement\"}");
    let junk: Vec<_> = (0..40).map(|number| scene.junk(number)).collect();
    scene.list(&[junk.clone(), vec![last.clone()]].concat());
    let unseen =
        format!("registry \"{}\" lists more than 20 referrers for one artifact", scene.registry.host());
    assert_eq!(read().await, Bundles { found: Vec::new(), unseen: Some(unseen.clone()) });
    last["annotations"] =
        json!({ "dev.sigstore.bundle.predicateType": "https://portcullis.dev/evidence/v1" });
    scene.list(&[junk, vec![last.clone()]].concat());
    let found = vec![b"{\"the\":\"statement\"}".to_vec()];
    assert_eq!(read().await, Bundles { found: found.clone(), unseen: Some(unseen) });
    for (name, entry, wanted) in broken(&scene) {
        scene.list(&[entry, last.clone()]);
        let bundles = read().await;
        assert_eq!(bundles.found, found, "{name}");
        assert!(bundles.unseen.is_some_and(|why| why.ends_with(wanted)), "{name}");
    }
    scene.list(&[last]);
    assert_eq!(read().await, Bundles { found, unseen: None });
}
