//! Public data before and after its validation, and how its sources are watched.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, lines, merged};

fn bench(environment: &str, workload: &Value, dataset: &Value) -> Bench {
    let source = json!({"url": "https://data.example", "retrievedAt": "2025-11-01", "digest": DIGEST, "watch": {"interval": "P7D"}});
    let spec = json!({"publicSource": true, "digest": DIGEST, "source": {"kind": "pvc", "claimName": "c"}, "sources": [source]});
    let used = json!({"type": "training", "datasets": [{"name": "d", "use": "training"}]});
    Bench::new(environment, "internal").workload(&merged(used, workload)).dataset("d", &merged(spec, dataset))
}

fn proof(kind: &str, patch: &Value) -> Value {
    let proof = json!({
        "type": kind, "subject": {"kind": "AIDataset", "name": "d", "digest": DIGEST}, "issuedAt": "2025-12-30",
        "ref": "https://docs.example/x", "digest": DIGEST, "attestedBy": "k.lee", "result": "pass"
    });
    merged(proof, patch)
}

fn of_pod(bench: &Bench) -> Vec<String> {
    lines(&bench.of_pod(&CONTROL, &json!({"containers": []})))
}

#[test]
fn public_data_is_validated_in_its_present_state() {
    let none = json!({});
    let watched = || bench("training", &none, &none).evidence("watch", &proof("SourceWatch", &none));
    assert_eq!(of_pod(&watched().evidence("v", &proof("PublicDataValidation", &none))), [""; 0]);
    for (validation, part) in [
        (None, "PublicDataValidation"),
        (Some(json!({"subject": {"digest": DIGEST.replace("aaaa", "bbbb")}})), "was made for sha256:bbbb"),
        (Some(json!({"expiresAt": "2025-12-31"})), "2025-12-31"),
        (Some(json!({"attestedBy": null})), "attestedBy"),
        (Some(json!({"result": "fail"})), "fail"),
    ] {
        let mut bench = watched();
        if let Some(patch) = &validation {
            bench = bench.evidence("v", &proof("PublicDataValidation", patch));
        }
        let found = of_pod(&bench);
        assert!(
            found.len() == 1
                && found[0].starts_with("AIDataset chat-prod/d spec.digest: ")
                && found[0].contains(part),
            "{found:?} lacks {part}"
        );
    }
    // Where its controllers are named, they are the ones to vouch.
    let controlled = bench("training", &none, &json!({"controllers": [{"user": "a.smith"}]}))
        .evidence("watch", &proof("SourceWatch", &none))
        .evidence("v", &proof("PublicDataValidation", &none));
    let found = of_pod(&controlled);
    assert!(found.len() == 1 && found[0].contains("a.smith"), "{found:?}");
}

#[test]
fn quarantine_prepares_what_is_not_validated_yet() {
    let none = json!({});
    let of = |environment: &str, kind: &str| {
        let bench =
            bench(environment, &json!({"type": kind}), &none).evidence("watch", &proof("SourceWatch", &none));
        of_pod(&bench).len()
    };
    assert_eq!(of("quarantine", "dataPreparation"), 0);
    assert_eq!(of("quarantine", "import"), 0);
    assert_eq!(of("quarantine", "training"), 1);
    assert_eq!(of("data", "dataPreparation"), 1);
    // What is not public is not asked.
    let own = bench("training", &none, &json!({"publicSource": false, "sources": []}));
    assert_eq!(of_pod(&own), [""; 0]);
}

#[test]
fn sources_are_named_and_watched() {
    let none = json!({});
    let of = |dataset: &Value, watch: Option<&Value>| {
        let mut bench = bench("training", &none, dataset);
        if let Some(patch) = watch {
            bench = bench.evidence("watch", &proof("SourceWatch", patch));
        }
        lines(&bench.judge(&CONTROL, Subject::Dataset(&bench.namespace.datasets["d"])))
    };
    let source = |patch: &Value| {
        let whole = json!({"url": "https://x", "retrievedAt": "2025-11-01", "digest": DIGEST, "watch": {"interval": "P7D"}});
        json!({"sources": [merged(whole, patch)]})
    };
    let at = "AIDataset chat-prod/d spec.sources";
    assert_eq!(of(&none, Some(&none)), [""; 0]);
    assert_eq!(
        of(&json!({"sources": []}), Some(&none)),
        [format!("{at}: names no place, though publicSource is true")]
    );
    for (patch, line) in [
        (
            json!({"retrievedAt": null}),
            r#"[0].retrievedAt: is not set, so nobody can tell whether "https://x" has changed"#,
        ),
        (
            json!({"digest": null}),
            r#"[0].digest: is not set, so nobody can tell whether "https://x" has changed"#,
        ),
        (json!({"retrievedAt": "2027-01-01"}), r#"[0].retrievedAt "2027-01-01": is no date that has come"#),
        (
            json!({"watch": {"interval": "P30D"}}),
            r#"[0].watch.interval "P30D": is no duration of at most 7 days"#,
        ),
        (
            json!({"watch": {"interval": "often"}}),
            r#"[0].watch.interval "often": is no duration of at most 7 days"#,
        ),
    ] {
        assert_eq!(of(&source(&patch), Some(&none)), [format!("{at}{line}")]);
    }
    for (watch, part) in [(None, "SourceWatch"), (Some(json!({"issuedAt": "2025-12-20"})), "7")] {
        let found = of(&none, watch.as_ref());
        assert!(
            found.len() == 1 && found[0].starts_with(at) && found[0].contains(part),
            "{found:?} lacks {part}"
        );
    }
}
