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
        ("PKG:PyPI/scikit__Learn@1.5?arch=x&checksum=sha256:a@b#sub/path", "pkg:pypi/scikit-learn@1.5"),
        ("pkg:pypi/scikit.-_learn@1.5", "pkg:pypi/scikit-learn@1.5"),
        ("pkg:pypi/%74orch@1%212.0", "pkg:pypi/torch@1!2.0"),
        ("pkg:pypi/torch@2.4.0%2Bcu121", "pkg:pypi/torch@2.4.0+cu121"),
        ("pkg:golang/github.com/ollama/ollama@v0.3.1", "pkg:golang/github.com/ollama/ollama@v0.3.1"),
    ] {
        assert_eq!(Library::of_url(text).map(|one| one.to_string()).as_deref(), Some(shown), "{text}");
    }
    for text in ["torch@2", "pké:pypi/torch", "pkg:pypi", "pkg:pypi/", "pkg:pypi/%ff@1", ""] {
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
fn a_loader_is_one_however_its_name_is_spelled_and_in_every_version() {
    let of = |name: &str, version: &str| json!({"type": "library", "name": name, "version": version});
    let of_url = |url: &str| json!({"type": "library", "name": "x", "purl": url});
    let bill = json!({"bomFormat": "CycloneDX", "components": [
        of("Scikit_Learn", "1.5"), of("llama.cpp", "b3000"), of("Sentence__Transformers", "3"), of("torchvision", "1"),
        of_url("pkg:pypi/Torch@2.4.0?x=y"), of_url("pkg:pypi/torch@2.3.0%2Bcpu"), of_url("pkg:pypi/torch@2.4.0#again"),
        of_url("pkg:rpm/opensuse/python311-torch@2.3"), of_url("pkg:alpm/arch/python-pytorch@2.3"),
        of_url("pkg:rpm/opensuse/pythonic-torch@2.3"),
    ]});
    assert_eq!(
        names(CYCLONEDX, &bill),
        [
            "pkg:generic/llama.cpp@b3000",
            "pkg:generic/scikit_learn@1.5",
            "pkg:generic/sentence__transformers@3",
            "pkg:alpm/arch/python-pytorch@2.3",
            "pkg:pypi/torch@2.3.0+cpu",
            "pkg:pypi/torch@2.4.0",
            "pkg:rpm/opensuse/python311-torch@2.3",
        ]
    );
    let named = |url: &str| Library::of_url(url).unwrap();
    let unnamed = Library { kind: String::new(), name: "scikit_learn".to_owned(), version: "1.5".to_owned() };
    assert!(
        named("pkg:pypi/scikit-learn").is_called(&unnamed)
            && unnamed.is_called(&named("pkg:pypi/scikit.learn"))
    );
    assert!(!named("pkg:pypi/scikit-learnx").is_called(&unnamed));
    assert!(!named("pkg:npm/a_b").is_called(&named("pkg:npm/a-b")), "other registries tell them apart");
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
