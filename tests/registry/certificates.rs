//! Authorities by certificate: the chain, its times, what it is for, and whose name it carries.

use portcullis::gather::registry::{AuthoritySpec, ProofSpec, RootSpec, Verification};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::keyless::{attach_bundle, attach_simple, verdict};
use super::server::{Registry, digest};
use super::sigstore::{Flaw, SIGN, Signer, Sigstore};
use super::{authority, policy};

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Days from and until now.
#[derive(Clone, Copy)]
struct Days(i64, i64);

const NOW: Days = Days(-40, 40);
const PAST: Days = Days(-40, -10);

fn params(name: &str, days: Days) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now + Duration::days(days.0), now + Duration::days(days.1));
    params.use_authority_key_identifier_extension = true;
    params
}

fn issuer(name: &str, days: Days, by: Option<&Issuer>) -> Issuer {
    let mut params = params(name, days);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    match by {
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
        Some(by) => CertifiedIssuer::signed_by(params, key, by).unwrap(),
    }
}

fn leaf(days: Days, by: &Issuer, usage: Option<ExtendedKeyUsagePurpose>) -> Signer {
    let mut params = params("release", days);
    params.subject_alt_names = vec![SanType::Rfc822Name("release@acme.example".try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usage.into_iter().collect();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    Signer::with(key, certificate)
}

const CODE: Option<ExtendedKeyUsagePurpose> = Some(ExtendedKeyUsagePurpose::CodeSigning);

fn certified(ca_pem: String, subject: Option<&str>) -> AuthoritySpec {
    AuthoritySpec {
        proof: ProofSpec::Certificate { ca_pem, subject: subject.map(str::to_owned) },
        ..authority("ci", "")
    }
}

async fn ask(signer: &Signer, sigstore: &Sigstore, spec: AuthoritySpec) -> Verification {
    let (registry, subject) = (Registry::start(true).await, digest(b"image"));
    attach_bundle(&registry, &subject, &sigstore.bundle(signer, &subject, SIGN, Flaw::None));
    verdict(&registry, &subject, policy(&registry.host(), vec![spec])).await
}

fn words(answer: &Verification) -> String {
    let Verification::Untrusted { reasons } = answer else { panic!("{answer:?}") };
    reasons[1].trim_start_matches("a signature does not count for \"ci\": ").to_owned()
}

#[tokio::test]
async fn a_certificate_of_the_authoritys_issuers_signs() {
    let sigstore = Sigstore::new();
    let root = issuer("root", NOW, None);
    let middle = issuer("middle", NOW, Some(&root));
    let signer = leaf(NOW, &middle, CODE);
    let chain = format!("{}{}", root.pem(), middle.pem());
    for subject in [None, Some("release"), Some("release@acme.example")] {
        let answer = ask(&signer, &sigstore, certified(chain.clone(), subject)).await;
        assert!(answer.is_verified(), "{subject:?} {answer:?}");
    }
    // Only the intermediate is believed, where only it is given.
    assert!(ask(&signer, &sigstore, certified(middle.pem(), None)).await.is_verified());
    // In the older style, the chain comes with the signature.
    let (registry, subject) = (Registry::start(true).await, digest(b"image"));
    let (payload, mut annotations) = sigstore.simple(&signer, &subject, Flaw::None);
    annotations["dev.sigstore.cosign/chain"] = serde_json::json!(format!("{}{}", middle.pem(), root.pem()));
    attach_simple(&registry, &subject, &payload, annotations);
    let spec = policy(&registry.host(), vec![certified(root.pem(), Some("release"))]);
    let answer = verdict(&registry, &subject, spec).await;
    assert!(answer.is_verified(), "{answer:?}");
}

#[tokio::test]
async fn abuse_049_every_certificate_has_to_be_in_its_time_and_for_signing_code() {
    let sigstore = Sigstore::new();
    let root = issuer("root", NOW, None);
    let (middle, expired) = (issuer("middle", NOW, Some(&root)), issuer("expired", PAST, Some(&root)));
    let old_root = issuer("old", PAST, None);
    let chain = |middle: &Issuer| format!("{}{}", root.pem(), middle.pem());
    let server = Some(ExtendedKeyUsagePurpose::ServerAuth);
    for (name, signer, spec, wanted) in [
        (
            "expired leaf",
            leaf(PAST, &middle, CODE),
            certified(chain(&middle), None),
            "its certificate was not valid at",
        ),
        (
            "future leaf",
            leaf(Days(5, 9), &middle, CODE),
            certified(chain(&middle), None),
            "its certificate was not valid at",
        ),
        (
            "expired intermediate",
            leaf(NOW, &expired, CODE),
            certified(chain(&expired), None),
            "an issuer of its certificate was not valid at",
        ),
        (
            "expired intermediate alone",
            leaf(NOW, &expired, CODE),
            certified(expired.pem(), None),
            "no issuer of the authority is valid at",
        ),
        (
            "expired root",
            leaf(NOW, &old_root, CODE),
            certified(old_root.pem(), None),
            "no issuer of the authority is valid at",
        ),
        (
            "other issuer",
            leaf(NOW, &middle, CODE),
            certified(issuer("root", NOW, None).pem(), None),
            "its certificate is by none of the authority's issuers",
        ),
        (
            "for servers",
            leaf(NOW, &middle, server),
            certified(chain(&middle), None),
            "its certificate is not for signing code",
        ),
        (
            "for anything",
            leaf(NOW, &middle, None),
            certified(chain(&middle), None),
            "its certificate is not for signing code",
        ),
        (
            "other name",
            leaf(NOW, &middle, CODE),
            certified(chain(&middle), Some("releas")),
            "its certificate is for \"release\"",
        ),
        (
            "a bare key",
            Sigstore::key(),
            certified(chain(&middle), None),
            "it was made with a key, not with a certificate",
        ),
    ] {
        let answer = ask(&signer, &sigstore, spec).await;
        assert!(words(&answer).starts_with(wanted), "{name}: {}", words(&answer));
    }
}

#[tokio::test]
async fn abuse_049_a_logged_signature_outlives_its_certificate() {
    let sigstore = Sigstore::new();
    let root = issuer("root", NOW, None);
    let expired = issuer("expired", PAST, Some(&root));
    let signer = leaf(PAST, &expired, CODE);
    let chain = format!("{}{}", root.pem(), expired.pem());
    let (registry, subject) = (Registry::start(true).await, digest(b"image"));
    // The log says that it was made twenty days ago, when everything was valid.
    attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, SIGN, Flaw::Time));
    let mut logged = certified(chain.clone(), None);
    (logged.require_log, logged.trusted_root) = (true, RootSpec::Inline(sigstore.root()));
    let answer = verdict(&registry, &subject, policy(&registry.host(), vec![logged.clone()])).await;
    assert!(answer.is_verified(), "{answer:?}");
    let unlogged = policy(&registry.host(), vec![certified(chain, None)]);
    let answer = verdict(&registry, &subject, unlogged).await;
    assert!(words(&answer).starts_with("its certificate was not valid at"), "{answer:?}");
    // And one that the log saw after the end does not count.
    attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, SIGN, Flaw::None));
    let answer = verdict(&registry, &subject, policy(&registry.host(), vec![logged])).await;
    assert!(!answer.is_verified(), "{answer:?}");
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    use portcullis::gather::registry::CompiledTrust;
    let root = issuer("root", NOW, None);
    let plain = params("release", NOW).signed_by(&KeyPair::generate().unwrap(), &root).unwrap().pem();
    for (pem, wanted) in [
        (String::new(), "caPem holds no certificate"),
        ("nonsense".to_owned(), "caPem holds no certificate"),
        (super::public("other"), "caPem holds a block \"PUBLIC KEY\", which is no certificate"),
        (
            KeyPair::generate().unwrap().serialize_pem(),
            "caPem holds a private key: it must be replaced and revoked",
        ),
        (plain, "\"release\" of caPem may not issue certificates"),
        (root.pem().repeat(17), "caPem holds more than 16 certificates"),
        ("x".repeat(200_000), "caPem is longer than 131072 bytes"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "caPem holds a certificate that cannot be read",
        ),
    ] {
        let trust = CompiledTrust::compile(&[policy("registry.example", vec![certified(pem, None)])]);
        let problems: Vec<_> =
            trust.problems().iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
        assert_eq!(problems, [format!("authorities[0]: {wanted}")]);
    }
}
