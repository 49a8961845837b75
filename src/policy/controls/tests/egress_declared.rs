//! What leaves the pods is declared, with its supplier and the consent it needs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::CONTROL;
use crate::api::workload::WorkloadType;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, assert_lines, namespace, read};

fn bench(patch: &Value) -> Bench {
    Bench::new("production", "internal").workload(patch)
}

fn env(name: &str, value: &str) -> Value {
    json!({"containers": [{"name": "a", "env": [{"name": name, "value": value}]}]})
}

#[test]
fn an_address_is_declared_or_refused() {
    let declared = bench(
        &json!({"externalApis": [{"name": "x", "host": "api.example.com", "cidrs": ["192.0.2.0/24"]}]}),
    );
    for value in [
        "https://API.example.com:443/v1",
        "http://192.0.2.9/",
        "http://otel.logging.svc:4317",
        "http://127.0.0.1",
    ] {
        assert_lines(&declared.of_pod(&CONTROL, &env("BASE_URL", value)), &[]);
    }
    assert_lines(&declared.of_pod(&CONTROL, &env("CORS_ORIGIN", "https://shop.example.com")), &[]);
    assert_lines(
        &declared.of_pod(&CONTROL, &env("BASE_URL", "https://api.example.com.evil.example/")),
        &[
            "spec.containers[0].env[0].value \"api.example.com.evil.example\": is no host among spec.externalApis of \
           AIWorkload chat-prod/chat [may arrive]",
        ],
    );
    assert_eq!(declared.of_pod(&CONTROL, &env("OTEL_ENDPOINT", "collect.example.com:4317")).len(), 1);
}

fn args(words: &[&str]) -> Value {
    json!({"containers": [{"name": "a", "args": words}]})
}

#[test]
fn a_host_is_called_without_a_scheme_too() {
    let declared = bench(
        &json!({"externalApis": [{"name": "x", "host": "api.example.com", "cidrs": ["192.0.2.0/24"]}]}),
    );
    for words in [
        &["--upstream=evil.example:8000"][..],
        &["--upstream=evil.example"],
        &["--upstream=203.0.113.5"],
        &["--upstream", "203.0.113.5"],
        &["--upstream=203.0.113.5:8000"],
        &["--upstream=127.0.0.1:8000,203.0.113.5:8000"],
        &["-c", "exec proxy --upstream evil.example"],
        &["-c", "UPSTREAM_HOST=evil.example exec proxy"],
    ] {
        assert_eq!(declared.of_pod(&CONTROL, &args(words)).len(), 1, "{words:?}");
    }
    for words in [
        &["--upstream=api.example.com:443"][..],
        &["--upstream=192.0.2.7:8000", "--version", "1.2.3.4"],
        &["--upstream=127.0.0.1:8000,10.1.2.3:80"],
        &["--upstream=tickets.ops.svc:80"],
        &["--host=203.0.113.5", "--host", "203.0.113.5", "--listen=0.0.0.0:80"],
    ] {
        assert_lines(&declared.of_pod(&CONTROL, &args(words)), &[]);
    }
    assert_lines(
        &declared.of_pod(&CONTROL, &env("UPSTREAM_HOST", "203.0.113.5")),
        &[
            "spec.containers[0].env[0].value \"203.0.113.5\": is no host among spec.externalApis of AIWorkload chat-prod/chat \
           [may arrive]",
        ],
    );
    assert_eq!(declared.of_pod(&CONTROL, &env("UPSTREAM_HOST", "evil.example")).len(), 1);
}

#[test]
fn names_are_resolved_inside_or_where_it_is_declared() {
    let declared = bench(
        &json!({"externalApis": [{"name": "x", "host": "api.example.com", "cidrs": ["192.0.2.0/24"]}]}),
    );
    let pod = |address: &str| {
        json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.96.0.10", address]}, "containers": [],
               "hostAliases": [{"ip": address, "hostnames": ["api.example.com"]}]})
    };
    assert_lines(
        &declared.of_pod(&CONTROL, &pod("203.0.113.9")),
        &[
            "spec.dnsConfig.nameservers[1] \"203.0.113.9\": is no host among spec.externalApis of AIWorkload chat-prod/chat \
           [may arrive]",
            "spec.hostAliases[0].ip \"203.0.113.9\": is no host among spec.externalApis of AIWorkload chat-prod/chat [may arrive]",
        ],
    );
    for address in ["192.0.2.53", "10.0.0.53", "127.0.0.1", "fd00::53"] {
        assert_lines(&declared.of_pod(&CONTROL, &pod(address)), &[]);
    }
}

#[test]
fn a_service_of_this_cluster_is_no_host_outside() {
    let mut cache = namespace("cache", "production", "internal");
    cache.services.insert("redis".into(), crate::policy::facts::Service::default());
    let bench = bench(&json!({})).beside(cache);
    assert_lines(&bench.of_pod(&CONTROL, &env("URL", "redis://redis.cache:6379")), &[]);
    assert_eq!(bench.of_pod(&CONTROL, &env("URL", "redis://redis.example:6379")).len(), 1);
}

#[test]
fn sensitive_data_leaves_with_consent_only() {
    let api = |classes: Value, consent: Value| {
        let api = json!({"name": "x", "host": "api.example.com", "dataClasses": classes, "consent": consent});
        bench(&json!({"externalApis": [api]})).of_workload(&CONTROL)
    };
    assert_lines(&api(json!(["internal"]), json!(null)), &[]);
    assert_lines(&api(json!(["restricted"]), json!({"by": "dlp-proxy"})), &[]);
    assert_lines(&api(json!(["restricted"]), json!({"loginRequired": true, "confirmRequired": true})), &[]);
    assert_lines(
        &api(json!(["restricted"]), json!({"loginRequired": true, "confirmRequired": false})),
        &[
            "AIWorkload chat-prod/chat spec.externalApis[0].consent.confirmRequired: is not true, though restricted data goes there",
        ],
    );
    assert_eq!(api(json!(["confidential"]), json!(null)).len(), 2);
}

#[test]
fn ranges_are_read_and_bounded() {
    let cidrs = |cidrs: Value| {
        bench(&json!({"externalApis": [{"name": "x", "host": "a.example.com", "cidrs": cidrs}]}))
            .of_workload(&CONTROL)
    };
    assert_lines(&cidrs(json!(["192.0.2.0/24", "2001:db8::/32"])), &[]);
    assert_lines(
        &cidrs(json!(["0.0.0.0/1", "everything"])),
        &[
            "AIWorkload chat-prod/chat spec.externalApis[0].cidrs[0] \"0.0.0.0/1\": opens more than one in 64 of all addresses",
            "AIWorkload chat-prod/chat spec.externalApis[0].cidrs[1] \"everything\": is no range of addresses, so nothing is \
             opened for it",
        ],
    );
}

fn policy(rule: &Value) -> Vec<crate::policy::Finding> {
    let bench = bench(&json!({
        "externalApis": [{"name": "x", "host": "api.example.com", "cidrs": ["192.0.2.0/24"]}],
        "services": [{"name": "db", "namespace": "data", "podLabels": {"app": "db"}, "ports": [5432]}],
        "monitoring": {"ioLog": {"mode": "full", "sink": {"kind": "service", "ref": "logging/store"}}},
    }));
    let spec = read(
        json!({"podSelector": {"matchLabels": {"app": "chat"}}, "policyTypes": ["Egress"], "egress": [rule]}),
    );
    bench.judge(&CONTROL, Subject::NetworkPolicy { name: "extra", spec: &spec, generated: false })
}

#[test]
fn a_policy_opens_no_more_than_is_declared() {
    let named = |name: &str| json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let db = |labels: Value, port: i32| json!({"to": [{"namespaceSelector": named("data"), "podSelector": {"matchLabels": labels}}], "ports": [{"port": port}]});
    assert_lines(&policy(&db(json!({"app": "db", "shard": "1"}), 5432)), &[]);
    assert_lines(
        &policy(&db(json!({"app": "other"}), 5432)),
        &[
            "NetworkPolicy chat-prod/extra spec.egress[0].to[0] \"namespaces kubernetes.io/metadata.name=data pods app=other\": \
           opens a way out that AIWorkload chat-prod/chat does not declare in spec.services or spec.externalApis, or with more \
           ports",
        ],
    );
    assert_eq!(policy(&db(json!({"app": "db"}), 22)).len(), 1);
    assert_lines(
        &policy(&json!({"to": [{"ipBlock": {"cidr": "192.0.2.128/25"}}], "ports": [{"port": 443}]})),
        &[],
    );
    assert_eq!(policy(&json!({"to": [{"ipBlock": {"cidr": "192.0.2.128/25"}}]})).len(), 1);
    assert_eq!(
        policy(&json!({"to": [{"ipBlock": {"cidr": "192.0.0.0/16"}}], "ports": [{"port": 443}]})).len(),
        1
    );
    assert_lines(
        &policy(&json!({"to": [{"namespaceSelector": named("kube-system")}], "ports": [{"port": 53}]})),
        &[],
    );
    assert_lines(&policy(&json!({"to": [{"namespaceSelector": named("logging")}]})), &[]);
    // network-default-deny speaks of what is wide.
    assert_lines(&policy(&json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]})), &[]);
    assert_lines(&policy(&json!({})), &[]);
}

#[test]
fn labels_that_the_cluster_gives_hide_no_way_out() {
    let found = |pods: Value| {
        let spec = read(json!({"podSelector": {"matchLabels": pods}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "198.51.100.6/32"}}]}]}));
        bench(&json!({}))
            .judge(&CONTROL, Subject::NetworkPolicy { name: "extra", spec: &spec, generated: false })
    };
    let by_hash = found(json!({"pod-template-hash": "5c6848b455"}));
    assert_eq!(by_hash.len(), 1);
    let fix = by_hash[0].fix.as_ref().unwrap().to_string();
    assert!(
        fix.starts_with("if other pods are meant, name their own labels in spec.podSelector too; or"),
        "{fix}"
    );
    let all = found(json!({}));
    assert!(all[0].fix.as_ref().unwrap().to_string().starts_with("if other pods are meant"), "{all:?}");
    let own = found(json!({"app": "chat", "job-name": "x"}));
    assert!(own[0].fix.as_ref().unwrap().to_string().starts_with("declare the destination"), "{own:?}");
    assert_eq!(found(json!({"app": "chat", "version": "2"})).len(), 1, "some of its pods");
    assert_eq!(found(json!({"app": "db", "pod-template-hash": "5c6848b455"})).len(), 0);
}

#[test]
fn labels_that_nobody_declared_hide_no_way_out() {
    let found = |bench: &Bench, pods: Value| {
        let spec = read(json!({"podSelector": {"matchLabels": pods}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}]}));
        bench.judge(&CONTROL, Subject::NetworkPolicy { name: "extra", spec: &spec, generated: false })
    };
    let mut bench = bench(&json!({}));
    let strange = found(&bench, json!({"x": "y"}));
    assert_eq!(strange.len(), 1);
    let fix = strange[0].fix.as_ref().unwrap().to_string();
    assert!(
        fix.starts_with("if other pods are meant, name their own labels in spec.podSelector too; or"),
        "{fix}"
    );
    assert_eq!(found(&bench, json!({"tier": "db"})).len(), 1);
    // Other pods are meant where all is named that is declared of them.
    let mut other = (*bench.namespace.workloads["chat"]).clone();
    other.spec.selector.match_labels = read(json!({"tier": "db", "part": "store"}));
    other.spec.type_ = WorkloadType::Supporting;
    bench.namespace.workloads.insert("db".to_owned(), Arc::new(other));
    assert_eq!(found(&bench, json!({"tier": "db", "part": "store", "x": "y"})).len(), 0);
    assert_eq!(found(&bench, json!({"tier": "db"})).len(), 1);
}

#[test]
fn a_pod_that_such_a_policy_selects_is_refused() {
    let rule = json!({"to": [{"ipBlock": {"cidr": "198.51.100.7/32"}}], "ports": [{"port": 443}]});
    let bench = bench(&json!({})).policy(
        "extra",
        false,
        json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}),
    );
    let findings = bench.of_pod(&CONTROL, &json!({"containers": []}));
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].fix.as_ref().unwrap().to_string(),
        "kubectl delete networkpolicy extra -n chat-prod"
    );
}
