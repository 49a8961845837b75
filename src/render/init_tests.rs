//! A first declaration: what the pod tells, what is left open, and names.

use serde_json::json;

use super::*;
use crate::gather::files::documents::Documents;
use crate::gather::files::{Assumptions, Manifests};

fn spec() -> PodSpec {
    let digest = "2".repeat(64);
    serde_json::from_value(json!({
        "serviceAccountName": "default",
        "containers": [{
            "name": "server", "image": "registry.example/vllm/vllm-openai:v1",
            "command": ["vllm", "serve"],
            "args": ["/models/chat-7b", "--port", "8000"],
            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "chat-api", "key": "key"}}}],
            "ports": [{"name": "http", "containerPort": 8000}, {"name": "metrics", "containerPort": 9090}],
            "volumeMounts": [{"name": "weights", "mountPath": "/models"}, {"name": "adapter", "mountPath": "/adapter"}]}],
        "volumes": [
            {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}},
            {"name": "adapter", "image": {"reference": format!("registry.example/models/tone@sha256:{digest}")}}]
    }))
    .unwrap()
}

fn declaration(spec: &PodSpec) -> String {
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    first_declaration(&Running {
        namespace: "chat-prod",
        namespace_labels: None,
        kind: "Deployment",
        name: "chat",
        selector: &labels(&[("app", "chat")]),
        labels: &labels(&[("app", "chat"), ("pod-template-hash", "5d")]),
        annotations: &Labels::new(),
        spec,
    })
}

#[test]
fn what_the_pod_tells_is_filled_in() {
    let text = declaration(&spec());
    for line in [
        "  selector:\n    matchLabels: {app: chat}\n",
        "  type: inference   # fill in if wrong",
        "    kind: pvc\n    claimName: weights\n    path: chat-7b\n",
        "    kind: oci\n    reference: \"registry.example/models/tone@sha256:2222",
        "  digest: sha256:2222",
        "  secrets: [chat-api]",
        "  - {name: http, port: 8000, audience: internal, from: []}",
        "    metrics: {port: metrics}",
        "set serviceAccountName: chat",
        "(it names \"default\" now)",
        "kubectl label namespace chat-prod portcullis.dev/environment=production",
        "# kind: ResourceQuota\n# metadata: {name: bounds, namespace: chat-prod}\n",
        "# kind: LimitRange\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
}

#[test]
fn what_is_left_open_is_marked_and_refused() {
    let text = declaration(&spec());
    assert!(text.contains("accountable: {}      # fill in"), "{text}");
    let mut documents = Documents::default();
    documents.text("first.yaml", &text);
    let manifests = Manifests::of(documents, &Assumptions::default());
    let said: Vec<&str> = manifests.problems.iter().map(|problem| problem.text.as_str()).collect();
    for wanted in [
        // The digest of weights on a volume cannot be known from the pod, and no AIModel exists without one.
        "AIModel \"chat-7b\": spec: digest is required unless source.kind is api",
        "AIModel \"tone\": spec.owners.owner: name a user, a group or a contact",
        "AIWorkload \"chat\": spec.owners.accountable: name a user or a group",
        "AIWorkload \"chat\": spec.owners.systemOperator: name a user, a group or a contact",
    ] {
        assert!(said.contains(&wanted), "{wanted:?} is not in {said:?}\n{text}");
    }
}

#[test]
fn names_are_made_fit() {
    assert_eq!(name_from("s3://bucket/Models/Chat_7B.gguf/"), "chat-7b-gguf");
    assert_eq!(name_from("///"), "model");
    assert_eq!(q("8000"), "\"8000\"");
    assert_eq!(q("true"), "\"true\"");
    assert_eq!(q("a: b"), "\"a: b\"");
}

#[test]
fn what_the_pods_call_outside_is_declared() {
    let mut spec = spec();
    let container = &mut spec.containers[0];
    container.args.as_mut().unwrap().push("--upstream=https://api.openai.com/v1".to_owned());
    let variables = json!([
        {"name": "OPENAI_BASE_URL", "value": "https://api.openai.com/v1"},
        {"name": "SEARCH_URL", "value": "http://user@search.example.org:8080/q"},
        {"name": "PLAIN_URL", "value": "http://search.example.org"},
        {"name": "STORE_URL", "value": "http://store.data.svc:9000"}
    ]);
    container.env = serde_json::from_value(variables).unwrap();
    let text = declaration(&spec);
    for lines in [
        "  # named by spec.containers[0].env[0].value, spec.containers[0].args[3]\n  - {name: api-openai-com, host: \
         api.openai.com, port: 443}   # fill in: supplierRef",
        "  - {name: search-example-org, host: search.example.org, port: 80}   # fill in",
        "  - {name: search-example-org-8080, host: search.example.org, port: 8080}   # fill in",
    ] {
        assert!(text.contains(lines), "{lines} is missing in\n{text}");
    }
    assert!(!text.contains("store"), "{text}");
    let mut documents = Documents::default();
    documents.text("init.yaml", &text);
    let workload =
        documents.objects.iter().map(|(_, object)| object).find(|object| object["kind"] == "AIWorkload");
    let workload: crate::api::AIWorkload = serde_json::from_value(workload.unwrap().clone()).unwrap();
    assert_eq!(workload.spec.external_apis.len(), 3);
}
