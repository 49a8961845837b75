//! Outside models with and without a scan, in quarantine and elsewhere.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, DIGEST, assert_fixed, assert_lines, lines};

fn bench(environment: &str, model: &Value, workload: &Value) -> Bench {
    let mut declared = json!({"models": [{"name": "m"}], "type": "evaluation"});
    json_patch::merge(&mut declared, workload);
    let mut spec =
        json!({"origin": "external", "digest": DIGEST, "source": {"kind": "pvc", "claimName": "c"}});
    json_patch::merge(&mut spec, model);
    Bench::new(environment, "internal").workload(&declared).model("m", &spec)
}

fn scan(patch: &Value) -> Value {
    let mut scan = json!({
        "type": "ArtifactScan", "subject": {"kind": "AIModel", "name": "m", "digest": DIGEST}, "issuedAt": "2025-12-01",
        "ref": "https://docs.example/scan", "digest": DIGEST, "result": "pass"
    });
    json_patch::merge(&mut scan, patch);
    scan
}

#[test]
fn an_unscanned_model_stays_in_quarantine() {
    let none = json!({});
    let pod = json!({"containers": []});
    let of = |evidence: Option<Value>| {
        let mut bench = bench("production", &none, &none);
        if let Some(evidence) = evidence {
            bench = bench.evidence("scan", &evidence);
        }
        lines(&bench.of_pod(&CONTROL, &pod))
    };
    assert_eq!(of(Some(scan(&none))), [""; 0]);
    for (evidence, part) in [
        (None, "ArtifactScan"),
        (
            Some(scan(&json!({"subject": {"digest": DIGEST.replace("aaaa", "bbbb")}}))),
            "was made for sha256:bbbb",
        ),
        (Some(scan(&json!({"expiresAt": "2025-12-31"}))), "2025-12-31"),
        (Some(scan(&json!({"result": "fail"}))), "fail"),
    ] {
        let found = of(evidence);
        assert!(
            found.len() == 1 && found[0].starts_with("AIModel chat-prod/m: ") && found[0].contains(part),
            "{found:?} lacks {part}"
        );
    }
    // What was made here, or runs elsewhere, is not asked.
    for model in [json!({"origin": "internal"}), json!({"origin": null}), json!({"source": {"kind": "api"}})]
    {
        assert_lines(&bench("production", &model, &none).of_pod(&CONTROL, &pod), &[]);
    }
}

#[test]
fn quarantine_has_walls() {
    let none = json!({});
    let open = json!({"externalApis": [{"name": "a", "host": "a.example"}]});
    let pod = json!({"containers": []});
    assert_lines(
        &bench("quarantine", &none, &open).of_pod(&CONTROL, &pod),
        &[
            r#"spec.runtimeClassName "": is no sandbox, and AIModel "m" comes from outside and nobody has scanned it"#,
            "AIWorkload chat-prod/chat spec.externalApis: opens the network for AIModel chat-prod/m, which nobody has scanned [may arrive]",
            "spec.automountServiceAccountToken: hands a token to what AIModel chat-prod/m may run, which nobody has scanned",
        ],
    );
    assert_fixed(&bench("quarantine", &none, &none), &CONTROL, &pod, &none);
    for class in ["gvisor", "kata-qemu", "runsc"] {
        let pod = json!({"containers": [], "runtimeClassName": class, "automountServiceAccountToken": false});
        assert_lines(&bench("quarantine", &none, &none).of_pod(&CONTROL, &pod), &[]);
    }
    let pod =
        json!({"containers": [], "runtimeClassName": "gvisorless", "automountServiceAccountToken": false});
    assert_eq!(bench("quarantine", &none, &none).of_pod(&CONTROL, &pod).len(), 1);
    let mut named = bench("quarantine", &none, &none);
    named.settings.parameters.insert("sandbox.runtimeClasses".to_owned(), vec!["vm".to_owned()]);
    let pod = json!({"containers": [], "runtimeClassName": "gvisor", "automountServiceAccountToken": false});
    assert_eq!(named.of_pod(&CONTROL, &pod).len(), 1);
    assert_fixed(&named, &CONTROL, &pod, &none);
}
