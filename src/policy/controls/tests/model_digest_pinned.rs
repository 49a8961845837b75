//! Pinned and unpinned models of every source, and mounts that could rewrite them.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, DIGEST, assert_fixed, assert_lines, lines};

#[track_caller]
fn of_model(spec: &Value) -> Vec<String> {
    let bench = Bench::new("production", "internal").model("m", spec);
    lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])))
}

fn other() -> String {
    DIGEST.replace("aaaa", "bbbb")
}

fn reference() -> String {
    format!("registry.example/m@{DIGEST}")
}

#[test]
fn pinned_sources_pass() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for source in [
        json!({"kind": "oci", "reference": reference()}),
        json!({"kind": "image", "reference": "registry.example/app@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}),
        json!({"kind": "pvc", "claimName": "models"}),
        json!({"kind": "s3", "reference": "s3://bucket/m"}),
        json!({"kind": "huggingface", "reference": "org/m", "revision": commit}),
    ] {
        assert_eq!(of_model(&json!({"source": source, "digest": DIGEST})), [""; 0]);
    }
    assert_eq!(of_model(&json!({"source": {"kind": "oci", "reference": reference()}})), [""; 0]);
    assert_eq!(of_model(&json!({"source": {"kind": "api"}})), [""; 0]);
}

#[test]
fn unpinned_sources_are_refused() {
    for (spec, line) in [
        (json!({"digest": DIGEST}), "spec.source: is missing, so nobody knows which bytes are meant"),
        (
            json!({"source": {"kind": "oci", "reference": "registry.example/m:v1"}}),
            r#"spec.source.reference "registry.example/m:v1": names no digest and spec.digest is not set"#,
        ),
        (
            json!({"source": {"kind": "oci", "reference": "Registry/UP er"}, "digest": DIGEST}),
            r#"spec.source.reference "Registry/UP er": is no reference of an artifact: "#,
        ),
        (
            json!({"source": {"kind": "pvc", "claimName": "models"}}),
            "spec.digest: is not set, so the bytes may change unseen",
        ),
        (
            json!({"source": {"kind": "s3", "reference": "s3://b/m"}, "digest": "md5:1"}),
            r#"spec.digest "md5:1": is no sha256 digest"#,
        ),
        (
            json!({"source": {"kind": "huggingface", "reference": "org/m", "revision": "main"}, "digest": DIGEST}),
            r#"spec.source.revision "main": is no commit, and branches and tags can move"#,
        ),
        (
            json!({"source": {"kind": "oci", "reference": reference()}, "digest": other()}),
            r#"is not the digest in spec.source.reference, "sha256:aaaa"#,
        ),
    ] {
        let found = of_model(&spec);
        assert!(found.len() == 1 && found[0].contains(line), "{found:?} is not {line}");
    }
}

#[test]
fn what_an_unknown_program_serves_is_declared() {
    let models = |spec: Value| {
        let bench = Bench::new("production", "internal");
        bench.workload(&json!({"models": [{"name": "m"}]})).model("m", &spec)
    };
    let source = json!({"source": {"kind": "oci", "reference": reference()}, "digest": DIGEST});
    let volumes = json!([{"name": "model", "image": {"reference": reference()}}, {"name": "system", "configMap": {"name": "s"}},
        {"name": "work", "emptyDir": {}}]);
    let mounts = json!([{"name": "model", "mountPath": "/models/m", "readOnly": true}, {"name": "system", "mountPath": "/system"},
        {"name": "work", "mountPath": "/work"}]);
    let found = |bench: &Bench, container: &Value| {
        let mut container = container.clone();
        container["name"] = "c".into();
        container["volumeMounts"] = mounts.clone();
        let pod = json!({"containers": [container], "volumes": volumes});
        let mut found = bench.of_pod(&CONTROL, &pod);
        found.retain(|finding| finding.detail.contains("lies on"));
        lines(&found)
    };
    let bench = models(source);
    let line = |place: &str, path: &str| {
        format!(
            "spec.containers[0].{place} {path:?}: lies on volume \"system\", which holds no model that AIWorkload chat-prod/chat \
             declares"
        )
    };
    for (container, place, path) in [
        (json!({"args": ["serve", "/system", "--port=1"]}), "args[1]", "/system"),
        (json!({"args": ["serve", "--host=x", "/system"]}), "args[2]", "/system"),
        (json!({"args": ["serve", "--enforce-eager", "/system"]}), "args[2]", "/system"),
        (json!({"command": ["/demo-app"], "args": ["serve", "/models/../system/"]}), "args[1]", "/system"),
        (json!({"command": ["python", "app.py"], "args": ["serve", "/system"]}), "args[1]", "/system"),
        (json!({"command": ["sh", "-c", "exec /demo-app serve /system"]}), "command[2]", "/system"),
        (json!({"args": ["serve", "text"], "workingDir": "/system"}), "args[1]", "/system/text"),
    ] {
        assert_eq!(found(&bench, &container), [line(place, path)], "{container}");
    }
    for container in [
        json!({"args": ["serve", "/models/m"]}),
        json!({"args": ["serve", "/models/m", "/system"]}),
        json!({"args": ["serve", "--rules=/system/text"]}),
        json!({"args": ["serve", "--rules", "/system/text"]}),
        json!({"args": ["serve", "text"]}),
        json!({"args": ["serve", "chat"], "workingDir": "/work"}),
        json!({"args": ["check", "/system"]}),
    ] {
        assert_eq!(found(&bench, &container), [""; 0], "{container}");
    }
    let elsewhere = models(json!({"source": {"kind": "api"}}));
    assert_eq!(found(&elsewhere, &json!({"args": ["serve", "/system"]})), [""; 0]);
}

#[test]
fn own_models_are_signed_within_a_day() {
    let spec = |signed: &str| {
        json!({"source": {"kind": "oci", "reference": reference()}, "origin": "internal", "trainedAt": "2025-02-20T10:00:00Z",
               "signature": {"kind": "cosign", "signedAt": signed}})
    };
    assert_eq!(of_model(&spec("2025-02-21T09:00:00Z")), [""; 0]);
    assert_eq!(
        of_model(&spec("2025-02-23T10:00:00Z")),
        [
            r#"AIModel chat-prod/m spec.signature.signedAt "2025-02-23T10:00:00Z": is 72 hours after spec.trainedAt, more than 24"#
        ]
    );
}

#[test]
fn bytes_that_failed_verification_count_for_their_digest_only() {
    let world = |digest: &str| {
        let spec = json!({"source": {"kind": "pvc", "claimName": "c"}, "digest": DIGEST});
        let mut bench = Bench::new("production", "internal")
            .model("m", &spec)
            .workload(&json!({"models": [{"name": "m"}]}));
        let found = json!({"digest": digest, "bytesVerified": "Failed", "message": "weights.bin differs"});
        bench.found_of_model("m", found);
        bench
    };
    let line = format!(
        "AIModel chat-prod/m spec.digest {DIGEST:?}: is not the digest of what is stored: weights.bin differs [may arrive]"
    );
    assert_lines(&world(DIGEST).of_pod(&CONTROL, &json!({"containers": []})), &[&line]);
    assert_lines(&world(&other()).of_pod(&CONTROL, &json!({"containers": []})), &[]);
}

#[test]
fn abuse_058_the_volume_of_a_model_is_read_only_in_every_container() {
    let bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &json!({"source": {"kind": "pvc", "claimName": "models"}, "digest": DIGEST}));
    let claim = |extra: Value| {
        let mut source = json!({"claimName": "models"});
        json_patch::merge(&mut source, &extra);
        json!([{"name": "v", "persistentVolumeClaim": source}, {"name": "w", "persistentVolumeClaim": {"claimName": "scratch"}}])
    };
    let writable = json!([{"name": "w", "mountPath": "/w"}, {"name": "v", "mountPath": "/m"}]);
    let pod = |volumes: Value| {
        json!({
            "initContainers": [{"name": "i", "volumeMounts": writable}, {"name": "s", "restartPolicy": "Always", "volumeMounts": writable}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/m", "readOnly": true}]},
                           {"name": "d", "volumeDevices": [{"name": "v", "devicePath": "/dev/m"}]}],
            "ephemeralContainers": [{"name": "e", "volumeMounts": writable}],
            "volumes": volumes
        })
    };
    let what = r#"may write to claim "models", which holds AIModel chat-prod/m"#;
    assert_lines(
        &bench.of_pod(&CONTROL, &pod(claim(json!({})))),
        &[
            &format!("spec.initContainers[0].volumeMounts[1].readOnly: {what}"),
            &format!("spec.initContainers[1].volumeMounts[1].readOnly: {what}"),
            &format!("spec.containers[1].volumeDevices[0]: {what}, as a raw device"),
            &format!("spec.ephemeralContainers[0].volumeMounts[1].readOnly: {what}"),
        ],
    );
    assert_fixed(&bench, &CONTROL, &pod(claim(json!({}))), &json!({}));
    assert_lines(&bench.of_pod(&CONTROL, &pod(claim(json!({"readOnly": true})))), &[]);
}

/// A workload with a model on a claim and another in an image, and a container with these arguments.
#[track_caller]
fn loading(args: &Value, extra: &Value) -> Vec<String> {
    let bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}, {"name": "baked"}]}))
        .model("m", &json!({"source": {"kind": "pvc", "claimName": "models", "path": "m/v1"}, "digest": DIGEST}))
        .model("baked", &json!({"source": {"kind": "image", "reference": format!("registry.example/app@{DIGEST}")}, "digest": other()}));
    let mut pod = json!({
        "containers": [{"name": "c", "image": "registry.example/server@sha256:1", "args": args,
                        "env": [{"name": "MODEL_HOME", "value": "/m/m/v1"}],
                        "volumeMounts": [{"name": "v", "mountPath": "/m", "readOnly": true}, {"name": "tmp", "mountPath": "/tmp"},
                                         {"name": "o", "mountPath": "/o", "readOnly": true}]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "models", "readOnly": true}}, {"name": "tmp", "emptyDir": {}},
                    {"name": "o", "persistentVolumeClaim": {"claimName": "other", "readOnly": true}}]
    });
    json_patch::merge(&mut pod, extra);
    lines(&bench.of_pod(&CONTROL, &pod))
}

#[test]
fn what_a_server_loads_is_a_declared_model() {
    let none = json!({});
    for args in
        [json!(["--model=/m/m/v1"]), json!(["--model", "/m/m/v1/weights.gguf"]), json!(["--model", "gpt-4o"])]
    {
        assert_eq!(loading(&args, &none), [""; 0], "{args}");
    }
    for (path, why) in [
        (
            "/m/m/v2",
            r#"lies at "m/v2" of its claim, and the model that AIWorkload chat-prod/chat declares at "m/v1""#,
        ),
        ("/m/m/v1/../v2", "is no plain absolute path, so what it names depends on the image"),
        ("/o/m", r#"lies on claim "other", which holds no model that AIWorkload chat-prod/chat declares"#),
        ("/tmp/m", r#"lies on volume "tmp", which holds no model that AIWorkload chat-prod/chat declares"#),
        (
            "/opt/m",
            "lies in the image, and no model that AIWorkload chat-prod/chat declares is inside that image",
        ),
        (
            "/mm",
            "lies in the image, and no model that AIWorkload chat-prod/chat declares is inside that image",
        ),
    ] {
        assert_eq!(
            loading(&json!([format!("--model={path}")]), &none),
            [format!("spec.containers[0].args[0] {path:?}: {why}")]
        );
    }
    let mounts = json!([{"name": "tmp", "mountPath": "/out"}]);
    let filler =
        |image: &str| json!({"initContainers": [{"name": "i", "image": image, "volumeMounts": mounts}]});
    let baked = filler(&format!("registry.example/app@{DIGEST}"));
    assert_eq!(loading(&json!(["--model=/tmp/m"]), &baked), [""; 0]);
    assert_eq!(loading(&json!(["--model=/tmp/m"]), &filler("registry.example/evil")).len(), 1);
}

/// A workload with a model in a folder of a claim, and a pod that mounts the claim at `/opt/w`.
fn mounting(mount: &Value, container: &Value) -> (Bench, Value) {
    let source = |path: &str| json!({"source": {"kind": "pvc", "claimName": "models", "path": path}, "digest": DIGEST});
    let bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &source("late"))
        .model("other", &json!({"source": {"kind": "pvc", "claimName": "spare"}, "digest": DIGEST}));
    let mut mounted = json!({"name": "v", "mountPath": "/opt/w", "readOnly": true});
    json_patch::merge(&mut mounted, mount);
    let mut container = container.clone();
    json_patch::merge(&mut container, &json!({"name": "c", "volumeMounts": [mounted]}));
    let pod = json!({"containers": [container], "volumes": [
        {"name": "v", "persistentVolumeClaim": {"claimName": "models", "readOnly": true}},
        {"name": "spare", "persistentVolumeClaim": {"claimName": "spare", "readOnly": true}}]});
    (bench, pod)
}

#[test]
fn a_mount_of_a_claim_shows_the_folder_of_a_declared_model() {
    let from = |value: &str| json!({"args": [], "env": [{"name": "X", "value": value}]});
    let named = |path: &str| json!({"args": ["--model", path]});
    let silent = json!({"args": []});
    for (mount, container) in [
        (json!({"subPath": "late"}), silent.clone()),
        (json!({"subPath": "./late/deeper/"}), silent.clone()),
        (json!({"subPathExpr": "$(X)"}), from("late")),
        (json!({"subPathExpr": "la$(X)"}), from("te")),
        (json!({}), named("/opt/w/late")),
        (json!({}), json!({"command": ["cp", "-r", "/opt/w/late", "/out"]})),
    ] {
        let (bench, pod) = mounting(&mount, &container);
        assert_lines(&bench.of_pod(&CONTROL, &pod), &[]);
    }
    let what = "of claim \"models\", and what AIWorkload chat-prod/chat declares lies at \"late\"";
    for (mount, container, line) in [
        (json!({"subPath": "other"}), silent.clone(), format!(r#"subPath "other": mounts "other" {what}"#)),
        (json!({"subPath": "later"}), silent.clone(), format!(r#"subPath "later": mounts "later" {what}"#)),
        (json!({"subPath": "other"}), named("/opt/w"), format!(r#"subPath "other": mounts "other" {what}"#)),
        (
            json!({"subPathExpr": "$(X)"}),
            from("other"),
            format!(r#"subPathExpr "$(X)": mounts "other" {what}"#),
        ),
        (json!({"subPathExpr": "$(X)"}), named("/opt/w"), String::new()),
        (json!({}), silent.clone(), format!("subPath: mounts all {what}")),
        (json!({}), named("gpt-4o"), format!("subPath: mounts all {what}")),
    ] {
        let (bench, pod) = mounting(&mount, &container);
        let line = format!("spec.containers[0].volumeMounts[0].{line}");
        // What cannot be read is said by safe-model-loading.
        let lines: &[&str] = if line.ends_with('.') { &[] } else { &[&line] };
        assert_lines(&bench.of_pod(&CONTROL, &pod), lines);
        if !lines.is_empty() {
            assert_fixed(&bench, &CONTROL, &pod, &json!({}));
        }
    }
}

#[test]
fn the_fix_of_a_path_names_the_folder_of_the_model() {
    let (bench, pod) = mounting(&json!({}), &json!({"args": ["--model", "/opt/w/other"]}));
    let why =
        r#"lies at "other" of its claim, and the model that AIWorkload chat-prod/chat declares at "late""#;
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[&format!(r#"spec.containers[0].args[1] "/opt/w/other": {why}"#)],
    );
    let found = bench.of_pod(&CONTROL, &pod);
    assert_eq!(found[0].fix.as_ref().unwrap().edits()[0].value, Some(json!(["--model", "/opt/w/late"])));
    assert_fixed(&bench, &CONTROL, &pod, &json!({}));
}

#[test]
fn the_claim_of_a_model_that_is_not_declared_is_not_mounted() {
    let (bench, pod) = mounting(&json!({"name": "spare"}), &json!({"args": []}));
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            r#"spec.containers[0].volumeMounts[0] "/opt/w": mounts claim "spare", which holds AIModel "other", and AIWorkload chat-prod/chat does not declare it"#,
        ],
    );
}

#[test]
fn nothing_is_mounted_over_a_model_and_data_is_none() {
    let artifact = |name: &str| format!("registry.example/{name}@{DIGEST}");
    let mut bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &json!({"digest": DIGEST, "source": {"kind": "oci", "reference": artifact("m")}}));
    let data = json!({"metadata": {"name": "d", "namespace": "chat-prod"},
        "spec": {"digest": DIGEST, "source": {"kind": "oci", "reference": artifact("d")}}});
    bench.namespace.datasets.insert("d".to_owned(), std::sync::Arc::new(crate::policy::testing::read(data)));
    let found = |model: &str, path: &str| {
        let pod = json!({
            "containers": [{"name": "c", "command": ["vllm", "serve", "/models/m"], "volumeMounts": [
                {"name": "m", "mountPath": model, "readOnly": true}, {"name": "d", "mountPath": path, "readOnly": true}]}],
            "volumes": [{"name": "m", "image": {"reference": artifact("m")}}, {"name": "d", "image": {"reference": artifact("d")}}]});
        lines(&bench.of_pod(&CONTROL, &pod))
    };
    assert_eq!(found("/models/m", "/data"), [""; 0]);
    for path in ["/models/m/../m", "/models/m/tokenizer.json"] {
        let hides = format!(
            "spec.containers[0].volumeMounts[1].mountPath {path:?}: hides what the declared model in volume \"m\" has there"
        );
        assert!(found("/models/m", path).contains(&hides), "{path}: {:?}", found("/models/m", path));
    }
    let data = found("/other", "/models/m");
    assert!(data.iter().any(|line| line.contains("volume \"d\", which holds no model")), "{data:?}");
}
