//! Attestations that rules ask for, as real cosign made them in both styles, and what is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis::gather::registry::{AttestationSpec, CompiledTrust, PolicySpec, Question, Verification};
use portcullis::policy::facts::Attested;

use super::server::Registry;
use super::{ask, authority, image, policy, public, soon, verifier};

const BUILDER: &str = "https://builder.example/ci";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const PROVENANCE_02: &str = "https://slsa.dev/provenance/v0.2";
const KINDS: [&str; 5] = [
    "https://cosign.sigstore.dev/attestation/vuln/v1",
    "https://cyclonedx.org/bom",
    PROVENANCE_02,
    PROVENANCE,
    "https://spdx.dev/Document",
];

fn wanted(predicate_type: &str, builder_ids: &[&str]) -> AttestationSpec {
    AttestationSpec {
        predicate_type: predicate_type.to_owned(),
        authorities: Vec::new(),
        builder_ids: builder_ids.iter().map(|id| (*id).to_owned()).collect(),
    }
}

/// A policy by the key that signed, with attestations.
fn asking(host: &str, attestations: Vec<AttestationSpec>) -> PolicySpec {
    let authorities = vec![authority("ci", &public("ecdsa-p256")), authority("other", &public("other"))];
    let mut spec = policy(host, authorities);
    spec.rules[0].authorities = vec!["ci".to_owned()];
    spec.rules[0].attestations = attestations;
    spec
}

async fn verdict(registry: &Registry, name: &str, attestations: Vec<AttestationSpec>) -> Verification {
    let digest = registry.load(name);
    let trust = CompiledTrust::compile(&[asking(&registry.host(), attestations)]);
    assert_eq!(trust.problems(), []);
    ask(&image(registry, name, &digest), &Arc::new(trust)).await
}

#[tokio::test]
async fn what_cosign_attested_counts_in_both_styles_and_is_named() {
    for referrers in [false, true] {
        for name in ["stated-v2", "stated-v3"] {
            let registry = Registry::start(referrers).await;
            let all = KINDS.iter().map(|kind| wanted(kind, &[])).collect();
            let answer = verdict(&registry, name, all).await;
            let Verification::Verified(proof) = &answer else { panic!("{name} {referrers}: {answer:?}") };
            // Both are read, and list nothing.
            let bill = |kind: &str| kind.contains("cyclonedx") || kind.contains("spdx");
            let builder = |kind: &str| kind.contains("slsa").then(|| BUILDER.to_owned());
            let wanted: Vec<_> = KINDS
                .iter()
                .map(|kind| Attested {
                    card: None,
                    libraries: bill(kind).then(|| Arc::new(Ok(BTreeSet::new()))),
                    evidence: None,
                    predicate_type: (*kind).to_owned(),
                    builder_id: builder(kind),
                    authority: "ci".to_owned(),
                })
                .collect();
            assert_eq!(proof.attestations, wanted, "{name}");
            assert_eq!(proof.authorities, ["ci"]);
        }
    }
}

#[tokio::test]
async fn a_builder_is_compared_exactly() {
    for (name, kind) in [("stated-v2", PROVENANCE_02), ("stated-v3", PROVENANCE)] {
        let registry = Registry::start(true).await;
        let right = vec![wanted(kind, &["https://else.example", BUILDER])];
        assert!(verdict(&registry, name, right).await.is_verified(), "{name}");
        for wrong in
            ["https://builder.example", "https://builder.example/ci/", "HTTPS://builder.example/ci", "*"]
        {
            let answer = verdict(&registry, name, vec![wanted(kind, &[wrong])]).await;
            let wanted = vec![
                format!("no attestation {kind:?} by authority \"ci\""),
                format!(
                    "an attestation does not count for \"ci\": its builder {BUILDER:?} is none of builderIds"
                ),
            ];
            assert_eq!(answer, Verification::Untrusted { reasons: wanted }, "{name} {wrong}");
        }
    }
}

#[tokio::test]
async fn abuse_050_an_attestation_counts_only_for_its_type_its_signer_and_beside_a_signature() {
    let registry = Registry::start(true).await;
    // A type that is not there is missing, whatever else was attested.
    for name in ["stated-v2", "stated-v3"] {
        let answer = verdict(&registry, name, vec![wanted("https://slsa.dev/provenance/v2", &[])]).await;
        let Verification::Untrusted { reasons } = &answer else { panic!("{name}: {answer:?}") };
        assert_eq!(reasons[0], "no attestation \"https://slsa.dev/provenance/v2\" by authority \"ci\"");
    }
    // Another authority's attestation is not that of the one asked for.
    let mut by_other = wanted(PROVENANCE, &[]);
    by_other.authorities = vec!["other".to_owned()];
    for name in ["stated-v2", "stated-v3"] {
        let answer = verdict(&registry, name, vec![by_other.clone()]).await;
        let wanted = vec![
            format!("no attestation {PROVENANCE:?} by authority \"other\""),
            "an attestation does not count for \"other\": it was made with another key".to_owned(),
        ];
        let Verification::Untrusted { reasons } = &answer else { panic!("{name}: {answer:?}") };
        assert_eq!(reasons[..2], wanted, "{name}");
    }
    // An attestation does not make a signature unnecessary.
    let answer = verdict(&registry, "attested", vec![wanted("https://cyclonedx.org/bom", &[])]).await;
    let reasons = vec!["no signature by authority \"ci\"".to_owned()];
    assert_eq!(answer, Verification::Untrusted { reasons });
    let both =
        verdict(&registry, "attested-and-signed", vec![wanted("https://cyclonedx.org/bom", &[])]).await;
    assert!(both.is_verified(), "{both:?}");
}

#[tokio::test]
async fn an_attestation_for_another_digest_does_not_count() {
    for (name, of) in [("v2-ecdsa-p256", "stated-v2"), ("v3-ecdsa-p256", "stated-v3")] {
        let registry = Registry::start(true).await;
        let (mine, theirs) = (registry.load(name), registry.load(of));
        registry.steal(&format!("team/{of}"), &theirs, &format!("team/{name}"), &mine);
        let trust = CompiledTrust::compile(&[asking(&registry.host(), vec![wanted(PROVENANCE, &[])])]);
        let answer = ask(&image(&registry, name, &mine), &Arc::new(trust)).await;
        let wanted = vec![
            format!("no attestation {PROVENANCE:?} by authority \"ci\""),
            "a signature does not count: it is for another digest".to_owned(),
        ];
        let Verification::Untrusted { reasons } = &answer else { panic!("{name}: {answer:?}") };
        assert_eq!(reasons[..2], wanted, "{name}");
    }
}

#[tokio::test]
async fn attestations_cost_few_requests_and_none_warm() {
    let registry = Registry::start(true).await;
    let digest = registry.load("stated-v3");
    let spec = asking(&registry.host(), vec![wanted(PROVENANCE, &[BUILDER])]);
    let (subject, trust) =
        (image(&registry, "stated-v3", &digest), Arc::new(CompiledTrust::compile(&[spec])));
    let verifier = verifier();
    assert!(verifier.verify(Question::image(&subject), &trust, None, soon()).await.is_verified());
    let cold = registry.paths();
    assert!(cold.len() <= 13, "the list and at most two for each of six bundles: {cold:?}");
    assert!(verifier.verify(Question::image(&subject), &trust, None, soon()).await.is_verified());
    assert_eq!(registry.paths(), Vec::<String>::new());
}

#[test]
fn what_an_attestation_rule_cannot_mean_is_named() {
    let mut strange = asking("registry.example", vec![wanted("https://cyclonedx.org/bom", &["x"])]);
    strange.rules[0].attestations[0].authorities = vec!["nobody".to_owned()];
    let trust = CompiledTrust::compile(&[strange]);
    let problems: Vec<_> = trust.problems().iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    assert_eq!(
        problems,
        [
            "rules[0].attestations[0].authorities[0]: the policy has no authority of this name",
            "rules[0].attestations[0].builderIds: statements of this type name no builder, so nothing can pass",
        ]
    );
}
