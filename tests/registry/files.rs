//! Models in a registry, signed over their files by the real `model_signing`, and what a forger makes of such signatures.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use portcullis::gather::registry::{
    Artifact, AttestationSpec, AuthoritySpec, Cause, CompiledTrust, ImageRef, PolicySpec, Question,
    RevokedKind, RevokedSpec, Verification,
};
use serde_json::{Value, json};

use super::keyless::{exact, keyless};
use super::server::{INDEX, MANIFEST, Registry};
use super::sigstore::{ISSUER, SIGN, SUBJECT, Sigstore};
use super::{authority, policy, public, soon, verifier};

const FILES: &str = "https://model_signing/signature/v1.0";

fn of_models(host: &str) -> PolicySpec {
    let mut spec = policy(host, vec![authority("models", &public("model"))]);
    spec.rules[0].artifact = Artifact::Model;
    spec
}

async fn ask_as(image: &ImageRef, spec: PolicySpec, artifact: Artifact) -> Verification {
    let trust = Arc::new(CompiledTrust::compile(&[spec]));
    let question = Question { image, artifact, namespace: None };
    verifier().verify(question, &trust, None, soon()).await.as_ref().clone()
}

fn model(registry: &Registry, name: &str, digest: &str) -> ImageRef {
    ImageRef::parse(&format!("{}/team/{name}@{digest}", registry.host())).unwrap()
}

async fn judge(registry: &Registry, name: &str, amend: fn(&mut PolicySpec)) -> Verification {
    let digest = registry.load(name);
    let mut spec = of_models(&registry.host());
    amend(&mut spec);
    ask_as(&model(registry, name, &digest), spec, Artifact::Model).await
}

fn untrusted(verification: &Verification) -> String {
    let Verification::Untrusted { reasons } = verification else { panic!("{verification:?}") };
    assert_eq!(reasons[0], "no signature by authority \"models\"");
    reasons[1..].join("; ")
}

#[tokio::test]
async fn a_model_is_signed_by_the_list_of_its_files() {
    for referrers in [false, true] {
        for name in ["model-files", "model-files-tagged", "model-image"] {
            let registry = Registry::start(referrers).await;
            let answer = judge(&registry, name, |_| ()).await;
            let Verification::Verified(proof) = &answer else { panic!("{name} {referrers}: {answer:?}") };
            assert_eq!(proof.authorities, ["models"], "{name}");
            assert!(proof.files.as_ref().is_some_and(|files| files.starts_with("sha256:")), "{name}");
            let paths = registry.paths();
            assert!(paths.len() <= 5, "the list, the signature, its bundle and the artifact: {paths:?}");
        }
    }
}

#[tokio::test]
async fn a_list_of_other_files_is_no_signature_of_the_artifact() {
    let registry = Registry::start(true).await;
    assert_eq!(
        untrusted(&judge(&registry, "model-files-altered", |_| ()).await),
        "a signature does not count: layer 1, \"model.safetensors\", has other bytes than the file that it lists"
    );
    assert_eq!(
        untrusted(&judge(&registry, "model-image-altered", |_| ()).await),
        "a signature does not count: layer 0, \"layer_000.tar.gz\", has other bytes than the file that it lists"
    );
}

#[tokio::test]
async fn a_list_of_files_says_nothing_of_a_container_image() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-image");
    let mut spec = of_models(&registry.host());
    spec.rules[0].artifact = Artifact::Image;
    let answer = ask_as(&model(&registry, "model-image", &digest), spec, Artifact::Image).await;
    assert_eq!(untrusted(&answer), "a signature does not count: it is for another digest");
}

#[tokio::test]
async fn a_list_of_files_counts_only_under_the_key_and_time_that_the_policy_names() {
    let registry = Registry::start(true).await;
    let other = judge(&registry, "model-files", |spec| {
        spec.authorities[0] = authority("models", &public("other"));
    });
    assert_eq!(
        untrusted(&other.await),
        "a signature does not count for \"models\": it was made with another key"
    );
    let timely = judge(&registry, "model-image", |spec| {
        spec.rules[0].sign_within = Some(SignedDuration::from_hours(24));
    });
    assert_eq!(
        untrusted(&timely.await),
        "a signature does not count for \"models\": nothing proves when it was made, and signWithin asks for it"
    );
}

#[tokio::test]
async fn what_is_revoked_counts_no_more_whether_artifact_list_or_layer() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-files");
    let good = judge(&registry, "model-files", |_| ()).await;
    let Verification::Verified(proof) = good else { panic!("{good:?}") };
    let layer =
        registry.manifest("team/model-files", &digest)["layers"][1]["digest"].as_str().unwrap().to_owned();
    let files = proof.files.unwrap();
    let revoke = |value: &str| {
        let mut spec = of_models(&registry.host());
        let (kind, reason) = (RevokedKind::Digest, "leaked".to_owned());
        spec.revoked.push(RevokedSpec { kind, value: value.to_owned(), reason });
        ask_as_owned(model(&registry, "model-files", &digest), spec)
    };
    assert_eq!(revoke(&digest).await.to_string(), format!("digest {digest} is revoked: leaked"));
    assert_eq!(
        untrusted(&revoke(&files).await),
        format!("a signature does not count: the list of files {files} is revoked: leaked")
    );
    assert_eq!(
        untrusted(&revoke(&layer).await),
        format!("a signature does not count: layer 1, {layer}, is revoked: leaked")
    );
}

async fn ask_as_owned(image: ImageRef, spec: PolicySpec) -> Verification {
    ask_as(&image, spec, Artifact::Model).await
}

/// A bundle whose statement lists `resources`, signed as the services would and logged.
fn listing(sigstore: &Sigstore, resources: &[(&str, &str)]) -> Vec<u8> {
    let raw: Vec<u8> = resources.iter().flat_map(|(_, digest)| hex::decode(digest).unwrap()).collect();
    let root = super::server::digest(&raw);
    let predicate = json!({
        "serialization": { "method": "files", "hash_type": "sha256", "allow_symlinks": false },
        "resources": resources.iter().map(|(name, digest)| json!({ "name": name, "algorithm": "sha256", "digest": digest })).collect::<Vec<_>>(),
    });
    sigstore.stated(&sigstore.certify(SUBJECT, ISSUER), &root, FILES, &predicate)
}

#[tokio::test]
async fn a_list_of_files_by_a_keyless_identity_counts_with_its_log_entry() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-files");
    let layers = registry.manifest("team/model-files", &digest)["layers"].as_array().unwrap().clone();
    let of =
        |number: usize| layers[number]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let (config, weights, vocabulary) = (of(0), of(1), of(2));
    let sigstore = Sigstore::new();
    let whole = [
        ("config.json", config.as_str()),
        ("model.safetensors", &weights),
        ("tokenizer/vocab.txt", &vocabulary),
    ];
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&whole, ""),
        (
            &whole[..2],
            "a signature does not count: layer 2, \"tokenizer/vocab.txt\", is not among the files that it lists",
        ),
        (
            &[whole[0], ("model.safetensors", &vocabulary), ("tokenizer/vocab.txt", &weights)],
            "a signature does not count: layer 1, \"model.safetensors\", has other bytes than the file that it lists",
        ),
        (
            &[whole[0], whole[1], whole[2], ("tokenizer/zz.txt", &weights)],
            "a signature does not count: it lists \"tokenizer/zz.txt\", which is no layer of the artifact",
        ),
    ];
    for (resources, wanted) in cases {
        attach(&registry, &digest, &listing(&sigstore, resources));
        let mut spec = of_models(&registry.host());
        spec.authorities =
            vec![AuthoritySpec { name: "models".to_owned(), ..keyless(sigstore.root(), exact()) }];
        let answer = ask_as(&model(&registry, "model-files", &digest), spec, Artifact::Model).await;
        if wanted.is_empty() {
            let Verification::Verified(proof) = &answer else { panic!("{answer:?}") };
            assert!(proof.signed_at.is_some());
        } else {
            assert_eq!(untrusted(&answer), wanted);
        }
    }
}

/// Makes `bundle` the only referrer of the model.
fn attach(registry: &Registry, digest: &str, bundle: &[u8]) {
    let mut layer = registry.put_blob(bundle);
    layer["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer] });
    let referrer =
        registry.put_manifest("team/model-files", None, MANIFEST, &serde_json::to_vec(&manifest).unwrap());
    registry.put_referrers("team/model-files", digest, &[referrer]);
}

#[tokio::test]
async fn a_registry_that_alters_the_artifacts_own_manifest_is_caught() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-files-altered");
    // The manifest that was signed, in the place of the one that is asked about.
    let good = registry.load("model-files");
    let swapped = registry.bytes("team/model-files", &good);
    let wanted = format!("/v2/team/model-files-altered/manifests/{digest}");
    registry.twist(move |seen| {
        use axum::response::IntoResponse as _;
        (seen.path == wanted).then(|| ([("content-type", MANIFEST)], swapped.clone()).into_response())
    });
    let answer = ask_as(
        &model(&registry, "model-files-altered", &digest),
        of_models(&registry.host()),
        Artifact::Model,
    )
    .await;
    let Verification::Unknown { reason, .. } = &answer else { panic!("{answer:?}") };
    assert!(reason.ends_with("is malformed: its bytes are not those of its digest"), "{reason}");
}

#[tokio::test]
async fn files_are_not_signed_for_an_index() {
    let registry = Registry::start(true).await;
    let own = registry.load("model-files");
    let child: Value = json!({ "mediaType": MANIFEST, "digest": own, "size": 1 });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [child] });
    let put =
        registry.put_manifest("team/model-files", Some("all"), INDEX, &serde_json::to_vec(&index).unwrap());
    let digest = put["digest"].as_str().unwrap();
    registry.steal("team/model-files", &own, "team/model-files", digest);
    let answer =
        ask_as(&model(&registry, "model-files", digest), of_models(&registry.host()), Artifact::Model).await;
    assert_eq!(
        untrusted(&answer),
        "a signature does not count: it lists files, and the digest is that of an index: name the manifest of one platform"
    );
}

#[tokio::test]
async fn an_unreadable_list_of_files_does_not_count() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-files");
    let payload = |statement: &Value| STANDARD.encode(statement.to_string());
    let bundle = |statement: &Value| {
        json!({ "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [] },
            "dsseEnvelope": { "payload": payload(statement), "payloadType": "application/vnd.in-toto+json",
                "signatures": [{ "sig": STANDARD.encode("x") }] } })
        .to_string()
    };
    for (statement, wanted) in [
        (json!({ "predicateType": FILES }), "its statement cannot be read"),
        (
            json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://model_signing/Digests/v0.1", "subject": [] }),
            "it states \"https://model_signing/Digests/v0.1\", which is no manifest of a model",
        ),
        (
            json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": FILES, "subject": [], "predicate": {} }),
            "the statement is about 0 subjects, not one",
        ),
    ] {
        attach(&registry, &digest, bundle(&statement).as_bytes());
        let answer =
            ask_as(&model(&registry, "model-files", &digest), of_models(&registry.host()), Artifact::Model)
                .await;
        assert_eq!(untrusted(&answer), format!("a signature does not count: {wanted}"));
    }
}

#[tokio::test]
async fn the_model_card_of_a_verified_bill_of_materials_is_handed_on() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-files");
    let sigstore = Sigstore::new();
    let signer = sigstore.certify(SUBJECT, ISSUER);
    let bill = "https://cyclonedx.org/bom";
    let card = |version: &str| {
        json!({ "bomFormat": "CycloneDX", "specVersion": version,
            "components": [{ "type": "machine-learning-model", "name": "small", "version": "2.0" }] })
    };
    for (version, wanted) in [
        ("1.6", Ok("2.0")),
        ("1.4", Err("its version is \"1.4\"; model cards came with 1.5, and 1.7 is the newest that is read")),
    ] {
        let bundles = [
            sigstore.stated(&signer, &digest, SIGN, &json!({})),
            sigstore.stated(&signer, &digest, bill, &card(version)),
        ];
        let referrers: Vec<Value> = bundles
            .iter()
            .map(|bundle| {
                let mut layer = registry.put_blob(bundle);
                layer["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
                let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer] });
                registry.put_manifest(
                    "team/model-files",
                    None,
                    MANIFEST,
                    &serde_json::to_vec(&manifest).unwrap(),
                )
            })
            .collect();
        registry.put_referrers("team/model-files", &digest, &referrers);
        let mut spec = of_models(&registry.host());
        spec.authorities =
            vec![AuthoritySpec { name: "models".to_owned(), ..keyless(sigstore.root(), exact()) }];
        let asked = AttestationSpec { predicate_type: bill.to_owned(), ..AttestationSpec::default() };
        spec.rules[0].attestations = vec![asked];
        let answer = ask_as(&model(&registry, "model-files", &digest), spec, Artifact::Model).await;
        let Verification::Verified(proof) = &answer else { panic!("{answer:?}") };
        assert_eq!(proof.files, None, "the signature is over the digest itself");
        let card = proof.attestations[0].card.as_deref().unwrap();
        assert_eq!(card.as_ref().map(|card| card.version.as_str()).map_err(String::as_str), wanted);
    }
}

#[test]
fn files_are_signed_soon_enough_after_the_training_or_not_at_all() {
    let sigstore = Sigstore::new();
    let bundle = listing(&sigstore, &[("model.safetensors", &"a".repeat(64))]);
    let trust = |within: Option<i64>| {
        let mut spec = of_models("registry.example");
        spec.authorities =
            vec![AuthoritySpec { name: "models".to_owned(), ..keyless(sigstore.root(), exact()) }];
        spec.rules[0].repositories = Vec::new();
        spec.rules[0].sign_within = within.map(SignedDuration::from_hours);
        CompiledTrust::compile(&[spec])
    };
    let now = jiff::Timestamp::now();
    let judged = |within, made| trust(within).verify_model(&bundle, None, made, false).verification;
    assert!(judged(None, None).is_verified());
    assert!(judged(Some(24), Some(now - SignedDuration::from_hours(2))).is_verified());
    assert_eq!(
        untrusted(&judged(Some(24), None)),
        "a signature does not count for \"models\": nothing says when the model was made: set spec.trainedAt of the AIModel"
    );
    let late = untrusted(&judged(Some(24), Some(now - SignedDuration::from_hours(48))));
    assert!(late.contains("later than signWithin allows after"), "{late}");
    let early = untrusted(&judged(Some(24), Some(now + SignedDuration::from_hours(48))));
    assert!(early.contains("before the artifact was at"), "{early}");
}

#[tokio::test]
async fn abuse_054_a_list_of_files_is_bounded_and_so_are_its_lies_about_its_length() {
    let registry = Registry::start(true).await;
    let digest = registry.load("model-files");
    let judged = || ask_as_owned(model(&registry, "model-files", &digest), of_models(&registry.host()));
    let unknown = |verification: Verification| {
        let Verification::Unknown { cause, reason } = verification else { panic!("{verification:?}") };
        (cause, reason.replace(&registry.host(), "HOST"))
    };
    // What its descriptor announces is believed as far as it refuses.
    let layer = json!({ "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "digest": format!("sha256:{}", "a".repeat(64)), "size": 5 << 20 });
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer] });
    let put = |manifest: &Value| {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let referrer = registry.put_manifest("team/model-files", None, MANIFEST, &bytes);
        registry.put_referrers("team/model-files", &digest, &[referrer]);
    };
    put(&manifest);
    let too_long = "an attestation of registry \"HOST\" is longer than 4194304 bytes".to_owned();
    assert_eq!(unknown(judged().await), (Cause::LimitExceeded, too_long.clone()));
    // What is announced as short is cut where it is not.
    let mut short = manifest.clone();
    short["layers"][0]["size"] = json!(10);
    put(&short);
    registry.twist(|seen| {
        use axum::response::IntoResponse as _;
        static CHUNK: [u8; 65_536] = [b' '; 65_536];
        seen.path
            .contains("/blobs/")
            .then(|| super::server::endless(&CHUNK, std::time::Duration::ZERO).into_response())
    });
    assert_eq!(unknown(judged().await), (Cause::LimitExceeded, too_long));
}
