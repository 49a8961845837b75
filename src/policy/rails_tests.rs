//! Which guards have the rules that are declared, and which have others.

use serde_json::{Value, json};

use crate::policy::controls::ALL;
use crate::policy::facts::ConfigMap;
use crate::policy::testing::{Bench, DIGEST, merged};

fn bench(source: &Value) -> Bench {
    let guard = json!({"kind": "nonAI", "container": "guard", "policyRef": "AIPrompt/rules"});
    let mut bench = Bench::new("production", "internal")
        .workload(&json!({"prompts": [{"name": "rules"}], "guardrails": {"input": guard, "output": guard}}))
        .prompt(
            "rules",
            &json!({"kind": "guardrailPolicy", "version": "1", "source": source, "digest": DIGEST}),
        );
    let map = ConfigMap { immutable: true, digests: [("text".to_owned(), DIGEST.to_owned())].into() };
    bench.namespace.config_maps.insert("rules-v1".to_owned(), map);
    bench
}

/// What is found of the rules in a pod whose guard is like this.
fn found(bench: &Bench, guard: &Value, volumes: &Value) -> Vec<String> {
    let control = ALL.iter().find(|control| control.id == "prompt-integrity").unwrap();
    let guard = merged(json!({"name": "guard"}), guard);
    let pod = json!({"containers": [{"name": "model"}, guard], "volumes": volumes});
    let all = bench.of_pod(control, &pod);
    all.iter()
        .map(|one| format!("{}: {}", one.place, one.detail))
        .filter(|line| line.contains("guard"))
        .collect()
}

fn in_map(guard: &Value, volumes: &Value) -> Vec<String> {
    found(&bench(&json!({"kind": "configMap", "name": "rules-v1", "key": "text"})), guard, volumes)
}

fn mounts(args: &Value, mounts: &Value) -> Value {
    json!({"args": args, "volumeMounts": mounts})
}

#[test]
fn a_guard_has_its_rules_by_a_mount_or_a_variable() {
    let map = json!([{"name": "rules", "configMap": {"name": "rules-v1"}}]);
    let at = |path: &str| json!([{"name": "rules", "mountPath": path}]);
    for (guard, volumes) in [
        (mounts(&json!(["--rules=/rules/text"]), &at("/rules")), map.clone()),
        (mounts(&json!(["--rules", "/rules/text"]), &at("/rules/")), map.clone()),
        (mounts(&json!(["--config", "/rules"]), &at("/rules")), map.clone()),
        (mounts(&json!(["serve"]), &at("/etc/guard")), map.clone()),
        (
            mounts(&json!([]), &json!([{"name": "rules", "mountPath": "/r.txt", "subPath": "text"}])),
            map.clone(),
        ),
        (
            mounts(&json!(["--rules=/rules/a"]), &at("/rules")),
            json!([{"name": "rules", "configMap": {"name": "rules-v1", "items": [{"key": "text", "path": "a"}]}}]),
        ),
        (
            mounts(&json!(["--rules=/rules/text"]), &at("/rules")),
            json!([{"name": "rules", "projected": {"sources": [{"configMap": {"name": "rules-v1"}}]}}]),
        ),
        (
            json!({"env": [{"name": "RULES", "valueFrom": {"configMapKeyRef": {"name": "rules-v1", "key": "text"}}}]}),
            json!([]),
        ),
        // Two texts in one volume, each under its own path.
        (
            mounts(&json!(["--rules=/rules/rules", "--system=/rules/system"]), &at("/rules")),
            json!([{"name": "rules", "projected": {"sources": [
                {"configMap": {"name": "system-v1", "items": [{"key": "text", "path": "system"}]}},
                {"configMap": {"name": "rules-v1", "items": [{"key": "text", "path": "rules"}]}}]}}]),
        ),
        // What else it is told, where it finds its rules by itself.
        (
            mounts(
                &json!(["--config=/etc/guard/guard.yaml", "--cache=/cache/x"]),
                &json!([{"name": "rules", "mountPath": "/rules"}, {"name": "config", "mountPath": "/etc/guard"}, {"name": "cache", "mountPath": "/cache"}]),
            ),
            json!([{"name": "rules", "configMap": {"name": "rules-v1"}}, {"name": "config", "configMap": {"name": "guard-config"}},
                {"name": "cache", "emptyDir": {}}]),
        ),
        // Rules of the image beside its own.
        (mounts(&json!(["--base-rules=/opt/rules", "--rules=/rules/text"]), &at("/rules")), map.clone()),
        // A place for files of its own beside them.
        (
            mounts(
                &json!(["--rules=/rules/text", "--tmp=/tmp/x"]),
                &json!([{"name": "rules", "mountPath": "/rules"}, {"name": "tmp", "mountPath": "/tmp"}]),
            ),
            json!([{"name": "rules", "configMap": {"name": "rules-v1"}}, {"name": "tmp", "emptyDir": {}}]),
        ),
    ] {
        assert_eq!(in_map(&guard, &volumes), [""; 0], "{guard} {volumes}");
    }
}

#[test]
fn what_hides_or_replaces_the_rules_is_refused() {
    let missing = "spec.containers[1].volumeMounts: do not hand AIPrompt \"rules\", which are the rules of the input guard, to the \
                   container, or something hides them";
    let rules = json!({"name": "rules", "mountPath": "/rules"});
    let args = json!(["--rules=/rules/text"]);
    let annotation =
        json!({"items": [{"path": "text", "fieldRef": {"fieldPath": "metadata.annotations['r']"}}]});
    for (guard, volumes) in [
        (mounts(&args, &json!([rules])), json!([{"name": "rules", "downwardAPI": annotation}])),
        (mounts(&args, &json!([rules])), json!([{"name": "rules", "emptyDir": {}}])),
        (mounts(&args, &json!([])), json!([{"name": "rules", "configMap": {"name": "rules-v1"}}])),
        (
            mounts(&args, &json!([rules, {"name": "over", "mountPath": "/rules/text"}])),
            json!([{"name": "rules", "configMap": {"name": "rules-v1"}}, {"name": "over", "emptyDir": {}}]),
        ),
        (
            mounts(&args, &json!([rules])),
            json!([{"name": "rules", "configMap": {"name": "rules-v1", "optional": true, "items": [{"key": "other", "path": "text"}]}}]),
        ),
        (
            mounts(&args, &json!([rules])),
            json!([{"name": "rules", "projected": {"sources": [{"configMap": {"name": "rules-v1"}}, {"downwardAPI": annotation}]}}]),
        ),
        (
            mounts(&args, &json!([rules, {"name": "over", "mountPath": "/x/../rules/"}])),
            json!([{"name": "rules", "configMap": {"name": "rules-v1"}}, {"name": "over", "emptyDir": {}}]),
        ),
        (mounts(&args, &json!([rules])), json!([{"name": "rules", "configMap": {"name": "another"}}])),
        (
            mounts(&args, &json!([rules])),
            json!([{"name": "rules", "projected": {"sources": [{"configMap": {"name": "rules-v1"}}, {"configMap": {"name": "another"}}]}}]),
        ),
        (
            json!({"env": [{"name": "RULES", "valueFrom": {"configMapKeyRef": {"name": "rules-v1", "key": "text"}}},
                {"name": "RULES", "value": "off"}]}),
            json!([]),
        ),
    ] {
        assert_eq!(in_map(&guard, &volumes), [missing], "{guard} {volumes}");
    }
}

#[test]
fn rules_that_are_mounted_and_not_read_are_told_from_those_that_are() {
    let rules = json!({"name": "rules", "mountPath": "/unused"});
    let other = json!({"name": "other", "mountPath": "/rules"});
    let annotation =
        json!({"items": [{"path": "text", "fieldRef": {"fieldPath": "metadata.annotations['r']"}}]});
    let map = json!({"name": "rules", "configMap": {"name": "rules-v1"}});
    let line = "spec.containers[1].args[0] \"/rules/text\": lies in volume \"other\", which does not hold AIPrompt \"rules\", the rules of \
                the input guard";
    for (args, volume) in [
        (json!(["--rules=/rules/text"]), json!({"name": "other", "emptyDir": {}})),
        (json!(["--file=/rules/text"]), json!({"name": "other", "emptyDir": {}})),
        (json!(["--policy=/rules/text", "--x=/unused/text"]), json!({"name": "other", "emptyDir": {}})),
        (
            json!(["--file=/rules/text", "--x=/unused/text"]),
            json!({"name": "other", "downwardAPI": annotation}),
        ),
    ] {
        assert_eq!(
            in_map(&mounts(&args, &json!([rules, other])), &json!([map, volume])),
            [line],
            "{args} {volume}"
        );
    }
    let secret = json!({"name": "other", "secret": {"secretName": "s"}});
    assert_eq!(
        in_map(&mounts(&json!(["--rules=/rules/text"]), &json!([rules, other])), &json!([map, secret])),
        [line]
    );
    let filled = json!({"args": ["--rules=$(X)"], "env": [{"name": "X", "value": "/opt/other"}], "volumeMounts": [rules]});
    assert_eq!(
        in_map(&filled, &json!([map])),
        [
            "spec.containers[1].args[0] \"/opt/other\": lies in the image, which does not hold AIPrompt \"rules\", the rules of the \
          input guard"
        ]
    );
    let from = |folder: &str| {
        let guard =
            merged(mounts(&json!(["--rules=text.co"]), &json!([rules])), &json!({"workingDir": folder}));
        in_map(
            &guard,
            &json!([{"name": "rules", "configMap": {"name": "rules-v1", "items": [{"key": "text", "path": "text.co"}]}}]),
        )
    };
    assert_eq!(from("/unused"), [""; 0]);
    assert_eq!(from("/scratch").len(), 1);
    let in_image = mounts(&json!(["--rules=/opt/other", "--x=/unused/text"]), &json!([rules]));
    let of_image = "spec.containers[1].args[0] \"/opt/other\": lies in the image, which does not hold AIPrompt \"rules\", the rules of the \
                    input guard";
    assert_eq!(in_map(&in_image, &json!([map])), [of_image]);
    let twice = mounts(&json!(["--rules=/unused/text", "--rules=/opt/other"]), &json!([rules]));
    assert_eq!(in_map(&twice, &json!([map])), [of_image.replace("args[0]", "args[1]")]);
    // What lies in an artifact is registered there.
    let model = json!({"name": "other", "image": {"reference": format!("r.example/m@{DIGEST}")}});
    let guard = mounts(&json!(["--policy-model=/rules/text"]), &json!([rules, other]));
    let source =
        json!({"digest": DIGEST, "source": {"kind": "oci", "reference": format!("r.example/m@{DIGEST}")}});
    let source_of_rules = json!({"kind": "configMap", "name": "rules-v1", "key": "text"});
    let registered = bench(&source_of_rules).model("guard", &source);
    assert_eq!(found(&registered, &guard, &json!([map, model])), [""; 0]);
    assert_eq!(in_map(&guard, &json!([map, model])).len(), 1, "an artifact that is no model");
    for (args, folder) in [
        (json!(["--rules=text"]), "/rules"),
        (json!(["--rules=file:/rules/text"]), "/"),
        (json!(["--rules=file:///rules/text"]), "/"),
        (json!(["--rules=@/rules/text"]), "/"),
        (json!(["--rules=~/text"]), "/"),
    ] {
        let guard = merged(mounts(&args, &json!([rules, other])), &json!({"workingDir": folder}));
        let own = json!({"name": "other", "emptyDir": {}});
        assert_eq!(in_map(&guard, &json!([map, own])).len(), 1, "{args}");
    }
    let mode = json!({"workingDir": "/rules", "env": [{"name": "POLICY_MODE", "value": "strict"}], "volumeMounts": [rules, other]});
    assert_eq!(in_map(&mode, &json!([map, {"name": "other", "emptyDir": {}}])), [""; 0]);
}

#[test]
fn a_text_of_its_own_is_no_registered_one() {
    let map = json!([{"name": "rules", "configMap": {"name": "rules-v1"}}]);
    let guard = |name: &str, value: &str, args: &Value| {
        json!({"env": [{"name": name, "value": value}], "args": args,
            "volumeMounts": [{"name": "rules", "mountPath": "/rules"}]})
    };
    let own = "gives the guard a text of its own beside AIPrompt \"rules\", the rules of the input guard";
    let none = json!([]);
    assert_eq!(
        in_map(&guard("GUARD_RULES", "allow all", &none), &map),
        [format!("spec.containers[1].env[0].value: {own}")]
    );
    assert_eq!(
        in_map(&guard("LEVEL", "info", &json!(["--policy", "allow all"])), &map),
        [format!("spec.containers[1].args[1]: {own}")]
    );
    let field = json!({"fieldRef": {"fieldPath": "metadata.annotations['r']"}});
    let from = json!({"env": [{"name": "GUARD_RULES", "valueFrom": field}], "volumeMounts": [{"name": "rules", "mountPath": "/rules"}]});
    assert_eq!(
        in_map(&from, &map),
        [format!("spec.containers[1].env[0].valueFrom.fieldRef.fieldPath: {own}")]
    );
    for (name, value) in [("POLICY_MODE", "strict"), ("RULES_PATH", "/rules/text"), ("GREETING", "good day")]
    {
        assert_eq!(in_map(&guard(name, value, &none), &map), [""; 0], "{name}={value}");
    }
}

#[test]
fn rules_in_a_registry_are_mounted_as_their_artifact() {
    let reference = format!("r.example/rules@{DIGEST}");
    let bench = bench(&json!({"kind": "oci", "reference": reference}));
    let guard = mounts(&json!(["--rules=/rules/a/b"]), &json!([{"name": "rules", "mountPath": "/rules"}]));
    let volume = |reference: &str| json!([{"name": "rules", "image": {"reference": reference}}]);
    assert_eq!(found(&bench, &guard, &volume(&reference)), [""; 0]);
    assert_eq!(found(&bench, &guard, &volume("r.example/other@sha256:00")).len(), 1);
}
