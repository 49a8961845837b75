//! What controllers of data ask for, against what is kept.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines, merged};

const AT: &str = "AIWorkload chat-prod/chat: ";

fn judged(dataset: &Value) -> Vec<crate::policy::Finding> {
    let dataset = merged(json!({"controllers": [{"user": "alice"}], "personalData": "none"}), dataset);
    Bench::new("production", "internal")
        .workload(&json!({"datasets": [{"name": "d"}]}))
        .dataset("d", &dataset)
        .evidence(
            "r",
            &json!({"type": "DataControllerReview", "subject": {"kind": "AIWorkload", "name": "chat"},
            "issuedAt": "2025-12-01", "attestedBy": "alice", "facts": {"datasets": ["d"]}}),
        )
        .of_workload(&CONTROL)
}

#[test]
fn controls_that_are_asked_for_are_kept() {
    assert_lines(&judged(&json!({})), &[]);
    let findings = judged(&json!({"requiredControls": ["owners-accountable"]}));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(
        findings[0].detail.starts_with(
            "the controllers of AIDataset \"d\" ask for owners-accountable, which is not kept: "
        ),
        "{}",
        findings[0].detail
    );
    let endless = "the controllers of AIDataset \"d\" ask for data-controller-approval, which is not kept: it judges documents by \
        other controls and mends nothing [may arrive]";
    assert_lines(
        &judged(&json!({"requiredControls": ["data-controller-approval"]})),
        &[&format!("{AT}{endless}")],
    );
}

#[test]
fn only_a_controller_excuses_from_an_assessment() {
    let personal = |by: &str| json!({"personalData": "special", "lawfulBasis": "consent", "dpia": {"notNeededBecause": "x", "attestedBy": by}});
    assert_lines(&judged(&personal("alice")), &[]);
    let expected = "no DPIA of AIDataset \"d\" is recorded; spec.dpia of AIDataset \"d\" is attested by nobody among its controllers \
        [may arrive]";
    assert_lines(&judged(&personal("dev")), &[&format!("{AT}{expected}")]);
}
