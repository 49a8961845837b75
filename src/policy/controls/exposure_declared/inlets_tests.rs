//! What network policies let in, held against declarations.

use serde_json::{Value, json};

use super::super::CONTROL;
use crate::policy::Finding;
use crate::policy::facts::Subject;
use crate::policy::testing::{Bench, assert_lines, lines, namespace, read};

fn peer(namespace: &str, pods: &Value) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "podSelector": {"matchLabels": pods}})
}

fn bench() -> Bench {
    let from =
        json!([{"podLabels": {"app": "shop"}}, {"namespace": "gateway", "podLabels": {"app": "envoy"}}]);
    let readers = json!([{"namespace": "monitoring", "podLabels": {"app": "prometheus"}}]);
    Bench::new("production", "internal").beside(namespace("gateway", "production", "internal")).workload(
        &json!({
            "exposure": [{"name": "api", "port": 8080, "audience": "internal", "from": from}],
            "monitoring": {"metrics": {"port": "metrics", "from": readers}},
        }),
    )
}

fn policy(from: &Value, ports: &Value) -> Value {
    let mut rule = json!({"from": [from]});
    if !ports.is_null() {
        rule["ports"] = ports.clone();
    }
    json!({"podSelector": {"matchLabels": {"app": "chat"}}, "policyTypes": ["Ingress"], "ingress": [rule]})
}

fn judged(bench: &Bench, spec: Value) -> Vec<Finding> {
    let spec = read(spec);
    bench.judge(&CONTROL, Subject::NetworkPolicy { name: "extra", spec: &spec, generated: false })
}

fn port(port: impl Into<Value>) -> Value {
    json!([{"port": port.into()}])
}

#[test]
fn what_is_declared_may_be_opened_again_in_any_spelling() {
    let shop = json!({"podSelector": {"matchLabels": {"app": "shop"}}});
    let envoy = json!({"app": "envoy"});
    let by = |key: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": "In", "values": values}]});
    let named = |values: Value| by("kubernetes.io/metadata.name", values);
    let pods = json!({"matchLabels": envoy});
    for (from, ports) in [
        (shop.clone(), port(8080)),
        (shop.clone(), json!([{"port": 8080, "endPort": 8080, "protocol": "TCP"}])),
        (json!({"podSelector": {"matchLabels": {"app": "shop", "tier": "web"}}}), port(8080)),
        (json!({"podSelector": by("app", json!(["shop"]))}), port(8080)),
        (peer("chat-prod", &json!({"app": "shop"})), port(8080)),
        (peer("gateway", &envoy), port(8080)),
        (json!({"namespaceSelector": named(json!(["gateway"])), "podSelector": pods}), port(8080)),
        (
            json!({"namespaceSelector": {"matchLabels": {"portcullis.dev/environment": "production",
                "kubernetes.io/metadata.name": "gateway"}}, "podSelector": pods}),
            port(8080),
        ),
        // A name may be that of the declared port; pods tell.
        (shop, port("http")),
        (peer("monitoring", &json!({"app": "prometheus"})), port("metrics")),
        (peer("monitoring", &json!({"app": "prometheus"})), port(9090)),
    ] {
        let found = judged(&bench(), policy(&from, &ports));
        assert_eq!(lines(&found), [""; 0], "{from} {ports}");
    }
    // A policy that closes nothing on this side opens nothing, and other pods are no business of this declaration.
    let mut out = policy(&json!({"ipBlock": {"cidr": "8.0.0.0/8"}}), &Value::Null);
    out["policyTypes"] = json!(["Egress"]);
    assert_lines(&judged(&bench(), out), &[]);
    let mut other = policy(&json!({"ipBlock": {"cidr": "8.0.0.0/8"}}), &Value::Null);
    other["podSelector"] = json!({"matchLabels": {"app": "db"}});
    assert_lines(&judged(&bench(), other), &[]);
    let supporting = Bench::new("production", "internal").workload(&json!({"type": "supporting"}));
    assert_lines(&judged(&supporting, policy(&json!({"ipBlock": {"cidr": "8.0.0.0/8"}}), &Value::Null)), &[]);
}

#[test]
fn what_nobody_declared_is_not_let_in() {
    let said = |peer: &str, which: &str| {
        format!(
            "NetworkPolicy chat-prod/extra spec.ingress[0].from[0] {peer:?}: lets in on {which}, which AIWorkload chat-prod/chat \
             does not declare in spec.exposure for such callers"
        )
    };
    let shop = json!({"podSelector": {"matchLabels": {"app": "shop"}}});
    for (from, ports, peer, which) in [
        (json!({"ipBlock": {"cidr": "8.0.0.0/8"}}), Value::Null, "8.0.0.0/8", "every port"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8"}}), port(8080), "10.0.0.0/8", "port 8080"),
        (shop.clone(), Value::Null, "pods app=shop", "every port"),
        (shop.clone(), json!([{"protocol": "TCP"}]), "pods app=shop", "every port"),
        (shop.clone(), port(8000), "pods app=shop", "port 8000"),
        (
            shop.clone(),
            json!([{"port": 8080, "endPort": 9000}, {"port": 1}]),
            "pods app=shop",
            "ports 8080 to 9000 and 1 more",
        ),
        (
            json!({"podSelector": {"matchLabels": {"app": "db"}}}),
            port("http"),
            "pods app=db",
            "port \"http\"",
        ),
        (
            json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop", "db"]}]}}),
            port(8080),
            "pods app In shop|db",
            "port 8080",
        ),
        (
            json!({"namespaceSelector": {"matchLabels": {"team": "x"}}, "podSelector": {"matchLabels": {"app": "envoy"}}}),
            port(8080),
            "namespaces team=x pods app=envoy",
            "port 8080",
        ),
        (
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}),
            port(8080),
            "namespaces kubernetes.io/metadata.name=gateway",
            "port 8080",
        ),
    ] {
        let found = judged(&bench(), policy(&from, &ports));
        assert_lines(&found, &[&said(peer, which)]);
    }
    for label in ["pod-template-hash", "x"] {
        let mut other = policy(&shop, &port(8000));
        other["podSelector"] = json!({"matchLabels": {label: "5c6848b455"}});
        let found = judged(&bench(), other);
        assert_lines(&found, &[&said("pods app=shop", "port 8000")]);
        assert_eq!(
            found[0].fix.as_ref().unwrap().to_string(),
            "if other pods are meant, name their own labels in spec.podSelector too; or declare port and callers in spec.exposure of \
             AIWorkload chat-prod/chat, which opens the way, or name only what it declares (figures: port \"metrics\", by its name)"
        );
    }
}

#[test]
fn an_exposure_without_callers_leaves_them_to_policies() {
    let open = |audience: &str, cidr: &str| {
        let exposure = json!([{"name": "api", "port": 8080, "audience": audience}]);
        let bench = Bench::new("production", "internal").workload(&json!({"exposure": exposure}));
        judged(&bench, policy(&json!({"ipBlock": {"cidr": cidr}}), &port(8080))).len()
    };
    assert_eq!(open("internal", "10.20.0.0/16"), 0);
    assert_eq!(open("internal", "8.0.0.0/8"), 1);
    assert_eq!(open("public", "8.0.0.0/8"), 0);
}

#[test]
fn a_pod_knows_the_numbers_of_its_ports() {
    let ports = json!([{"name": "http", "containerPort": 8080}, {"name": "model", "containerPort": 8000},
        {"name": "metrics", "containerPort": 9090}]);
    let pod = json!({"containers": [{"name": "a", "ports": ports}]});
    let found = |from: &Value, ports: &Value| {
        bench().policy("extra", false, policy(from, ports)).of_pod(&CONTROL, &pod)
    };
    let shop = json!({"podSelector": {"matchLabels": {"app": "shop"}}});
    let prometheus = peer("monitoring", &json!({"app": "prometheus"}));
    for (from, ports) in [(&shop, port("http")), (&prometheus, port(9090)), (&prometheus, port("metrics"))] {
        assert_lines(&found(from, &ports), &[]);
    }
    for (from, ports) in [(&shop, port("model")), (&prometheus, port(8000)), (&shop, port(9090))] {
        assert_eq!(found(from, &ports).len(), 1, "{from} {ports}");
    }
    let found = found(&shop, &port("model"));
    assert!(found[0].may_arrive);
    assert_eq!(found[0].fix.as_ref().unwrap().to_string(), "kubectl delete networkpolicy extra -n chat-prod");
}
