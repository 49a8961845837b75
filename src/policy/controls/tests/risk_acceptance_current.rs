//! Risks against the controls that should treat them, and data that makes a workload critical.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, DIGEST, lines};

fn bench(patch: &Value) -> Bench {
    let asset = json!({"digest": DIGEST, "version": "1", "value": {"business": "low", "attackerGain": "low"},
        "risk": {"level": "low", "acceptedBy": "j.doe", "reviewBy": "2026-12-31"}});
    let mut model = asset.clone();
    json_patch::merge(&mut model, patch);
    Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}], "roles": ["SystemOperator"],
            "exposure": [{"name": "api", "port": 80, "audience": "public"}]}))
        .model("m", &model)
        .dataset("d", &json!({"sensitivity": "confidential"}))
}

fn register(bench: Bench, risks: &Value) -> Bench {
    bench.evidence(
        "register",
        &json!({"type": "RiskRegister", "subject": {"kind": "AIWorkload", "name": "chat"}, "issuedAt": "2025-12-01",
            "ref": "https://documents.example/r", "digest": DIGEST, "facts": {"risks": risks}}),
    )
}

#[test]
fn a_treatment_that_is_not_kept_is_none() {
    let judged = |control: &str| {
        let bench =
            register(bench(&json!({})), &json!([{"id": "R1", "level": "high", "controls": [control]}]));
        lines(&bench.of_workload(&CONTROL))
    };
    // A public way in without authentication is declared, and the risk is said to be treated by exposure-declared.
    let found = judged("exposure-declared");
    assert!(
        found.len() == 1 && found[0].contains("risk \"R1\" relies on exposure-declared, which is not kept: "),
        "{found:#?}"
    );
    assert!(judged("model-digest-pinned").is_empty(), "a control that is kept treats it");
    let found = judged("risk-acceptance-current");
    assert!(found[0].contains("it judges documents by other controls"), "{found:#?}");
}

#[test]
fn sensitive_data_behind_a_public_way_in_makes_it_critical() {
    let learnt = bench(&json!({"trainedOn": [{"dataset": "d"}]}));
    let found = lines(&register(learnt, &json!([{"id": "R1", "level": "low"}])).of_workload(&CONTROL));
    assert_eq!(
        found,
        [
            "AIWorkload chat-prod/chat spec.criticality \"standard\": does not fit the public exposure \"api\" of confidential \
          data, which AIDataset chat-prod/d holds [may arrive]"
        ]
    );
    let apart = register(bench(&json!({})), &json!([{"id": "R1", "level": "low"}]));
    assert!(lines(&apart.of_workload(&CONTROL)).is_empty());
}

#[test]
fn what_is_worth_much_is_guarded() {
    let precious =
        bench(&json!({"value": {"business": "high"}, "source": {"kind": "pvc", "claimName": "w"}}));
    let mut precious = register(precious, &json!([{"id": "R1", "level": "low"}]));
    let claim = crate::policy::facts::Claim { storage_class: Some("plain".to_owned()), ..Default::default() };
    precious.namespace.claims.insert("w".to_owned(), claim);
    precious.settings.parameters.insert("storage.encryptedClasses".to_owned(), vec!["encrypted".to_owned()]);
    let found = lines(&precious.of_workload(&CONTROL));
    assert_eq!(
        found,
        [
            "AIWorkload chat-prod/chat: AIModel \"m\" is worth much, and lies on class \"plain\", which no profile calls \
          encrypted [may arrive]"
        ]
    );
}
