//! What a serving object of KServe says of containers, which its pods would be refused for.

use super::*;

async fn served(predictor: Value) -> Answer {
    let documented = base();
    let mut world = documented.manifests().world;
    let profile = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile", "metadata": {"name": "all"}, "spec": {"base": "code"}});
    world.apply(Object::Profile(Box::new(serde_json::from_value(profile).unwrap())));
    let judge = Judge { sink: Arc::new(Heard::default()), ..judge(&documented, world, &Arc::default()) };
    let request = json!({
        "uid": "u", "operation": "CREATE", "name": "chat", "namespace": "chat-prod",
        "kind": {"group": "serving.kserve.io", "version": "v1beta1", "kind": "InferenceService"},
        "resource": {"group": "serving.kserve.io", "version": "v1beta1", "resource": "inferenceservices"},
        "userInfo": {"username": "j.doe"},
        "object": {"metadata": {"name": "chat", "namespace": "chat-prod", "labels": {"app": "chat"}},
            "spec": {"predictor": predictor}},
    });
    ask(&judge, request).await
}

#[tokio::test]
async fn arguments_of_a_served_model_are_judged() {
    let model = |args: Value| json!({"minReplicas": 1, "model": {"modelFormat": {"name": "huggingface"}, "args": args}});
    let answer = served(model(json!(["--model_id=evil/model", "--trust-remote-code"]))).await;
    let denial = answer.denial.unwrap();
    assert!(denial.contains("spec.predictor.model.args[1]"), "{denial}");
    assert!(denial.contains("evil/model"), "{denial}");
    let answer = served(model(json!(["--max-model-len=4096", "--model_dir=/mnt/models"]))).await;
    assert_eq!((answer.denial, answer.warnings), (None, Vec::new()));
}

#[tokio::test]
async fn an_image_by_its_tag_is_warned_of() {
    let answer = served(json!({"containers": [{"name": "c", "image": "evil.example/server:v1"}]})).await;
    assert_eq!(answer.denial, None);
    let told = |what: &str| answer.warnings.iter().any(|said| said.contains(what));
    assert!(told("[image-digest-pinned |") && told("spec.predictor.containers[0].image"), "{answer:?}");
}

#[tokio::test]
async fn a_model_behind_a_credential_is_not_declared() {
    let storage = json!({"key": "minio", "path": "models/x"});
    let answer = served(json!({"model": {"modelFormat": {"name": "onnx"}, "storage": storage}})).await;
    let denial = answer.denial.unwrap();
    assert!(denial.contains("spec.predictor.model.storage"), "{denial}");
    assert_eq!(answer.controls, ["safe-model-loading"]);
}
