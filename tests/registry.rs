//! Signatures in registries: what real cosign signed is accepted under the right key, everything else is refused with
//! the reason, and a hostile registry gets neither time, memory, credentials nor a packet that is not its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "registry/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use portcullis::gather::registry::{
    Artifact, AuthoritySpec, Cause, CompiledTrust, ImageRef, PolicySpec, ProofSpec, Question, Refusal,
    RegistrySpec, RevokedKind, RevokedSpec, RootSpec, RuleSpec, SignatureFormat, Verification, Verifier,
    VerifierConfig,
};
use server::Registry;

#[path = "registry/capacity.rs"]
mod capacity;
#[path = "registry/certificates.rs"]
mod certificates;
#[path = "registry/changing.rs"]
mod changing;
#[path = "registry/command.rs"]
mod command;
#[path = "registry/contents.rs"]
mod contents;
#[path = "registry/differential.rs"]
mod differential;
#[path = "registry/documents.rs"]
mod documents;
#[path = "registry/files.rs"]
mod files;
#[path = "registry/hostile.rs"]
mod hostile;
#[path = "registry/keyless.rs"]
mod keyless;
#[path = "registry/known_bad.rs"]
mod known_bad;
#[path = "registry/names.rs"]
mod names;
#[path = "registry/presence.rs"]
mod presence;
#[path = "registry/referrers.rs"]
mod referrers;
#[path = "registry/roots.rs"]
mod roots;
#[path = "registry/secrets.rs"]
mod secrets;
#[path = "registry/sigstore.rs"]
mod sigstore;
#[path = "registry/statements.rs"]
mod statements;
#[path = "registry/timely.rs"]
mod timely;
#[path = "registry/withdrawn.rs"]
mod withdrawn;

/// The public key of a committed fixture.
fn public(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/signed/{name}.pub", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn authority(name: &str, pem: &str) -> AuthoritySpec {
    AuthoritySpec {
        name: name.to_owned(),
        proof: ProofSpec::Key { pem: pem.to_owned(), algorithm: None },
        not_before: None,
        not_after: None,
        require_log: false,
        trusted_root: RootSpec::Public,
        formats: Vec::new(),
    }
}

/// A policy that trusts `authorities` for all of a registry on loopback.
fn policy(host: &str, authorities: Vec<AuthoritySpec>) -> PolicySpec {
    PolicySpec {
        name: "default".to_owned(),
        registries: vec![RegistrySpec {
            host: host.to_owned(),
            plain_http: true,
            allow_private_addresses: true,
            ..RegistrySpec::default()
        }],
        rules: vec![RuleSpec {
            artifact: Artifact::Image,
            repositories: vec![format!("{host}/*")],
            authorities: authorities.iter().map(|authority| authority.name.clone()).collect(),
            ..RuleSpec::default()
        }],
        authorities,
        ..PolicySpec::default()
    }
}

fn trust(host: &str, keys: &[&str]) -> Arc<CompiledTrust> {
    let authorities = keys.iter().map(|key| authority(key, &public(key))).collect();
    Arc::new(CompiledTrust::compile(&[policy(host, authorities)]))
}

fn image(registry: &Registry, name: &str, digest: &str) -> ImageRef {
    ImageRef::parse(&format!("{}/team/{name}@{digest}", registry.host())).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn verifier() -> Verifier {
    Verifier::new(VerifierConfig { lookup_timeout: Duration::from_secs(3), ..VerifierConfig::default() })
}

/// One question to a fresh verifier.
async fn ask(image: &ImageRef, trust: &Arc<CompiledTrust>) -> Verification {
    verifier().verify(Question::image(image), trust, None, soon()).await.as_ref().clone()
}

#[tokio::test]
async fn what_cosign_signed_is_verified_in_both_styles_with_every_kind_of_key() {
    for referrers in [false, true] {
        let registry = Registry::start(referrers).await;
        for key in ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-3072"] {
            for (style, format) in [("v2", SignatureFormat::SimpleSigning), ("v3", SignatureFormat::Bundle)] {
                let name = format!("{style}-{key}");
                let digest = registry.load(&name);
                let answer = ask(&image(&registry, &name, &digest), &trust(&registry.host(), &[key])).await;
                let Verification::Verified(proof) = &answer else { panic!("{name} {referrers}: {answer:?}") };
                assert_eq!(
                    (proof.authorities.as_slice(), proof.format),
                    ([key.to_owned()].as_slice(), format)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_signature_by_another_key_does_not_count() {
    for (referrers, name) in [(false, "v2-ecdsa-p256"), (false, "v3-ecdsa-p256"), (true, "v3-ecdsa-p256")] {
        let registry = Registry::start(referrers).await;
        let digest = registry.load(name);
        let answer = ask(&image(&registry, name, &digest), &trust(&registry.host(), &["other"])).await;
        let wanted = vec![
            "no signature by authority \"other\"".to_owned(),
            "a signature does not count for \"other\": it was made with another key".to_owned(),
        ];
        assert_eq!(answer, Verification::Untrusted { reasons: wanted }, "{name}");
    }
}

#[tokio::test]
async fn an_unsigned_image_is_not_signed() {
    for referrers in [false, true] {
        let registry = Registry::start(referrers).await;
        let digest = registry.load("unsigned");
        let answer =
            ask(&image(&registry, "unsigned", &digest), &trust(&registry.host(), &["ecdsa-p256"])).await;
        let reason = "no signature by authority \"ecdsa-p256\": no signature is attached to it".to_owned();
        assert_eq!(answer, Verification::NotSigned { reason });
    }
}

#[tokio::test]
async fn abuse_050_an_attestation_is_no_signature() {
    let registry = Registry::start(true).await;
    let digest = registry.load("attested");
    let answer = ask(&image(&registry, "attested", &digest), &trust(&registry.host(), &["ecdsa-p256"])).await;
    let Verification::Untrusted { reasons } = &answer else { panic!("{answer:?}") };
    assert_eq!(
        reasons[1],
        "a signature does not count: it states \"https://cyclonedx.org/bom\", which is no signature"
    );
    let digest = registry.load("attested-and-signed");
    let both = image(&registry, "attested-and-signed", &digest);
    assert!(ask(&both, &trust(&registry.host(), &["ecdsa-p256"])).await.is_verified());
}

#[tokio::test]
async fn a_foreign_signature_beside_the_right_one_does_no_harm() {
    for referrers in [false, true] {
        let registry = Registry::start(referrers).await;
        let digest = registry.load("two-signers");
        let subject = image(&registry, "two-signers", &digest);
        for key in ["ecdsa-p256", "other"] {
            let answer = ask(&subject, &trust(&registry.host(), &[key])).await;
            assert!(answer.is_verified(), "{key}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn abuse_047_a_signature_for_another_digest_copied_over_does_not_count() {
    for (referrers, name) in [(false, "v2-ecdsa-p256"), (false, "v3-ecdsa-p256"), (true, "v3-ecdsa-p256")] {
        let registry = Registry::start(referrers).await;
        let signed = registry.load(name);
        let unsigned = registry.load("unsigned");
        // The tenant attaches what was signed for one digest to another.
        let (from, to) = (signed.replace(':', "-"), unsigned.replace(':', "-"));
        let repository = format!("team/{name}");
        registry.copy_tag(&repository, &from, &to);
        registry.copy_tag(&repository, &format!("{from}.sig"), &format!("{to}.sig"));
        let answer = ask(&image(&registry, name, &unsigned), &trust(&registry.host(), &["ecdsa-p256"])).await;
        let Verification::Untrusted { reasons } = &answer else { panic!("{name}: {answer:?}") };
        assert!(
            reasons[1].starts_with("a signature does not count: it is for another digest"),
            "{reasons:?}"
        );
    }
}

#[tokio::test]
async fn policies_refuse_before_any_packet() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let digest = registry.load("v3-ecdsa-p256");
    let key = || authority("acme-ci", &public("ecdsa-p256"));
    let subject = image(&registry, "v3-ecdsa-p256", &digest);

    let refused = |policies: Vec<PolicySpec>, subject: ImageRef| async move {
        let trust = Arc::new(CompiledTrust::compile(&policies));
        match ask(&subject, &trust).await {
            Verification::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(vec![], subject.clone()).await, Refusal::NoPolicy);

    let elsewhere = ImageRef::parse(&format!("127.0.0.1:1/team/app@{digest}")).unwrap();
    let answer = refused(vec![policy(&host, vec![key()])], elsewhere).await;
    assert_eq!(answer.to_string(), "registry \"127.0.0.1:1\" is not on the list of allowed registries");

    let tagged = ImageRef::parse(&format!("{host}/team/v3-ecdsa-p256:v1")).unwrap();
    let answer = refused(vec![policy(&host, vec![key()])], tagged).await;
    assert_eq!(answer.to_string(), "the reference names no sha256 digest");

    let mut narrow = policy(&host, vec![key()]);
    narrow.rules[0].repositories = vec![format!("{host}/tea/*"), format!("{host}/team/v3")];
    let answer = refused(vec![narrow], subject.clone()).await;
    assert_eq!(
        answer.to_string(),
        format!("no rule of a trust policy covers repository \"{host}/team/v3-ecdsa-p256\"")
    );

    let mut model_only = policy(&host, vec![key()]);
    model_only.rules[0].artifact = Artifact::Model;
    let answer = refused(vec![model_only], subject.clone()).await;
    assert!(matches!(answer, Refusal::NoRule(_)), "abuse_045: no rule about images proves nothing");

    let mut withdrawn = policy(&host, vec![key()]);
    withdrawn.revoked.push(RevokedSpec {
        kind: RevokedKind::Digest,
        value: digest.clone(),
        reason: "poisoned adapter".to_owned(),
    });
    let answer = refused(vec![withdrawn], subject.clone()).await;
    assert_eq!(answer.to_string(), format!("digest {digest} is revoked: poisoned adapter"), "abuse_051");

    let mut broken = policy(&host, vec![authority("acme-ci", "-----BEGIN PUBLIC KEY-----\nx\n")]);
    broken.authorities[0].name = "acme-ci".to_owned();
    let answer = refused(vec![broken], subject.clone()).await;
    assert_eq!(
        answer.to_string(),
        "no authority of rule default[0] can be used: authority \"acme-ci\": the key is no PEM block \"PUBLIC KEY\""
    );
    assert_eq!(registry.paths(), Vec::<String>::new(), "nothing was asked");
}

#[tokio::test]
async fn every_rule_that_covers_a_repository_must_be_satisfied() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let digest = registry.load("v3-ecdsa-p256");
    let subject = image(&registry, "v3-ecdsa-p256", &digest);
    let mut strict =
        policy(&host, vec![authority("ci", &public("ecdsa-p256")), authority("release", &public("other"))]);
    assert!(ask(&subject, &Arc::new(CompiledTrust::compile(&[strict.clone()]))).await.is_verified());
    strict.rules[0].authorities = vec!["ci".to_owned()];
    strict.rules.push(RuleSpec {
        artifact: Artifact::Image,
        repositories: vec![format!("{host}/team/*")],
        authorities: vec!["release".to_owned()],
        ..RuleSpec::default()
    });
    let answer = ask(&subject, &Arc::new(CompiledTrust::compile(&[strict.clone()]))).await;
    let Verification::Untrusted { reasons } = &answer else { panic!("{answer:?}") };
    assert_eq!(reasons[0], "no signature by authority \"release\"");
    // The image with both signatures satisfies both.
    let digest = registry.load("two-signers");
    let answer =
        ask(&image(&registry, "two-signers", &digest), &Arc::new(CompiledTrust::compile(&[strict]))).await;
    let Verification::Verified(proof) = &answer else { panic!("{answer:?}") };
    assert_eq!(proof.authorities, ["ci", "release"]);
}

#[tokio::test]
async fn several_signatures_mean_several_keys() {
    let registry = Registry::start(true).await;
    let host = registry.host();
    let digest = registry.load("two-signers");
    let subject = image(&registry, "two-signers", &digest);
    let two = |keys: [&str; 2]| {
        let authorities = vec![authority("first", &public(keys[0])), authority("second", &public(keys[1]))];
        let mut spec = policy(&host, authorities);
        spec.rules[0].min_signatures = 2;
        Arc::new(CompiledTrust::compile(&[spec]))
    };
    let answer = ask(&subject, &two(["ecdsa-p256", "other"])).await;
    let Verification::Verified(proof) = &answer else { panic!("{answer:?}") };
    assert_eq!(proof.authorities, ["first", "second"]);
    let answer = ask(&subject, &two(["ecdsa-p256", "ed25519"])).await;
    let wanted = "1 of 2 signatures are there, and none by authority \"second\"";
    assert!(matches!(&answer, Verification::Untrusted { reasons } if reasons[0] == wanted), "{answer:?}");
    // One key under two names is one signer.
    let answer = ask(&subject, &two(["ecdsa-p256", "ecdsa-p256"])).await;
    assert!(matches!(&answer, Verification::Untrusted { .. }), "{answer:?}");
}

#[tokio::test]
async fn abuse_056_a_way_of_signing_that_the_policy_does_not_name_does_not_count() {
    let registry = Registry::start(true).await;
    for (name, format, other) in [
        ("v2-ecdsa-p256", SignatureFormat::Bundle, "simple-signing"),
        ("v3-ecdsa-p256", SignatureFormat::SimpleSigning, "bundle"),
    ] {
        let digest = registry.load(name);
        let mut spec = policy(&registry.host(), vec![authority("ci", &public("ecdsa-p256"))]);
        spec.authorities[0].formats = vec![format];
        let answer = ask(&image(&registry, name, &digest), &Arc::new(CompiledTrust::compile(&[spec]))).await;
        let wanted = format!(
            "a signature does not count for \"ci\": its policy does not accept signatures attached as {other}"
        );
        assert!(matches!(&answer, Verification::Untrusted { reasons } if reasons[1] == wanted), "{answer:?}");
    }
}

#[tokio::test]
async fn abuse_048_an_authority_that_needs_a_log_does_not_count_without() {
    let registry = Registry::start(true).await;
    for name in ["v2-ecdsa-p256", "v3-ecdsa-p256"] {
        let digest = registry.load(name);
        let mut spec = policy(&registry.host(), vec![authority("ci", &public("ecdsa-p256"))]);
        spec.authorities[0].require_log = true;
        let answer = ask(&image(&registry, name, &digest), &Arc::new(CompiledTrust::compile(&[spec]))).await;
        let wanted = "a signature does not count for \"ci\": no transparency log recorded it";
        assert!(matches!(&answer, Verification::Untrusted { reasons } if reasons[1] == wanted), "{answer:?}");
    }
}

#[tokio::test]
async fn abuse_049_an_authority_counts_only_in_its_time() {
    let registry = Registry::start(true).await;
    let digest = registry.load("v3-ecdsa-p256");
    let subject = image(&registry, "v3-ecdsa-p256", &digest);
    let mut expired = policy(&registry.host(), vec![authority("ci", &public("ecdsa-p256"))]);
    expired.authorities[0].not_after = Some("2020-01-01T00:00:00Z".parse().unwrap());
    let answer = ask(&subject, &Arc::new(CompiledTrust::compile(&[expired.clone()]))).await;
    let wanted = "a signature does not count for \"ci\": the authority expired on 2020-01-01T00:00:00Z";
    assert!(matches!(&answer, Verification::Untrusted { reasons } if reasons[1] == wanted), "{answer:?}");
    expired.authorities[0].not_after = None;
    expired.authorities[0].not_before = Some("2999-01-01T00:00:00Z".parse().unwrap());
    let answer = ask(&subject, &Arc::new(CompiledTrust::compile(&[expired]))).await;
    let wanted =
        "a signature does not count for \"ci\": it is before the authority's notBefore 2999-01-01T00:00:00Z";
    assert!(matches!(&answer, Verification::Untrusted { reasons } if reasons[1] == wanted), "{answer:?}");
}

#[tokio::test]
async fn requests_are_few_cold_and_none_warm() {
    let hex = |digest: &str| digest.replace(':', "-");
    for (referrers, name, again) in [
        (true, "v3-ecdsa-p256", 3),
        (false, "v3-ecdsa-p256", 3),
        (true, "v2-ecdsa-p256", 2),
        (false, "v2-ecdsa-p256", 2),
    ] {
        let registry = Registry::start(referrers).await;
        let digest = registry.load(name);
        let subject = image(&registry, name, &digest);
        let trust = trust(&registry.host(), &["ecdsa-p256"]);
        let verifier = verifier();
        assert_eq!(verifier.peek(Question::image(&subject), &trust, None), None);
        assert!(verifier.verify(Question::image(&subject), &trust, None, soon()).await.is_verified());
        let first = registry.paths();
        assert!(first.len() <= 4, "{name}: {first:?}");
        for _ in 0..3 {
            assert!(verifier.verify(Question::image(&subject), &trust, None, soon()).await.is_verified());
            assert!(verifier.peek(Question::image(&subject), &trust, None).unwrap().is_verified());
        }
        assert_eq!(registry.paths(), Vec::<String>::new(), "warm");
        // The same repository under a changed policy: what is known of the registry spares detours.
        let changed = Arc::new(CompiledTrust::compile(&[policy(
            &registry.host(),
            vec![authority("renamed", &public("ecdsa-p256"))],
        )]));
        assert!(
            verifier.verify(Question::image(&subject), &changed, None, soon()).await.is_verified(),
            "abuse_055"
        );
        let second = registry.paths();
        assert_eq!(second.len(), again, "{name} {referrers}: {second:?} {}", hex(&digest));
        assert_eq!(verifier.stats().hits.load(Ordering::Relaxed), 3);
    }
}

#[tokio::test]
async fn a_denial_is_remembered_briefly() {
    let registry = Registry::start(true).await;
    let digest = registry.load("unsigned");
    let subject = image(&registry, "unsigned", &digest);
    let trust = trust(&registry.host(), &["ecdsa-p256"]);
    let verifier = Verifier::new(VerifierConfig {
        negative_ttl: Duration::from_millis(300),
        ..VerifierConfig::default()
    });
    let first = verifier.verify(Question::image(&subject), &trust, None, soon()).await;
    assert_eq!(first.name(), "NotSigned");
    assert_eq!(registry.paths().len(), 2, "referrers and tag");
    verifier.verify(Question::image(&subject), &trust, None, soon()).await;
    assert_eq!(registry.paths().len(), 0, "denied again");
    let forgotten = async {
        while verifier.peek(Question::image(&subject), &trust, None).is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), forgotten).await.unwrap();
    // Signed in the meantime.
    assert_eq!(verifier.verify(Question::image(&subject), &trust, None, soon()).await.name(), "NotSigned");
    assert_eq!(registry.paths().len(), 2, "asked anew");
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_look_up() {
    let registry = Registry::start(true).await;
    let digest = registry.load("v3-ecdsa-p256");
    let subject = image(&registry, "v3-ecdsa-p256", &digest);
    let trust = trust(&registry.host(), &["ecdsa-p256"]);
    let verifier = verifier();
    let all = futures::future::join_all(
        (0..50).map(|_| verifier.verify(Question::image(&subject), &trust, None, soon())),
    )
    .await;
    assert!(all.iter().all(|answer| answer.is_verified()));
    assert_eq!(registry.paths().len(), 3);
    let stats = verifier.stats();
    assert_eq!(stats.verified.load(Ordering::Relaxed), 1);
    assert_eq!(stats.joined.load(Ordering::Relaxed) + stats.hits.load(Ordering::Relaxed), 49);
    assert_eq!(stats.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_look_up_outlives_its_caller_and_answers_the_next() {
    let registry = Registry::start(true).await;
    let digest = registry.load("v3-ecdsa-p256");
    let subject = image(&registry, "v3-ecdsa-p256", &digest);
    let trust = trust(&registry.host(), &["ecdsa-p256"]);
    let verifier = verifier();
    let hurried = verifier.verify(Question::image(&subject), &trust, None, Instant::now()).await;
    assert!(matches!(hurried.as_ref(), Verification::Unknown { cause: Cause::Timeout, .. }), "{hurried:?}");
    assert!(verifier.verify(Question::image(&subject), &trust, None, soon()).await.is_verified());
    assert_eq!(registry.paths().len(), 3, "one look-up served both");
}
