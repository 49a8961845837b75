//! Owners and ends of authorities, and what is revoked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::decide::{Enforcement, decide};
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, assert_lines, lines, merged, read};

fn of_policy(authority: &Value) -> Vec<String> {
    let whole = json!({"name": "ci", "key": {"pem": "x"}, "owner": {"group": "trust"}, "notBefore": "2025-01-01",
                       "notAfter": "2026-12-31"});
    let policy =
        read(json!({"metadata": {"name": "t"}, "spec": {"authorities": [merged(whole, authority)]}}));
    lines(&Bench::new("production", "internal").judge(&CONTROL, Subject::TrustPolicy(&policy, &[], None)))
}

#[test]
fn authorities_have_owner_and_end() {
    for (authority, line) in [
        (json!({}), ""),
        (json!({"keyless": {"issuer": "https://i", "subject": "s"}, "key": null, "notAfter": null}), ""),
        (json!({"owner": null}), r#"owner: names no user or group who keeps the key or identity of "ci""#),
        (
            json!({"owner": {"group": " ", "contact": "mailto:x@y"}}),
            r#"owner: names no user or group who keeps the key or identity of "ci""#,
        ),
        (json!({"notAfter": null}), r#"notAfter: is not set, so the key of "ci" would count for ever"#),
        (json!({"notAfter": "soon"}), r#"notAfter "soon": is no date"#),
        (
            json!({"notAfter": "2025-12-31"}),
            r#"notAfter "2025-12-31": has passed: signatures of "ci" count no more"#,
        ),
        (
            json!({"notBefore": "2027-01-01"}),
            r#"notBefore: lies after notAfter "2026-12-31", so "ci" never counts"#,
        ),
        (
            json!({"rotationDue": "2025-12-30"}),
            r#"rotationDue "2025-12-30": has passed, and the key of "ci" is still in use"#,
        ),
    ] {
        let expected = if line.is_empty() {
            vec![]
        } else {
            vec![format!("AITrustPolicy t spec.authorities[0].{line}")]
        };
        assert_eq!(of_policy(&authority), expected, "{authority}");
    }
}

#[test]
fn what_is_revoked_runs_nowhere() {
    let bench = |revoked: Value, status: &str| {
        let mut bench = Bench::new("production", "internal")
            .workload(
                &json!({"models": [{"name": "m"}], "datasets": [{"name": "d"}], "prompts": [{"name": "p"}]}),
            )
            .model("m", &json!({"digest": DIGEST, "supplierRef": "lab"}));
        let spec = json!({"metadata": {"name": "x", "namespace": "chat-prod"}, "spec": {"digest": DIGEST}});
        bench.namespace.datasets.insert("d".to_owned(), Arc::new(read(spec.clone())));
        bench.namespace.prompts.insert("p".to_owned(), Arc::new(read(spec)));
        let policy = json!({"metadata": {"name": "t"}, "spec": {"revoked": revoked}});
        bench.cluster.trust_policies.insert("t".to_owned(), Arc::new(read(policy)));
        let supplier =
            json!({"metadata": {"name": "lab"}, "spec": {"kind": "modelProvider", "status": status}});
        bench.cluster.suppliers.insert("lab".to_owned(), Arc::new(read(supplier)));
        bench
    };
    let pod = json!({"containers": []});
    assert_lines(&bench(json!([]), "approved").of_pod(&CONTROL, &pod), &[]);
    let poisoned = json!([{"kind": "digest", "value": DIGEST, "reason": "poisoned"}]);
    assert_lines(
        &bench(poisoned, "approved").of_pod(&CONTROL, &pod),
        &[
            &format!("AIModel chat-prod/m spec.digest {DIGEST:?}: is revoked: poisoned"),
            &format!("AIDataset chat-prod/x spec.digest {DIGEST:?}: is revoked: poisoned"),
            &format!("AIPrompt chat-prod/x spec.digest {DIGEST:?}: is revoked: poisoned"),
        ],
    );
    assert_lines(
        &bench(json!([{"kind": "supplier", "value": "lab"}]), "approved").of_pod(&CONTROL, &pod),
        &[r#"AIModel chat-prod/m spec.supplierRef "lab": is a supplier whose artifacts are revoked"#],
    );
    let withdrawn = bench(json!([]), "withdrawn");
    assert_lines(
        &withdrawn.judge(&CONTROL, Subject::Model(&withdrawn.namespace.models["m"])),
        &[
            r#"AIModel chat-prod/m spec.supplierRef "lab": is a supplier that was withdrawn, so what came from it counts as revoked"#,
        ],
    );
    // The artifact, wherever the model comes from, whatever digest its files have.
    for kind in ["oci", "image", "s3", "huggingface"] {
        let artifact = format!("registry.example/m@sha256:{}", "7".repeat(64));
        let order = json!([{"kind": "digest", "value": format!("sha256:{}", "7".repeat(64))}]);
        let bench = bench(order, "approved")
            .model("m", &json!({"digest": DIGEST, "source": {"kind": kind, "reference": artifact}}));
        let found = bench.of_pod(&CONTROL, &pod);
        let wanted = format!("AIModel chat-prod/m spec.source.reference {artifact:?}: is revoked");
        assert_lines(&found, &[&wanted]);
        // What carries the pod is refused as the pod is, by every profile.
        let of =
            Enforcement::of(&bench.namespace, &bench.cluster, None, "2026-01-01T00:00:00Z".parse().unwrap());
        assert!(!decide(found, &of, None, true).allowed(), "{kind}");
    }
    let supplier = bench(json!([{"kind": "supplier", "value": "lab"}]), "approved");
    let of = Enforcement::of(
        &supplier.namespace,
        &supplier.cluster,
        None,
        "2026-01-01T00:00:00Z".parse().unwrap(),
    );
    assert!(!decide(supplier.of_pod(&CONTROL, &pod), &of, None, true).allowed());
    // A revocation of another kind or value touches nothing.
    let other = json!([{"kind": "key", "value": DIGEST}, {"kind": "supplier", "value": "labs"}]);
    assert_lines(&bench(other, "suspended").of_pod(&CONTROL, &pod), &[]);
}

#[test]
fn who_makes_assets_does_not_decide_whose_signature_they_need() {
    use crate::policy::facts::Writer;
    let of = |user: &str, groups: &[&str]| {
        let policy = read(json!({"metadata": {"name": "t"}, "spec": {}}));
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let bench = Bench::new("production", "internal")
            .model("m", &json!({"owners": {"owner": {"group": "model-team"}}}))
            .dataset("d", &json!({"owners": {"owner": {"user": "d.ata"}}}));
        let mut bench = bench;
        let model = Arc::make_mut(bench.namespace.models.get_mut("m").unwrap());
        model.status = Some(read(json!({"history": [
            {"at": "2025-01-01", "user": "m.aker"},
            {"at": "2025-01-02", "user": "system:serviceaccount:argocd:argocd"}]})));
        bench.cluster.namespaces.insert("chat-prod".to_owned(), bench.namespace.clone());
        let writer = Some(Writer { user, groups: &groups });
        lines(&bench.judge(&CONTROL, Subject::TrustPolicy(&policy, &[], writer)))
    };
    let told = |user: &str, what: &str| {
        vec![format!(
            "AITrustPolicy t: is written by {user:?}, who made or owns {what}: nobody decides whose signature the own work \
             needs"
        )]
    };
    assert_eq!(of("t.rust", &["trust"]), [""; 0]);
    assert_eq!(of("t.rust", &["trust", "model-team"]), told("t.rust", "AIModel chat-prod/m"));
    assert_eq!(of("m.aker", &[]), told("m.aker", "AIModel chat-prod/m"));
    // Who deploys what others make, and who may do everything, may do this too; not what the own group makes.
    assert_eq!(of("m.aker", &["system:masters"]), [""; 0]);
    assert_eq!(of("system:serviceaccount:argocd:argocd", &[]), [""; 0]);
    assert_eq!(of("t.rust", &["system:masters", "model-team"]), told("t.rust", "AIModel chat-prod/m"));
    assert_eq!(of("d.ata", &[]), told("d.ata", "AIDataset chat-prod/d"));
}

#[test]
fn no_workload_holds_a_key_to_sign_with() {
    let bench = Bench::new("production", "internal").workload(&json!({}));
    let end = "a key to sign with, so whoever takes the pod over can sign in your name";
    let said = |pod: &Value| lines(&bench.of_pod(&CONTROL, pod));
    let pod = json!({
        "containers": [{"name": "c", "env": [
            {"name": "COSIGN_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "cosign.key"}}},
            {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
        ]}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "model-signing-key"}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "x", "items": [{"key": "signing.key", "path": "k"}]}}]}},
            {"name": "c", "secret": {"secretName": "tls", "items": [{"key": "tls.key", "path": "k"}]}},
        ],
    });
    assert_eq!(
        said(&pod),
        [
            format!("spec.volumes[0].secret.secretName \"model-signing-key\": holds by its name {end}"),
            format!(
                "spec.volumes[1].projected.sources[0].secret.items[0].key \"signing.key\": is by its name {end}"
            ),
            format!("spec.containers[0].env[0] \"COSIGN_PASSWORD\": takes by its name {end}"),
            format!("spec.containers[0].env[1] \"A\": takes by its name {end}"),
        ]
    );
}
