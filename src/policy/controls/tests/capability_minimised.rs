//! What `capability-minimised` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn bench(used: &Value) -> Bench {
    let mut model = json!({"name": "m"});
    json_patch::merge(&mut model, used);
    Bench::new("production", "internal")
        .workload(&json!({"models": [model]}))
        .model("m", &json!({"digest": "sha256:1", "capabilities": ["text", "image-input"]}))
}

fn pod(args: &Value) -> Value {
    json!({"containers": [{"name": "a", "args": args, "env": [{"name": "IMAGES", "value": "off"}]}]})
}

#[test]
fn what_is_not_used_is_switched_off_in_the_pod() {
    let by =
        |by: Value| bench(&json!({"capabilitiesUsed": [{"name": "text"}], "capabilitiesDisabledBy": [by]}));
    let arg = by(json!({"name": "image-input", "arg": "--limit images=0"}));
    assert_lines(&arg.of_pod(&CONTROL, &pod(&json!(["--limit", "images=0"]))), &[]);
    assert_lines(
        &arg.of_pod(&CONTROL, &pod(&json!([]))),
        &[
            "spec.containers: has no arg \"--limit images=0\", by which AIWorkload chat-prod/chat turns \"image-input\" off [may \
           arrive]",
        ],
    );
    assert_lines(
        &by(json!({"name": "image-input", "env": "IMAGES=off"})).of_pod(&CONTROL, &pod(&json!([]))),
        &[],
    );
    assert_eq!(
        by(json!({"name": "image-input", "env": "IMAGES=on"})).of_pod(&CONTROL, &pod(&json!([]))).len(),
        1
    );
    assert_lines(
        &bench(&json!({"capabilitiesUsed": [{"name": "text"}]})).of_workload(&CONTROL),
        &[
            "AIWorkload chat-prod/chat spec.models[0].capabilitiesDisabledBy: does not name \"image-input\", which AIModel \"m\" can \
           do and the workload does not use",
        ],
    );
}

#[test]
fn an_accepted_risk_counts_for_the_digest_of_the_model() {
    let accepted = |digest: &str| {
        bench(&json!({"capabilitiesUsed": [{"name": "text"}]}))
            .evidence(
                "accepted",
                &json!({"type": "RiskAcceptance", "subject": {"kind": "AIModel", "name": "m", "digest": digest},
                        "ref": "https://x.example/1", "digest": "sha256:9", "issuedAt": "2025-12-01",
                        "attestedBy": "j.doe", "facts": {"capabilities": ["image-input"]}}),
            )
            .of_workload(&CONTROL)
    };
    assert_lines(&accepted("sha256:1"), &[]);
    assert_eq!(accepted("sha256:2").len(), 1);
}

#[test]
fn what_is_risky_is_chosen() {
    let used = |consent: Value| {
        let mut bench = bench(&json!({"capabilitiesUsed": [{"name": "text"}, {"name": "image-input"}]}));
        bench = bench.model("m", &json!({"digest": "sha256:1", "capabilities": ["code-execution"]}));
        let mut capability = json!({"name": "code-execution"});
        json_patch::merge(&mut capability, &consent);
        bench
            .workload(&json!({"models": [{"name": "m", "capabilitiesUsed": [capability]}]}))
            .of_workload(&CONTROL)
    };
    assert_lines(&used(json!({"consent": "optIn", "settingRef": "settings/code"})), &[]);
    assert_lines(
        &used(json!({"consent": "optOut"})),
        &[
            "AIWorkload chat-prod/chat spec.models[0].capabilitiesUsed[0].consent: does not let users of \"code-execution\" choose it \
           knowingly",
        ],
    );
}
