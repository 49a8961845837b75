//! What users are told against what the declaration does.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, DIGEST, assert_lines};

const AT: &str = "AIWorkload chat-prod/chat: ";

fn judged(declared: &Value) -> Vec<crate::policy::Finding> {
    Bench::new("production", "internal")
        .workload(declared)
        .evidence("t", &json!({"type": "UserTerms", "subject": {"kind": "AIWorkload", "name": "chat"}, "ref": "https://d.example/t",
            "digest": DIGEST, "issuedAt": "2025-12-01", "facts": {"sections": ["security-responsibilities", "data-use"]}}))
        .of_workload(&CONTROL)
}

#[test]
fn terms_agree_with_flows() {
    let told = |third: Value| {
        json!({"purpose": {"endUsers": "public"}, "userData": {"usedForTraining": false, "thirdParties": third},
        "externalApis": [{"name": "translate", "host": "t.example", "supplierRef": "translate-inc"}]})
    };
    assert_lines(&judged(&told(json!(["translate-inc"]))), &[]);
    let expected =
        "externalApi \"translate\" sends data to \"translate-inc\", of which users are not told [may arrive]";
    assert_lines(&judged(&told(json!([]))), &[&format!("{AT}{expected}")]);
    let fed = json!({"purpose": {"endUsers": "public"}, "userData": {"usedForTraining": false}, "datasets": [{"name": "f", "use": "feedback"}]});
    let expected = "dataset \"f\" collects feedback, and users are told that their data is not used for training [may arrive]";
    assert_lines(&judged(&fed), &[&format!("{AT}{expected}")]);
}

#[test]
fn terms_name_each_capability_that_users_decide_on() {
    let with = |consent: &str| {
        json!({"purpose": {"endUsers": "public"}, "userData": {}, "models": [{"name": "m",
        "capabilitiesUsed": [{"name": "code-execution", "consent": consent, "settingRef": "s"}]}]})
    };
    let named = "UserTerms \"t\" does not name capability \"code-execution\" [may arrive]";
    assert_lines(&judged(&with("optIn")), &[&format!("{AT}{named}")]);
    assert_lines(&judged(&with("optOut")), &[&format!("{AT}{named}")]);
}

#[test]
fn without_users_nobody_has_to_be_told() {
    assert_lines(&judged(&json!({"externalApis": [{"name": "t", "host": "t.example"}]})), &[]);
}
