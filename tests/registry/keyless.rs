//! Signatures by short-lived certificates and transparency logs, offline, with every flaw a forger might try.

use std::sync::Arc;

use portcullis::gather::registry::{
    AuthoritySpec, CompiledTrust, IdentitySpec, MatchSpec, PolicySpec, ProofSpec, RevokedKind, RevokedSpec,
    RootSpec, SignatureFormat, Verification,
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
