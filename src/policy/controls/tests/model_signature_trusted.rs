//! Signed and unsigned models, what the operator verified, and versions that come back.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, assert_lines, lines, merged, read};

fn of_model(patch: &Value, status: &Value) -> Vec<String> {
    let spec = json!({"source": {"kind": "pvc", "claimName": "c"}, "digest": DIGEST, "version": "2.0",
                      "signature": {"kind": "oms", "ref": "configmap://s/m.sig"}});
    let mut bench = Bench::new("production", "internal").model("m", &merged(spec, patch));
    let model = std::sync::Arc::make_mut(bench.namespace.models.get_mut("m").unwrap());
    model.status = Some(read(status.clone()));
    if let Some(found) = status.get("verification") {
        bench.found_of_model("m", found.clone());
    }
    lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])))
}

#[test]
fn models_outside_registries_state_their_signature() {
    let none = json!({});
    assert_eq!(of_model(&none, &none), [""; 0]);
    for kind in ["pvc", "s3", "huggingface"] {
        let source = json!({"kind": kind, "reference": "x", "claimName": "c", "revision": "r"});
        assert_eq!(
            of_model(&json!({"source": source, "signature": null}), &none),
            [format!(
                "AIModel chat-prod/m spec.signature: is missing, and a model from {kind} carries no signature by itself"
            )]
        );
    }
    for kind in ["oci", "image"] {
        let source = json!({"kind": kind, "reference": format!("registry.example/m@{DIGEST}")});
        assert_eq!(of_model(&json!({"source": source, "signature": null}), &none), [""; 0]);
    }
    assert_eq!(of_model(&json!({"source": {"kind": "api"}, "signature": null}), &none), [""; 0]);
    assert_eq!(
        of_model(&json!({"signature": {"signedAt": "2026-03-01"}}), &none),
        [r#"AIModel chat-prod/m spec.signature.signedAt "2026-03-01": lies in the future"#]
    );
    assert_eq!(of_model(&json!({"signature": {"signedAt": "2026-01-01T09:00:00Z"}}), &none), [""; 0]);
}

#[test]
fn what_the_operator_found_counts_for_its_digest_only() {
    let other = DIGEST.replace("aaaa", "bbbb");
    let found = |digest: &str, state: &str, message: Value| {
        of_model(
            &json!({}),
            &json!({"verification": {"digest": digest, "signatureVerified": state, "message": message}}),
        )
    };
    assert_eq!(found(DIGEST, "Verified", Value::Null), [""; 0]);
    assert_eq!(found(&other, "Failed", Value::Null), [""; 0]);
    assert_eq!(
        found(DIGEST, "Failed", json!("signed by nobody")),
        [format!(
            "AIModel chat-prod/m spec.digest {DIGEST:?}: is not signed as it has to be: signed by nobody"
        )]
    );
    assert_eq!(
        found(DIGEST, "Unknown", Value::Null),
        [format!(
            "AIModel chat-prod/m spec.digest {DIGEST:?}: is not known to be signed: the check has not ended [unknown] [may arrive]"
        )]
    );
}

#[test]
fn a_pod_waits_while_its_model_is_read_and_where_what_was_verified_rests_on_something_else() {
    let spec =
        json!({"source": {"kind": "pvc", "claimName": "c"}, "digest": DIGEST, "signature": {"kind": "oms"}});
    let mut bench =
        Bench::new("production", "internal").workload(&json!({"models": [{"name": "m"}]})).model("m", &spec);
    let of_pod = |bench: &Bench| lines(&bench.of_pod(&CONTROL, &json!({"containers": []})));
    let unseen = |meanwhile: &str| {
        [format!(
            "AIModel chat-prod/m spec.digest {DIGEST:?}: is not known to be signed: the operator has not verified it \
             yet{meanwhile} [unknown] [may arrive]"
        )]
    };
    assert_eq!(of_pod(&bench), unseen(""));
    let since = "it is being read since 2026-01-01T00:00:00Z";
    bench.found_of_model("m", json!({"digest": DIGEST, "signatureVerified": "Pending", "message": since}));
    assert_eq!(of_pod(&bench), unseen(&format!(", {since}")));
    bench.found_of_model("m", json!({"digest": DIGEST, "signatureVerified": "Verified"}));
    assert_eq!(of_pod(&bench), [""; 0]);
    // A key is revoked.
    let trust = json!({"metadata": {"name": "t"}, "spec": {"revoked": [{"kind": "key", "value": "team"}]}});
    bench.cluster.trust_policies.insert("t".to_owned(), std::sync::Arc::new(read(trust)));
    assert_eq!(of_pod(&bench), unseen(""));
}

#[test]
fn a_replaced_version_does_not_come_back() {
    let other = DIGEST.replace("aaaa", "bbbb");
    let history = |entries: Value| of_model(&json!({}), &json!({"history": entries}));
    let at = "2025-01-01";
    let own = |version: &str| json!({"at": at, "version": version, "digest": DIGEST});
    let newer = |version: &str| json!({"at": at, "version": version, "digest": other});
    assert_eq!(history(json!([newer("1.0"), own("2.0")])), [""; 0]);
    assert_eq!(
        history(json!([own("1.0"), newer("2.0")])),
        [format!(
            "AIModel chat-prod/m spec.digest {DIGEST:?}: was replaced by {other:?} and could bring back what that one mended"
        )]
    );
    let line = r#"AIModel chat-prod/m spec.version "2.0": is below "10.0", which it was already, and could bring back what that one mended"#;
    assert_eq!(history(json!([newer("10.0"), own("2.0")])), [line]);
    // That it came back already changes nothing, and neither do edits in between that leave the bytes alone.
    let back = format!(
        "AIModel chat-prod/m spec.digest {DIGEST:?}: was replaced by {other:?} and could bring back what that one mended"
    );
    assert_eq!(history(json!([own("1.0"), own("1.0"), newer("1.5"), own("2.0")])), [back]);
    assert_eq!(history(json!([newer("1.0"), own("2.0"), own("2.0")])), [""; 0]);
    // Versions that are no numbers have no order.
    assert_eq!(history(json!([newer("spring"), own("2.0")])), [""; 0]);
    let long: Vec<Value> = (0..20).map(|n| newer(&format!("1.{n}"))).collect();
    assert_eq!(history(json!(long)), [""; 0]);
}

#[test]
fn a_pod_is_refused_for_the_models_that_it_declares() {
    let bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &json!({"source": {"kind": "pvc", "claimName": "c"}, "digest": DIGEST}));
    assert_lines(
        &bench.of_pod(&CONTROL, &json!({"containers": []})),
        &[
            "AIModel chat-prod/m spec.signature: is missing, and a model from pvc carries no signature by itself [may arrive]",
        ],
    );
}

#[test]
fn what_a_pod_mounts_is_looked_up_for_it_and_the_status_counts_elsewhere() {
    let reference = format!("registry.example/m@{DIGEST}");
    let spec = json!({"source": {"kind": "oci", "reference": reference}, "digest": DIGEST});
    let mut bench =
        Bench::new("production", "internal").workload(&json!({"models": [{"name": "m"}]})).model("m", &spec);
    let model = std::sync::Arc::make_mut(bench.namespace.models.get_mut("m").unwrap());
    model.status = Some(read(json!({"verification": {
        "digest": DIGEST, "signatureVerified": "Failed", "message": "no signature by authority \"acme\"",
    }})));
    let line = format!(
        "AIModel chat-prod/m spec.digest {DIGEST:?}: is not signed as it has to be: no signature by authority \"acme\""
    );
    assert_eq!(
        lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"]))),
        std::slice::from_ref(&line)
    );
    let mounts = json!({"containers": [], "volumes": [{"name": "v", "image": {"reference": reference}}]});
    assert_lines(&bench.of_pod(&CONTROL, &mounts), &[]);
    assert_lines(&bench.of_pod(&CONTROL, &json!({"containers": []})), &[&format!("{line} [may arrive]")]);
}
