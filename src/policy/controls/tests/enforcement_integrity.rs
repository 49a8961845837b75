//! Exemptions step by step, and profiles and trust policies that cannot hold.

use serde_json::{Value, json};

use super::CONTROL;
use crate::api;
use crate::policy::control::Finding;
use crate::policy::facts::{EnforcementFault, ExemptionFacts, Subject};
use crate::policy::testing::{Bench, assert_lines, merged, read};

const AT: &str = "AIExemption chat-prod/legacy spec";

fn exemption(patch: &Value) -> api::AIExemption {
    let spec = json!({"controls": ["image-digest-pinned"], "subject": {"kind": "AIWorkload", "name": "chat"},
        "reason": "the vendor ships tags until March", "requestedBy": "dev.one", "expiresAt": "2026-03-01"});
    read(json!({"metadata": {"name": "legacy", "namespace": "chat-prod"}, "spec": merged(spec, patch)}))
}

fn created(patch: &Value, user: &str) -> Vec<Finding> {
    let exemption = exemption(patch);
    let facts = ExemptionFacts { exemption: &exemption, former: None, user: Some(user), may_approve: None };
    Bench::new("production", "internal").judge(&CONTROL, Subject::Exemption(facts))
}

fn updated(from: &Value, to: &Value, user: &str, may_approve: Option<bool>) -> Vec<Finding> {
    let (former, exemption) = (exemption(from), exemption(to));
    let facts =
        ExemptionFacts { exemption: &exemption, former: Some(&former), user: Some(user), may_approve };
    Bench::new("production", "internal").judge(&CONTROL, Subject::Exemption(facts))
}

#[test]
fn one_person_asks_and_another_approves() {
    assert_lines(&created(&json!({}), "dev.one"), &[]);
    assert_lines(&updated(&json!({}), &json!({"approvedBy": "j.doe"}), "j.doe", Some(true)), &[]);
    // An update that changes nothing, as of labels.
    assert_lines(
        &updated(&json!({"approvedBy": "j.doe"}), &json!({"approvedBy": "j.doe"}), "anyone", None),
        &[],
    );
}

#[test]
fn whoever_asks_is_the_one_who_creates() {
    assert_lines(
        &created(&json!({}), "mallory"),
        &[&format!(
            "{AT}.requestedBy \"dev.one\": is not you, \"mallory\": an exemption is asked for by the one who creates it"
        )],
    );
    assert_lines(
        &created(&json!({"approvedBy": "j.doe"}), "dev.one"),
        &[&format!(
            "{AT}.approvedBy \"j.doe\": is set on creation, and approval is a second person's second step"
        )],
    );
}

#[test]
fn approval_is_personal_by_another_and_by_right() {
    let approve = json!({"approvedBy": "j.doe"});
    assert_lines(
        &updated(&json!({}), &approve, "mallory", Some(true)),
        &[&format!("{AT}.approvedBy \"j.doe\": is not you, \"mallory\": nobody approves in another's name")],
    );
    assert_lines(
        &updated(&json!({}), &approve, "j.doe", Some(false)),
        &[&format!(
            "{AT}.approvedBy \"j.doe\": \"j.doe\" does not hold the verb approve on aiexemptions of this namespace"
        )],
    );
    assert_lines(
        &updated(&json!({}), &approve, "j.doe", None),
        &[&format!("{AT}.approvedBy \"j.doe\": it was not asked whether this user may approve [unknown]")],
    );
    assert_lines(
        &updated(&json!({}), &json!({"approvedBy": "dev.one"}), "dev.one", Some(true)),
        &[&format!("{AT}.approvedBy \"dev.one\": \"dev.one\" asked for the exemption and cannot approve it")],
    );
    assert_lines(
        &updated(&json!({}), &approve, "dev.one", Some(true)),
        &[
            &format!("{AT}.approvedBy \"j.doe\": is not you, \"dev.one\": nobody approves in another's name"),
            &format!("{AT}.approvedBy \"j.doe\": \"dev.one\" asked for the exemption and cannot approve it"),
        ],
    );
}

#[test]
fn what_was_asked_for_and_who_approved_do_not_change() {
    for changed in [
        json!({"controls": ["pod-hardened"]}),
        json!({"expiresAt": "2026-03-20"}),
        json!({"reason": "because it is convenient"}),
        json!({"subject": {"name": "other"}}),
        json!({"requestedBy": "someone"}),
    ] {
        assert_lines(
            &updated(&json!({}), &changed, "dev.one", None),
            &[&format!("{AT}: differs from what was asked for, and only approvedBy may change")],
        );
    }
    for (to, value) in [(json!({}), ""), (json!({"approvedBy": "k.lee"}), "k.lee")] {
        assert_lines(
            &updated(&json!({"approvedBy": "j.doe"}), &to, "k.lee", Some(true)),
            &[&format!("{AT}.approvedBy {value:?}: was \"j.doe\", and an approval is not rewritten")],
        );
    }
}

#[test]
fn an_exemption_names_controls_a_reason_and_an_end() {
    for (patch, line) in [
        (json!({"controls": ["no-such-thing"]}), ".controls[0] \"no-such-thing\": is no control"),
        (
            json!({"controls": ["enforcement-integrity"]}),
            ".controls[0] \"enforcement-integrity\": cannot be waived: it is what makes other waivers count",
        ),
        (json!({"mitigations": ["hope"]}), ".mitigations[0] \"hope\": is no control"),
        (json!({"reason": "  "}), ".reason: is empty"),
        (json!({"expiresAt": "soon"}), ".expiresAt \"soon\": is no date"),
        (json!({"expiresAt": "2025-12-01"}), ".expiresAt \"2025-12-01\": is past"),
        (
            json!({"expiresAt": "2026-06-01"}),
            ".expiresAt \"2026-06-01\": is more than 90 days after the exemption was asked for",
        ),
    ] {
        assert_lines(&created(&patch, "dev.one"), &[&format!("{AT}{line}")]);
    }
    assert_lines(
        &created(&json!({"controls": ["safe-model-loading"]}), "dev.one"),
        &[
            &format!(
                "{AT}.justificationRef: is missing, and a waiver of safe-model-loading has to be justified to others"
            ),
            &format!(
                "{AT}.mitigations: is empty, and a waiver of safe-model-loading needs something that lowers the risk"
            ),
        ],
    );
}

#[test]
fn what_is_over_is_neither_asked_for_nor_approved_but_may_be_tidied() {
    let over = json!({"expiresAt": "2025-12-01"});
    let approved = json!({"expiresAt": "2025-12-01", "approvedBy": "j.doe"});
    let line = format!("{AT}.expiresAt \"2025-12-01\": is past");
    assert_lines(&updated(&over, &approved, "j.doe", Some(true)), &[&line]);
    assert_lines(&updated(&approved, &approved, "anyone", None), &[]);
}

#[test]
fn a_profile_names_controls_that_exist_and_the_present_catalogue() {
    let of = |spec: Value| {
        let profile: api::AIProfile = read(json!({"metadata": {"name": "ours"}, "spec": spec}));
        Bench::new("production", "internal").judge(&CONTROL, Subject::Profile(&profile))
    };
    assert_lines(
        &of(json!({"catalogueVersion": 1, "controls": {"pod-hardened": {"production": "enforce"}}})),
        &[],
    );
    assert_lines(
        &of(json!({"controls": {"pod-hardend": {"production": "enforce"}}})),
        &["AIProfile ours spec.controls[\"pod-hardend\"]: is no control, so it changes nothing"],
    );
    let found = of(json!({"catalogueVersion": 0}));
    assert_lines(
        &found,
        &[
            "AIProfile ours spec.catalogueVersion \"0\": is older than the catalogue of this version, which is 1",
        ],
    );
    assert_eq!(found[0].provisions, ["CfV-REVIEW"]);
    assert_lines(
        &of(json!({"catalogueVersion": 2})),
        &[
            "AIProfile ours spec.catalogueVersion \"2\": is newer than the catalogue of this version, which is 1",
        ],
    );
}

#[test]
fn a_trust_policy_can_be_used_as_it_stands() {
    let of = |spec: Value, problems: &[&str]| {
        let policy: api::AITrustPolicy = read(json!({"metadata": {"name": "default"}, "spec": spec}));
        let problems: Vec<String> = problems.iter().map(|&problem| problem.to_owned()).collect();
        Bench::new("production", "internal").judge(&CONTROL, Subject::TrustPolicy(&policy, &problems, None))
    };
    let authorities = json!([{"name": "ci", "key": {"pem": "x"}}]);
    let rule = |extra: Value| merged(json!({"match": {"artifact": "image"}, "authorities": ["ci"]}), &extra);
    assert_lines(&of(json!({"authorities": authorities, "rules": [rule(json!({}))]}), &[]), &[]);
    assert_lines(
        &of(json!({"authorities": authorities}), &["spec.authorities[0].key: is no public key"]),
        &["AITrustPolicy default spec.authorities[0].key: is no public key"],
    );
    let strange = rule(json!({"authorities": ["ci", "gone"], "minSignatures": 3,
        "attestations": [{"predicateType": "https://slsa.dev/provenance/v1", "authorities": ["lost"]}]}));
    assert_lines(
        &of(json!({"authorities": authorities, "rules": [strange]}), &[]),
        &[
            "AITrustPolicy default spec.rules[0].authorities[1] \"gone\": is no entry of spec.authorities",
            "AITrustPolicy default spec.rules[0].attestations[0].authorities[0] \"lost\": is no entry of spec.authorities",
            "AITrustPolicy default spec.rules[0].minSignatures \"3\": is more than the 2 authorities of the rule, so nothing can pass",
        ],
    );
}

#[test]
fn faults_of_the_gate_show_on_the_cluster() {
    let mut bench = Bench::new("production", "internal");
    assert_lines(&bench.judge(&CONTROL, Subject::Cluster), &[]);
    bench.cluster.enforcement_faults.push(EnforcementFault {
        object: "ValidatingWebhookConfiguration \"portcullis\"".to_owned(),
        detail: "failurePolicy was changed to Ignore".to_owned(),
        fix: "find out who changed it",
    });
    assert_lines(
        &bench.judge(&CONTROL, Subject::Cluster),
        &["ValidatingWebhookConfiguration \"portcullis\": failurePolicy was changed to Ignore"],
    );
}

#[test]
fn what_does_not_hold_any_more_shows_on_the_namespace() {
    let mut bench = Bench::new("production", "internal");
    let mut put = |name: &str, patch: Value| {
        bench.namespace.exemptions.insert(name.to_owned(), std::sync::Arc::new(exemption(&patch)));
    };
    put("pending", json!({"expiresAt": "2020-01-01"}));
    put("holds", json!({"approvedBy": "j.doe"}));
    put("over", json!({"approvedBy": "j.doe", "expiresAt": "2025-12-01"}));
    bench.settings.unknown_controls.push("ours: pod-hardend".to_owned());
    assert_lines(
        &bench.judge(&CONTROL, Subject::Namespace),
        &[
            "AIProfile ours spec.controls[\"pod-hardend\"]: is no control, so it changes nothing [namespace]",
            "AIExemption chat-prod/over: does not count any more: it expired at 2025-12-01 [namespace]",
        ],
    );
}
