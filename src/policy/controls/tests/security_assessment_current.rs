//! Digests that were assessed, and what an assessment has to have tried.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::composition;
use crate::policy::testing::{Bench, DIGEST, assert_lines, merged};

const AT: &str = "AIWorkload chat-prod/chat: ";

fn assessment(subject: &Value, facts: &Value) -> Value {
    json!({"type": "SecurityAssessment", "subject": subject, "ref": "https://documents.example/a", "digest": DIGEST,
        "issuedAt": "2025-12-01", "attestedBy": "k.lee", "result": "pass", "facts": facts})
}

/// A workload that was assessed with these facts.
fn bench(declared: &Value, model: &Value, facts: &Value) -> Bench {
    let declared = merged(json!({"models": [{"name": "m"}]}), declared);
    let model = merged(json!({"digest": DIGEST}), model);
    let of_model = assessment(&json!({"kind": "AIModel", "name": "m", "digest": DIGEST}), &json!({}));
    let bench =
        Bench::new("production", "internal").workload(&declared).model("m", &model).evidence("m", &of_model);
    let present = composition::digest(&bench.namespace.workloads["chat"], &bench.namespace, &bench.cluster);
    let whole = json!({"kind": "AIWorkload", "name": "chat", "digest": present});
    bench.evidence("chat", &assessment(&whole, facts))
}

fn tried(techniques: &Value) -> Value {
    json!({"images": [DIGEST], "techniques": techniques})
}

#[test]
fn a_changed_model_needs_a_new_assessment_of_itself_and_of_the_whole() {
    let mut bench = bench(&json!({}), &json!({}), &tried(&json!(["fuzzing"])));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    bench = bench.model("m", &json!({"digest": DIGEST.replace("aaaa", "bbbb")}));
    let findings = bench.of_workload(&CONTROL);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let detail = &findings[0].detail;
    assert!(detail.contains("SecurityAssessment \"m\" of AIModel \"m\" was made for sha256:aaaaaaaaaaaa, not for sha256:bbbbbbbbbbbb"), "{detail}");
    assert!(detail.contains("SecurityAssessment \"chat\" of AIWorkload \"chat\" was made for"), "{detail}");
}

#[test]
fn images_of_suppliers_are_theirs_to_assess() {
    let bench = bench(&json!({}), &json!({}), &tried(&json!(["fuzzing"])));
    let pod = |image: &str| json!({"containers": [{"name": "c", "image": image}]});
    assert_lines(&bench.of_pod(&CONTROL, &pod(&format!("registry.example/chat@{DIGEST}"))), &[]);
    let other = DIGEST.replace("aaaa", "cccc");
    let expected = format!("{AT}SecurityAssessment \"chat\" does not cover image {other} [may arrive]");
    let outside = pod(&format!("registry.example/mirror/proxy@{other}"));
    assert_lines(&bench.of_pod(&CONTROL, &outside), &[&expected]);
    let mut bench = bench;
    let supplier = crate::policy::testing::read(json!({"metadata": {"name": "s"},
        "spec": {"kind": "software", "sources": ["registry.example/mirror/*"]}}));
    bench.cluster.suppliers.insert("s".to_owned(), std::sync::Arc::new(supplier));
    assert_lines(&bench.of_pod(&CONTROL, &outside), &[]);
}

#[test]
fn what_a_language_model_reads_was_tried() {
    let open = json!({"exposure": [{"name": "api", "port": 80, "audience": "public"}], "datasets": [{"name": "d", "use": "retrieval"}]});
    let llm = json!({"modelKind": "llm"});
    let expected = format!(
        "{AT}SecurityAssessment \"chat\" did not try prompt-injection-direct, prompt-injection-indirect; SecurityAssessment \
         \"chat\" leaves out the interface that others reach [may arrive]"
    );
    assert_lines(&bench(&open, &llm, &tried(&json!(["fuzzing"]))).of_workload(&CONTROL), &[&expected]);
    let both = json!({"images": [DIGEST], "scope": ["api"], "techniques": ["prompt-injection-direct", "prompt-injection-indirect"]});
    assert_lines(&bench(&open, &llm, &both).of_workload(&CONTROL), &[]);
    assert_lines(&bench(&json!({}), &llm, &tried(&json!(["fuzzing"]))).of_workload(&CONTROL), &[]);
}

#[test]
fn what_supports_others_needs_none() {
    let bench = Bench::new("production", "internal").workload(&json!({"type": "supporting"}));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
}
