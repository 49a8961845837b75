//! What people read of a model and a dataset, from what is missing to what was verified.

use super::*;
use crate::policy::verified::bound;
use serde_json::json;

#[test]
fn a_model_says_what_is_missing_who_uses_it_and_when_it_is_due() {
    let object: AIModel = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIModel", "metadata": {"name": "m", "namespace": "a"},
        "spec": {"digest": format!("sha256:{}", "0".repeat(64)), "version": "1", "reviewEvery": "P90D",
                 "lastReviewedAt": "2026-01-01"}}))
    .unwrap();
    let workload = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": "chat"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "inference", "models": [{"name": "m"}],
                 "owners": {"accountable": {"user": "j"}}}}))
    .unwrap();
    let mut namespace = Namespace { name: "a".to_owned(), ..Namespace::default() };
    namespace.workloads.insert("chat".to_owned(), std::sync::Arc::new(workload));
    let status = model(
        &object,
        &namespace,
        &Cluster::default(),
        &Decision::default(),
        &AssetStatus::default(),
        "2026-06-01T00:00:00Z".parse().unwrap(),
    );
    let said: Vec<_> =
        status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str(), c.message.as_str())).collect();
    assert_eq!(
        said,
        [
            ("Ready", "True", "every control that looks at it by itself is kept"),
            ("Declared", "False", "not given: spec.source, spec.stage, spec.owners.owner"),
            ("Current", "False", "reviewed last on 2026-01-01, and due again after P90D"),
        ]
    );
    assert_eq!(status.consumers, ["a/chat"]);
    assert!(status.verification.is_none(), "others write it");
    // Reviewed last on the first of January, and due on the first of April.
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut former = AssetStatus::default();
    let mut told = Vec::new();
    for day in ["2026-02-01", "2026-03-10", "2026-03-20", "2026-03-27", "2026-04-01", "2026-04-09"] {
        let now = at(&format!("{day}T12:00:00Z"));
        let status = model(&object, &namespace, &Cluster::default(), &Decision::default(), &former, now);
        let event = model_event(&object, &status, &former, now);
        told.extend(event.and_then(|event| event.note));
        former = status;
    }
    assert_eq!(
        told,
        [
            "the time until its next review of AIModel m ends in 22 days: review it, or dispose of it",
            "the time until its next review of AIModel m ends in 5 days: review it, or dispose of it",
            "the time until its next review of AIModel m ends within a day: review it, or dispose of it",
            "the time until its next review of AIModel m is over: review it, or dispose of it",
        ]
    );
}

#[test]
fn what_was_verified_is_said_as_conditions_and_what_is_out_of_reach_too() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let said = |source: serde_json::Value, verification: serde_json::Value| {
        let object: AIModel = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIModel", "metadata": {"name": "m", "namespace": "a"},
            "spec": {"digest": digest, "source": source}, "status": {"verification": verification}}))
        .unwrap();
        let of = |said: Said| (said.kind, said.holds, said.reason, said.message);
        verified(&object, &Namespace::default(), &Cluster::default()).into_iter().map(of).collect::<Vec<_>>()
    };
    let oci = json!({"kind": "oci", "reference": format!("r.example/m@{digest}")});
    let known = json!({"digest": digest, "signatureVerified": "Verified", "authority": "acme", "bytesVerified": "NotRequired"});
    let of = said(oci.clone(), known);
    assert_eq!(of[0], (SIGNATURE_VERIFIED, Holds::Yes, "Verified".to_owned(), "signed by acme".to_owned()));
    assert_eq!((of[1].1, of[1].2.as_str()), (Holds::Yes, "BoundByDigest"));
    let failed =
        json!({"digest": digest, "signatureVerified": "Failed", "message": "digest is revoked: leaked"});
    let of = said(oci.clone(), failed);
    assert_eq!((of[0].1, of[0].3.as_str()), (Holds::No, "digest is revoked: leaked"));
    // Of another digest nothing is known.
    let other = json!({"digest": format!("sha256:{}", "1".repeat(64)), "signatureVerified": "Verified"});
    assert_eq!(
        (said(oci.clone(), other)[0].1, said(oci, json!({}))[0].2.as_str()),
        (Holds::Unknown, "Pending")
    );
    let kept =
        json!({"kind": "huggingface", "reference": "acme/m", "revision": "a".repeat(40), "claimName": "c"});
    assert_eq!(said(kept, json!({}))[1].2, "Pending");
    let hub =
        said(json!({"kind": "huggingface", "reference": "acme/m", "revision": "a".repeat(40)}), json!({}));
    assert_eq!((hub[1].1, hub[1].2.as_str()), (Holds::Unknown, "OutOfReach"));
    assert!(said(json!({"kind": "api"}), json!({})).is_empty());
}
#[test]
fn a_dataset_on_a_claim_says_whether_it_was_read() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let said = |source: serde_json::Value, verification: serde_json::Value| {
        let mut object: AIDataset = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIDataset", "metadata": {"name": "d", "namespace": "a"},
            "spec": {"digest": digest, "source": source}, "status": {"verification": verification}}))
        .unwrap();
        let rests = bound(&object, None, &Cluster::default()).basis;
        let known = object.status.as_mut().and_then(|status| status.verification.as_mut());
        known.unwrap().basis = rests;
        read(&object, &Namespace::default(), &Cluster::default())
            .into_iter()
            .map(|said| (said.kind, said.reason, said.message))
            .collect::<Vec<_>>()
    };
    let claim = json!({"kind": "pvc", "claimName": "c"});
    let nobody = "nobody has looked yet".to_owned();
    assert_eq!(said(claim.clone(), json!({}))[1], (BYTES_VERIFIED, "Pending".to_owned(), nobody.clone()));
    let other = json!({"digest": format!("sha256:{}", "1".repeat(64)), "bytesVerified": "Verified"});
    assert_eq!(said(claim.clone(), other)[1], (BYTES_VERIFIED, "Pending".to_owned(), nobody));
    let known = json!({"digest": digest, "signatureVerified": "Verified", "bytesVerified": "Verified", "authority": "x"});
    let all = said(claim.clone(), known);
    assert_eq!(all[0], (SIGNATURE_VERIFIED, "Verified".to_owned(), "signed by x".to_owned()));
    assert_eq!(all[1].1, "Verified");
    let held = json!({"digest": digest, "bytesVerified": "Unknown", "message": "its pod did not start"});
    assert_eq!(
        said(claim, held)[1],
        (BYTES_VERIFIED, "Unknown".to_owned(), "its pod did not start".to_owned())
    );
    assert!(said(json!({"kind": "s3", "reference": "s3://b/k"}), json!({})).is_empty());
}
