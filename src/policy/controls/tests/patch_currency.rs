//! What `patch-currency` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, DIGEST, assert_lines};

fn lifecycle(lifecycle: &Value) -> Vec<crate::policy::Finding> {
    Bench::new("production", "internal").workload(&json!({"lifecycle": lifecycle})).of_workload(&CONTROL)
}

#[test]
fn support_ends_with_its_last_day() {
    assert_lines(&lifecycle(&json!({"supportEnds": "2026-01-01"})), &[]);
    assert_lines(
        &lifecycle(&json!({"supportEnds": "2025-12-31"})),
        &[
            "AIWorkload chat-prod/chat spec.lifecycle.supportEnds \"2025-12-31\": has passed, so nobody closes holes any more",
        ],
    );
    assert_lines(
        &lifecycle(&json!({"supportEnds": "2026-02-31"})),
        &["AIWorkload chat-prod/chat spec.lifecycle.supportEnds \"2026-02-31\": is no date [unknown]"],
    );
}

#[test]
fn updates_by_hand_have_a_reason() {
    assert_lines(&lifecycle(&json!({"updates": {"mode": "proposed"}})), &[]);
    assert_lines(&lifecycle(&json!({"updates": {"mode": "manual", "reason": "air gap"}})), &[]);
    assert_eq!(lifecycle(&json!({"updates": {"mode": "manual", "reason": " "}})).len(), 1);
}

#[test]
fn holes_are_closed_within_their_window() {
    let image = format!("registry.example/chat@{DIGEST}");
    let pod = json!({"containers": [{"name": "chat", "image": image}]});
    let found = |issued: &str, result: &str, findings: Value| {
        Bench::new("production", "internal")
            .workload(&json!({}))
            .evidence(
                "scan",
                &json!({"type": "VulnerabilityReport", "issuedAt": issued, "result": result,
                    "subject": {"kind": "Image", "name": "chat", "digest": DIGEST}, "facts": {"findings": findings}}),
            )
            .of_pod(&CONTROL, &pod)
    };
    let hole = |severity: &str, since: &str| json!([{"id": "CVE-1", "severity": severity, "fixedVersion": "1.2", "fixedSince": since}]);
    assert_lines(&found("2025-12-30", "pass", json!([])), &[]);
    assert_lines(&found("2025-12-30", "fail", hole("critical", "2025-12-20")), &[]);
    assert_lines(&found("2025-12-30", "fail", hole("low", "2025-01-01")), &[]);
    for (severity, since, days, window) in
        [("Critical", "2025-12-12", 20, 14), ("high", "2025-11-22", 40, 30)]
    {
        assert_lines(
            &found("2025-12-30", "fail", hole(severity, since)),
            &[&format!(
                "AIWorkload chat-prod/chat: runs {image}, in which CVE-1 ({}) is fixed in 1.2 since {days} days, and \
                 {window} are allowed [may arrive]",
                severity.to_lowercase()
            )],
        );
    }
    let old = found("2025-12-01", "pass", json!([]));
    assert_eq!(old.len(), 1);
    assert!(old[0].detail.contains("VulnerabilityReport"), "{}", old[0].detail);
}
