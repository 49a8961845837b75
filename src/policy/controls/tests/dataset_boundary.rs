//! Datasets stay with their consumers, their purpose and their sensitivity.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Claim, Subject};
use crate::policy::testing::{Bench, NAMESPACE, assert_fixed, assert_lines, lines, namespace, read};

fn bench(patch: &Value) -> Bench {
    Bench::new("production", "internal").workload(patch)
}

fn with(mut bench: Bench, name: &str, spec: Value) -> Bench {
    let mut object = json!({"metadata": {"name": name, "namespace": NAMESPACE}});
    object["spec"] = spec;
    bench.namespace.datasets.insert(name.to_owned(), std::sync::Arc::new(read(object)));
    bench
}

fn listed() -> Value {
    json!({"class": "retrieval", "sensitivity": "internal", "source": {"kind": "pvc", "claimName": "c"},
           "consumers": [{"namespace": NAMESPACE, "workload": "chat"}]})
}

fn pod(read_only: bool) -> Value {
    json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
           "containers": [{"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/d", "readOnly": read_only}]}]})
}

#[test]
fn both_sides_say_who_reads() {
    let uses = json!({"datasets": [{"name": "manual"}]});
    assert_lines(&with(bench(&uses), "manual", listed()).of_pod(&CONTROL, &pod(true)), &[]);
    assert_lines(
        &with(bench(&json!({})), "manual", listed()).of_pod(&CONTROL, &pod(true)),
        &[
            "spec.volumes[0] \"c\": holds AIDataset chat-prod/manual, which AIWorkload chat-prod/chat does not declare [may arrive]",
        ],
    );
    let mut unlisted = listed();
    unlisted["consumers"] = json!([{"namespace": "other", "workload": "chat"}]);
    assert_lines(
        &with(bench(&uses), "manual", unlisted).of_pod(&CONTROL, &pod(true)),
        &[
            "AIDataset chat-prod/manual spec.consumers: does not list workload \"chat\" of namespace \"chat-prod\" [may arrive]",
        ],
    );
}

#[test]
fn nothing_is_mounted_over_a_dataset() {
    let bench = with(bench(&json!({"datasets": [{"name": "manual"}]})), "manual", listed());
    let found = |path: &str| {
        let mounts =
            json!([{"name": "v", "mountPath": "/d", "readOnly": true}, {"name": "w", "mountPath": path}]);
        let pod = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "w", "emptyDir": {}}],
            "containers": [{"name": "a", "volumeMounts": mounts}]});
        lines(&bench.of_pod(&CONTROL, &pod))
    };
    assert_eq!(
        found("/x/../d"),
        [
            "spec.containers[0].volumeMounts[1].mountPath \"/x/../d\": hides what AIDataset chat-prod/manual has there"
        ]
    );
    assert_eq!(found("/d/index").len(), 1);
    assert_eq!(found("/data"), [""; 0]);
}

#[test]
fn what_is_only_read_is_mounted_so() {
    let bench = with(bench(&json!({"datasets": [{"name": "manual"}]})), "manual", listed());
    assert_lines(
        &bench.of_pod(&CONTROL, &pod(false)),
        &[
            "spec.containers[0].volumeMounts[0]: can write to AIDataset chat-prod/manual, which AIWorkload chat-prod/chat only reads",
        ],
    );
    assert_fixed(&bench, &CONTROL, &pod(false), &json!({}));
    let device = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
                        "containers": [{"name": "a", "volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}]});
    assert_fixed(&bench, &CONTROL, &device, &json!({}));
}

#[test]
fn copies_of_copies_are_the_data_itself_and_circles_end() {
    let mut bench = with(bench(&json!({})), "manual", listed());
    let of = |name: &str| Claim { copy_of: Some((None, name.to_owned())), ..Claim::default() };
    bench.namespace.claims.insert("b".into(), of("c"));
    bench.namespace.claims.insert("a".into(), of("b"));
    let mounts = |claim: &str| json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}], "containers": []});
    assert_lines(
        &bench.of_pod(&CONTROL, &mounts("a")),
        &[
            "spec.volumes[0] \"a\": is a copy of AIDataset chat-prod/manual, which AIWorkload chat-prod/chat does not declare [may arrive]",
        ],
    );
    bench.namespace.claims.insert("x".into(), of("y"));
    bench.namespace.claims.insert("y".into(), of("x"));
    assert_lines(&bench.of_pod(&CONTROL, &mounts("x")), &[]);
}

#[test]
fn lineage_carries_sensitivity_and_circles_are_told() {
    let mut data = namespace("data", "data", "restricted");
    let secret = json!({"metadata": {"name": "secret", "namespace": "data"}, "spec": {"permittedAudiences": ["internal"]}});
    data.datasets.insert("secret".into(), std::sync::Arc::new(read(secret)));
    let bench = bench(
        &json!({"models": [{"name": "m"}], "exposure": [{"name": "api", "port": 1, "audience": "public"}]}),
    )
    .model("base", &json!({"digest": "sha256:1", "trainedOn": [{"dataset": "secret", "namespace": "data"}]}))
    .model("m", &json!({"digest": "sha256:1", "baseModelRef": {"name": "base"}}))
    .beside(data);
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            "AIDataset data/secret spec.sensitivity \"restricted\": AIDataset data/secret behind AIModel \"m\" is more than \
             namespace \"chat-prod\" may hold, which is for internal data [may arrive]",
            "AIWorkload chat-prod/chat spec.exposure[0].audience \"public\": is wider than AIDataset data/secret behind \
             AIModel \"m\" permits: internal",
        ],
    );
    let circle = bench.model("base", &json!({"digest": "sha256:1", "baseModelRef": {"name": "m"}}));
    assert_lines(
        &circle.of_workload(&CONTROL),
        &[
            "AIModel chat-prod/m spec.baseModelRef: how sensitive the data behind it is cannot be told: AIModel chat-prod/m is, \
           over others, its own base [unknown] [may arrive]",
        ],
    );
}

#[test]
fn circles_of_one_and_over_namespaces_end_and_are_told() {
    let uses = json!({"models": [{"name": "m"}]});
    let told = |what: &str| {
        format!(
            "AIModel chat-prod/m spec.baseModelRef: how sensitive the data behind it is cannot be told: AIModel {what} its own \
             base [unknown] [may arrive]"
        )
    };
    let own = bench(&uses).model("m", &json!({"digest": "sha256:1", "baseModelRef": {"name": "m"}}));
    assert_lines(&own.of_workload(&CONTROL), &[&told("chat-prod/m is")]);
    // Of the same name elsewhere it is another model, until that one leads back.
    let mut data = namespace("data", "data", "internal");
    let base = |home: &str| {
        read(
            json!({"metadata": {"name": "m", "namespace": "data"}, "spec": {"digest": "sha256:2", "baseModelRef": {"name": "m", "namespace": home}}}),
        )
    };
    data.models.insert("m".into(), std::sync::Arc::new(base("elsewhere")));
    let far = json!({"digest": "sha256:1", "baseModelRef": {"name": "m", "namespace": "data"}});
    assert_lines(&bench(&uses).model("m", &far).beside(data.clone()).of_workload(&CONTROL), &[]);
    for (back, what) in [("data", "data/m is"), (NAMESPACE, "chat-prod/m is, over others,")] {
        data.models.insert("m".into(), std::sync::Arc::new(base(back)));
        let circle = bench(&uses).model("m", &far).beside(data.clone());
        assert_lines(&circle.of_workload(&CONTROL), &[&told(what)]);
    }
}

#[test]
fn a_long_row_of_bases_ends() {
    let mut bench = bench(&json!({"models": [{"name": "m0"}]}));
    for n in 0..100 {
        let base = json!({"digest": "sha256:1", "baseModelRef": {"name": format!("m{}", n + 1)}});
        bench = bench.model(&format!("m{n}"), &base);
    }
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            "AIModel chat-prod/m0 spec.baseModelRef: how sensitive the data behind it is cannot be told: there are more than 32 \
           base models in a row [unknown] [may arrive]",
        ],
    );
}

#[test]
fn learning_data_lives_apart() {
    let training = |environment: &str, spec: Value| {
        let bench = with(Bench::new(environment, "internal"), "d", spec);
        bench.judge(&CONTROL, Subject::Dataset(&bench.namespace.datasets["d"]))
    };
    assert_lines(&training("data", json!({"class": "training"})), &[]);
    assert_lines(&training("production", json!({"class": "training", "publicSource": true})), &[]);
    assert_lines(
        &training("production", json!({"class": "test"})),
        &[
            "AIDataset chat-prod/d spec.class \"test\": belongs in a namespace of environment data, research or training, not in production",
        ],
    );
    assert_lines(
        &training("data", json!({"sensitivity": "restricted"})),
        &[
            "AIDataset chat-prod/d spec.sensitivity \"restricted\": is more than namespace \"chat-prod\" may hold, which is for internal data",
        ],
    );
}

#[test]
fn results_are_as_sensitive_as_what_went_in() {
    let uses = |output: Value, guard: Value| {
        let mut data = listed();
        data["sensitivity"] = json!("confidential");
        let bench = Bench::new("production", "confidential").workload(
            &json!({"datasets": [{"name": "manual"}], "outputs": [output], "guardrails": {"output": guard},
                    "exposure": [{"name": "api", "port": 1, "audience": "public"}]}),
        );
        with(bench, "manual", data).of_workload(&CONTROL)
    };
    let guard = json!({"kind": "nonAI", "container": "redactor"});
    let low = json!({"destination": "exposure/api", "sensitivity": "internal"});
    assert_lines(
        &uses(low.clone(), guard.clone()),
        &[
            "AIWorkload chat-prod/chat spec.outputs[0].sensitivity \"internal\": is less than what went in: AIDataset \
           chat-prod/manual is confidential",
        ],
    );
    let mut taken = low;
    taken["downgradedBy"] = json!("redactor");
    assert_lines(&uses(taken.clone(), guard), &[]);
    assert_eq!(uses(taken, json!({"kind": "AI", "container": "redactor"})).len(), 1);
    assert_lines(
        &uses(
            json!({"destination": "exposure/api", "sensitivity": "confidential"}),
            json!({"kind": "nonAI"}),
        ),
        &[
            "AIWorkload chat-prod/chat spec.outputs[0].destination \"exposure/api\": is for internal data at most, and \
           confidential results go there",
        ],
    );
}

#[test]
fn training_data_becomes_something_else_only_after_a_review() {
    let controllers = json!([{"user": "a.smith"}]);
    let bench =
        with(Bench::new("data", "internal"), "d", json!({"class": "training", "controllers": controllers}));
    let changed: crate::api::AIDataset = read(json!({"metadata": {"name": "d", "namespace": NAMESPACE},
        "spec": {"class": "retrieval", "controllers": [{"user": "mallory"}]}}));
    let judged = |bench: &Bench| lines(&bench.judge(&CONTROL, Subject::Dataset(&changed)));
    assert_eq!(
        judged(&bench),
        [
            "AIDataset chat-prod/d spec.class \"retrieval\": no DataControllerReview of AIDataset \"d\" is recorded; so what is of \
          class \"training\" cannot become \"retrieval\""
        ]
    );
    let review = |by: &str, class: &str| {
        json!({"type": "DataControllerReview", "subject": {"kind": "AIDataset", "name": "d"}, "issuedAt": "2025-12-01",
               "attestedBy": by, "facts": {"class": class}})
    };
    let with_review = |by: &str, class: &str| {
        let bench = with(
            Bench::new("data", "internal"),
            "d",
            json!({"class": "training", "controllers": controllers}),
        );
        judged(&bench.evidence("r", &review(by, class)))
    };
    assert_eq!(with_review("a.smith", "retrieval"), [""; 0]);
    assert_eq!(with_review("mallory", "retrieval").len(), 1);
    assert_eq!(with_review("a.smith", "feedback").len(), 1);
    let same = with(bench, "d", json!({"class": "retrieval"}));
    assert_eq!(judged(&same), [""; 0]);
}

#[test]
fn a_secret_that_opens_data_is_as_good_as_its_volume() {
    let mut bench = with(bench(&json!({})), "manual", listed());
    let key = (NAMESPACE.to_owned(), "s3".to_owned());
    bench.cluster.opened_by.insert(key, [(NAMESPACE.to_owned(), "manual".to_owned())].into());
    let pod = json!({"containers": [{"name": "a", "envFrom": [{"secretRef": {"name": "s3"}}]}]});
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            "spec.containers[0].envFrom[0].secretRef \"s3\": opens AIDataset chat-prod/manual, which AIWorkload chat-prod/chat does \
           not declare [may arrive]",
        ],
    );
}
