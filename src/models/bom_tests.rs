//! Model cards as tools write them, and where they contradict an AIModel.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn document() -> Value {
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6",
        "metadata": {"component": {
            "type": "machine-learning-model", "name": "acme/Chat-Small", "version": "2",
            "hashes": [{"alg": "SHA-1", "content": "00"}, {"alg": "SHA-256", "content": "A".repeat(64)}],
            "licenses": [{"license": {"id": "Apache-2.0"}}],
            "modelCard": {"modelParameters": {"datasets": [{"type": "dataset", "name": "Talks 2025"}, {"ref": "d2"}]}},
        }},
        "components": [{"type": "data", "bom-ref": "d2", "name": "letters"}],
        "unheardOf": {"by": "us"},
    })
}

fn model() -> AIModel {
    serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIModel", "metadata": {"name": "chat-small"},
        "spec": {
            "digest": format!("sha256:{}", "a".repeat(64)), "version": "2", "license": "apache-2.0",
            "trainedOn": [{"dataset": "talks-2025"}, {"dataset": "letters"}],
        },
    }))
    .unwrap()
}

fn read(value: &Value) -> Result<Card, String> {
    Card::read(value.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_card_that_says_the_same_has_no_differences() {
    let card = read(&document()).unwrap();
    assert!(card.has_card);
    assert_eq!(card.datasets.iter().collect::<Vec<_>>(), ["Talks 2025", "letters"]);
    assert_eq!(card.differences(&model()), [""; 0]);
}

#[test]
fn every_contradiction_is_said() {
    let said = |pointer: &str, value: Value| {
        let mut document = document();
        *document.pointer_mut(pointer).unwrap() = value;
        read(&document).unwrap().differences(&model())
    };
    let of = |field: &str| format!("/metadata/component/{field}");
    assert_eq!(
        said(&of("name"), json!("other")),
        ["the card is about \"other\", the AIModel is \"chat-small\""]
    );
    assert_eq!(said(&of("version"), json!("1")), ["the card is about version \"1\", spec.version is \"2\""]);
    let digest = format!("sha256:{}", "a".repeat(64));
    assert_eq!(
        said(&of("hashes/1/content"), json!("b".repeat(64))),
        [format!("none of the card's hashes is spec.digest {digest:?} or that of a file")]
    );
    assert_eq!(
        said(&of("licenses"), json!([{"expression": "MIT"}])),
        ["the card names licence \"MIT\", spec.license is \"apache-2.0\""]
    );
    assert_eq!(
        said(&of("modelCard/modelParameters/datasets/0/name"), json!("secrets")),
        [
            "spec.trainedOn names dataset \"talks-2025\", the card does not",
            "the card names dataset \"secrets\", spec.trainedOn does not"
        ]
    );
}

#[test]
fn what_is_left_out_contradicts_nothing_but_a_card_about_nothing_is_said() {
    let bare = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5",
        "components": [{"type": "machine-learning-model", "name": "chat-small"}, {"type": "library", "name": "torch"}],
    });
    assert_eq!(
        read(&bare).unwrap().differences(&model()),
        ["the card gives neither a hash nor a version, so it may be about any model of the name"]
    );
}

#[test]
fn what_is_no_card_of_one_model_is_refused() {
    let refused = |change: fn(&mut Value)| {
        let mut document = document();
        change(&mut document);
        read(&document).unwrap_err()
    };
    assert_eq!(refused(|d| d["bomFormat"] = json!("SPDX")), "its format is \"SPDX\", not CycloneDX");
    assert!(refused(|d| d["specVersion"] = json!("1.4")).starts_with("its version is \"1.4\""));
    let none = "no component of type \"machine-learning-model\" is in it";
    assert_eq!(refused(|d| d["metadata"] = json!({})), none);
    assert_eq!(
        refused(|d| {
            let model = d["metadata"]["component"].clone();
            d["metadata"] = json!({});
            d["components"] = json!([model, model]);
        }),
        "2 components of type \"machine-learning-model\" are in it, and none is its subject"
    );
    assert!(read(&json!("x")).unwrap_err().starts_with("it cannot be read: "));
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let _ = Card::read(text.as_bytes());
    }
}
