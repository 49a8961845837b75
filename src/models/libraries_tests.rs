//! What is read of bills of materials, and what is not.

use serde_json::json;

use super::*;

const CYCLONEDX: &str = "https://cyclonedx.org/bom/v1.6";
const SPDX: &str = "https://spdx.dev/Document";

fn names(predicate_type: &str, bill: &Value) -> Vec<String> {
    let read = read(predicate_type, bill.to_string().as_bytes()).unwrap();
    read.iter().map(ToString::to_string).collect()
}

#[test]
fn the_names_of_loaders_are_sorted_and_plain() {
    assert!(LOADERS.is_sorted(), "looked up by halves");
    assert!(LOADERS.iter().all(|name| *name == name.to_ascii_lowercase() && !name.contains('_')));
}

#[test]
fn a_package_url_is_read_as_its_registry_compares_names() {
    for (text, shown) in [
        ("pkg:pypi/Torch@2.4.0", "pkg:pypi/torch@2.4.0"),
        ("pkg:pypi/Sentence_Transformers@3.0?extension=whl#x", "pkg:pypi/sentence-transformers@3.0"),
        ("pkg:npm/%40huggingface/transformers@3.1.0", "pkg:npm/@huggingface/transformers@3.1.0"),
        ("pkg:npm/@huggingface/transformers", "pkg:npm/@huggingface/transformers"),
        ("pkg:pypi/torch@2.4.0%2Bcu121", "pkg:pypi/torch@2.4.0+cu121"),
        ("pkg:golang/github.com/ollama/ollama@v0.3.1", "pkg:golang/github.com/ollama/ollama@v0.3.1"),
    ] {
        assert_eq!(Library::of_url(text).map(|one| one.to_string()).as_deref(), Some(shown), "{text}");
    }
    for text in ["torch@2", "pkg:pypi", "pkg:pypi/", "pkg:pypi/%ff@1", ""] {
        assert_eq!(Library::of_url(text), None, "{text}");
    }
    // A sign that is none stays as it is.
    assert_eq!(Library::of_url("pkg:pypi/a%zz@1%").unwrap().to_string(), "pkg:pypi/a%zz@1%");
}

#[test]
fn loaders_are_found_wherever_a_bill_lists_them() {
    let bill = json!({"bomFormat": "CycloneDX", "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "name": "vllm", "version": "0.6"}},
    "components": [
        {"type": "library", "name": "requests", "version": "2", "purl": "pkg:pypi/requests@2"},
        {"type": "library", "name": "Torch", "version": "2.4.0", "purl": "pkg:pypi/torch@2.4.0"},
        {"type": "machine-learning-model", "name": "transformers", "version": "1"},
        {"type": "framework", "name": "bundle", "components": [
            {"type": "library", "name": "onnxruntime", "version": "1.19", "purl": "pkg:pypi/onnxruntime"}]},
        {"type": "library", "name": "python3-torch", "version": "1.13", "purl": "pkg:deb/debian/python3-torch@1.13"},
        {"type": "library", "name": "ray", "version": "9", "purl": "pkg:npm/ray@9"},
            {"type": "library", "name": "x", "version": "1", "purl": "pkg:npm/onnxruntime-node@1.19"},
        {"type": "library", "name": "long", "purl": format!("pkg:pypi/jax@{}", "9".repeat(500))},
    ]});
    let mut wanted = vec![
        "pkg:generic/vllm@0.6".to_owned(),
        "pkg:deb/debian/python3-torch@1.13".to_owned(),
        "pkg:npm/onnxruntime-node@1.19".to_owned(),
        format!("pkg:pypi/jax@{}", "9".repeat(MAX_TEXT)),
        "pkg:pypi/onnxruntime@1.19".to_owned(),
        "pkg:pypi/torch@2.4.0".to_owned(),
    ];
    assert_eq!(names(CYCLONEDX, &bill), wanted);
    let packages = json!({"spdxVersion": "SPDX-2.3", "packages": [
        {"name": "torch", "versionInfo": "2.4.0", "externalRefs": [
            {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x"},
            {"referenceType": "purl", "referenceLocator": "pkg:pypi/torch@2.4.0"}]},
        {"name": "keras", "versionInfo": "3.5.0"}, {"name": "bash", "versionInfo": "5"}]});
    wanted = vec!["pkg:generic/keras@3.5.0".to_owned(), "pkg:pypi/torch@2.4.0".to_owned()];
    assert_eq!(names(SPDX, &packages), wanted);
    assert_eq!(names(SPDX, &Value::String(packages.to_string())), wanted);
    let tags = "SPDXVersion: SPDX-2.3\nPackageName: torch\nPackageVersion: 2.4.0\nExternalRef: PACKAGE-MANAGER purl \
                pkg:pypi/torch@2.4.0\n\nPackageName: bash\nPackageVersion: 5\nPackageName: keras\nPackageVersion: 3.5.0\n";
    assert_eq!(names(SPDX, &json!(tags)), wanted);
    let graph = json!({"@context": "x", "@graph": [
        {"type": "software_Package", "name": "keras", "software_packageVersion": "3.5.0"},
        {"type": "software_Package", "name": "t", "software_packageUrl": "pkg:pypi/torch@2.4.0"},
        {"type": "software_File", "name": "vllm"}]});
    assert_eq!(names(SPDX, &graph), wanted);
}

#[test]
fn what_is_no_bill_says_so() {
    let refused = |kind: &str, bill: Value| read(kind, bill.to_string().as_bytes()).unwrap_err();
    assert_eq!(refused(CYCLONEDX, json!({"bomFormat": "SPDX"})), "its format is \"SPDX\", not CycloneDX");
    assert!(refused(CYCLONEDX, json!({})).starts_with("it cannot be read: missing field"));
    assert!(refused(CYCLONEDX, json!({"bomFormat": "CycloneDX", "components": 3})).starts_with("it cannot"));
    assert_eq!(refused(SPDX, json!({})), "it names no version of SPDX");
    assert_eq!(refused(SPDX, json!("anything")), "it names no version of SPDX");
    assert!(refused(SPDX, json!(3)).starts_with("it cannot be read: "));
    let many: Vec<Value> =
        (0..400).map(|n| json!({"name": "torch", "version": n.to_string(), "type": "library"})).collect();
    assert_eq!(
        refused(CYCLONEDX, json!({"bomFormat": "CycloneDX", "components": many})),
        "it lists more than 256 libraries that load models"
    );
}
