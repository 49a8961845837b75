//! What `patch-currency` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

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
