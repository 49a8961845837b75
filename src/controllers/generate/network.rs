//! The way in and out that a declaration asks for, as a network policy. Pure.

use serde_json::{Value, json};

use crate::api::workload::{AIWorkload, LifecycleState};

/// The declared allowances; everything else stays closed by the namespace's default. Who is in quarantine, or gone, has none.
pub(super) fn policy(workload: &AIWorkload) -> Value {
    let spec = &workload.spec;
    if matches!(workload.state(), LifecycleState::Quarantined | LifecycleState::Disposed) {
        return json!({
            "podSelector": {"matchLabels": spec.selector.match_labels},
            "policyTypes": ["Egress", "Ingress"],
        });
    }
    let port = |port: u16| json!({"port": port, "protocol": "TCP"});
    let peer = |namespace: Option<&str>, labels: &std::collections::BTreeMap<String, String>| {
        let mut peer = json!({"podSelector": {"matchLabels": labels}});
        if let Some(namespace) = namespace {
            peer["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
        }
        peer
    };
    let mut egress = Vec::new();
    if !spec.services.is_empty() || !spec.external_apis.is_empty() {
        // Names have to be resolved before anything can be called.
        egress.push(json!({
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            "to": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }],
        }));
    }
    for service in &spec.services {
        egress.push(json!({
            "ports": service.ports.iter().map(|p| port(*p)).collect::<Vec<_>>(),
            "to": [peer(service.namespace.as_deref(), &service.pod_labels)],
        }));
    }
    for api in spec.external_apis.iter().filter(|api| !api.cidrs.is_empty()) {
        let to: Vec<Value> = api.cidrs.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect();
        egress.push(json!({"ports": [port(api.port)], "to": to}));
    }
    let mut ingress = Vec::new();
    for exposure in spec.exposure.iter().filter(|exposure| !exposure.from.is_empty()) {
        let from: Vec<Value> =
            exposure.from.iter().map(|p| peer(p.namespace.as_deref(), &p.pod_labels)).collect();
        ingress.push(json!({"from": from, "ports": [port(exposure.port)]}));
    }
    if let Some(metrics) = spec.monitoring.as_ref().and_then(|m| m.metrics.as_ref()) {
        // Whoever reads figures lives in another namespace. Where the declaration does not name it, the port alone is open.
        let named = metrics.from.iter().map(|p| peer(p.namespace.as_deref(), &p.pod_labels));
        let from: Vec<Value> =
            if metrics.from.is_empty() { vec![json!({"namespaceSelector": {}})] } else { named.collect() };
        ingress.push(json!({
            "from": from,
            "ports": [{"port": metrics.port, "protocol": "TCP"}],
        }));
    }
    let mut out = json!({
        "podSelector": {"matchLabels": spec.selector.match_labels},
        "policyTypes": ["Egress", "Ingress"],
    });
    if !egress.is_empty() {
        out["egress"] = Value::Array(egress);
    }
    if !ingress.is_empty() {
        out["ingress"] = Value::Array(ingress);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_open_to_those_who_are_named_or_to_all() {
        let ingress = |metrics: &Value| {
            let workload = json!({"metadata": {"name": "chat"}, "spec": {"type": "inference", "roles": ["SystemOperator"], "owners": {"accountable": {"user": "j"}},
                "selector": {"matchLabels": {"app": "chat"}}, "monitoring": {"metrics": metrics}}});
            policy(&serde_json::from_value(workload).unwrap())["ingress"][0]["from"].clone()
        };
        assert_eq!(ingress(&json!({"port": "metrics"})), json!([{"namespaceSelector": {}}]));
        let from = json!([{"namespace": "monitoring", "podLabels": {"app": "prometheus"}}]);
        assert_eq!(
            ingress(&json!({"port": "metrics", "from": from})),
            json!([{"podSelector": {"matchLabels": {"app": "prometheus"}},
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}])
        );
    }
}
