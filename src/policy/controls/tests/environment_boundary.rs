//! Every boundary of `environment-boundary`, from both sides.

use serde_json::json;

use super::CONTROL;
use crate::api::profile::Isolation;
use crate::policy::facts::{BindingRef, Subject};
use crate::policy::rights::{BOTH_SIDES, Holder, Rights};
use crate::policy::testing::{Bench, DIGEST, NAMESPACE, assert_fixed, assert_lines, namespace, read};

fn released() -> serde_json::Value {
    json!({"stage": "released", "digest": DIGEST})
}

#[test]
fn a_released_model_of_the_own_namespace_may_serve_in_production() {
    let bench = Bench::new("production", "confidential")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &released());
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    assert_lines(&bench.of_pod(&CONTROL, &json!({"containers": []})), &[]);
}

#[test]
fn types_stay_where_they_belong() {
    for (environment, kind, expected) in [
        ("production", "supporting", &[][..]),
        ("research", "notebook", &[]),
        ("training", "training", &[]),
        (
            "production",
            "notebook",
            &[
                r#"AIWorkload chat-prod/chat spec.type "notebook": does not belong in production, which runs inference, agent, batch and supporting only"#,
            ],
        ),
        (
            "production",
            "training",
            &[
                r#"AIWorkload chat-prod/chat spec.type "training": does not belong in production, which runs inference, agent, batch and supporting only"#,
            ],
        ),
        (
            "staging",
            "notebook",
            &[r#"AIWorkload chat-prod/chat spec.type "notebook": belongs in research, not in staging"#],
        ),
    ] {
        let bench = Bench::new(environment, "internal").workload(&json!({"type": kind}));
        assert_lines(&bench.of_workload(&CONTROL), expected);
    }
}

#[test]
fn a_pod_of_a_misplaced_declaration_is_refused_and_its_carrier_warned() {
    let bench = Bench::new("staging", "internal").workload(&json!({"type": "notebook"}));
    assert_lines(
        &bench.of_pod(&CONTROL, &json!({"containers": []})),
        &[
            r#"AIWorkload chat-prod/chat spec.type "notebook": belongs in research, not in staging [may arrive]"#,
        ],
    );
}

#[test]
fn production_runs_released_models_and_nobody_runs_retired_ones() {
    for (environment, spec, expected) in [
        ("staging", json!({"stage": "candidate"}), None),
        ("staging", json!({"stage": "retired"}), Some(r#" "retired": is retired and runs nowhere any more"#)),
        (
            "production",
            json!({"stage": "experimental"}),
            Some(r#" "experimental": is not released, and production runs released models only"#),
        ),
        ("production", json!({}), Some(": is not set, and production runs released models only")),
    ] {
        let bench = Bench::new(environment, "internal")
            .workload(&json!({"models": [{"name": "m"}]}))
            .model("m", &spec);
        let expected: Vec<String> =
            expected.iter().map(|end| format!("AIModel chat-prod/m spec.stage{end} [may arrive]")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_lines(&bench.of_workload(&CONTROL), &expected);
    }
}

#[test]
fn an_unknown_model_is_named() {
    let bench = Bench::new("research", "internal").workload(&json!({"models": [{"name": "gone"}]}));
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            r#"AIWorkload chat-prod/chat spec.models[0].name "gone": no AIModel of namespace "chat-prod" has this name [may arrive]"#,
        ],
    );
}

#[test]
fn the_owner_of_a_model_says_where_and_for_what() {
    let spec =
        json!({"stage": "released", "allowedNamespaces": ["other"], "allowedUses": ["search", "support"]});
    let bench =
        Bench::new("production", "internal").workload(&json!({"models": [{"name": "m"}]})).model("m", &spec);
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            r#"AIModel chat-prod/m spec.allowedNamespaces "other": does not name namespace "chat-prod" [may arrive]"#,
            "AIWorkload chat-prod/chat spec.purpose.useCategory: is not set, and only some uses are what the owner of AIModel chat-prod/m allows: search, support",
        ],
    );
    let spec = json!({"stage": "released", "allowedNamespaces": ["chat-prod"], "allowedUses": ["search"]});
    let declared = |category: &str| json!({"models": [{"name": "m"}], "purpose": {"useCategory": category}});
    let bench = Bench::new("production", "internal").workload(&declared("search")).model("m", &spec);
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    let bench = Bench::new("production", "internal").workload(&declared("spam")).model("m", &spec);
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            r#"AIWorkload chat-prod/chat spec.purpose.useCategory "spam": is no use that the owner of AIModel chat-prod/m allows: search"#,
        ],
    );
}

#[test]
fn data_to_learn_from_stays_out_of_production() {
    let declared =
        |purpose: &str, access: &str| json!({"datasets": [{"name": "d", "use": purpose, "access": access}]});
    for (purpose, access, refused) in [
        ("retrieval", "read", false),
        ("feedback", "write", false),
        ("feedback", "read", true),
        ("training", "read", true),
        ("finetuning", "write", true),
        ("evaluation", "read", true),
    ] {
        let bench = Bench::new("production", "internal").workload(&declared(purpose, access));
        let line = format!(
            "AIWorkload chat-prod/chat spec.datasets[0].use {purpose:?}: brings data of dataset \"d\" into production that belongs elsewhere"
        );
        let expected = if refused { vec![line.as_str()] } else { vec![] };
        assert_lines(&bench.of_workload(&CONTROL), &expected);
    }
}

#[test]
fn references_follow_the_path_of_promotion() {
    let uses = |namespace: &str| json!({"services": [{"name": "s", "namespace": namespace, "podLabels": {"a": "b"}, "ports": [80], "sensitivity": "public"}]});
    let world = |mine: &str| {
        Bench::new(mine, "internal")
            .beside(namespace("lab", "research", "internal"))
            .beside(namespace("rehearsal", "staging", "internal"))
            .beside(namespace("store", "data", "internal"))
    };
    for (mine, other, refused) in [
        ("production", "store", false),
        ("production", "rehearsal", false),
        ("production", "lab", true),
        ("staging", "lab", false),
        ("research", "rehearsal", true),
        ("production", "not-governed", false),
    ] {
        let bench = world(mine).workload(&uses(other));
        let theirs = if other == "lab" { "research" } else { "staging" };
        let line = format!(
            "AIWorkload chat-prod/chat spec.services[0].namespace {other:?}: is a namespace of environment {theirs}, which {mine} does not share with"
        );
        let expected = if refused { vec![line.as_str()] } else { vec![] };
        assert_lines(&bench.of_workload(&CONTROL), &expected);
    }
    let caller = json!({"exposure": [{"name": "api", "port": 80, "from": [{"namespace": "lab", "podLabels": {"a": "b"}}]}]});
    assert_lines(
        &world("production").workload(&caller).of_workload(&CONTROL),
        &[
            r#"AIWorkload chat-prod/chat spec.exposure[0].from[0].namespace "lab": is a namespace of environment research, which production does not share with"#,
        ],
    );
}

#[test]
fn data_does_not_flow_downhill() {
    let bench = Bench::new("production", "confidential").beside(namespace("open", "production", "public"));
    let declared = |sensitivity: serde_json::Value| json!({"services": [{"name": "s", "namespace": "open", "podLabels": {"a": "b"}, "ports": [80], "sensitivity": sensitivity}]});
    let bench = bench.workload(&declared(json!(null)));
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            r#"AIWorkload chat-prod/chat spec.services[0].namespace "open": is for public data, and confidential data would be sent there"#,
        ],
    );
    assert_lines(&bench.workload(&declared(json!("public"))).of_workload(&CONTROL), &[]);
}

#[test]
fn research_is_not_offered_to_the_public() {
    let declared = json!({"exposure": [{"name": "api", "port": 80, "audience": "public"}]});
    let bench = Bench::new("research", "internal").workload(&declared);
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            r#"AIWorkload chat-prod/chat spec.exposure[0].audience "public": offers research to people outside the organisation"#,
        ],
    );
    assert_lines(&Bench::new("production", "internal").workload(&declared).of_workload(&CONTROL), &[]);
}

#[test]
fn restricted_pods_are_set_apart() {
    let pod = json!({"containers": []});
    let mut bench = Bench::new("production", "restricted").workload(&json!({}));
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            "spec: no AIProfile says by which runtime class or which nodes pods for restricted data are set apart [unknown] [may arrive]",
        ],
    );
    let isolation: Isolation =
        read(json!({"sensitivity": "restricted", "runtimeClassNames": ["gvisor", "kata"],
        "nodeSelector": {"pool.example/kind": "restricted"}}));
    bench.settings.isolation.push(isolation);
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            r#"spec.runtimeClassName "": does not set a pod for restricted data apart, one of gvisor, kata does"#,
            r#"spec.nodeSelector["pool.example/kind"] "": does not choose the nodes for restricted data, which are labelled pool.example/kind=restricted"#,
        ],
    );
    assert_fixed(&bench, &CONTROL, &pod, &json!({}));
    let internal = Bench { settings: bench.settings, ..Bench::new("production", "internal") };
    assert_lines(&internal.of_pod(&CONTROL, &pod), &[]);
}

#[test]
fn who_writes_on_both_sides_is_told() {
    let rule = json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]});
    let holder = |who: &'static str, research: Option<&'static str>| Holder {
        who: who.into(),
        rights: Rights::of(&[read(rule.clone())]),
        binding: BindingRef { namespace: Some(NAMESPACE), name: "b" },
        research,
    };
    let mut bench = Bench::new("production", "internal");
    bench.holders =
        vec![holder("user:ada", None), holder("user:bob", Some("lab")), holder("user:bob", Some("lab"))];
    let found = bench.judge(&CONTROL, Subject::Namespace);
    assert_lines(
        &found,
        &[
            "Namespace chat-prod: who may write here and in research, such as namespace \"lab\", is not listed under \
           access.researchAndProduction of an AIProfile: user \"bob\" by RoleBinding \"b\" [namespace]",
        ],
    );
    bench.settings.parameters.insert(BOTH_SIDES.to_owned(), vec!["user:bob".to_owned()]);
    assert_lines(&bench.judge(&CONTROL, Subject::Namespace), &[]);
}

#[test]
fn a_model_is_released_after_it_was_measured() {
    let bench = Bench::new("production", "internal").model("m", &released());
    let found = bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"]));
    assert_lines(
        &found,
        &[
            "AIModel chat-prod/m spec.stage \"released\": no FunctionalValidation of AIModel \"m\" at sha256:aaaaaaaaaaaa is \
           recorded [may arrive] [namespace]",
        ],
    );
    let proof = json!({"type": "FunctionalValidation", "subject": {"kind": "AIModel", "name": "m", "digest": DIGEST},
        "ref": "https://d.example/v", "digest": DIGEST, "issuedAt": "2025-12-01", "result": "pass"});
    let bench = bench.evidence("v", &proof);
    assert_lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])), &[]);
}
