//! Makers of outside models, interfaces and devices: known, examined, and behind resellers.

use std::sync::Arc;

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, assert_lines, lines, merged, read};

const LAB: &str = r#"AIModel chat-prod/m spec.supplierRef "lab": names AISupplier lab, which "#;

/// A world with the supplier `lab`, examined, and its governance in the same namespace.
fn bench(supplier: &Value, evidence: &Value) -> Bench {
    let good = json!({"kind": "modelProvider", "status": "approved", "verified": true, "requirements": {"accepted": true}});
    let diligence = json!({
        "type": "SupplierDueDiligence", "subject": {"kind": "AISupplier", "name": "lab"}, "issuedAt": "2025-06-01",
        "ref": "https://docs.example/dd", "digest": DIGEST, "result": "pass"
    });
    let mut bench = Bench::new("production", "internal")
        .governance("acme", &json!({"organisation": "ACME", "governanceNamespace": "chat-prod"}))
        .evidence("dd", &merged(diligence, evidence));
    put(&mut bench, "lab", &merged(good, supplier));
    bench
}

fn put(bench: &mut Bench, name: &str, spec: &Value) {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    bench.cluster.suppliers.insert(name.to_owned(), Arc::new(read(object)));
}

fn of_model(bench: Bench, patch: &Value) -> Vec<String> {
    let spec = json!({"origin": "external", "supplierRef": "lab", "digest": DIGEST,
                      "source": {"kind": "oci", "reference": format!("registry.example/lab/m@{DIGEST}")}});
    let bench = bench.model("m", &merged(spec, patch));
    lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])))
}

#[test]
fn outside_models_come_from_examined_makers() {
    let none = json!({});
    assert_eq!(of_model(bench(&none, &none), &none), [""; 0]);
    assert_eq!(of_model(bench(&none, &none), &json!({"origin": "internal", "supplierRef": null})), [""; 0]);
    assert_eq!(
        of_model(bench(&none, &none), &json!({"supplierRef": null})),
        ["AIModel chat-prod/m spec.supplierRef: is not set, though the model is external"]
    );
    assert_eq!(
        of_model(bench(&none, &none), &json!({"supplierRef": "nobody"})),
        [r#"AIModel chat-prod/m spec.supplierRef "nobody": no AISupplier has this name [may arrive]"#]
    );
    for (supplier, what) in [
        (json!({"status": "suspended"}), "is suspended, so nothing new is taken from it"),
        (json!({"requirements": null}), "has not accepted the security requirements of the organisation"),
        (json!({"verified": false}), "is not verified to be who it says"),
        (json!({"kind": "openSourceProject"}), "names no place for reports of weaknesses"),
    ] {
        assert_eq!(of_model(bench(&supplier, &none), &none), [format!("{LAB}{what}")]);
    }
    // Withdrawn is revoked, and another control speaks of it.
    assert_eq!(of_model(bench(&json!({"status": "withdrawn"}), &none), &none), [""; 0]);
}

#[test]
fn places_of_a_maker_are_compared_by_their_beginning() {
    let none = json!({});
    for (sources, good) in [
        (json!(["registry.example/lab/*"]), true),
        (json!(["https://x/*", "registry.example/*"]), true),
        (json!(["registry.example/lab"]), false),
        (json!(["registry.example/labs/*"]), false),
    ] {
        let found = of_model(bench(&json!({"sources": sources}), &none), &none);
        assert_eq!(found.is_empty(), good, "{sources}: {found:?}");
        assert!(
            good || found[0].contains("spec.source.reference")
                && found[0].contains("is no place of AISupplier lab")
        );
    }
    let hub = json!({"source": {"kind": "huggingface", "reference": "lab/m", "revision": "x"}});
    assert_eq!(of_model(bench(&json!({"sources": ["https://huggingface.co/lab/*"]}), &none), &hub), [""; 0]);
}

#[test]
fn due_diligence_is_current_and_passed() {
    let none = json!({});
    for (evidence, part) in [
        (json!({"type": "ThreatModel"}), "SupplierDueDiligence"),
        (json!({"issuedAt": "2024-06-01"}), "365"),
        (json!({"expiresAt": "2025-12-01"}), "2025-12-01"),
        (json!({"result": "fail"}), "fail"),
        (json!({"subject": {"name": "other"}}), "SupplierDueDiligence"),
    ] {
        let found = of_model(bench(&none, &evidence), &none);
        assert!(found.len() == 1 && found[0].contains(part), "{found:?} lacks {part}");
    }
    // A justification that can be shown takes the place of a maker.
    let justified = bench(&none, &none).evidence(
        "why",
        &json!({"type": "ComponentJustification", "subject": {"kind": "AIModel", "name": "m", "digest": DIGEST},
                "issuedAt": "2025-12-01", "facts": {"reason": ["no other"], "mitigations": ["egress-declared"]}}),
    );
    assert_eq!(of_model(justified, &json!({"supplierRef": null})), [""; 0]);
}

#[test]
fn resellers_lead_to_a_maker() {
    let none = json!({});
    let sells = |maker: Value| json!({"kind": "vendor", "makerRef": maker});
    let mut chain = bench(&none, &none);
    let shop = json!({"kind": "vendor", "makerRef": "lab", "status": "approved", "verified": true, "requirements": {"accepted": true}});
    put(&mut chain, "shop", &shop);
    assert_eq!(of_model(chain, &json!({"supplierRef": "shop"})), [""; 0]);
    for (maker, why) in [
        (Value::Null, "only resells, and names no maker in makerRef"),
        (json!("nobody"), r#"only resells, and no AISupplier has the name "nobody" of its maker"#),
        (json!("lab"), "resells what others resell, 8 times or in a circle"),
    ] {
        let bench = bench(&sells(maker), &none);
        assert_lines(
            &bench.judge(&CONTROL, Subject::Supplier(&bench.cluster.suppliers["lab"])),
            &[&format!("AISupplier lab spec.makerRef: {why}")],
        );
    }
}

#[test]
fn interfaces_and_devices_have_a_maker() {
    let none = json!({});
    let api = |supplier: Value| json!({"externalApis": [{"name": "t", "host": "t.example", "supplierRef": supplier}]});
    let at = "AIWorkload chat-prod/chat spec.externalApis[0].supplierRef";
    assert_lines(&bench(&none, &none).workload(&api(json!("lab"))).of_workload(&CONTROL), &[]);
    assert_lines(
        &bench(&none, &none).workload(&api(Value::Null)).of_workload(&CONTROL),
        &[&format!(r#"{at}: is not set, so nobody examined who answers at "t.example""#)],
    );
    assert_lines(
        &bench(&json!({"status": "suspended"}), &none).workload(&api(json!("lab"))).of_workload(&CONTROL),
        &[&format!(
            r#"{at} "lab": names AISupplier lab, which is suspended, so nothing new is taken from it"#
        )],
    );
    let pod = json!({"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1", "cpu": "1", "hugepages-2Mi": "1"}}}]});
    let workload = || bench(&none, &none).workload(&none);
    assert_lines(
        &workload().of_pod(&CONTROL, &pod),
        &[
            r#"spec.containers[0].resources.limits["nvidia.com/gpu"]: is a device of which no AISupplier of kind hardware is the maker [may arrive]"#,
        ],
    );
    let mut known = workload();
    put(&mut known, "nvidia", &json!({"kind": "hardware", "sources": ["nvidia.com/*"]}));
    assert_lines(&known.of_pod(&CONTROL, &pod), &[]);
}
