//! What `known-good-recovery` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn critical(recovery: &Value) -> Vec<crate::policy::Finding> {
    Bench::new("staging", "internal")
        .workload(&json!({"criticality": "critical", "models": [{"name": "m"}], "recovery": recovery}))
        .model("m", &json!({"digest": "sha256:1"}))
        .of_workload(&CONTROL)
}

#[test]
fn what_is_critical_lies_offline() {
    let backup = |digest: &str, taken: &str| {
        critical(
            &json!({"rpo": "P1D", "backup": {"ref": "s3://x", "offline": true, "takenAt": taken, "digests": [digest]}}),
        )
    };
    assert_lines(&backup("sha256:1", "2025-12-31"), &[]);
    assert_lines(
        &backup("sha256:0", "2025-12-31"),
        &[
            "AIWorkload chat-prod/chat spec.recovery.backup.digests: does not hold AIModel \"m\", which is sha256:1",
        ],
    );
    assert_lines(
        &backup("sha256:1", "2025-12-30"),
        &[
            "AIWorkload chat-prod/chat spec.recovery.backup.takenAt \"2025-12-30\": is longer ago than spec.recovery.rpo allows",
        ],
    );
    assert_eq!(critical(&json!({"backup": {"ref": "s3://x"}})).len(), 1);
}

#[test]
fn a_quarantine_has_no_way_out() {
    let bench = Bench::new("staging", "internal").workload(&json!({"lifecycle": {"state": "Quarantined"}}));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    let open = json!({"podSelector": {"matchLabels": {"app": "chat"}}, "policyTypes": ["Egress"],
                      "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}]});
    let bench = bench.policy("extra", false, open);
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            "NetworkPolicy chat-prod/extra: keeps a way open for AIWorkload chat-prod/chat, which is quarantined [may arrive]",
        ],
    );
    // One that selects by what the cluster gives to pods may mean these.
    let selected = |pods: Value| {
        let peers = json!([{"podSelector": {"matchLabels": {"app": "db"}}}]);
        let spec = json!({"podSelector": {"matchLabels": pods}, "policyTypes": ["Egress"], "egress": [{"to": peers}]});
        let quarantined = json!({"lifecycle": {"state": "Quarantined"}});
        let bench = Bench::new("research", "internal").workload(&quarantined).policy("by-hash", false, spec);
        bench.of_workload(&CONTROL).len()
    };
    assert_eq!(selected(json!({"pod-template-hash": "5c6848b455"})), 1);
    assert_eq!(selected(json!({"pod-template-hash": "5c6848b455", "app": "db"})), 0);
}

#[test]
fn restoring_was_tried_in_production() {
    let bench = Bench::new("production", "internal").workload(&json!({}));
    let found = bench.of_workload(&CONTROL);
    assert_eq!(found.len(), 1);
    assert!(found[0].detail.contains("BackupRestoreTest"), "{}", found[0].detail);
}

#[test]
fn what_one_would_go_back_to_is_not_revoked() {
    let digest = format!("sha256:{}", "b".repeat(64));
    let mut bench = Bench::new("staging", "internal").workload(&json!({}));
    let workload = std::sync::Arc::make_mut(bench.namespace.workloads.get_mut("chat").unwrap());
    workload.status = Some(crate::policy::testing::read(json!({"knownGood": {"compositionDigest": digest,
        "since": "2026-01-01", "parts": [format!("registry.example/m@{digest}")]}})));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    let policy =
        json!({"metadata": {"name": "t"}, "spec": {"revoked": [{"kind": "digest", "value": digest}]}});
    bench
        .cluster
        .trust_policies
        .insert("t".to_owned(), std::sync::Arc::new(crate::policy::testing::read(policy)));
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[&format!(
            "AIWorkload chat-prod/chat status.knownGood \"registry.example/m@{digest}\": is what one would go back to, and \
             it is revoked [may arrive]"
        )],
    );
}
