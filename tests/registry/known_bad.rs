//! Known bad signatures, one table: what is wrong, and the words that say so.

use std::sync::Arc;

use portcullis::gather::registry::{
    CompiledTrust, ImageRef, PolicySpec, RevokedKind, RevokedSpec, SupplierSpec, Verification,
};
use serde_json::Value;

use super::keyless::{attach_bundle, exact, keyless};
use super::server::{Registry, digest};
use super::sigstore::{Flaw, ISSUER, SIGN, SUBJECT, Sigstore};
use super::{ask, authority, policy, public};

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// What a forger attaches to the image, given the services and the digest.
type Forge = fn(&Sigstore, &str) -> Vec<u8>;
/// What the policy says besides.
type Amend = fn(&mut PolicySpec);

fn by(sigstore: &Sigstore, subject: &str, flaw: Flaw) -> Vec<u8> {
    sigstore.bundle(&sigstore.certify(SUBJECT, ISSUER), subject, SIGN, flaw)
}

/// A good bundle with a part of another good one.
fn swapped(sigstore: &Sigstore, subject: &str, part: &str) -> Vec<u8> {
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let mut mine = read(&by(sigstore, subject, Flaw::None));
    let other = read(&by(sigstore, &digest(b"other"), Flaw::None));
    *mine.pointer_mut(part).unwrap() = other.pointer(part).unwrap().clone();
    mine.to_string().into_bytes()
}

fn revoke(kind: RevokedKind, value: &str) -> RevokedSpec {
    RevokedSpec { kind, value: value.to_owned(), reason: "stolen".to_owned() }
}

fn nothing(_: &mut PolicySpec) {}

const TABLE: &[(&str, Forge, Amend, &str)] = &[
    (
        "the log entry of another signature",
        |s, d| swapped(s, d, "/verificationMaterial/tlogEntries"),
        nothing,
        "log entry does not match the bundle",
    ),
    (
        "the proof of another entry",
        |s, d| swapped(s, d, "/verificationMaterial/tlogEntries/0/inclusionProof"),
        nothing,
        "invalid inclusion proof",
    ),
    (
        "the certificate of another signature",
        |s, d| swapped(s, d, "/verificationMaterial/certificate"),
        nothing,
        "it was made with another key",
    ),
    (
        "the statement of another signature",
        |s, d| swapped(s, d, "/dsseEnvelope"),
        nothing,
        "it is for another digest",
    ),
    (
        "no inclusion proof",
        |s, d| by(s, d, Flaw::NoProof),
        nothing,
        "one of its log entries carries no proof",
    ),
    ("a wrong inclusion proof", |s, d| by(s, d, Flaw::Proof), nothing, "invalid inclusion proof"),
    (
        "a forged checkpoint",
        |s, d| by(s, d, Flaw::Checkpoint),
        nothing,
        "invalid checkpoint: No valid Rekor signature found on checkpoint",
    ),
    (
        "a forged promise",
        |s, d| by(s, d, Flaw::Promise),
        nothing,
        "invalid inclusion promise: SET verification failed",
    ),
    (
        "another time than the log promised",
        |s, d| by(s, d, Flaw::Backdated),
        nothing,
        "invalid inclusion promise: SET verification failed",
    ),
    ("a timestamp that is none", |s, d| by(s, d, Flaw::Stamp), nothing, "invalid RFC 3161 timestamp"),
    (
        "an entry about something else",
        |s, d| by(s, d, Flaw::Entry),
        nothing,
        "log entry does not match the bundle",
    ),
    (
        "logged outside the certificate's life",
        |s, d| by(s, d, Flaw::Time),
        nothing,
        "certificate chain validation failed: CertNotValidYet",
    ),
    (
        "a second entry without proof",
        |s, d| by(s, d, Flaw::Stowaway),
        nothing,
        "one of its log entries carries no proof",
    ),
    (
        "the wrong subject",
        |s, d| s.bundle(&s.certify("https://ci.example/team/app/build@mainx", ISSUER), d, SIGN, Flaw::None),
        nothing,
        "it was made by \"https://ci.example/team/app/build@mainx\" of \"https://issuer.example\"",
    ),
    (
        "the wrong issuer",
        |s, d| s.bundle(&s.certify(SUBJECT, "https://issuer.example.evil"), d, SIGN, Flaw::None),
        nothing,
        "it was made by \"https://ci.example/team/app/build@main\" of \"https://issuer.example.evil\"",
    ),
    (
        "the wrong predicate type",
        |s, d| s.bundle(&s.certify(SUBJECT, ISSUER), d, PROVENANCE, Flaw::None),
        nothing,
        "it states \"https://slsa.dev/provenance/v1\", which is no signature",
    ),
    (
        "a signature for another digest",
        |s, _| by(s, &digest(b"other"), Flaw::None),
        nothing,
        "it is for another digest",
    ),
    (
        "another authority's certificate",
        |_, d| by(&Sigstore::new(), d, Flaw::None),
        nothing,
        "invalid inclusion promise: No log key valid",
    ),
    (
        "a revoked identity",
        |s, d| by(s, d, Flaw::None),
        |spec| spec.revoked.push(revoke(RevokedKind::Identity, SUBJECT)),
        "identity \"https://ci.example/team/app/build@main\" is revoked: stolen",
    ),
    (
        "a revoked digest",
        |s, d| by(s, d, Flaw::None),
        |spec| spec.revoked.push(revoke(RevokedKind::Digest, &digest(b"image"))),
        "is revoked: stolen",
    ),
    (
        "a revoked authority",
        |s, d| by(s, d, Flaw::None),
        |spec| spec.revoked.push(revoke(RevokedKind::Key, "ci")),
        "authority \"ci\": revoked: stolen",
    ),
    (
        "a revoked supplier",
        |s, d| by(s, d, Flaw::None),
        |spec| spec.revoked.push(revoke(RevokedKind::Supplier, "acme")),
        "supplier \"acme\" is revoked: stolen",
    ),
    ("no text", |_, _| vec![0xff, 0xfe], nothing, "it is no text"),
    ("no bundle", |_, _| b"{}".to_vec(), nothing, "it is no sigstore bundle"),
];

#[tokio::test]
async fn abuse_048_every_known_bad_signature_is_refused_for_what_is_wrong_with_it() {
    let mut wrong = Vec::new();
    for (name, forge, amend, wanted) in TABLE {
        let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
        let subject = digest(b"image");
        attach_bundle(&registry, &subject, &forge(&sigstore, &subject));
        let mut spec = policy(&registry.host(), vec![keyless(sigstore.root(), exact())]);
        amend(&mut spec);
        let sources = vec![format!("{}/team/*", registry.host())];
        let acme = SupplierSpec { name: "acme".to_owned(), sources };
        let trust = Arc::new(CompiledTrust::compile_with(&[spec], &[acme]));
        let image = ImageRef::parse(&format!("{}/team/app@{subject}", registry.host())).unwrap();
        let answer = ask(&image, &trust).await;
        assert!(
            matches!(answer, Verification::Untrusted { .. } | Verification::Refused(_)),
            "{name}: {answer:?}"
        );
        if !answer.to_string().contains(wanted) {
            wrong.push(format!("{name}: {answer}"));
        }
        if matches!(answer, Verification::Refused(_)) {
            assert_eq!(registry.paths(), Vec::<String>::new(), "{name}: no packet");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The same without a flaw counts, so that it is the flaw that is refused.
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let subject = digest(b"image");
    attach_bundle(&registry, &subject, &by(&sigstore, &subject, Flaw::None));
    let spec = policy(&registry.host(), vec![keyless(sigstore.root(), exact())]);
    let image = ImageRef::parse(&format!("{}/team/app@{subject}", registry.host())).unwrap();
    assert!(ask(&image, &Arc::new(CompiledTrust::compile(&[spec]))).await.is_verified());
}

#[tokio::test]
async fn abuse_049_an_intermediate_whose_time_is_over_vouches_for_nothing() {
    for ended in [false, true] {
        let (registry, sigstore) = (Registry::start(true).await, Sigstore::with_intermediate(ended));
        let subject = digest(b"image");
        attach_bundle(&registry, &subject, &by(&sigstore, &subject, Flaw::None));
        let spec = policy(&registry.host(), vec![keyless(sigstore.root(), exact())]);
        let image = ImageRef::parse(&format!("{}/team/app@{subject}", registry.host())).unwrap();
        let answer = ask(&image, &Arc::new(CompiledTrust::compile(&[spec]))).await;
        if ended {
            assert!(matches!(answer, Verification::Untrusted { .. }), "{answer:?}");
            // No way to the believed issuer leads through it.
            let wanted = "certificate chain validation failed: UnknownIssuer";
            assert!(answer.to_string().contains(wanted), "{answer}");
        } else {
            assert!(answer.is_verified(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn abuse_053_a_copy_in_another_repository_needs_the_authority_of_that_repository() {
    let registry = Registry::start(true).await;
    let subject = registry.load("v3-ecdsa-p256");
    let host = registry.host();
    let mut spec =
        policy(&host, vec![authority("a", &public("ecdsa-p256")), authority("b", &public("other"))]);
    spec.rules[0].repositories = vec![format!("{host}/team/v3-ecdsa-p256")];
    spec.rules[0].authorities = vec!["a".to_owned()];
    spec.rules.push(spec.rules[0].clone());
    spec.rules[1].repositories = vec![format!("{host}/prod/app")];
    spec.rules[1].authorities = vec!["b".to_owned()];
    let trust = Arc::new(CompiledTrust::compile(&[spec]));
    registry.copy_repository("team/v3-ecdsa-p256", "prod/app");
    let ask_of = |repository: &str| ImageRef::parse(&format!("{host}/{repository}@{subject}")).unwrap();
    assert!(ask(&ask_of("team/v3-ecdsa-p256"), &trust).await.is_verified());
    let answer = ask(&ask_of("prod/app"), &trust).await;
    let wanted =
        "no signature by authority \"b\"; a signature does not count for \"b\": it was made with another key";
    assert_eq!(answer.to_string(), wanted);
}

#[tokio::test]
async fn abuse_092_the_digest_that_is_named_is_the_one_that_counts() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let children = |name: &str, digest: &str| -> Vec<String> {
        let index = registry.manifest(&format!("team/{name}"), digest);
        let children = index["manifests"].as_array().unwrap().iter();
        children.map(|child| child["digest"].as_str().unwrap().to_owned()).collect()
    };
    let (signed, platform) = (registry.load("index-signed"), registry.load("platform-signed"));
    let at =
        |name: &str, reference: &str| ImageRef::parse(&format!("{host}/team/{name}{reference}")).unwrap();
    let mut spec = policy(&host, vec![authority("ci", &public("ecdsa-p256"))]);
    let strict = Arc::new(CompiledTrust::compile(std::slice::from_ref(&spec)));
    let unsigned = "no signature by authority \"ci\": no signature is attached to it";
    // A signed index: it counts; its platforms do not, and the words say where the signature is.
    assert!(ask(&at("index-signed", &format!("@{signed}")), &strict).await.is_verified());
    let child = &children("index-signed", &signed)[0];
    let answer = ask(&at("index-signed", &format!("@{child}")), &strict).await;
    assert_eq!(answer.to_string(), unsigned);
    let answer = ask(&at("index-signed", &format!(":v1@{child}")), &strict).await;
    let wanted = format!(
        "{unsigned}; it is one platform of index {signed}, whose signature does not speak for it: name the digest of \
         the index, or sign every platform (cosign sign --recursive)"
    );
    assert_eq!(answer.to_string(), wanted);
    // A signature for one platform counts for that one only.
    let of = children("platform-signed", &platform);
    assert!(ask(&at("platform-signed", &format!("@{}", of[0])), &strict).await.is_verified());
    for other in [&platform, &of[1]] {
        let answer = ask(&at("platform-signed", &format!("@{other}")), &strict).await;
        assert_eq!(answer.to_string(), unsigned, "{other}");
    }
    // Where the policy lets an index vouch, only a signed one that lists the digest does.
    spec.rules[0].index_may_vouch = true;
    let vouching = Arc::new(CompiledTrust::compile(&[spec]));
    let answer = ask(&at("index-signed", &format!(":v1@{child}")), &vouching).await;
    let Verification::Verified(proof) = &answer else { panic!("{answer:?}") };
    assert_eq!(proof.vouched_by.as_deref(), Some(signed.as_str()));
    for (name, reference) in [
        ("index-signed", format!("@{child}")),
        // The tag of another manifest, or one that was rolled back to what does not list the digest.
        ("index-signed", format!(":amd64@{child}")),
        ("index-signed", format!(":v1@{}", digest(b"unlisted"))),
        ("platform-signed", format!(":v1@{}", of[1])),
    ] {
        let answer = ask(&at(name, &reference), &vouching).await;
        assert_eq!(answer.to_string(), unsigned, "{name}{reference}");
    }
}

#[tokio::test]
async fn abuse_042_a_tag_that_moves_changes_nothing() {
    let registry = Registry::start(true).await;
    let (new, old) = (registry.load("v3-ecdsa-p256"), registry.load("unsigned"));
    let trust = super::trust(&registry.host(), &["ecdsa-p256"]);
    registry.steal("team/v3-ecdsa-p256", &new, "team/unsigned", &new);
    registry.copy_tag("team/unsigned", &new, "v1");
    let image = ImageRef::parse(&format!("{}/team/unsigned:v1@{old}", registry.host())).unwrap();
    let wanted = "no signature by authority \"ecdsa-p256\": no signature is attached to it";
    assert_eq!(ask(&image, &trust).await.to_string(), wanted);
}
