//! Formats and files, switches, fetches, and the changes that mend them.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, assert_fixed, assert_lines, lines};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[track_caller]
fn of_model(spec: &Value) -> Vec<String> {
    let mut spec = spec.clone();
    if spec.get("source").is_none() {
        spec["source"] = json!({"kind": "pvc", "claimName": "c"});
    }
    let bench = Bench::new("production", "internal").model("m", &spec);
    lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])))
}

#[test]
fn formats_hold_data_only() {
    let file = |path: &str| json!([{"path": path, "sha256": "0".repeat(64)}]);
    for format in ["safetensors", "gguf", "onnx"] {
        assert_eq!(of_model(&json!({"format": format})), [""; 0]);
    }
    assert_eq!(of_model(&json!({"source": {"kind": "api"}})), [""; 0]);
    assert_eq!(of_model(&json!({"files": file("model.safetensors")})), [""; 0]);
    for format in ["pickle", "torchScript", "savedModel", "other"] {
        let line = format!(
            "AIModel chat-prod/m spec.format {format:?}: is no format that holds data only, as safetensors, gguf, onnx are"
        );
        assert_eq!(of_model(&json!({"format": format})), [line]);
    }
    assert_eq!(
        of_model(&json!({})),
        [
            "AIModel chat-prod/m spec.format: is not set and spec.files lists no file, so nobody knows whether loading the \
          model runs code [unknown]"
        ]
    );
    for path in ["pytorch_model.bin", "a/model.PT", "x.ckpt", "modeling.py", "m.pkl", "m.joblib"] {
        assert_eq!(
            of_model(&json!({"format": "safetensors", "files": file(path)})),
            [format!(
                "AIModel chat-prod/m spec.files[0].path {path:?}: is a file that can run code when it is loaded"
            )]
        );
    }
    for path in ["config.json", "model-00001-of-00002.safetensors", "tokenizer.model", "README"] {
        assert_eq!(of_model(&json!({"format": "safetensors", "files": file(path)})), [""; 0]);
    }
}

pub(super) fn bench() -> Bench {
    Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &json!({"source": {"kind": "oci", "reference": format!("registry.example/m@{DIGEST}")}, "format": "gguf"}))
}

/// A pod with one container over the mounted model.
fn pod(container: &Value) -> Value {
    let mut container = container.clone();
    container["name"] = "c".into();
    container["volumeMounts"] = json!([{"name": "model", "mountPath": "/models/m"}]);
    json!({"containers": [container],
           "volumes": [{"name": "model", "image": {"reference": format!("registry.example/m@{DIGEST}")}}]})
}

#[test]
fn a_declared_model_that_is_mounted_may_be_loaded() {
    for container in [
        json!({"command": ["vllm", "serve", "/models/m"]}),
        json!({"args": ["--model=/models/m/weights.gguf"]}),
        json!({"command": ["vllm", "serve", "org/m"], "env": [{"name": "HF_HUB_OFFLINE", "value": "1"},
               {"name": "HF_HOME", "value": "/models/m/cache"}]}),
        json!({"command": ["agent"], "envFrom": []}),
    ] {
        assert_lines(&bench().of_pod(&CONTROL, &pod(&container)), &[]);
    }
}

#[test]
fn switches_are_refused_and_mended() {
    for (container, line) in [
        (
            json!({"args": ["--model=/models/m", "--trust-remote-code", "--port=1"]}),
            r#"spec.containers[0].args[1] "--trust-remote-code": lets a model bring its own code, which then runs in the pod"#,
        ),
        (
            json!({"command": ["sh", "-c", "exec vllm serve /models/m --trust-remote-code=true --port 80"]}),
            r#"spec.containers[0].command[2] "--trust-remote-code=true": lets a model bring its own code, which then runs in the pod"#,
        ),
        (
            json!({"command": ["python", "-c", "load('/models/m', trust_remote_code=True)"]}),
            r#"spec.containers[0].command[2] "trust_remote_code=True": lets a model bring its own code, which then runs in the pod"#,
        ),
        (
            json!({"env": [{"name": "TRUST_REMOTE_CODE", "value": "true"}]}),
            r#"spec.containers[0].env[0].value "TRUST_REMOTE_CODE=true": lets a model bring its own code, which then runs in the pod"#,
        ),
        (
            json!({"args": ["--load-format", "pt", "--port=1"]}),
            r#"spec.containers[0].args[0] "--load-format": reads files in a way that runs the code in them"#,
        ),
        (
            json!({"env": [{"name": "HF_HUB_OFFLINE", "value": "false"}]}),
            r#"spec.containers[0].env[0].value "HF_HUB_OFFLINE=false": makes the program fetch models from outside when it starts"#,
        ),
        (
            json!({"command": ["vllm", "serve", "org/m"]}),
            r#"spec.containers[0].command[2] "org/m": is fetched from a hub when the program starts, and AIWorkload chat-prod/chat declares no model from there"#,
        ),
        (
            json!({"command": ["sh", "-c", "vllm serve org/m"]}),
            r#"spec.containers[0].command[2] "org/m": is fetched from a hub when the program starts, and AIWorkload chat-prod/chat declares no model from there"#,
        ),
        (
            json!({"args": ["--model", "s3://bucket/m"]}),
            r#"spec.containers[0].args[1] "s3://bucket/m": is fetched from outside when the program starts, and AIWorkload chat-prod/chat declares no model from there"#,
        ),
    ] {
        assert_lines(&bench().of_pod(&CONTROL, &pod(&container)), &[line]);
        assert_fixed(&bench(), &CONTROL, &pod(&container), &json!({}));
    }
}

#[test]
fn several_faults_of_a_container_are_mended_by_one_change() {
    let container = json!({"command": ["sh", "-c"], "args": ["vllm serve org/m --trust-remote-code"],
                           "env": [{"name": "HF_HUB_ENABLE_HF_TRANSFER", "value": "1"}]});
    let found = bench().of_pod(&CONTROL, &pod(&container));
    assert_eq!(found.len(), 3, "{:?}", lines(&found));
    let fixes: Vec<String> =
        found.iter().map(|f| f.fix.as_ref().map_or_else(String::new, ToString::to_string)).collect();
    assert_eq!(
        fixes[0],
        r#"set spec.containers[0].args: ["vllm serve /models/m"]; set spec.containers[0].env[0].value: "0""#
    );
    assert!(fixes.iter().all(|fix| *fix == fixes[0]), "{fixes:?}");
}

#[test]
fn what_is_fetched_is_declared_and_pinned() {
    let bench = |kind: &str| {
        Bench::new("production", "internal").workload(&json!({"type": kind, "models": [{"name": "m"}]})).model(
            "m",
            &json!({"source": {"kind": "huggingface", "reference": "org/m", "revision": COMMIT}, "digest": DIGEST, "format": "gguf"}),
        )
    };
    let pod = |args: Value| json!({"containers": [{"name": "c", "args": args}]});
    let commit = format!("--revision={COMMIT}");
    assert_lines(&bench("inference").of_pod(&CONTROL, &pod(json!(["--model=org/m", commit]))), &[]);
    let unpinned = pod(json!(["--model=org/m"]));
    assert_lines(
        &bench("inference").of_pod(&CONTROL, &unpinned),
        &[&format!(
            r#"spec.containers[0].args[0] "org/m": is fetched without a commit, so what comes can change; AIModel "m" names {COMMIT:?}"#
        )],
    );
    assert_fixed(&bench("inference"), &CONTROL, &unpinned, &json!({}));
    assert_lines(
        &bench("inference").of_pod(&CONTROL, &pod(json!(["--model=org/m", "--revision=main"]))),
        &[&format!(
            r#"spec.containers[0].args[0] "org/m@main": is not the commit {COMMIT:?} that AIModel "m" names"#
        )],
    );
    // Whoever brings models in fetches them.
    assert_lines(&bench("import").of_pod(&CONTROL, &pod(json!(["--model=org/other"]))), &[]);
}

#[test]
fn what_cannot_be_read_stays_open() {
    let from_map = json!({"name": "EXTRA", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}});
    assert_lines(
        &bench()
            .of_pod(&CONTROL, &pod(&json!({"args": ["--model=/models/m", "$(EXTRA)"], "env": [from_map]}))),
        &[r#"spec.containers[0].args[1]: cannot be read: variable "EXTRA" comes from a ConfigMap [unknown]"#],
    );
    assert_lines(
        &bench().of_pod(&CONTROL, &pod(&json!({"envFrom": [{"configMapRef": {"name": "c"}}]}))),
        &[
            "spec.containers[0].envFrom[0]: cannot be read: every variable in a ConfigMap reaches the program [unknown]",
        ],
    );
    // A container that loads nothing is not asked.
    let other = json!({"containers": [{"name": "x", "envFrom": [{"configMapRef": {"name": "c"}}]}]});
    assert_lines(&bench().of_pod(&CONTROL, &other), &[]);
}

#[test]
fn a_pod_that_reaches_a_hub_is_told_not_to_fetch() {
    let api = json!({"externalApis": [{"name": "hub", "host": "huggingface.co"}]});
    let bench = Bench::new("production", "internal").workload(&api);
    let pod = json!({"containers": [{"name": "c", "command": ["vllm", "serve"]}]});
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            r#"spec.containers[0].env: lacks HF_HUB_OFFLINE=1, though the pod may reach "huggingface.co" and fetch from there"#,
        ],
    );
    assert_fixed(&bench, &CONTROL, &pod, &json!({}));
}

#[test]
fn what_the_operator_saw_in_the_files_counts_more_than_the_declaration() {
    let judged = |spec: &Value, digest: &str, formats: &str, bytes: &str| {
        let mut spec = spec.clone();
        (spec["source"], spec["digest"]) = (json!({"kind": "pvc", "claimName": "c"}), json!(DIGEST));
        let mut bench = Bench::new("production", "internal").model("m", &spec);
        let found = json!({
            "digest": digest, "formatsVerified": formats, "bytesVerified": bytes,
            "message": "bytes: x; formats: \"a.bin\" can run code when it is loaded: pickle",
        });
        bench.found_of_model("m", found);
        lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])))
    };
    let stated = json!({"format": "safetensors"});
    assert_eq!(judged(&stated, DIGEST, "Verified", "Verified"), [""; 0]);
    // Nobody needs to declare what was seen.
    assert_eq!(judged(&json!({}), DIGEST, "Verified", "Verified"), [""; 0]);
    let at = format!("AIModel chat-prod/m spec.digest {DIGEST:?}: ");
    assert_eq!(
        judged(&stated, DIGEST, "Failed", "Verified"),
        [format!(
            "{at}has files that can run code when they are loaded: \"a.bin\" can run code when it is loaded: pickle"
        )]
    );
    assert_eq!(
        judged(&stated, DIGEST, "Unknown", "Verified"),
        [format!(
            "{at}has files of which nobody can tell what loading them runs: \"a.bin\" can run code when it is loaded: \
             pickle [unknown]"
        )]
    );
    assert_eq!(judged(&stated, DIGEST, "Unknown", "Unknown"), [""; 0]);
    assert_eq!(judged(&stated, &DIGEST.replace("aaaa", "bbbb"), "Failed", "Verified"), [""; 0]);
}

#[test]
fn what_a_serving_object_names_is_declared_pinned_and_no_program() {
    use crate::policy::facts::{ServedFacts, ServedModel};
    let models = ["claim", "artifact", "hub", "bucket"];
    let used: Vec<Value> = models.iter().map(|name| json!({"name": name})).collect();
    let bench = Bench::new("production", "internal")
        .workload(&json!({"models": used}))
        .model("claim", &json!({"source": {"kind": "pvc", "claimName": "w", "path": "m/v1"}}))
        .model("artifact", &json!({"source": {"kind": "oci", "reference": format!("r.example/m@{DIGEST}")}}))
        .model("hub", &json!({"source": {"kind": "huggingface", "reference": "org/m", "revision": COMMIT}}))
        .model("bucket", &json!({"source": {"kind": "s3", "reference": "s3://b/m", "revision": "v7"}}));
    let said = |address: &str, format: &str, workload: bool| {
        let field =
            |path: &str, value: &str| (!value.is_empty()).then(|| (path.to_owned(), value.to_owned()));
        let models = [ServedModel { address: field("a", address), format: field("f", format) }];
        let workload = workload.then(|| &bench.namespace.workloads["chat"]);
        lines(&bench.judge(&CONTROL, Subject::Served(ServedFacts { workload, models: &models })))
    };
    let of = "AIWorkload chat-prod/chat declares";
    for (address, what) in [
        ("pvc://w/m/v1", None),
        ("pvc://w/m/v1/sub", None),
        ("pvc://w/m/v12", Some(format!(r#"lies at "m/v12" of its claim, and the model that {of} at "m/v1""#))),
        ("pvc://other", Some(format!("is no model that {of}"))),
        (&format!("oci://r.example/m@{DIGEST}"), None),
        ("oci://r.example/m:v1", Some(format!("names no digest, and is no model that {of}"))),
        (&format!("hf://org/m:{COMMIT}"), None),
        ("hf://org/m", Some(format!("is fetched at another state than the commit {COMMIT:?} that its AIModel names"))),
        ("hf://org/x:main", Some(format!("is no model that {of}"))),
        ("s3://b/m?versionId=v7", None),
        ("s3://b/m?versionId=v8", Some(r#"is not the version "v7" that its AIModel names"#.to_owned())),
        (
            "s3://b/m",
            Some(
                r#"is fetched without a version, so what comes can change; its AIModel names "v7", and a program that takes none needs a copy on a claim"#
                    .to_owned(),
            ),
        ),
        ("gs://b/m", Some(format!("is no model that {of}"))),
    ] {
        let wanted: Vec<String> = what.map(|what| format!("a {address:?}: {what}")).into_iter().collect();
        assert_eq!(said(address, "onnx", true), wanted, "{address}");
        // Whether it is declared is known of a declared workload only.
        assert_eq!(said(address, "", false), [""; 0], "{address}");
    }
    assert_eq!(
        said("", "SKLearn", false),
        [r#"f "SKLearn": is a format that runs what is in it when it is loaded"#]
    );
}

#[test]
fn an_object_of_a_bucket_is_taken_at_its_version() {
    let said = |source: Value, value: &str| {
        let bench = Bench::new("production", "internal")
            .workload(&json!({"models": [{"name": "m"}]}))
            .model("m", &json!({"source": source, "digest": DIGEST, "format": "gguf"}));
        lines(&bench.of_pod(&CONTROL, &json!({"containers": [{"name": "c", "args": ["--model", value]}]})))
    };
    let pinned = json!({"kind": "s3", "reference": "s3://b/m", "revision": "v7"});
    let at = |value: &str, what: &str| vec![format!("spec.containers[0].args[1] {value:?}: {what}")];
    assert_eq!(said(pinned.clone(), "s3://b/m?versionId=v7"), [""; 0]);
    let other = "s3://b/m?versionId=v6";
    assert_eq!(said(pinned.clone(), other), at(other, r#"is not the version "v7" that its AIModel names"#));
    assert!(said(pinned, "s3://b/m")[0].contains("is fetched without a version"));
    let address = json!({"kind": "s3", "reference": "s3://b/m?versionId=v7"});
    assert_eq!(said(address, "s3://b/m?versionId=v7"), [""; 0]);
    let open = json!({"kind": "s3", "reference": "s3://b/m"});
    assert_eq!(said(open.clone(), "s3://b/m"), [""; 0]);
    assert_eq!(said(open, other), at(other, "names a version, and its AIModel none in spec.source.revision"));
}

#[test]
fn a_folder_that_nobody_can_tell_is_unknown() {
    let bench = Bench::new("production", "internal").workload(&json!({"models": [{"name": "m"}]})).model(
        "m",
        &json!({"source": {"kind": "pvc", "claimName": "models", "path": "late"}, "format": "gguf"}),
    );
    let pod = json!({
        "containers": [{"name": "c", "args": [], "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}}}],
                        "volumeMounts": [{"name": "v", "mountPath": "/w", "subPathExpr": "$(X)"}, {"name": "v", "mountPath": "/u", "subPathExpr": "$(U)"}]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "models"}}]});
    let so = r#"so any folder of claim "models" may be what is mounted [unknown]"#;
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            &format!(
                r#"spec.containers[0].volumeMounts[0].subPathExpr "$(X)": cannot be read: variable "X" comes from the pod's own fields, {so}"#
            ),
            &format!(
                r#"spec.containers[0].volumeMounts[1].subPathExpr "$(U)": cannot be read: one of its variables is not set in the pod, {so}"#
            ),
        ],
    );
    assert_fixed(&bench, &CONTROL, &pod, &json!({}));
}

#[test]
fn what_belongs_to_a_switch_goes_with_it_and_one_model_is_enough() {
    let container = json!({"command": ["tritonserver"], "args": ["--model-repository=/models/m", "--model-control-mode=explicit", "--load-model=x", "--load-model", "y", "--http-port=1"]});
    let after = json!(["--model-repository=/models/m", "--http-port=1"]);
    let found = bench().of_pod(&CONTROL, &pod(&container));
    assert_eq!(found[0].fix.as_ref().unwrap().edits()[0].value, Some(after));
    assert_fixed(&bench(), &CONTROL, &pod(&container), &json!({}));
    for args in [
        json!(["--model-repository=/models/m", "--model-repository", "s3://b/m"]),
        json!(["--model-repository", "s3://b/m", "--model-repository=/models/m"]),
        json!(["--model-repository=s3://b/m", "--model-repository", "s3://b/n"]),
    ] {
        let container = json!({"command": ["tritonserver"], "args": args});
        let fixed = bench().of_pod(&CONTROL, &pod(&container));
        let words: Vec<_> = fixed[0]
            .fix
            .iter()
            .flat_map(crate::policy::fix::Fix::edits)
            .filter_map(|edit| edit.value.as_ref())
            .collect();
        assert_eq!(words[0].as_array().unwrap().len(), 1, "{args}: {words:?}");
        assert_eq!(*words[0], json!(["--model-repository=/models/m"]), "{args}");
    }
}

#[test]
fn a_command_that_fetches_is_to_be_taken_away() {
    for script in
        ["ollama pull llama3", "huggingface-cli download org/m", "curl -L https://huggingface.co/org/m"]
    {
        let found = bench().of_pod(&CONTROL, &pod(&json!({"command": ["sh", "-c", script]})));
        let fix = found[0].fix.as_ref().unwrap().to_string();
        assert!(fix.starts_with("take the command that fetches away"), "{script}: {fix}");
    }
}
