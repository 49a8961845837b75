//! Tests of reading manifests: what is assumed, what is refused, what is counted.

use super::*;
use crate::api::{Environment, Sensitivity};

const WORKLOAD: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: AIWorkload
metadata: {name: chat}
spec:
  type: inference
  selector: {matchLabels: {app: chat}}
  owners: {accountable: {user: ada}}
  identity: {permissions: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]}
";

fn read(text: &str, assumptions: &Assumptions) -> Manifests {
    let mut documents = Documents::default();
    documents.text("x.yaml", text);
    Manifests::of(documents, assumptions)
}

fn said(text: &str) -> Vec<String> {
    read(text, &Assumptions::default()).problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_namespace_that_no_file_holds_can_be_stated() {
    let assumptions = Assumptions {
        namespace: Some("chat-prod".to_owned()),
        environment: Some(Environment::Production),
        sensitivity: Some(Sensitivity::Internal),
        profile: None,
        live: false,
    };
    let manifests = read(WORKLOAD, &assumptions);
    assert_eq!(manifests.problems, []);
    assert_eq!(manifests.world.namespace("chat-prod").environment(), Some(Environment::Production));
    assert!(manifests.states_namespace("chat-prod"));
    let manifests = read(WORKLOAD, &Assumptions::default());
    assert!(manifests.world.namespace("default").workloads.contains_key("chat"));
    assert!(!manifests.states_namespace("default"));
}

#[test]
fn unusable_objects_are_told_with_file_document_and_path() {
    assert_eq!(
        said("a: 1\n"),
        ["x.yaml document 1: is no Kubernetes object: apiVersion and kind are missing"]
    );
    assert_eq!(
        said(&WORKLOAD.replace("owners:", "ownres:")),
        [
            "x.yaml document 1: AIWorkload \"chat\": spec.owners: is missing",
            "x.yaml document 1: AIWorkload \"chat\": spec.ownres: there is no such field; did you mean \"owners\"?",
        ]
    );
    assert_eq!(
        said(&WORKLOAD.replace("kind: AIWorkload", "kind: AIWorklaod")),
        ["x.yaml document 1: there is no kind AIWorklaod in portcullis.dev; did you mean AIWorkload?"]
    );
    assert_eq!(
        said(
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: x}]}}"
        ),
        ["x.yaml document 1 items[0]: Service: spec.ports[0].port: invalid type: string \"x\", expected i32"]
    );
    assert_eq!(
        said(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: 3}}}"
        ),
        [
            "x.yaml document 1: Deployment: spec.template.spec.containers: invalid type: integer `3`, expected a sequence"
        ]
    );
    assert_eq!(
        said("apiVersion: v1\nkind: Pod\nmetadata: {}\n"),
        ["x.yaml document 1: Pod: metadata.name: is missing"]
    );
    let twice = format!("{WORKLOAD}---{}", WORKLOAD.replace("user: ada", "user: bob"));
    assert_eq!(
        said(&twice),
        ["x.yaml document 2: AIWorkload \"chat\" is there twice, and differs from x.yaml document 1"]
    );
}

#[test]
fn kinds_without_rules_are_counted() {
    let manifests = read(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
        &Assumptions::default(),
    );
    assert_eq!(manifests.problems, []);
    assert_eq!(manifests.skipped["ConfigMap"], 2);
    assert!(manifests.subjects.is_empty());
}

#[test]
fn too_many_aliases_are_said_in_plain_words() {
    let aliases = format!("# x\n---\na: &a [x]\nb: [{}]\n", "*a, ".repeat(5_000));
    let said = said(&aliases);
    assert_eq!(said.len(), 1, "{said:?}");
    let end = "it repeats or nests more than is read; write out what aliases (*NAME) stand for, or split the document";
    assert!(said[0].ends_with(&format!("is no YAML or JSON that can be read: line 4: {end}")), "{said:?}");
}
