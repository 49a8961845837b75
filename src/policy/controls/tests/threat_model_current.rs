//! A threat model against the lineage of the models, and what others call its routes.

use serde_json::{Value, json};

use super::{CONTROL, is_known};
use crate::policy::testing::{Bench, DIGEST, lines};

fn judged(facts: &Value, trained_on: &Value, actions: &Value) -> Vec<String> {
    let mut said = json!({"adversaries": [{"motivation": "copy it", "routes": ["extraction"]}], "categories": ["ai", "it"],
        "compositionShape": ["model/m", "action/tickets:create"], "assumedSensitivity": "internal", "outlook": "more of it",
        "impacts": ["users", "organisation", "system"], "worstCaseOutputs": ["floods tickets"]});
    json_patch::merge(&mut said, facts);
    let bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}], "roles": ["SystemOperator"], "actions": actions}))
        .model("m", &json!({"digest": DIGEST, "trainedOn": trained_on}))
        .dataset("d", &json!({"sensitivity": "restricted"}))
        .evidence(
            "tm",
            &json!({"type": "ThreatModel", "subject": {"kind": "AIWorkload", "name": "chat"}, "digest": DIGEST,
                "ref": "https://documents.example/t", "issuedAt": "2025-12-01", "expiresAt": "2026-06-01", "facts": said}),
        );
    lines(&bench.of_workload(&CONTROL))
}

#[test]
fn data_that_a_model_learnt_from_counts() {
    assert!(judged(&json!({}), &json!([]), &json!([])).is_empty());
    assert_eq!(
        judged(&json!({}), &json!([{"dataset": "d"}]), &json!([])),
        [
            "AIWorkload chat-prod/chat: ThreatModel \"tm\" assumes internal data, and there is restricted data, AIDataset \
          chat-prod/d [may arrive]"
        ]
    );
}

#[test]
fn each_action_has_a_worst_case() {
    let actions = json!([{"target": "tickets", "verb": "create"}]);
    assert!(judged(&json!({}), &json!([]), &actions).is_empty());
    let found = judged(&json!({"worstCaseOutputs": ["wrong advice"]}), &json!([]), &actions);
    assert!(found[0].contains("names in facts.worstCaseOutputs no harm through tickets"), "{found:#?}");
}

#[test]
fn routes_have_names_that_others_know() {
    for route in
        ["AML.T0051.001", "T1078", "T1078.004", "CAPEC-94", "CWE-77", "LLM01", "LLM01:2025", "extraction"]
    {
        assert!(is_known(route), "{route}");
    }
    for route in ["AML.", "AML.Tx", "T", "The back door", "capec-94", "LLM", "extraction "] {
        assert!(!is_known(route), "{route}");
    }
}
