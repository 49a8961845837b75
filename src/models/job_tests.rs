//! The verifier's pod: restricted, read-only, and recognised only when it is exactly ours.

use serde_json::Value;

use super::*;
use crate::api::model::ModelSourceKind;

fn model() -> AIModel {
    serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIModel",
        "metadata": {"name": "m", "namespace": "chat", "uid": "u"},
        "spec": {
            "digest": format!("sha256:{}", "a".repeat(64)),
            "source": {"kind": "pvc", "claimName": "weights", "path": "llama"},
        },
    }))
    .unwrap()
}

fn settings() -> Settings {
    Settings { image: "registry.example/portcullis@sha256:1".to_owned(), trust: "[]".to_owned() }
}

/// The pod as the API server stores it.
fn stored(spec: &PodSpec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap();
    value["priority"] = json!(0);
    value["preemptionPolicy"] = json!("PreemptLowerPriority");
    value["serviceAccount"] = json!("default");
    value["imagePullSecrets"] = json!([{"name": "login"}]);
    value
}

#[test]
fn the_pod_is_recognised_as_the_api_server_stores_it() {
    let pod = build(&model(), &settings()).unwrap();
    let stored: PodSpec = serde_json::from_value(stored(&pod)).unwrap();
    assert!(is_ours(&stored, &model(), &settings()));
}

#[test]
fn any_other_pod_is_not_ours() {
    let pod = stored(&build(&model(), &settings()).unwrap());
    let changes: [(&str, Value); 16] = [
        ("/containers/0/image", json!("evil")),
        ("/containers/0/args", json!(["verify-model"])),
        ("/containers/0/command", json!(["sh"])),
        ("/containers/0/env/0/value", json!("[1]")),
        ("/containers/0/envFrom", json!([{"secretRef": {"name": "s"}}])),
        ("/containers/0/volumeMounts/0/readOnly", json!(false)),
        ("/containers/0/securityContext/privileged", json!(true)),
        ("/containers/0/lifecycle", json!({"postStart": {"exec": {"command": ["sh"]}}})),
        ("/volumes/0/persistentVolumeClaim/readOnly", json!(false)),
        ("/volumes/0/persistentVolumeClaim/claimName", json!("other")),
        ("/automountServiceAccountToken", json!(true)),
        ("/serviceAccountName", json!("admin")),
        ("/hostNetwork", json!(true)),
        ("/hostPID", json!(true)),
        ("/initContainers", json!([{"name": "x", "image": "evil"}])),
        ("/runtimeClassName", json!("kata")),
    ];
    for (pointer, value) in changes {
        let mut changed = pod.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = if parent.is_empty() { &mut changed } else { changed.pointer_mut(parent).unwrap() };
        parent[key] = value;
        let changed: PodSpec = serde_json::from_value(changed).unwrap();
        assert!(!is_ours(&changed, &model(), &settings()), "{pointer}");
    }
    let mut second = pod.clone();
    let more = pod["containers"][0].clone();
    second["containers"].as_array_mut().unwrap().push(more);
    assert!(!is_ours(&serde_json::from_value(second).unwrap(), &model(), &settings()));
}

#[test]
fn only_models_on_volumes_with_a_digest_are_read() {
    let mut other = model();
    other.spec.digest = None;
    assert_eq!(build(&other, &settings()), None);
    for (kind, read) in [
        (ModelSourceKind::S3, true),
        (ModelSourceKind::HuggingFace, true),
        (ModelSourceKind::Oci, false),
        (ModelSourceKind::Image, false),
        (ModelSourceKind::Api, false),
    ] {
        let mut other = model();
        other.spec.source.as_mut().unwrap().kind = kind;
        assert_eq!(build(&other, &settings()).is_some(), read, "the claim is that of a copy: {kind}");
        other.spec.source.as_mut().unwrap().claim_name = None;
        assert_eq!(build(&other, &settings()), None);
    }
}

#[test]
fn another_digest_claim_image_or_trust_is_another_task() {
    let name = |model: &AIModel, settings: &Settings| task(model, &build(model, settings).unwrap());
    let first = name(&model(), &settings());
    let mut digest = model();
    digest.spec.digest = Some(format!("sha256:{}", "b".repeat(64)));
    let mut claim = model();
    claim.spec.source.as_mut().unwrap().claim_name = Some("other".to_owned());
    let trust = Settings { trust: "[2]".to_owned(), ..settings() };
    for other in [name(&digest, &settings()), name(&claim, &settings()), name(&model(), &trust)] {
        assert_ne!(other, first);
    }
    let job = job(&model(), &build(&model(), &settings()).unwrap()).unwrap();
    assert_eq!(job.metadata.name.unwrap(), format!("portcullis-verify-{first}"));
    assert_eq!(job.spec.unwrap().backoff_limit, Some(0));
}

#[test]
fn a_signature_comes_from_a_config_map_where_the_model_says_so() {
    let mut signed = model();
    let reference = |text: &str| serde_json::from_value(json!({"kind": "oms", "ref": text})).unwrap();
    signed.spec.signature = Some(reference("configmap://sigs/m.sig"));
    let pod = serde_json::to_value(build(&signed, &settings()).unwrap()).unwrap();
    assert_eq!(pod["volumes"][1]["configMap"]["name"], "sigs");
    assert!(pod["containers"][0]["args"].to_string().contains("--signature=/signature/model.sig"));
    for odd in ["configmap://sigs", "configmap:///x", "configmap://a/../b", "oci://x"] {
        signed.spec.signature = Some(reference(odd));
        assert_eq!(build(&signed, &settings()).unwrap().volumes.unwrap().len(), 1, "{odd}");
    }
}

#[test]
fn an_answer_fits_into_what_the_kubelet_keeps() {
    let answer = Answer {
        digest: format!("sha256:{}", "a".repeat(64)),
        signature: VerificationState::Verified,
        authorities: vec!["a".repeat(63); 40],
        bytes: VerificationState::Failed,
        formats: VerificationState::Unknown,
        seen: BTreeMap::from([("pickle".to_owned(), 2)]),
        message: "\u{1f512}\"\n".repeat(3000),
    };
    let text = answer.to_text();
    assert!(text.len() <= LONGEST_ANSWER, "{}", text.len());
    let read = Answer::read(&text).unwrap();
    assert_eq!((read.bytes, read.digest), (VerificationState::Failed, answer.digest));
    assert_eq!(Answer::read("exec: no such file"), None);
}
