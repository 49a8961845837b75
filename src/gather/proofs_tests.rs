//! What is found of documents in ConfigMaps, and what signatures by other people than the one who records are worth.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::SigningKey as _;
use serde_json::json;

use super::*;
use crate::gather::registry::VerifierConfig;
use crate::gather::world::Object;

const COMPOSITION: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn spec(patch: &Value) -> AIEvidenceSpec {
    let mut spec = json!({"type": "SecurityAssessment", "result": "pass", "issuedAt": "2026-05-01", "attestedBy": "k.lee",
        "subject": {"kind": "AIWorkload", "name": "chat", "digest": COMPOSITION}, "facts": {"techniques": ["x"]}});
    json_patch::merge(&mut spec, patch);
    serde_json::from_value(spec).unwrap()
}

fn predicate(spec: &AIEvidenceSpec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap();
    for field in UNSIGNED {
        value.as_object_mut().unwrap().remove(field);
    }
    value
}

/// An envelope as `cosign attest-blob` makes it with a key.
fn envelope(key: &rcgen::KeyPair, digest: &str, kind: &str, predicate: &Value) -> String {
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": kind, "predicate": predicate,
        "subject": [{"name": "chat", "digest": {"sha256": digest.trim_start_matches("sha256:")}}]});
    let (payload, media) = (statement.to_string(), "application/vnd.in-toto+json");
    let signed = format!("DSSEv1 {} {media} {} {payload}", media.len(), payload.len());
    let signature = key.sign(signed.as_bytes()).unwrap();
    json!({"payloadType": media, "payload": STANDARD.encode(payload),
        "signatures": [{"sig": STANDARD.encode(signature), "keyid": ""}]})
    .to_string()
}

fn trusting(key: &rcgen::KeyPair, owner: &str) -> World {
    let mut world = World::default();
    let policy = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AITrustPolicy", "metadata": {"name": "people"},
        "spec": {"authorities": [{"name": "lee", "key": {"pem": key.public_key_pem()}, "owner": {"user": owner}}]}});
    world.apply(Object::TrustPolicy(serde_json::from_value(policy).unwrap()));
    world
}

#[test]
fn a_signature_speaks_for_the_person_who_keeps_the_key_and_for_what_was_signed() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let kind = super::super::registry::EVIDENCE_PREDICATE;
    let trust = compiled(&trusting(&key, "k.lee"));
    let judged = |patch: Value, bundle: String| {
        let mut spec = spec(&patch);
        spec.attestation = Some(crate::api::evidence::Attestation { bundle: Some(bundle), reference: None });
        let read = statement(&trust, &spec, now()).unwrap();
        (read.authority, read.message)
    };
    let sound = predicate(&spec(&json!({})));
    assert!(statement(&trust, &spec(&json!({})), now()).is_none());
    let by = |key, digest, kind, predicate| envelope(key, digest, kind, predicate);
    assert_eq!(judged(json!({}), by(&key, COMPOSITION, kind, &sound)), (Some("lee".to_owned()), None));
    let another = COMPOSITION.replace("aaaa", "bbbb");
    for (patch, bundle, why) in [
        // Whoever records it cannot turn the word of another.
        (
            json!({"result": "conditional"}),
            by(&key, COMPOSITION, kind, &sound),
            "what was signed differs in result",
        ),
        (
            json!({"facts": {"techniques": ["y"]}}),
            by(&key, COMPOSITION, kind, &sound),
            "what was signed differs in facts",
        ),
        (
            json!({"subject": {"digest": another}}),
            by(&key, COMPOSITION, kind, &sound),
            "it is for another digest",
        ),
        (json!({}), by(&other, COMPOSITION, kind, &sound), "authority \"lee\": it was made with another key"),
        (
            json!({"attestedBy": "m.ray"}),
            by(&key, COMPOSITION, kind, &sound),
            "no authority of a trust policy belongs to \"m.ray\"",
        ),
        (
            json!({"attestedBy": null}),
            by(&key, COMPOSITION, kind, &sound),
            "spec.attestedBy names nobody who could have signed",
        ),
        (
            json!({}),
            by(&key, COMPOSITION, "https://slsa.dev/provenance/v1", &json!({})),
            "it states \"https://slsa.dev/provenance/v1\" instead of \"https://portcullis.dev/evidence/v1\"",
        ),
        (json!({}), "{}".to_owned(), "it is no envelope with one signature"),
        (json!({}), "x".repeat(40_000), "it is longer than 32768 bytes"),
    ] {
        assert_eq!(judged(patch, bundle), (None, Some(why.to_owned())));
    }
}

struct Kept(BTreeMap<String, Result<Option<BTreeMap<String, String>>, String>>);

impl Maps for Kept {
    fn digests<'a>(
        &'a self,
        _: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>, String>> {
        Box::pin(async move { self.0.get(name).cloned().unwrap_or(Ok(None)) })
    }
}

#[tokio::test]
async fn documents_are_read_and_compared_where_they_can_be() {
    let mut world = World::default();
    let other = COMPOSITION.replace("aaaa", "cccc");
    for (name, at) in [
        ("same", "configmap://kept/a.md"),
        ("altered", "configMap://kept/b.md"),
        ("nokey", "configmap://kept/c.md"),
        ("nomap", "configmap://gone/a.md"),
        ("broken", "configmap://broken/a.md"),
        ("page", "https://documents.example/a"),
        ("unlisted", "oci://registry.example/documents/a:1"),
    ] {
        let evidence = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIEvidence",
            "metadata": {"name": name, "namespace": "chat", "uid": name},
            "spec": {"type": "ThreatModel", "issuedAt": "2026-05-01", "ref": at, "digest": COMPOSITION,
                     "subject": {"kind": "AIWorkload", "name": "chat"}}});
        world.apply(Object::Evidence(serde_json::from_value(evidence).unwrap()));
    }
    let kept = [("a.md".to_owned(), COMPOSITION.to_owned()), ("b.md".to_owned(), other.clone())].into();
    let maps = Kept(
        [
            ("kept".to_owned(), Ok(Some(kept))),
            ("broken".to_owned(), Err("ConfigMap \"broken\" could not be read in time".to_owned())),
        ]
        .into(),
    );
    let world = Arc::new(RwLock::new(world));
    let signatures = Signatures::new(Arc::clone(&world), VerifierConfig::default());
    let mut agenda = Agenda::default();
    let mut found = agenda.round(&world, &signatures, &maps, now()).await;
    found.sort_by(|a, b| a.evidence.metadata.name.cmp(&b.evidence.metadata.name));
    let said: Vec<_> = found
        .iter()
        .map(|found| {
            let read = found.document.as_ref().unwrap();
            (
                found.evidence.metadata.uid.as_deref().unwrap(),
                read.state,
                read.found.clone(),
                read.message.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("altered", DocumentState::Altered, Some(other), None),
            (
                "broken",
                DocumentState::Unreachable,
                None,
                Some("ConfigMap \"broken\" could not be read in time")
            ),
            ("nokey", DocumentState::Missing, None, Some("ConfigMap \"kept\" has no key \"c.md\"")),
            ("nomap", DocumentState::Missing, None, Some("ConfigMap \"gone\" does not exist")),
            ("page", DocumentState::OutOfReach, None, Some(ELSEWHERE)),
            ("same", DocumentState::Same, None, None),
            (
                "unlisted",
                DocumentState::Unreachable,
                None,
                Some("registry \"registry.example\" is not on the list of allowed registries")
            ),
        ]
    );
    assert!(agenda.round(&world, &signatures, &maps, now()).await.is_empty(), "none is due again so soon");
}

#[test]
fn silence_takes_away_what_was_known_only_after_a_day() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let read = |state, now: &str| DocumentRead { state, found: None, message: None, since: now.to_owned() };
    let mut status = AIEvidenceStatus::default();
    let mut states = Vec::new();
    for (state, now) in [
        (DocumentState::Same, "2026-06-01T00:00:00Z"),
        (DocumentState::Unreachable, "2026-06-02T00:00:00Z"),
        (DocumentState::Unreachable, "2026-06-02T23:00:00Z"),
        (DocumentState::Unreachable, "2026-06-03T01:00:00Z"),
        (DocumentState::Same, "2026-06-04T00:00:00Z"),
    ] {
        let kept = kept_document(read(state, now), Some(&status), at(now));
        states.push((kept.state, kept.since.clone()));
        status.document = Some(kept);
    }
    let first = || "2026-06-01T00:00:00Z".to_owned();
    assert_eq!(
        states,
        [
            (DocumentState::Same, first()),
            (DocumentState::Same, first()),
            (DocumentState::Same, first()),
            (DocumentState::Unreachable, "2026-06-03T01:00:00Z".to_owned()),
            (DocumentState::Same, "2026-06-04T00:00:00Z".to_owned()),
        ]
    );
}

#[test]
fn a_statement_that_cannot_be_read_again_lasts_a_day_and_not_beyond_its_authority() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let trust = compiled(&trusting(&key, "k.lee"));
    let spec = spec(&json!({}));
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let verified = StatementRead {
        state: StatementState::Verified,
        authority: Some("lee".to_owned()),
        message: None,
        since: "2026-05-01T00:00:00Z".to_owned(),
    };
    let mut status = AIEvidenceStatus { statement: Some(verified.clone()), ..AIEvidenceStatus::default() };
    let mut said = Vec::new();
    for now in
        ["2026-06-01T00:00:00Z", "2026-06-01T23:00:00Z", "2026-06-02T01:00:00Z", "2026-06-02T02:00:00Z"]
    {
        let read = unheard(status.statement.as_ref().unwrap(), &spec, &trust, "it is down", at(now));
        let read = kept_statement(read, Some(&status));
        said.push((read.state, read.message.clone(), read.since.clone()));
        status.statement = Some(read);
    }
    let silent = |state, text: &str, since: &str| (state, Some(text.to_owned()), since.to_owned());
    let kept =
        silent(StatementState::Verified, "not heard of since 2026-06-01T00:00:00Z", "2026-05-01T00:00:00Z");
    let over = "not heard of since 2026-06-01T00:00:00Z: it is down";
    let gone = silent(StatementState::Failed, over, "2026-06-02T01:00:00Z");
    assert_eq!(said, [kept.clone(), kept, gone.clone(), gone]);
    // Heard of again, it is what it was.
    status.statement = Some(unheard(&verified, &spec, &trust, "it is down", now()));
    assert_eq!(
        kept_statement(StatementRead { since: seconds(now()), ..verified.clone() }, Some(&status)),
        verified
    );
    // Another trust policy is followed at once, whether or not the registry answers.
    let gone = "authority \"lee\" signs for \"k.lee\" no more, and the statement cannot be read: it is down";
    let mut revoking = trusting(&key, "k.lee");
    let mut policy = revoking.cluster.trust_policies.values().next().unwrap().as_ref().clone();
    policy.spec.revoked =
        serde_json::from_value(json!([{"kind": "key", "value": "lee", "reason": "stolen"}])).unwrap();
    revoking.apply(Object::TrustPolicy(Box::new(policy)));
    for world in [World::default(), trusting(&key, "o.park"), revoking] {
        let read = unheard(&verified, &spec, &compiled(&world), "it is down", now());
        assert_eq!((read.state, read.message.as_deref()), (StatementState::Failed, Some(gone)));
    }
}

#[tokio::test]
async fn a_statement_in_a_registry_that_does_not_answer_is_what_it_was_for_a_day() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut world = trusting(&key, "k.lee");
    let evidence = |name: &str, status: Value| {
        let mut spec = serde_json::to_value(spec(&json!({}))).unwrap();
        spec["attestation"] = json!({"reference": format!("registry.example/chat@{COMPOSITION}")});
        let object = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIEvidence", "spec": spec, "status": status,
            "metadata": {"name": name, "namespace": "chat", "uid": name}});
        Object::Evidence(serde_json::from_value(object).unwrap())
    };
    let verified = json!({"state": "Verified", "authority": "lee", "since": "2026-05-01T00:00:00Z"});
    world.apply(evidence("known", json!({"statement": verified})));
    world.apply(evidence("new", json!({})));
    let world = Arc::new(RwLock::new(world));
    let signatures = Signatures::new(Arc::clone(&world), VerifierConfig::default());
    let mut found = Agenda::default().round(&world, &signatures, &Kept(BTreeMap::new()), now()).await;
    found.sort_by(|a, b| a.evidence.metadata.name.cmp(&b.evidence.metadata.name));
    let known = found[0].statement.as_ref().unwrap();
    let silent = Some("not heard of since 2026-06-01T00:00:00Z");
    assert_eq!((known.state, known.message.as_deref()), (StatementState::Verified, silent));
    assert_eq!(found[1].statement, None, "what was never verified counts for nothing");
}
