//! Evidence that nobody should have written: each is met with a clear and short answer.

use serde_json::{Value, json};

use super::*;
use crate::api::evidence::{AIEvidenceStatus, DocumentRead, DocumentState, StatementRead, StatementState};
use crate::policy::control::{Control, Finding, Report};
use crate::policy::controls::ALL;
use crate::policy::facts::{EvidenceFacts, Place, Subject};
use crate::policy::testing::{Bench, DIGEST, NAMESPACE, lines, merged, read};

fn control(id: &str) -> &'static Control {
    ALL.iter().copied().find(|control| control.id == id).unwrap()
}

fn sound(patch: &Value) -> Value {
    let spec = json!({"type": "ThreatModel", "subject": {"kind": "AIWorkload", "name": "chat"},
        "ref": "https://documents.example/a", "digest": DIGEST, "issuedAt": "2025-12-01"});
    merged(spec, patch)
}

/// What is said when somebody records it.
fn recorded(patch: &Value) -> Vec<Finding> {
    let bench = Bench::new("production", "internal");
    let evidence: AIEvidence =
        read(json!({"metadata": {"name": "a", "namespace": NAMESPACE}, "spec": sound(patch)}));
    let subject = EvidenceFacts { user: Some("dev"), ..EvidenceFacts::recorded(&evidence) };
    bench.judge(control("enforcement-integrity"), Subject::Evidence(subject))
}

/// What becomes of a question that it should answer, with this status.
fn asked(patch: &Value, status: Option<AIEvidenceStatus>) -> Vec<Finding> {
    let mut bench = Bench::new("production", "internal").workload(&json!({}));
    let mut evidence: AIEvidence =
        read(json!({"metadata": {"name": "a", "namespace": NAMESPACE}, "spec": sound(patch)}));
    evidence.status = status;
    bench.namespace.evidence.insert("a".to_owned(), std::sync::Arc::new(evidence));
    let mut findings = Vec::new();
    bench.with_facts(Subject::Namespace, |facts| {
        let mut short = Shortfall::new(facts);
        short.ask(Question::of("ThreatModel", About::Workload(&bench.namespace.workloads["chat"])));
        short.tell(
            &mut Report::new(control("threat-model-current"), &mut findings),
            Place::default(),
            &["CoP-3.1"],
        );
    });
    findings
}

#[track_caller]
fn assert_says(findings: &[Finding], words: &str) {
    let lines = lines(findings);
    assert!(lines.len() == 1 && lines[0].contains(words), "{lines:#?}");
    assert!(lines[0].len() < 400, "{} bytes", lines[0].len());
}

#[test]
fn an_unreadable_reference_is_refused_and_never_counts() {
    for (at, words) in [
        ("nowhere", "begins with one of"),
        ("configmap://a", "names no ConfigMap and key"),
        ("configmap://../b", "names no ConfigMap and key"),
        ("configmap://a/b/c", "names no ConfigMap and key"),
        ("oci://", "names no artifact"),
        ("oci://registry.example/a b", "names no artifact"),
        ("https://", "begins with one of"),
    ] {
        assert_says(&recorded(&json!({"ref": at})), words);
        assert_says(&asked(&json!({"ref": at}), None), words);
    }
}

#[test]
fn a_list_of_a_million_is_counted_and_not_read() {
    let many: Vec<Value> = (0..1_000_000).map(|i| json!(i)).collect();
    let patch = json!({"facts": {"threats": many}});
    assert_says(&recorded(&patch), "has 1000000 entries, of which no more than 256 are read");
    assert_says(&asked(&patch, None), "has 1000000 entries, of which no more than 256 are read");
}

#[test]
fn clocks_that_run_ahead_are_told_from_dates_that_do() {
    assert!(recorded(&json!({"issuedAt": "2026-01-01T00:09:00Z"})).is_empty());
    assert_says(&recorded(&json!({"issuedAt": "2026-01-01T00:11:00Z"})), "lies ahead");
    assert_says(&recorded(&json!({"issuedAt": "9998-12-31"})), "lies ahead");
    assert_says(&asked(&json!({"issuedAt": "9998-12-31"}), None), "lies ahead");
    assert_says(&asked(&json!({"issuedAt": "9999-12-31"}), None), "is no date");
    assert_says(&asked(&json!({"expiresAt": "0001-01-01"}), None), "ended on 0001-01-01");
}

#[test]
fn an_organisation_that_nobody_declared_vouches_for_nothing() {
    let bench = Bench::new("production", "internal").workload(&json!({"organisation": "nobody"}));
    let found = bench.of_workload(control("awareness-and-training-current"));
    assert_says(&found, "spec.organisation names AIGovernance \"nobody\", which does not exist");
}

#[test]
fn a_lineage_that_runs_in_a_circle_ends() {
    let base = |name: &str| json!({"digest": DIGEST, "version": "1", "baseModelRef": {"name": name}});
    let bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "a"}]}))
        .model("a", &base("b"))
        .model("b", &base("a"));
    bench.with_facts(Subject::Namespace, |facts| {
        let lineage = crate::policy::data::lineage(facts, facts.namespace, &facts.namespace.models["a"]);
        assert_eq!(lineage.models, ["a", "b"]);
        assert_eq!(lineage.endless.as_deref(), Some("AIModel chat-prod/a is, over others, its own base"));
    });
    let found = bench.of_workload(control("dataset-boundary"));
    assert!(lines(&found).iter().any(|line| line.contains("its own base")), "{:#?}", lines(&found));
}

#[test]
fn what_the_operator_found_of_a_document_decides() {
    let status = |state, found: Option<&str>, message: Option<&str>| {
        let document = DocumentRead {
            state,
            found: found.map(str::to_owned),
            message: message.map(str::to_owned),
            since: "2025-12-31T00:00:00Z".to_owned(),
        };
        Some(AIEvidenceStatus { document: Some(document), ..AIEvidenceStatus::default() })
    };
    let other = DIGEST.replace("aaaa", "bbbb");
    let at = json!({"ref": "oci://registry.example/documents/a:1"});
    assert_says(&asked(&at, None), "has not been read [unknown]");
    assert!(asked(&at, status(DocumentState::Same, None, None)).is_empty());
    assert_says(&asked(&at, status(DocumentState::Altered, Some(&other), None)), "its ref holds sha256:bbbb");
    let gone =
        status(DocumentState::Missing, None, Some("registry \"registry.example\" has no such artifact"));
    assert_says(
        &asked(&at, gone),
        "has no document any more: registry \"registry.example\" has no such artifact",
    );
    let silent = status(DocumentState::Unreachable, None, Some("no answer"));
    assert_says(&asked(&at, silent), "is not compared: no answer [unknown]");
    let bound = json!({"ref": format!("oci://registry.example/documents/a@{DIGEST}")});
    assert!(asked(&bound, None).is_empty(), "its digest binds the bytes");
    assert!(asked(&json!({}), status(DocumentState::OutOfReach, None, Some("a page"))).is_empty());
}

#[test]
fn a_signed_statement_is_worth_what_its_signature_is() {
    let status = |state, message: Option<&str>| {
        let statement = StatementRead {
            state,
            authority: None,
            message: message.map(str::to_owned),
            since: "2025-12-31T00:00:00Z".to_owned(),
        };
        Some(AIEvidenceStatus { statement: Some(statement), ..AIEvidenceStatus::default() })
    };
    let signed = json!({"attestedBy": "k.lee", "attestation": {"bundle": "{}"}});
    assert_says(&asked(&signed, None), "under a signature that has not been verified yet [unknown]");
    assert!(asked(&signed, status(StatementState::Verified, None)).is_empty());
    let failed = status(StatementState::Failed, Some("it was made with another key"));
    assert_says(&asked(&signed, failed), "does not count: it was made with another key");
    let referred = json!({"attestedBy": "k.lee", "attestation": {"reference": format!("registry.example/chat@{DIGEST}")}});
    assert!(recorded(&referred).is_empty(), "it is looked up later");
    assert_says(&asked(&referred, None), "under a signature that has not been verified yet [unknown]");
    // A deployment tool may record what a person signed, and nothing else in that name.
    assert_says(&recorded(&signed), "nobody vouches in the name of another");
    let evidence: AIEvidence =
        read(json!({"metadata": {"name": "a", "namespace": NAMESPACE}, "spec": sound(&signed)}));
    let statement = status(StatementState::Verified, None).and_then(|status| status.statement);
    let facts = EvidenceFacts {
        user: Some("deployer"),
        statement: statement.as_ref(),
        ..EvidenceFacts::recorded(&evidence)
    };
    let bench = Bench::new("production", "internal");
    assert!(bench.judge(control("enforcement-integrity"), Subject::Evidence(facts)).is_empty());
}
