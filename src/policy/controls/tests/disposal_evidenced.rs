//! What `disposal-evidenced` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Asset, Subject};
use crate::policy::testing::{Bench, DIGEST, assert_lines, lines};

fn bench() -> Bench {
    Bench::new("production", "internal")
        .workload(&json!({"recovery": {"backup": {"ref": "s3://offline", "digests": ["sha256:1"]}}}))
        .dataset("d", &json!({"digest": "sha256:1", "source": {"kind": "pvc", "claimName": "c"}}))
}

fn record(type_: &str, digest: &str, copies: &Value) -> Value {
    json!({"type": type_, "subject": {"kind": "AIDataset", "name": "d", "digest": digest}, "ref": "https://x.example/1",
           "digest": "sha256:9", "issuedAt": "2025-12-01", "attestedBy": "a.smith", "facts": {"copies": copies}})
}

fn deleted(bench: &Bench) -> Vec<crate::policy::Finding> {
    bench.judge(&CONTROL, Subject::Deletion(Asset::Dataset(&bench.namespace.datasets["d"])))
}

#[test]
fn every_copy_is_accounted_for() {
    assert_lines(
        &deleted(&bench()),
        &["AIDataset chat-prod/d: may not go: no record says what became of its copies at c, s3://offline"],
    );
    let some = bench().evidence("r", &record("DisposalRecord", "sha256:1", &json!(["c"])));
    assert_lines(
        &deleted(&some),
        &["AIDataset chat-prod/d: may not go: no record says what became of its copies at s3://offline"],
    );
    let all = some.evidence("t", &record("TransferRecord", "sha256:1", &json!(["s3://offline"])));
    assert_lines(&deleted(&all), &[]);
    let other = bench().evidence("r", &record("DisposalRecord", "sha256:2", &json!(["c", "s3://offline"])));
    assert_eq!(deleted(&other).len(), 1);
}

#[test]
fn each_record_adds_its_copies() {
    let dated = |at: &str, result: Value, copies: Value| {
        let mut spec = record("DisposalRecord", "sha256:1", &copies);
        spec["issuedAt"] = at.into();
        spec["result"] = result;
        spec
    };
    // Each record that is printed names what the former ones leave open.
    let first = bench().evidence("r", &dated("2025-12-01", Value::Null, json!(["c"])));
    let both = first.evidence("r-2", &dated("2025-12-02", Value::Null, json!(["s3://offline"])));
    assert_lines(&deleted(&both), &[]);
    // A later one about other copies takes nothing away.
    let more = both.evidence("r-3", &dated("2025-12-03", Value::Null, json!(["elsewhere"])));
    assert_lines(&deleted(&more), &[]);
    // One that says that it did not work does, for the copies that it names, until a newer one says otherwise.
    let failed = more.evidence("r-4", &dated("2025-12-04", json!("fail"), json!(["c"])));
    let left = |copies: &str| {
        format!("AIDataset chat-prod/d: may not go: no record says what became of its copies at {copies}")
    };
    assert_lines(&deleted(&failed), &[&left("c")]);
    let all = failed.evidence("r-5", &dated("2025-12-05", json!("fail"), json!([])));
    assert_lines(&deleted(&all), &[&left("c, s3://offline")]);
    let again = all.evidence("r-6", &dated("2025-12-06", json!("pass"), json!(["c", "s3://offline"])));
    assert_lines(&deleted(&again), &[]);
}

#[test]
fn the_end_of_a_namespace_waits_for_nothing() {
    let mut bench = bench();
    bench.namespace.terminating = true;
    assert_lines(&deleted(&bench), &[]);
}

fn record_goes(bench: &Bench, name: &str) -> Vec<String> {
    lines(&bench.judge(&CONTROL, Subject::RecordDeletion(&bench.namespace.evidence[name])))
}

#[test]
fn a_record_stays_when_its_asset_is_gone() {
    let copies = json!(["c", "s3://offline"]);
    let kept = bench().evidence("r", &record("DisposalRecord", "sha256:1", &copies));
    assert!(record_goes(&kept, "r").is_empty(), "the asset still stands");
    let mut gone = kept;
    gone.namespace.datasets.clear();
    let wanted = "AIEvidence chat-prod/r: may not go: AIDataset \"d\" is gone, and this record is all that tells what became \
                  of it";
    assert_eq!(record_goes(&gone, "r"), [wanted]);
    // A new asset of that name is not what the record is about.
    let mut anew = gone.dataset("d", &json!({"digest": "sha256:2"}));
    let other = wanted.replace("\"d\" is", "\"d\" at sha256:1 is");
    assert_eq!(record_goes(&anew, "r"), [other]);
    anew.namespace.datasets.clear();
    let mut gone = anew;
    gone.namespace.terminating = true;
    assert!(record_goes(&gone, "r").is_empty());
    gone.namespace.terminating = false;
    let less = gone.evidence("s", &record("DisposalRecord", "sha256:1", &json!(["c"])));
    assert_eq!(record_goes(&less, "r"), [wanted], "the other one says less");
    let other = less.evidence("t", &record("TransferRecord", "sha256:2", &copies));
    assert_eq!(record_goes(&other, "r"), [wanted], "the other one is about another state");
    let mut void = record("TransferRecord", "sha256:1", &copies);
    void["result"] = "fail".into();
    let other = other.evidence("w", &void);
    assert_eq!(record_goes(&other, "r"), [wanted], "the other one says that it did not work");
    let corrected = other.evidence("u", &record("TransferRecord", "sha256:1", &copies));
    assert!(record_goes(&corrected, "r").is_empty());
    let mut scan = record("DisposalRecord", "sha256:1", &copies);
    scan["type"] = "DataCard".into();
    assert!(record_goes(&corrected.evidence("v", &scan), "v").is_empty());
}

#[test]
fn a_record_stays_that_a_disposed_workload_rests_on() {
    let data = json!({"datasets": [{"name": "d", "use": "retrieval"}], "lifecycle": {"state": "Disposed"}});
    let bench =
        bench().workload(&data).evidence("r", &record("DisposalRecord", "sha256:1", &json!(["c"]))).evidence(
            "keys",
            &json!({"type": "DisposalRecord", "subject": {"kind": "AIWorkload", "name": "chat"},
            "issuedAt": "2025-12-01", "facts": {"copies": ["Secret/k"]}}),
        );
    for name in ["r", "keys"] {
        let found = record_goes(&bench, name);
        assert!(
            found[0].ends_with("may not go: that AIWorkload \"chat\" is Disposed rests on it"),
            "{found:?}"
        );
    }
}

#[test]
fn a_record_that_is_gone_is_told_of() {
    let mut bench = bench();
    bench.namespace.lost_records.push(("AIModel chat-prod/old".to_owned(), "went".to_owned()));
    assert_lines(&bench.judge(&CONTROL, Subject::Namespace), &["AIModel chat-prod/old: went [namespace]"]);
}

#[test]
fn what_went_with_its_namespace_is_told_of() {
    let mut bench = bench();
    let open = "may not go: no record says what became of its copies at c".to_owned();
    bench.cluster.undisposed.push(("AIDataset gone/d".to_owned(), open));
    bench
        .cluster
        .undisposed
        .push(("AIWorkload gone/chat".to_owned(), "its quarantine was not over".to_owned()));
    assert_lines(
        &bench.judge(&CONTROL, Subject::Cluster),
        &[
            "AIDataset gone/d: went with its namespace: may not go: no record says what became of its copies at c",
            "AIWorkload gone/chat: went with its namespace: its quarantine was not over",
        ],
    );
    let found = bench.judge(&CONTROL, Subject::Cluster);
    assert_eq!(found.iter().map(|one| one.provisions).collect::<Vec<_>>(), [&["FC-13"], &["CfV-SCOPE"]]);
}

#[test]
fn a_claim_goes_once_what_it_holds_is_accounted_for() {
    let source = json!({"kind": "pvc", "claimName": "weights", "path": "m"});
    let mut bench = Bench::new("production", "internal")
        .workload(&json!({}))
        .model("m", &json!({"version": "1", "digest": DIGEST, "source": source}));
    let goes = |bench: &Bench, claim: &str| lines(&bench.judge(&CONTROL, Subject::ClaimDeletion(claim)));
    assert!(goes(&bench, "other").is_empty());
    let found = goes(&bench, "weights");
    assert!(found.len() == 1 && found[0].contains("no record covers weights"), "{found:?}");
    let record = json!({"type": "DisposalRecord", "issuedAt": "2025-12-01", "ref": "https://x.example/r", "digest": DIGEST,
        "subject": {"kind": "AIModel", "name": "m", "digest": DIGEST}, "facts": {"copies": ["weights"]}});
    bench = bench.evidence("gone", &record);
    assert!(goes(&bench, "weights").is_empty());
    // A volume that outlives its claim keeps what is on it.
    let claim = crate::policy::facts::Claim { volume: Some("pv-1".to_owned()), ..Default::default() };
    bench.namespace.claims.insert("weights".to_owned(), claim);
    bench.cluster.kept_volumes.insert("pv-1".to_owned());
    let found = goes(&bench, "weights");
    assert!(found.len() == 1 && found[0].contains("no record covers PersistentVolume/pv-1"), "{found:?}");
    bench.namespace.terminating = true;
    assert!(goes(&bench, "weights").is_empty());
}
