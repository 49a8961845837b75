//! Signatures by short-lived certificates and transparency logs, offline, with every flaw a forger might try.

use std::sync::Arc;

use portcullis::gather::registry::{
    Artifact, AuthoritySpec, CompiledTrust, IdentitySpec, MatchSpec, PolicySpec, ProofSpec, Question,
    RevokedKind, RevokedSpec, RootSpec, SignatureFormat, Verification,
};
use serde_json::json;

use super::server::{MANIFEST, Registry, digest};
use super::sigstore::{Flaw, ISSUER, SIGN, SUBJECT, Signer, Sigstore};
use super::{ask, authority, image, policy};

const REPOSITORY: &str = "team/app";

pub(crate) fn keyless(root: String, subject: MatchSpec) -> AuthoritySpec {
    AuthoritySpec {
        proof: ProofSpec::Keyless {
            identities: vec![IdentitySpec { issuer: MatchSpec::Exact(ISSUER.to_owned()), subject }],
        },
        trusted_root: RootSpec::Inline(root),
        ..authority("ci", "")
    }
}

pub(crate) fn exact() -> MatchSpec {
    MatchSpec::Exact(SUBJECT.to_owned())
}

/// Attaches a bundle to a digest.
pub(crate) fn attach_bundle(registry: &Registry, subject: &str, bundle: &[u8]) {
    let mut layer = registry.put_blob(bundle);
    layer["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer] }).to_string();
    let referrer = registry.put_manifest(REPOSITORY, None, MANIFEST, manifest.as_bytes());
    registry.put_referrers(REPOSITORY, subject, &[referrer]);
}

/// Attaches a payload to a digest in the older way.
pub(crate) fn attach_simple(
    registry: &Registry,
    subject: &str,
    payload: &[u8],
    annotations: serde_json::Value,
) {
    let mut layer = registry.put_blob(payload);
    layer["mediaType"] = json!("application/vnd.dev.cosign.simplesigning.v1+json");
    layer["annotations"] = annotations;
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer] }).to_string();
    let tag = format!("{}.sig", subject.replace(':', "-"));
    registry.put_manifest(REPOSITORY, Some(&tag), MANIFEST, manifest.as_bytes());
}

pub(crate) async fn verdict(registry: &Registry, subject: &str, spec: PolicySpec) -> Verification {
    let trust = CompiledTrust::compile(&[spec]);
    assert_eq!(trust.problems(), []);
    ask(&image(registry, "app", subject), &Arc::new(trust)).await
}

fn reason(answer: &Verification) -> &str {
    match answer {
        Verification::Untrusted { reasons } => &reasons[1],
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_keyless_signature_counts_for_its_identity_in_both_styles() {
    let sigstore = Sigstore::new();
    let signer = sigstore.certify(SUBJECT, ISSUER);
    let subject = digest(b"image");
    for format in [SignatureFormat::Bundle, SignatureFormat::SimpleSigning] {
        let registry = Registry::start(true).await;
        if format == SignatureFormat::Bundle {
            attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, SIGN, Flaw::None));
        } else {
            let (payload, annotations) = sigstore.simple(&signer, &subject, Flaw::None);
            attach_simple(&registry, &subject, &payload, annotations);
        }
        for wanted in [exact(), MatchSpec::Pattern("https://ci\\.example/team/.+@main".to_owned())] {
            let spec = policy(&registry.host(), vec![keyless(sigstore.root(), wanted)]);
            let answer = verdict(&registry, &subject, spec).await;
            let Verification::Verified(proof) = &answer else { panic!("{answer:?}") };
            assert_eq!(proof.format, format);
            let age = proof.signed_at.unwrap().duration_until(jiff::Timestamp::now()).as_secs();
            assert!((0..60).contains(&age), "{age}");
        }
        // Somebody else's identity, another issuer, a revoked identity.
        let other = MatchSpec::Exact("https://ci.example/team/other".to_owned());
        let spec = policy(&registry.host(), vec![keyless(sigstore.root(), other)]);
        let wanted =
            format!("a signature does not count for \"ci\": it was made by \"{SUBJECT}\" of \"{ISSUER}\"");
        assert_eq!(reason(&verdict(&registry, &subject, spec).await), wanted, "abuse_046");
        let mut spec = policy(&registry.host(), vec![keyless(sigstore.root(), exact())]);
        spec.revoked.push(RevokedSpec {
            kind: RevokedKind::Identity,
            value: SUBJECT.to_owned(),
            reason: "runner taken over".to_owned(),
        });
        let wanted = format!(
            "a signature does not count for \"ci\": identity \"{SUBJECT}\" is revoked: runner taken over"
        );
        assert_eq!(reason(&verdict(&registry, &subject, spec).await), wanted);
        // Another certificate authority and log.
        let spec = policy(&registry.host(), vec![keyless(Sigstore::new().root(), exact())]);
        assert!(!verdict(&registry, &subject, spec).await.is_verified());
    }
}

#[tokio::test]
async fn abuse_048_every_flaw_of_log_and_proof_is_found() {
    let sigstore = Sigstore::new();
    let subject = digest(b"image");
    let registry = Registry::start(true).await;
    for certified in [true, false] {
        let signer = if certified { sigstore.certify(SUBJECT, ISSUER) } else { Sigstore::key() };
        let with_log = |signer: &Signer| {
            let mut spec = keyless(sigstore.root(), exact());
            if !certified {
                spec.proof = ProofSpec::Key { pem: signer.key.public_key_pem(), algorithm: None };
                spec.require_log = true;
            }
            policy(&registry.host(), vec![spec])
        };
        for (flaw, wanted) in [
            (Flaw::None, ""),
            (Flaw::Promise, "invalid inclusion promise: SET verification failed"),
            (Flaw::Checkpoint, "invalid checkpoint: No valid Rekor signature found on checkpoint"),
            (Flaw::Proof, "invalid inclusion proof: inclusion proof verification failed"),
            (Flaw::NoProof, "one of its log entries carries no proof"),
            (Flaw::Stowaway, "one of its log entries carries no proof"),
            (Flaw::Entry, "log entry does not match the bundle: DSSE signature in bundle does not match"),
            (Flaw::Time, "certificate chain validation failed"),
        ] {
            attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, SIGN, flaw));
            let answer = verdict(&registry, &subject, with_log(&signer)).await;
            if flaw == Flaw::None || (flaw == Flaw::Time && !certified) {
                assert!(answer.is_verified(), "{certified}: {answer:?}");
            } else {
                assert!(reason(&answer).contains(wanted), "{certified}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn abuse_048_flaws_of_the_older_style_are_found_as_well() {
    let sigstore = Sigstore::new();
    let subject = digest(b"image");
    let registry = Registry::start(true).await;
    let signer = sigstore.certify(SUBJECT, ISSUER);
    for (flaw, wanted) in [
        (Flaw::Promise, "SET verification failed"),
        (Flaw::NoProof, "no transparency log recorded it"),
        (Flaw::Entry, "it is for another digest"),
        (Flaw::Time, "certificate"),
    ] {
        let (payload, annotations) = sigstore.simple(&signer, &subject, flaw);
        attach_simple(&registry, &subject, &payload, annotations);
        let spec = policy(&registry.host(), vec![keyless(sigstore.root(), exact())]);
        let answer = verdict(&registry, &subject, spec).await;
        assert!(reason(&answer).contains(wanted), "{answer:?}");
    }
    // A key with a log entry satisfies a policy that wants one.
    let signer = Sigstore::key();
    let (payload, annotations) = sigstore.simple(&signer, &subject, Flaw::None);
    attach_simple(&registry, &subject, &payload, annotations);
    let mut spec = authority("ci", &signer.key.public_key_pem());
    (spec.require_log, spec.trusted_root) = (true, RootSpec::Inline(sigstore.root()));
    assert!(verdict(&registry, &subject, policy(&registry.host(), vec![spec])).await.is_verified());
}

#[tokio::test]
async fn keys_and_certificates_are_not_taken_for_each_other() {
    let sigstore = Sigstore::new();
    let subject = digest(b"image");
    let registry = Registry::start(true).await;
    let signer = sigstore.certify(SUBJECT, ISSUER);
    attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, SIGN, Flaw::None));
    // The very key of the certificate, as a long-lived one: the certificate's short life must not be forgotten.
    for require_log in [false, true] {
        let mut spec = authority("ci", &signer.key.public_key_pem());
        (spec.require_log, spec.trusted_root) = (require_log, RootSpec::Inline(sigstore.root()));
        let answer = verdict(&registry, &subject, policy(&registry.host(), vec![spec])).await;
        let wanted = "a signature does not count for \"ci\": it was made with a certificate, not with a key";
        assert_eq!(reason(&answer), wanted);
    }
    let key = Sigstore::key();
    attach_bundle(&registry, &subject, &sigstore.bundle(&key, &subject, SIGN, Flaw::None));
    let answer =
        verdict(&registry, &subject, policy(&registry.host(), vec![keyless(sigstore.root(), exact())])).await;
    let wanted = "a signature does not count for \"ci\": it was made with a key, not with a certificate";
    assert_eq!(reason(&answer), wanted);
}

#[tokio::test]
async fn abuse_050_a_logged_statement_of_another_type_is_no_signature() {
    let sigstore = Sigstore::new();
    let subject = digest(b"image");
    let registry = Registry::start(true).await;
    let signer = sigstore.certify(SUBJECT, ISSUER);
    let predicate = "https://slsa.dev/provenance/v1";
    attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, predicate, Flaw::None));
    let spec = policy(&registry.host(), vec![keyless(sigstore.root(), exact())]);
    let wanted =
        "a signature does not count: it states \"https://slsa.dev/provenance/v1\", which is no signature";
    assert_eq!(reason(&verdict(&registry, &subject, spec).await), wanted);
}

/// Long after the certificate has ended, the log's time still proves that it was signed in time. The layout is also what
/// the walk on a real cluster mounts; `PORTCULLIS_BLESS=1` makes it anew.
#[tokio::test]
async fn a_committed_keyless_signature_counts_after_its_certificate_has_ended() {
    let signed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signed");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        write_keyless_layout(&signed);
    }
    let registry = Registry::start(true).await;
    let digest = registry.load("model-keyless");
    let root = std::fs::read_to_string(signed.join("keyless-root.json")).unwrap();
    let mut spec = policy(&registry.host(), vec![keyless(root, exact())]);
    spec.rules[0].artifact = Artifact::Model;
    let trust = Arc::new(CompiledTrust::compile(&[spec]));
    let image = image(&registry, "model-keyless", &digest);
    let question = Question { image: &image, artifact: Artifact::Model, namespace: None };
    let answer = super::verifier().verify(question, &trust, None, super::soon()).await;
    let Verification::Verified(proof) = answer.as_ref() else { panic!("{answer:?}") };
    assert!(proof.signed_at.is_some_and(|at| at < jiff::Timestamp::now()));
}

/// The model of `model-image`, signed by a certificate and log of a moment.
fn write_keyless_layout(signed: &std::path::Path) {
    let (from, to) = (signed.join("model-image"), signed.join("model-keyless"));
    let read = |path: std::path::PathBuf| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let own = read(from.join("index.json"))["manifests"][0].clone();
    let subject = own["digest"].as_str().unwrap().to_owned();
    let _ = std::fs::remove_dir_all(&to);
    std::fs::create_dir_all(to.join("blobs/sha256")).unwrap();
    let put = |bytes: &[u8], kind: &str| {
        let digest = super::server::digest(bytes);
        std::fs::write(to.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    };
    let blob = |descriptor: &serde_json::Value| {
        std::fs::read(from.join("blobs").join(descriptor["digest"].as_str().unwrap().replace(':', "/")))
            .unwrap()
    };
    let manifest: serde_json::Value = serde_json::from_slice(&blob(&own)).unwrap();
    for part in [&own, &manifest["config"], &manifest["layers"][0]] {
        put(&blob(part), part["mediaType"].as_str().unwrap());
    }
    let sigstore = Sigstore::new();
    let bundle = sigstore.bundle(&sigstore.certify(SUBJECT, ISSUER), &subject, SIGN, Flaw::None);
    let layer = put(&bundle, "application/vnd.dev.sigstore.bundle.v0.3+json");
    let empty = put(b"{}", "application/vnd.oci.empty.v1+json");
    let referrer = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "layers": [layer], "subject": own });
    let referrer = put(referrer.to_string().as_bytes(), MANIFEST);
    let list = json!({ "schemaVersion": 2, "mediaType": super::server::INDEX, "manifests": [referrer] });
    let mut listed = put(list.to_string().as_bytes(), super::server::INDEX);
    let tag = "org.opencontainers.image.ref.name";
    listed["annotations"] = json!({ tag: subject.replace(':', "-") });
    let index = json!({ "schemaVersion": 2, "mediaType": super::server::INDEX, "manifests": [own, listed] });
    std::fs::write(to.join("index.json"), index.to_string()).unwrap();
    std::fs::write(to.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(signed.join("keyless-root.json"), sigstore.root()).unwrap();
}
