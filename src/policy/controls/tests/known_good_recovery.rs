//! What `known-good-recovery` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn critical(recovery: &Value) -> Vec<crate::policy::Finding> {
    Bench::new("production", "internal")
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
    let bench =
        Bench::new("production", "internal").workload(&json!({"lifecycle": {"state": "Quarantined"}}));
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
}
