//! Verified statements about images, and what models were made from.

use std::sync::Arc;

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Attested, Matched, PodFacts, Signature, Subject, Vouched};
use crate::policy::testing::{Bench, DIGEST, assert_lines, lines, namespace, read};

fn of_image(signature: Option<&Signature>) -> Vec<String> {
    let bench = Bench::new("production", "internal").workload(&json!({}));
    let image = format!("registry.example/app@{DIGEST}");
    let spec = read(
        json!({"containers": [{"name": "c", "image": image}], "volumes": [{"name": "v", "image": {"reference": image}}]}),
    );
    let (labels, annotations) = Default::default();
    let mut pod = PodFacts::new(&spec, &labels, &annotations);
    pod.matched = Matched::One(&bench.namespace.workloads["chat"]);
    pod.signatures.extend(signature.map(|signature| (image.as_str(), signature.clone())));
    lines(&bench.judge(&CONTROL, Subject::Pod(pod)))
}

#[test]
fn images_say_what_is_inside_and_how_they_were_built() {
    let trusted = |types: &[&str]| {
        let statement = |t: &&str| Attested { predicate_type: (*t).to_owned(), ..Attested::default() };
        Signature::Trusted(Vouched {
            authorities: vec!["ci".to_owned()],
            attestations: types.iter().map(statement).collect(),
        })
    };
    let at = format!("spec.containers[0].image \"registry.example/app@{DIGEST}\": ");
    let bill = format!("{at}carries no verified bill of materials, so nobody knows what is inside");
    let built = format!("{at}carries no verified provenance, so nobody knows how it was built");
    let (bom, slsa) = ("https://cyclonedx.org/bom/v1.6", "https://slsa.dev/provenance/v0.2");
    for (types, expected) in [
        (&[bom, slsa][..], vec![]),
        (&["https://spdx.dev/Document", slsa], vec![]),
        (&[slsa], vec![bill.clone()]),
        (&[bom], vec![built.clone()]),
        (&["https://example/other", "https://slsa.dev/verification_summary/v1"], vec![bill, built]),
    ] {
        assert_eq!(of_image(Some(&trusted(types))), expected, "{types:?}");
    }
    // What is wrong with the signature itself is another control's matter.
    for signature in [None, Some(Signature::Missing("none".to_owned())), Some(Signature::Pending)] {
        assert_eq!(of_image(signature.as_ref()), [""; 0]);
    }
}

#[test]
fn what_loads_models_was_examined_in_its_version() {
    use crate::models::libraries::Library;
    let of = |bench: Bench, read: &Result<std::collections::BTreeSet<Library>, String>| {
        let image = format!("registry.example/app@{DIGEST}");
        let spec = read_pod(&image);
        let (labels, annotations) = Default::default();
        let mut pod = PodFacts::new(&spec, &labels, &annotations);
        pod.matched = Matched::One(&bench.namespace.workloads["chat"]);
        let statement = |kind: &str| Attested { predicate_type: kind.to_owned(), ..Attested::default() };
        let bill =
            Attested { libraries: Some(Arc::new(read.clone())), ..statement("https://cyclonedx.org/bom") };
        let attestations = vec![bill, statement("https://slsa.dev/provenance/v1")];
        let vouched = Vouched { authorities: vec!["ci".to_owned()], attestations };
        pod.signatures.insert(&image, Signature::Trusted(vouched));
        lines(&bench.judge(&CONTROL, Subject::Pod(pod)))
    };
    let bench = || Bench::new("production", "internal").workload(&json!({}));
    let at = format!("spec.containers[0].image \"registry.example/app@{DIGEST}\": ");
    let listed = |urls: &[&str]| Ok(urls.iter().filter_map(|url| Library::of_url(url)).collect());
    let open = |urls: &str, more: &str| {
        [format!("{at}contains {urls}, for which no due diligence is recorded{more} [may arrive]")]
    };
    assert_eq!(of(bench(), &listed(&[])), [""; 0]);
    let none = "; no LibraryDueDiligence of AIWorkload \"chat\" is recorded";
    assert_eq!(of(bench(), &listed(&["pkg:pypi/vllm@0.6.3"])), open("pkg:pypi/vllm@0.6.3", none));
    assert_eq!(
        of(bench(), &Err("it cannot be read: x".to_owned())),
        [format!("{at}has a verified bill of materials, and it cannot be read: x [unknown]")]
    );
    let proof = |libraries: Value| {
        json!({"type": "LibraryDueDiligence", "subject": {"kind": "AIWorkload", "name": "chat"}, "issuedAt": "2025-12-02",
            "ref": "https://d.example/x", "digest": DIGEST, "result": "pass", "facts": {"libraries": libraries}})
    };
    let examined =
        |libraries: Value, url: &str| of(bench().evidence("libraries", &proof(libraries)), &listed(&[url]));
    let vllm = "pkg:pypi/vllm@0.6.3";
    for fits in [
        json!([vllm]),
        json!(["pkg:pypi/VLLM@0.6.3"]),
        json!([{"purl": "pkg:pypi/vllm", "versions": "0.6.*"}]),
        json!([{"purl": vllm}]),
        json!([{"purl": "pkg:pypi/vllm", "versions": "*"}]),
    ] {
        assert_eq!(examined(fits.clone(), vllm), [""; 0], "{fits}");
    }
    // A bill that names no registry is taken at the name; a review that names none is of nothing.
    assert_eq!(examined(json!([vllm]), "pkg:generic/vllm@0.6.3"), open("pkg:generic/vllm@0.6.3", ""));
    for other in [
        json!(["pkg:pypi/vllm@0.6.2"]),
        json!(["pkg:pypi/vllm"]),
        json!(["vllm 0.6.3"]),
        json!(["pkg:conda/vllm@0.6.3"]),
        json!([{"purl": "pkg:pypi/vllm"}]),
        json!([{"purl": "pkg:pypi/vllm", "versions": "<0.6.3"}]),
    ] {
        assert_eq!(examined(other.clone(), vllm), open(vllm, ""), "{other}");
    }
    let no_range = "; LibraryDueDiligence \"libraries\" names versions \"~=0.6\", which is no range";
    assert_eq!(examined(json!([{"purl": "pkg:pypi/vllm", "versions": "~=0.6"}]), vllm), open(vllm, no_range));
}

fn read_pod(image: &str) -> k8s_openapi::api::core::v1::PodSpec {
    read(json!({"containers": [{"name": "c", "image": image}]}))
}

fn model(base: &Value) -> Value {
    json!({"source": {"kind": "pvc", "claimName": "c"}, "baseModelRef": base})
}

#[test]
fn what_a_model_was_made_from_is_known() {
    let of = |bench: &Bench| lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])));
    let bench = || Bench::new("production", "internal");
    assert_eq!(of(&bench().model("m", &model(&json!({"name": "b"}))).model("b", &json!({}))), [""; 0]);
    assert_eq!(
        of(&bench().model("m", &model(&json!({"name": "b"})))),
        [r#"AIModel chat-prod/m spec.baseModelRef.name "b": is a base model that the cluster does not know"#]
    );
    let itself: crate::api::AIModel = read(
        json!({"metadata": {"name": "m", "namespace": "chat-prod"}, "spec": model(&json!({"name": "m"}))}),
    );
    assert_eq!(
        lines(&bench().judge(&CONTROL, Subject::Model(&itself))),
        [
            r#"AIModel chat-prod/m spec.baseModelRef.name "m": is the model itself, and no model is its own base"#
        ]
    );
    let mut elsewhere = namespace("models", "production", "internal");
    let object = json!({"metadata": {"name": "b", "namespace": "models"}, "spec": {}});
    elsewhere.models.insert("b".to_owned(), Arc::new(read(object)));
    let there = json!({"name": "b", "namespace": "models"});
    assert_eq!(of(&bench().model("m", &model(&there)).beside(elsewhere)), [""; 0]);
    let data = json!({"source": {"kind": "pvc", "claimName": "c"}, "trainedOn": [{"dataset": "d", "digest": DIGEST}, {"dataset": "the web"}]});
    assert_eq!(
        of(&bench().model("m", &data)),
        [r#"AIModel chat-prod/m spec.trainedOn[0].dataset "d": is a dataset that the cluster does not know"#]
    );
    let declared =
        bench().workload(&json!({"models": [{"name": "m"}]})).model("m", &model(&json!({"name": "b"})));
    assert_lines(
        &declared.of_pod(&CONTROL, &json!({"containers": []})),
        &[
            r#"AIModel chat-prod/m spec.baseModelRef.name "b": is a base model that the cluster does not know [may arrive]"#,
        ],
    );
}

#[test]
fn a_verified_model_card_says_what_the_declaration_says() {
    use crate::models::bom::Card;
    let reference = format!("registry.example/m@{DIGEST}");
    let judged = |version: &str, digest: &str, card: &Result<Card, String>| {
        let bench = Bench::new("production", "internal").workload(&json!({"models": [{"name": "m"}]})).model(
            "m",
            &json!({"source": {"kind": "oci", "reference": reference}, "digest": digest, "version": version}),
        );
        let spec =
            read(json!({"containers": [], "volumes": [{"name": "v", "image": {"reference": reference}}]}));
        let (labels, annotations) = Default::default();
        let mut pod = PodFacts::new(&spec, &labels, &annotations);
        pod.matched = Matched::One(&bench.namespace.workloads["chat"]);
        let stated = Attested {
            predicate_type: "https://cyclonedx.org/bom".to_owned(),
            card: Some(Arc::new(card.clone())),
            ..Attested::default()
        };
        let vouched = Vouched { authorities: vec!["ci".to_owned()], attestations: vec![stated] };
        pod.signatures.insert(&reference, Signature::Trusted(vouched));
        lines(&bench.judge(&CONTROL, Subject::Pod(pod)))
    };
    let card = Ok(Card { name: "m".to_owned(), version: "2.0".to_owned(), ..Card::default() });
    assert_eq!(judged("2.0", DIGEST, &card), [""; 0]);
    let said = |why: &str| {
        [format!(
            "AIModel chat-prod/m: is not what the verified bill of materials of {reference:?} says: {why} [may arrive]"
        )]
    };
    let why = "the card is about version \"2.0\", spec.version is \"3.0\"";
    assert_eq!(judged("3.0", DIGEST, &card), said(why));
    let unreadable = Err("2 components of type \"machine-learning-model\" are in it".to_owned());
    assert_eq!(
        judged("2.0", DIGEST, &unreadable),
        said("2 components of type \"machine-learning-model\" are in it")
    );
    // The card of another artifact is about another model.
    assert_eq!(judged("3.0", &DIGEST.replace("aaaa", "bbbb"), &card), [""; 0]);
}
