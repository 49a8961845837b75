//! Credentials in every place of a manifest, and the references that replace them.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::Text;
use crate::policy::testing::{Bench, assert_fixed, assert_lines};

fn bench() -> Bench {
    Bench::new("production", "internal").workload(&json!({"secrets": ["hub"]}))
}

#[test]
fn references_to_declared_secrets_pass() {
    let pod = json!({
        "containers": [{"name": "c",
            "command": ["serve", "--api-key=$(HF_TOKEN)", "--max-tokens", "512"],
            "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "t"}}},
                    {"name": "OPENAI_API_KEY", "value": "EMPTY"}, {"name": "MODEL", "value": "/models/m"}],
            "envFrom": [{"secretRef": {"name": "hub"}}]}],
        "volumes": [{"name": "v", "secret": {"secretName": "hub"}},
                    {"name": "p", "projected": {"sources": [{"secret": {"name": "hub"}}]}}],
        "imagePullSecrets": [{"name": "registry"}]
    });
    let annotations = json!({"vault.hashicorp.com/agent-inject-secret-db": "secret/data/db",
                             "checksum/secret": "0f343b0931126a20f133d67c2b018a3b", "prometheus.io/port": "9090"});
    assert_lines(&bench().of_annotated_pod(&CONTROL, &pod, &annotations), &[]);
}

#[test]
fn a_literal_is_found_in_every_kind_of_container_and_not_repeated() {
    let container = |name: &str| json!({"name": name, "env": [{"name": "HF_TOKEN", "value": "topsecret"}]});
    let pod = json!({
        "initContainers": [container("i"), {"name": "s", "restartPolicy": "Always", "env": [{"name": "X", "value": "AKIAIOSFODNN7EXAMPLE"}]}],
        "containers": [container("m")],
        "ephemeralContainers": [container("e")]
    });
    let found = bench().of_pod(&CONTROL, &pod);
    let literal = r#".env[0].value: variable "HF_TOKEN" holds a credential by its name in plain text"#;
    assert_lines(
        &found,
        &[
            &format!("spec.initContainers[0]{literal}"),
            r#"spec.initContainers[1].env[0].value: variable "X" holds an AWS access key in plain text"#,
            &format!("spec.containers[0]{literal}"),
            &format!("spec.ephemeralContainers[0]{literal}"),
        ],
    );
    for finding in &found {
        let text = format!("{finding:?}");
        assert!(!text.contains("topsecret") && !text.contains("AKIA"), "{text}");
    }
    assert_fixed(&bench(), &CONTROL, &pod, &json!({}));
}

#[test]
fn command_lines_hooks_and_probes_are_read() {
    let secret = "sk-demo-3f9a81c27be64d05";
    let command =
        json!({"exec": {"command": ["sh", "-c", "curl -H 'Authorization: Bearer abcdefgh' http://x"]}});
    for (container, line) in [
        (
            json!({"args": ["--api-key=abc123"]}),
            r#"args[0]: hands over a credential as "--api-key" in plain text"#,
        ),
        (
            json!({"args": ["--token", "abc123"]}),
            r#"args[0]: hands over a credential as "--token" in plain text"#,
        ),
        (
            json!({"command": ["serve", "--token"], "args": ["abc123"]}),
            r#"command[1]: hands over a credential as "--token" in plain text"#,
        ),
        (
            json!({"command": ["sh", "-c", "export HF_TOKEN=abc123; serve"]}),
            r#"command[2]: hands over a credential as "HF_TOKEN" in plain text"#,
        ),
        (json!({"args": [secret]}), "args[0]: holds an API key of a model provider in plain text"),
        (
            json!({"lifecycle": {"postStart": command}}),
            r#"lifecycle.postStart.exec.command[2]: hands over a credential as "Authorization" in plain text"#,
        ),
        (
            json!({"livenessProbe": command}),
            r#"livenessProbe.exec.command[2]: hands over a credential as "Authorization" in plain text"#,
        ),
        (
            json!({"readinessProbe": {"httpGet": {"port": 1, "httpHeaders": [{"name": "X-Api-Key", "value": "abc"}]}}}),
            r#"readinessProbe.httpGet.httpHeaders[0].value: header "X-Api-Key" holds a credential by its name in plain text"#,
        ),
        (
            json!({"lifecycle": {"preStop": {"httpGet": {"port": 1, "httpHeaders": [{"name": "Authorization", "value": "abc"}]}}}}),
            r#"lifecycle.preStop.httpGet.httpHeaders[0].value: header "Authorization" holds a credential by its name in plain text"#,
        ),
    ] {
        let mut container = container;
        container["name"] = json!("c");
        let found = bench().of_pod(&CONTROL, &json!({"containers": [container]}));
        assert_lines(&found, &[&format!("spec.containers[0].{line}")]);
        assert!(!format!("{found:?}").contains("abc123"));
    }
}

#[test]
fn a_credential_from_a_config_map_is_no_secret() {
    let pod = json!({"containers": [{"name": "c",
        "env": [{"name": "DB_PASSWORD", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "p"}}}]}]});
    assert_lines(
        &bench().of_pod(&CONTROL, &pod),
        &[
            r#"spec.containers[0].env[0].valueFrom.configMapKeyRef "settings": variable "DB_PASSWORD" takes a credential from a ConfigMap"#,
        ],
    );
    assert_fixed(&bench(), &CONTROL, &pod, &json!({}));
}

#[test]
fn annotations_hold_no_credential() {
    let pod = json!({"containers": []});
    let annotations = json!({"example.com/api-key": "abc123", "note": "see postgres://a:b@db",
        "kubectl.kubernetes.io/last-applied-configuration": "{\"password\": \"ghp_0123456789abcdefghij0123\"}"});
    assert_lines(
        &bench().of_annotated_pod(&CONTROL, &pod, &annotations),
        &[
            r#"metadata.annotations["example.com/api-key"]: holds a credential by its name in plain text"#,
            r#"metadata.annotations["note"]: holds a password in an address in plain text"#,
        ],
    );
    assert_fixed(&bench(), &CONTROL, &pod, &annotations);
}

#[test]
fn abuse_023_undeclared_secrets_are_refused_wherever_they_are_named() {
    let pod = json!({
        "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "other"}}]}],
        "containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}]}],
        "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "other"}}]}],
        "volumes": [{"name": "v", "secret": {"secretName": "other"}},
                    {"name": "p", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "other"}}]}},
                    {"name": "x", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "other"}}}]
    });
    let end = r#" "other": is a Secret that AIWorkload chat-prod/chat does not declare [may arrive]"#;
    let expected: Vec<String> = [
        "spec.initContainers[0].envFrom[0].secretRef.name",
        "spec.containers[0].env[0].valueFrom.secretKeyRef.name",
        "spec.ephemeralContainers[0].envFrom[0].secretRef.name",
        "spec.volumes[0].secret.secretName",
        "spec.volumes[1].projected.sources[1].secret.name",
        "spec.volumes[2].csi.nodePublishSecretRef.name",
    ]
    .iter()
    .map(|path| format!("{path}{end}"))
    .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_lines(&bench().of_pod(&CONTROL, &pod), &expected);
    let undeclared = Bench::new("production", "internal");
    assert_lines(&undeclared.of_pod(&CONTROL, &pod), &[]);
    let none: Value = json!({"containers": []});
    assert_lines(&bench().of_pod(&CONTROL, &none), &[]);
}

#[test]
fn what_the_audit_read_of_maps_is_told_of_the_pods_that_refer_to_them() {
    let mut bench = Bench::new("production", "internal").workload(&json!({}));
    let pod = json!({"containers": [{"name": "a", "envFrom": [{"configMapRef": {"name": "settings"}}]}]});
    assert_lines(&bench.of_pod(&CONTROL, &pod), &[]);
    let found = vec![("app.yaml".to_owned(), "a private key")];
    bench
        .namespace
        .texts
        .insert("settings".to_owned(), Text::Read { credentials: found, prompts: Vec::new() });
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            "spec.containers[0].envFrom[0].configMapRef.name \"settings\": is a ConfigMap that holds a private key under \"app.yaml\" \
           [namespace]",
        ],
    );
    bench.namespace.texts.insert("settings".to_owned(), Text::Unread("forbidden".to_owned()));
    assert_lines(
        &bench.of_pod(&CONTROL, &pod),
        &[
            "spec.containers[0].envFrom[0].configMapRef.name \"settings\": is a ConfigMap that could not be read: forbidden [unknown] \
           [namespace]",
        ],
    );
}
