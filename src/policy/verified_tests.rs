//! A verification counts for what it rests on, and for nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::policy::facts::Claim;
use crate::policy::testing::{DIGEST, NAMESPACE, merged, read};

fn model(patch: &Value) -> AIModel {
    let object = json!({"metadata": {"name": "m", "namespace": NAMESPACE}, "spec": {
        "digest": DIGEST, "source": {"kind": "pvc", "claimName": "c", "path": "v1"}, "trainedAt": "2026-01-01"}});
    read(merged(object, patch))
}

fn home(uid: &str, volume: Option<&str>) -> Namespace {
    let claim = Claim {
        uid: Some(uid.to_owned()),
        volume: volume.map(str::to_owned),
        access_modes: vec!["ReadOnlyMany".to_owned()],
        ..Claim::default()
    };
    let claims = BTreeMap::from([("c".to_owned(), claim.clone()), ("d".to_owned(), claim)]);
    Namespace { name: NAMESPACE.to_owned(), claims, ..Namespace::default() }
}

fn cluster(patch: &Value) -> Cluster {
    let policy = json!({"metadata": {"name": "models"}, "spec": {
        "authorities": [{"name": "team", "key": {"pem": "x"}}, {"name": "images", "key": {"pem": "y"}}],
        "rules": [{"match": {"artifact": "model"}, "authorities": ["team"]},
                  {"match": {"artifact": "image", "repositories": ["r.example/*"]}, "authorities": ["images"]}]}});
    let policy: crate::api::AITrustPolicy = read(merged(policy, &json!({"spec": patch})));
    let mut cluster = Cluster::default();
    cluster.trust_policies.insert("models".to_owned(), Arc::new(policy));
    cluster
}

/// Whether what was verified of the plain model counts in another world.
fn counts(patch: &Value, home_now: &Namespace, cluster_now: &Cluster) -> bool {
    let rests = bound(&model(&json!({})), Some(&home("1", Some("pv"))), &cluster(&json!({}))).basis;
    let found =
        json!({"status": {"verification": {"digest": DIGEST, "basis": rests, "bytesVerified": "Verified"}}});
    let mut now = model(patch);
    now.status = model(&found).status;
    of_model(&now, Some(home_now), cluster_now).is_some()
}

#[test]
fn what_was_verified_counts_while_all_it_rests_on_is_the_same() {
    let (same, here, trust) = (json!({}), home("1", Some("pv")), cluster(&json!({})));
    assert!(counts(&same, &here, &trust));
    for patch in [
        json!({"spec": {"source": {"path": "v2"}}}),
        json!({"spec": {"source": {"path": null}}}),
        json!({"spec": {"source": {"claimName": "d"}}}),
        json!({"spec": {"digest": DIGEST.replace("aaaa", "bbbb")}}),
        json!({"spec": {"signature": {"kind": "oms", "ref": "configmap://a/b"}}}),
        json!({"spec": {"trainedAt": "2026-02-01"}}),
        json!({"metadata": {"name": "n"}}),
    ] {
        assert!(!counts(&patch, &here, &trust), "{patch}");
    }
    assert!(counts(&json!({"spec": {"version": "2", "stage": "released"}}), &here, &trust));
}

#[test]
fn a_claim_of_the_same_name_is_another_one() {
    let (same, trust) = (json!({}), cluster(&json!({})));
    assert!(!counts(&same, &home("2", Some("pv")), &trust), "made again");
    assert!(!counts(&same, &home("1", Some("other")), &trust), "on another volume");
    assert!(!counts(&same, &Namespace::default(), &trust), "gone");
}

#[test]
fn what_is_trusted_no_more_vouches_no_more() {
    let (same, here) = (json!({}), home("1", Some("pv")));
    let with = |patch: &Value| counts(&same, &here, &cluster(patch));
    assert!(!with(&json!({"revoked": [{"kind": "key", "value": "team"}]})));
    assert!(!with(&json!({"revoked": [{"kind": "digest", "value": DIGEST}]})));
    assert!(!with(&json!({"rules": []})));
    assert!(!with(&json!({"rules": [{"match": {"artifact": "model"}, "authorities": ["images"]}]})));
    assert!(!with(&json!({"authorities": [{"name": "team", "key": {"pem": "z"}}]})));
    assert!(!counts(&same, &here, &Cluster::default()));
    // What is about others changes nothing.
    assert!(with(&json!({"revoked": [{"kind": "digest", "value": DIGEST.replace("aaaa", "bbbb")}]})));
    assert!(with(&json!({"registries": [{"host": "r.example"}]})));
}

#[test]
fn what_an_earlier_release_wrote_is_read_again() {
    let found = json!({"status": {"verification": {"digest": DIGEST, "bytesVerified": "Verified"}}});
    assert!(of_model(&model(&found), Some(&home("1", None)), &Cluster::default()).is_none());
    // In a registry the digest binds the bytes, and nothing rests on a claim.
    let oci = json!({"spec": {"source": {"kind": "oci", "claimName": null, "path": null}}});
    assert!(of_model(&model(&merged(found, &oci)), None, &Cluster::default()).is_some());
}
