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

#[test]
fn what_a_server_is_told_to_do_is_what_the_system_uses() {
    let lines = |used: &Value, args: &Value| bench(used).of_pod(&CONTROL, &pod(args));
    let all = json!({"capabilitiesUsed": [{"name": "text"}, {"name": "image-input"}]});
    for (args, place, name) in [
        (json!(["--enable-auto-tool-choice"]), "args[0] \"--enable-auto-tool-choice\"", "tool-use"),
        (json!(["--tool-call-parser", "hermes"]), "args[0] \"--tool-call-parser\"", "tool-use"),
        (json!(["--tool_call_parser=hermes"]), "args[0] \"--tool_call_parser=hermes\"", "tool-use"),
        (json!(["--enable-lora"]), "args[0] \"--enable-lora\"", "adapters"),
        (
            json!(["--limit-mm-per-prompt", "image=0,video=2"]),
            "args[0] \"--limit-mm-per-prompt\"",
            "video-input",
        ),
        (
            json!(["--limit-mm-per-prompt.audio", "1"]),
            "args[0] \"--limit-mm-per-prompt.audio\"",
            "audio-input",
        ),
        (
            json!(["exec vllm serve /m --enable-auto-tool-choice"]),
            "args[0] \"--enable-auto-tool-choice\"",
            "tool-use",
        ),
    ] {
        let expected = format!(
            "spec.containers[0].{place}: gives the server {name:?}, which AIWorkload chat-prod/chat does not use"
        );
        assert_lines(&lines(&all, &args), &[&expected]);
    }
    for args in [
        json!(["--limit-mm-per-prompt", r#"{"image": 4, "video": 0}"#]),
        json!(["--enable-lora", "--lora-modules", "a=/m/a"]),
        json!(["--tool-call-parser", "none"]),
        json!(["--enable-prefix-caching", "--enable-log-requests", "--tool"]),
    ] {
        assert_lines(&lines(&all, &args), &[]);
    }
    let text =
        json!({"capabilitiesUsed": [{"name": "text"}], "capabilitiesDisabledBy": [{"name": "image-input"}]});
    assert_eq!(lines(&text, &json!(["--limit-mm-per-prompt={\"image\": 1}"])).len(), 1);
    assert_eq!(lines(&text, &json!(["--limit-mm-per-prompt={\"image\": 0}"])).len(), 0);
    let acts = bench(&all)
        .workload(&json!({"models": [], "actions": [{"name": "search", "target": "t", "verb": "get"}]}));
    assert_lines(&acts.of_pod(&CONTROL, &pod(&json!(["--enable-auto-tool-choice"]))), &[]);
}
