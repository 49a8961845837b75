//! Changes that reach people outside, and holes that new images close.

use std::sync::Arc;

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, DIGEST, lines, read};

fn bench(status: &Value) -> Bench {
    let spec = json!({"exposure": [{"name": "api", "port": 80, "audience": "public", "apiVersion": "v1"}]});
    let mut bench = Bench::new("production", "internal").workload(&spec);
    let mut workload = (*bench.namespace.workloads["chat"]).clone();
    workload.status = Some(read(status.clone()));
    bench.namespace.workloads.insert("chat".to_owned(), Arc::new(workload));
    bench
}

fn other() -> String {
    DIGEST.replace('a', "b")
}

#[test]
fn a_change_is_announced_and_could_be_tried() {
    let same = bench(&json!({"lineage": {"compositionDigest": DIGEST, "since": "2025-12-01"}}));
    let found = lines(&same.of_workload(&CONTROL));
    assert!(found.iter().any(|line| line.contains("no UpdateNotice of AIWorkload \"chat\"")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("neither ran in staging nor could be tried")), "{found:?}");
    let composition = same
        .with_facts(crate::policy::facts::Subject::Workload(&same.namespace.workloads["chat"]), |facts| {
            facts.composition().to_owned()
        });
    let known = |previewed: Option<&str>| {
        json!({"lineage": {"compositionDigest": composition, "since": "2025-12-01", "formerDigest": DIGEST,
            "previewedAt": previewed}})
    };
    let notice = |effective: &str, kind: &str| {
        json!({"type": "UpdateNotice", "issuedAt": "2025-12-01", "subject": {"kind": "AIWorkload", "name": "chat",
            "digest": composition}, "ref": "https://x.example/n", "digest": DIGEST,
            "facts": {"audience": ["operators", "users"], "effectiveAt": effective, "kind": kind}})
    };
    let told = |status: &Value, notice: &Value| {
        lines(&bench(status).evidence("notice", notice).of_workload(&CONTROL))
    };
    assert_eq!(told(&known(Some("2025-11-30")), &notice("2025-12-10", "feature")), Vec::<String>::new());
    assert_eq!(told(&known(Some("2025-11-30")), &notice("2025-12-01", "security")), Vec::<String>::new());
    let early = told(&known(Some("2025-11-30")), &notice("2025-12-02", "feature"));
    assert!(early.len() == 1 && early[0].contains("less than 7 days after"), "{early:?}");
    let unseen = told(&known(None), &notice("2025-12-10", "feature"));
    assert!(unseen.len() == 1 && unseen[0].contains("staging"), "{unseen:?}");
    // The first composition is no change.
    let first = json!({"lineage": {"compositionDigest": composition, "since": "2025-12-01"}});
    assert_eq!(lines(&bench(&first).of_workload(&CONTROL)), Vec::<String>::new());
}

#[test]
fn holes_that_new_images_close_are_told_of() {
    let (old, new) = (format!("r.example/chat@{DIGEST}"), format!("r.example/chat@{}", other()));
    let status = json!({"knownGood": {"compositionDigest": DIGEST, "since": "2025-12-01", "parts": [old]}});
    let report = |digest: &str, findings: Value| {
        json!({"type": "VulnerabilityReport", "issuedAt": "2025-12-30", "result": "fail",
            "subject": {"kind": "Image", "name": "chat", "digest": digest}, "facts": {"findings": findings}})
    };
    let hole = json!([{"id": "CVE-1", "severity": "critical"}, {"id": "CVE-2", "severity": "low"}]);
    let bench = || {
        bench(&status)
            .evidence("old", &report(DIGEST, hole.clone()))
            .evidence("new", &report(&other(), json!([])))
    };
    let pod = |image: &str| json!({"containers": [{"name": "c", "image": image}]});
    let found = lines(&bench().of_pod(&CONTROL, &pod(&new)));
    assert!(found.len() == 1 && found[0].contains("closes CVE-1, and no notice tells"), "{found:?}");
    assert_eq!(lines(&bench().of_pod(&CONTROL, &pod(&old))), Vec::<String>::new());
    let notice = json!({"type": "UpdateNotice", "issuedAt": "2025-12-30", "subject": {"kind": "AIWorkload", "name": "chat"},
        "facts": {"ids": ["CVE-1"]}});
    assert_eq!(
        lines(&bench().evidence("notice", &notice).of_pod(&CONTROL, &pod(&new))),
        Vec::<String>::new()
    );
}
