//! Roots of one's own: when their issuers and logs count, what becomes of one that changes, and identities that look
//! like the one that is believed.

use std::sync::Arc;

use portcullis::gather::registry::{
    AuthoritySpec, CompiledTrust, IdentitySpec, MatchSpec, ProofSpec, Question, RootSpec, Verification,
};
use serde_json::{Value, json};
use time::Duration;

use super::keyless::{attach_bundle, exact, keyless};
use super::server::{Registry, digest};
use super::sigstore::{Flaw, ISSUER, SIGN, SUBJECT, Sigstore};
use super::{ask, image, policy, soon, verifier};

/// What is changed in a root before it is believed.
type Amend = fn(&mut Value);

/// The verdict on an image that is signed without a flaw, under a changed root.
async fn under(amend: Amend) -> (Vec<String>, Verification) {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let subject = digest(b"image");
    let bundle = sigstore.bundle(&sigstore.certify(SUBJECT, ISSUER), &subject, SIGN, Flaw::None);
    attach_bundle(&registry, &subject, &bundle);
    let mut root: Value = serde_json::from_str(&sigstore.root()).unwrap();
    amend(&mut root);
    let spec = policy(&registry.host(), vec![keyless(root.to_string(), exact())]);
    let trust = CompiledTrust::compile(&[spec]);
    let problems = trust.problems().iter().map(|problem| problem.message.clone()).collect();
    (problems, ask(&image(&registry, "app", &subject), &Arc::new(trust)).await)
}

#[tokio::test]
async fn abuse_049_an_issuer_or_a_log_counts_only_in_the_time_that_the_root_gives_it() {
    const CASES: &[(&str, Amend, &str)] = &[
        (
            "a log whose time was over",
            |root| root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2021-01-01T00:00:00Z"),
            "No log key valid",
        ),
        (
            "a log whose time has not come",
            |root| root["tlogs"][0]["publicKey"]["validFor"] = json!({ "start": "2999-01-01T00:00:00Z" }),
            "No log key valid",
        ),
        (
            "an issuer whose time was over",
            |root| root["certificateAuthorities"][0]["validFor"]["end"] = json!(minutes_ago(60)),
            "no trusted certificate authority is valid at",
        ),
        (
            "an issuer whose time has not come",
            |root| root["certificateAuthorities"][0]["validFor"] = json!({ "start": minutes_ago(-5) }),
            "no trusted certificate authority is valid at",
        ),
    ];
    for (name, amend, wanted) in CASES {
        let (problems, answer) = under(*amend).await;
        assert_eq!(problems, Vec::<String>::new(), "{name}");
        assert!(matches!(answer, Verification::Untrusted { .. }), "{name}: {answer:?}");
        assert!(answer.to_string().contains(wanted), "{name}: {answer}");
    }
    // A second issuer and a second log, wherever they stand, take nothing from the first.
    for (name, amend) in [
        ("nothing", (|_| ()) as Amend),
        ("a second issuer", |root| add(root, "certificateAuthorities", false)),
        ("a second issuer before it", |root| add(root, "certificateAuthorities", true)),
        ("a second log", |root| add(root, "tlogs", false)),
        ("a second log before it", |root| add(root, "tlogs", true)),
    ] {
        let (problems, answer) = under(amend).await;
        assert!(problems.is_empty() && answer.is_verified(), "{name}: {problems:?} {answer:?}");
    }
}

fn minutes_ago(minutes: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes)).to_string()
}

/// Adds that of somebody else to a list of the root.
fn add(root: &mut Value, list: &str, first: bool) {
    let other: Value = serde_json::from_str(&Sigstore::new().root()).unwrap();
    let list_of = root[list].as_array_mut().unwrap();
    list_of.insert(usize::from(!first), other[list][0].clone());
}

#[tokio::test]
async fn a_root_that_cannot_be_read_disables_its_authority_and_says_so() {
    const CASES: &[(&str, Amend, &str)] = &[
        ("null", |root| *root = Value::Null, "the trusted root cannot be read"),
        ("a list", |root| *root = json!([root.clone()]), "the trusted root cannot be read"),
        ("a text", |root| *root = json!("{}"), "the trusted root cannot be read"),
        ("nothing in it", |root| *root = json!({}), "the trusted root "),
        (
            "no issuer",
            |root| root["certificateAuthorities"] = json!([]),
            "the trusted root names no certificate authority that ever counts",
        ),
        (
            "an issuer whose time was over before it began",
            |root| root["certificateAuthorities"][0]["validFor"]["end"] = json!("2021-01-01T00:00:00Z"),
            "the trusted root names no certificate authority that ever counts",
        ),
        (
            "issuers that are not there",
            |root| root["certificateAuthorities"] = Value::Null,
            "the trusted root ",
        ),
        ("issuers that are no list", |root| root["certificateAuthorities"] = json!({}), "cannot be read"),
        (
            "an issuer that is a text",
            |root| root["certificateAuthorities"][0] = json!("x"),
            "without certificates",
        ),
        (
            "an issuer whose certificate is none",
            |root| {
                root["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"] = json!("AAAA");
            },
            "holds an issuer that cannot be read",
        ),
        (
            "an issuer whose end is no time",
            |root| root["certificateAuthorities"][0]["validFor"]["end"] = json!("next week"),
            "the trusted root holds an issuer whose validFor cannot be read",
        ),
        (
            "an issuer whose end is a number",
            |root| root["certificateAuthorities"][0]["validFor"]["end"] = json!(1_600_000_000),
            "the trusted root holds an issuer whose validFor cannot be read",
        ),
        (
            "an issuer whose start is no time",
            |root| root["certificateAuthorities"][0]["validFor"]["start"] = json!("2020-13-01"),
            "the trusted root holds an issuer whose validFor cannot be read",
        ),
        (
            "an issuer whose time is a text",
            |root| root["certificateAuthorities"][0]["validFor"] = json!("2020-01-01/2021-01-01"),
            "the trusted root holds an issuer whose validFor cannot be read",
        ),
        ("a log without a key", |root| root["tlogs"][0]["publicKey"] = Value::Null, "cannot be read"),
        (
            "a log whose key is none",
            |root| root["tlogs"][0]["publicKey"]["rawBytes"] = json!("AAAA"),
            "the trusted root cannot be used",
        ),
        (
            "a log whose end is no time",
            |root| root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("next week"),
            "cannot be read",
        ),
        (
            "a log whose time ends before it begins",
            |root| root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2019-01-01T00:00:00Z"),
            "the trusted root cannot be used",
        ),
        (
            "the same log twice",
            |root| {
                let log = root["tlogs"][0].clone();
                root["tlogs"].as_array_mut().unwrap().push(log);
            },
            "duplicate trusted log ID",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, amend, wanted) in CASES {
        let (problems, answer) = under(*amend).await;
        if !matches!(answer, Verification::Refused(_)) || !problems.iter().any(|p| p.contains(wanted)) {
            wrong.push(format!("{name}: {problems:?} {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_root_that_changes_is_asked_anew_and_what_it_no_longer_believes_counts_no_more() {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let subject = digest(b"image");
    let bundle = sigstore.bundle(&sigstore.certify(SUBJECT, ISSUER), &subject, SIGN, Flaw::None);
    attach_bundle(&registry, &subject, &bundle);
    let verifier = verifier();
    let image = image(&registry, "app", &subject);
    let trust = |root: RootSpec| {
        let authority = AuthoritySpec { trusted_root: root, ..keyless(String::new(), exact()) };
        Arc::new(CompiledTrust::compile(&[policy(&registry.host(), vec![authority])]))
    };
    let gone = RootSpec::Unavailable("ConfigMap \"roots\" does not exist".to_owned());
    for (root, verified) in [
        (RootSpec::Inline(sigstore.root()), true),
        (RootSpec::Inline(Sigstore::new().root()), false),
        (RootSpec::Inline(sigstore.root()), true),
        (gone, false),
        (RootSpec::Inline("{".to_owned()), false),
        (RootSpec::Public, false),
    ] {
        let trust = trust(root.clone());
        let answer = verifier.verify(Question::image(&image), &trust, None, soon()).await;
        assert_eq!(answer.is_verified(), verified, "{root:?}: {answer:?}");
    }
}

#[tokio::test]
async fn abuse_049_a_certificate_counts_only_for_what_was_logged_in_its_time() {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let subject = digest(b"image");
    for (ago, wanted) in [(60, "CertExpired"), (-60, "CertNotValidYet"), (0, "")] {
        let signer = sigstore.certify_ended(SUBJECT, ISSUER, Duration::minutes(ago));
        attach_bundle(&registry, &subject, &sigstore.bundle(&signer, &subject, SIGN, Flaw::None));
        let spec = policy(&registry.host(), vec![keyless(sigstore.root(), exact())]);
        let answer =
            ask(&image(&registry, "app", &subject), &Arc::new(CompiledTrust::compile(&[spec]))).await;
        assert_eq!(answer.is_verified(), wanted.is_empty(), "{ago}: {answer:?}");
        assert!(answer.is_verified() || answer.to_string().contains(wanted), "{ago}: {answer}");
    }
}

#[tokio::test]
async fn abuse_046_an_identity_that_looks_like_another_is_another() {
    let (registry, sigstore) = (Registry::start(true).await, Sigstore::new());
    let subject = digest(b"image");
    for (signer, issuer) in [
        (SUBJECT, "https://issuer.example/"),
        (SUBJECT, "https://ISSUER.example"),
        (SUBJECT, "HTTPS://issuer.example"),
        (SUBJECT, "http://issuer.example"),
        (SUBJECT, "https://issuer.example:443"),
        (SUBJECT, "https://issuer.example/evil"),
        (SUBJECT, "https://issuer.example?x"),
        (SUBJECT, "https://issuer.example."),
        (SUBJECT, " https://issuer.example"),
        (SUBJECT, "https://issuer.example\0"),
        ("https://ci.example/team/app/build@main/", ISSUER),
        ("https://ci.example/team/app/build@Main", ISSUER),
        ("https://ci.example/team/app/../app/build@main", ISSUER),
        ("https://ci.example/team/app/build%40main", ISSUER),
        ("https://ci.example.evil/team/app/build@main", ISSUER),
        ("https://evil.example/?https://ci.example/team/app/build@main", ISSUER),
    ] {
        let bundle = sigstore.bundle(&sigstore.certify(signer, issuer), &subject, SIGN, Flaw::None);
        attach_bundle(&registry, &subject, &bundle);
        let pattern = MatchSpec::Pattern("https://ci\\.example/team/app/build@main".to_owned());
        for wanted in [exact(), pattern] {
            let identity = IdentitySpec { issuer: MatchSpec::Exact(ISSUER.to_owned()), subject: wanted };
            let authority = AuthoritySpec {
                proof: ProofSpec::Keyless { identities: vec![identity] },
                ..keyless(sigstore.root(), exact())
            };
            let trust = CompiledTrust::compile(&[policy(&registry.host(), vec![authority])]);
            let answer = ask(&image(&registry, "app", &subject), &Arc::new(trust)).await;
            let said = format!(
                "no signature by authority \"ci\"; a signature does not count for \"ci\": it was made by {signer:?} of {issuer:?}"
            );
            assert_eq!(answer.to_string(), said);
        }
    }
}
