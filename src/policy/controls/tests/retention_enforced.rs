//! What `retention-enforced` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn bench(patch: &Value) -> Bench {
    Bench::new("production", "internal").workload(patch)
}

#[test]
fn the_last_day_holds_to_its_end() {
    let until = |until: &str| {
        bench(&json!({"models": [{"name": "m"}]}))
            .model("m", &json!({"digest": "sha256:1", "retention": {"until": until}}))
            .of_workload(&CONTROL)
    };
    assert_lines(&until("2026-01-01"), &[]);
    assert_lines(
        &until("2025-12-31"),
        &[
            "AIModel chat-prod/m spec.retention.until \"2025-12-31\": has passed, so nothing may use it any more [may arrive]",
        ],
    );
    assert_lines(
        &until("2026-02-31"),
        &["AIModel chat-prod/m spec.retention.until \"2026-02-31\": is no date [unknown]"],
    );
}

#[test]
fn data_that_is_only_mounted_counts_too() {
    let bench = bench(&json!({})).dataset(
        "old",
        &json!({"source": {"kind": "pvc", "claimName": "c"}, "retention": {"until": "2020-01-01"}}),
    );
    let pod =
        json!({"containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]});
    assert_eq!(bench.of_pod(&CONTROL, &pod).len(), 1);
}

#[test]
fn what_is_due_does_not_hinder_the_change_that_mends_it() {
    let bench = bench(&json!({})).dataset("old", &json!({"retention": {"until": "2020-01-01"}}));
    let subject = crate::policy::facts::Subject::Dataset(&bench.namespace.datasets["old"]);
    assert_lines(
        &bench.judge(&CONTROL, subject),
        &[
            "AIDataset chat-prod/old spec.retention.until \"2020-01-01\": has passed, so its disposal is due [namespace]",
        ],
    );
}
