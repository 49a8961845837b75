//! Sealed, signed and cleaned datasets, and who may write to them.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, lines, merged};

fn bench(workload: &Value, dataset: &Value) -> Bench {
    let spec = json!({"digest": DIGEST, "signature": {"kind": "oms"}, "source": {"kind": "pvc", "claimName": "data"}});
    let used = json!({"datasets": [{"name": "d", "use": "retrieval"}]});
    let mut bench = Bench::new("training", "internal")
        .workload(&merged(used, workload))
        .dataset("d", &merged(spec, dataset));
    found(&mut bench, DIGEST, &json!({"bytesVerified": "Verified", "signatureVerified": "Verified"}));
    bench
}

/// What the operator found of `digest`.
fn found(bench: &mut Bench, digest: &str, states: &Value) {
    bench.found_of_dataset("d", merged(json!({"digest": digest}), states));
}

fn cleaned(patch: &Value) -> Value {
    let proof = json!({
        "type": "DataSanitisation", "subject": {"kind": "AIDataset", "name": "d", "digest": DIGEST},
        "issuedAt": "2025-12-01", "ref": "https://docs.example/x", "digest": DIGEST, "result": "pass"
    });
    merged(proof, patch)
}

fn of_pod(bench: &Bench) -> Vec<String> {
    lines(&bench.of_pod(&CONTROL, &json!({"containers": []})))
}

#[test]
fn what_is_read_is_sealed_and_signed() {
    let none = json!({});
    assert_eq!(of_pod(&bench(&none, &none)), [""; 0]);
    assert_eq!(
        of_pod(&bench(&none, &json!({"source": {"kind": "service", "reference": "x/y"}, "digest": null}))),
        [""; 0]
    );
    assert_eq!(
        of_pod(&bench(&none, &json!({"digest": null}))),
        ["AIDataset chat-prod/d spec.digest: is not set, so the data may change unseen [may arrive]"]
    );
    assert_eq!(
        of_pod(&bench(&none, &json!({"signature": null}))),
        [
            "AIDataset chat-prod/d spec.signature: is missing, so nobody answers for the sealed data [may arrive]"
        ]
    );
}

#[test]
fn what_a_model_learns_from_was_cleaned_in_this_state() {
    let training = json!({"type": "training", "datasets": [{"name": "d", "use": "training"}]});
    let of = |patch: Option<Value>| {
        let mut bench = bench(&training, &json!({}));
        if let Some(patch) = patch {
            bench = bench.evidence("c", &cleaned(&patch));
        }
        of_pod(&bench)
    };
    assert_eq!(of(Some(json!({}))), [""; 0]);
    for (patch, part) in [
        (None, "DataSanitisation"),
        (Some(json!({"subject": {"digest": DIGEST.replace("aaaa", "bbbb")}})), "was made for sha256:bbbb"),
        (Some(json!({"expiresAt": "2025-12-31"})), "2025-12-31"),
        (Some(json!({"result": "fail"})), "fail"),
    ] {
        let found = of(patch);
        assert!(
            found.len() == 1
                && found[0].starts_with("AIDataset chat-prod/d spec.digest: ")
                && found[0].contains(part),
            "{found:?} lacks {part}"
        );
    }
    let learnt = |digest: &str| {
        let bench = bench(&json!({}), &json!({}))
            .model("m", &json!({"trainedOn": [{"dataset": "d", "digest": digest}]}));
        bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])).len()
    };
    assert_eq!((learnt(DIGEST), learnt(&DIGEST.replace("aaaa", "bbbb"))), (1, 1), "of any state");
}

#[test]
fn only_preparation_and_feedback_write() {
    let of = |kind: &str, purpose: &str| {
        let declared = json!({"type": kind, "datasets": [{"name": "d", "use": purpose, "access": "write"}]});
        lines(&bench(&declared, &json!({})).of_workload(&CONTROL))
    };
    assert_eq!(of("dataPreparation", "training"), [""; 0]);
    assert_eq!(of("import", "training"), [""; 0]);
    assert_eq!(of("inference", "feedback"), [""; 0]);
    for kind in ["training", "inference", "agent"] {
        assert_eq!(
            of(kind, "training"),
            [format!(
                r#"AIWorkload chat-prod/chat spec.datasets[0].access "write": lets a workload of type {kind:?} change dataset "d""#
            )]
        );
    }
}

#[test]
fn what_failed_verification_counts_for_its_digest_only() {
    let of = |digest: &str| {
        let mut bench = bench(&json!({}), &json!({}));
        found(
            &mut bench,
            digest,
            &json!({"bytesVerified": "Failed", "signatureVerified": "Failed", "message": "x"}),
        );
        lines(&bench.judge(&CONTROL, Subject::Dataset(&bench.namespace.datasets["d"])))
    };
    let at = format!("AIDataset chat-prod/d spec.digest {DIGEST:?}");
    assert_eq!(
        of(DIGEST),
        [
            format!("{at}: is not the digest of what is stored: x"),
            format!("{at}: is not signed as it has to be: x")
        ]
    );
    assert_eq!(of(&DIGEST.replace("aaaa", "bbbb")), [""; 0]);
}

#[test]
fn what_nobody_has_read_is_not_known_to_be_what_was_sealed() {
    let at = format!("AIDataset chat-prod/d spec.digest {DIGEST:?}");
    let waits = format!(
        "{at}: is not known to be that of what is stored: the operator's Job has not read claim \"data\" yet, which it does as \
         soon as no other pod holds the claim for itself [unknown] [may arrive]"
    );
    let of = |workload: Value, dataset: Value, digest: &str, states: Value| {
        let mut bench = bench(&workload, &dataset);
        found(&mut bench, digest, &states);
        of_pod(&bench)
    };
    let none = || json!({});
    let waiting = of(none(), none(), DIGEST, none());
    assert_eq!(waiting, std::slice::from_ref(&waits));
    let other = DIGEST.replace("aaaa", "bbbb");
    assert_eq!(of(none(), none(), &other, json!({"bytesVerified": "Verified"})), [waits]);
    // Where the Job cannot be made or does not start, the reason is said.
    let why = "the operator was not told which image verifies models";
    assert_eq!(
        of(none(), none(), DIGEST, json!({"bytesVerified": "Unknown", "message": why})),
        [format!("{at}: is not known to be that of what is stored: {why} [unknown] [may arrive]")]
    );
    // What nobody can read counts as stated, and who fills a claim does not wait for it.
    assert_eq!(
        of(
            none(),
            json!({"source": {"kind": "s3", "reference": "s3://b/k", "claimName": null}}),
            &other,
            none()
        ),
        [""; 0]
    );
    let written =
        json!({"type": "dataPreparation", "datasets": [{"name": "d", "use": "training", "access": "write"}]});
    assert_eq!(of(written, none(), &other, none()), [""; 0]);
    // By itself it harms nobody.
    let mut bench = bench(&none(), &none());
    found(&mut bench, &other, &none());
    assert_eq!(lines(&bench.judge(&CONTROL, Subject::Dataset(&bench.namespace.datasets["d"]))), [""; 0]);
}
