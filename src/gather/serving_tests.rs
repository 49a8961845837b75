//! What serving objects say, in both ways of writing them.

use serde_json::json;

use super::*;
use crate::gather::objects::carrier;

#[test]
fn what_is_to_be_served_is_found_in_both_ways_of_writing() {
    let read = |kind: &str, spec: &Value| {
        let carrier = carrier("serving.kserve.io", kind).unwrap();
        let one = |field: Option<(String, String)>| {
            field.map_or_else(|| "-".to_owned(), |(path, value)| format!("{path}={value}"))
        };
        let served = served(carrier, &json!({"spec": spec}));
        let said = served.into_iter().map(|model| format!("{} {}", one(model.address), one(model.format)));
        said.collect::<Vec<_>>()
    };
    let model = json!({"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://c/m"});
    let new = json!({"predictor": {"minReplicas": 1, "model": model}, "transformer": {"containers": []}});
    assert_eq!(
        read("InferenceService", &new),
        ["spec.predictor.model.storageUri=pvc://c/m spec.predictor.model.modelFormat.name=sklearn"]
    );
    assert_eq!(
        read("InferenceService", &json!({"predictor": {"sklearn": {"storageUri": "s3://b/m"}}})),
        ["spec.predictor.sklearn.storageUri=s3://b/m spec.predictor.sklearn=sklearn"]
    );
    let adapters = json!([{"name": "a", "uri": "pvc://a"}]);
    assert_eq!(
        read("LLMInferenceService", &json!({"model": {"uri": "hf://o/m", "lora": {"adapters": adapters}}})),
        ["spec.model.uri=hf://o/m -", "spec.model.lora.adapters[0].uri=pvc://a -"]
    );
}

#[test]
fn what_stands_behind_a_credential_is_an_address_too() {
    let carrier = carrier("serving.kserve.io", "InferenceService").unwrap();
    let model = json!({"modelFormat": {"name": "onnx"}, "storage": {"key": "minio", "path": "m/1"}});
    let served = served(carrier, &json!({"spec": {"predictor": {"model": model}}}));
    let address = served[0].address.as_ref().unwrap();
    assert_eq!(
        (address.0.as_str(), address.1.as_str()),
        ("spec.predictor.model.storage", "storage minio: m/1")
    );
}

#[test]
fn containers_of_every_part_are_found() {
    let carrier = carrier("serving.kserve.io", "InferenceService").unwrap();
    let object = json!({"metadata": {"labels": {"app": "chat"}}, "spec": {
        "predictor": {
            "model": {"modelFormat": {"name": "huggingface"}, "args": ["--model_id=evil/model"]},
            "containers": [{"name": "c", "image": "evil.example/x:v1"}],
            "workerSpec": {"containers": [{"name": "w", "image": "evil.example/y:v1"}]},
            "minReplicas": 1,
        },
        "transformer": {"containers": [{"name": "t", "image": "evil.example/z:v1"}]}}});
    let serving = Serving::read(carrier, &object);
    let found: Vec<_> = serving.parts.iter().map(|part| (part.path.1.as_str(), part.image)).collect();
    assert_eq!(
        found,
        [
            ("spec.predictor.", true),
            ("spec.predictor.model.", false),
            ("spec.predictor.workerSpec.", true),
            ("spec.transformer.", true)
        ]
    );
    assert_eq!(serving.parts[1].pod.spec.containers[0].args.as_deref().unwrap(), ["--model_id=evil/model"]);
    let plain =
        json!({"spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "pvc://c"}}}});
    assert!(Serving::read(carrier, &plain).parts.is_empty());
}
