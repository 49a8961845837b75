//! The way in and out that a declaration asks for, as a network policy. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::workload::{AIWorkload, LifecycleState};
use crate::policy::facts::{Labels, Namespace};
use crate::policy::selector::{Overlap, overlap};

/// The declared allowances; everything else stays closed by the namespace's default. Who is in quarantine, or gone, has none,
/// and what one of its pods may do is not had by a pod that another declaration of `home` has in quarantine.
pub(super) fn policy(workload: &AIWorkload, home: &Namespace) -> Value {
    let spec = &workload.spec;
    let gone = matches!(workload.state(), LifecycleState::Quarantined | LifecycleState::Disposed);
    let (pods, covered) = selected(workload, home);
    if gone || covered {
        return json!({"podSelector": pods, "policyTypes": ["Egress", "Ingress"]});
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
    let mut out = json!({"podSelector": pods, "policyTypes": ["Egress", "Ingress"]});
    if !egress.is_empty() {
        out["egress"] = Value::Array(egress);
    }
    if !ingress.is_empty() {
        out["ingress"] = Value::Array(ingress);
    }
    out
}

/// The pods of `workload` without those in another's quarantine, and whether such a quarantine covers all of them.
///
/// One label of a quarantine keeps its pods out: of a selector with more labels that leaves out further pods that have it.
fn selected(workload: &AIWorkload, home: &Namespace) -> (Value, bool) {
    let own = &workload.spec.selector.match_labels;
    let mut pods = json!({"matchLabels": own});
    if workload.is_quarantined() {
        return (pods, false);
    }
    let name = workload.metadata.name.as_deref();
    let quarantined = home.workloads.iter().filter(|(other, _)| name != Some(other.as_str()));
    let quarantined = quarantined.filter(|(_, other)| other.is_quarantined());
    let mut left_out: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut covered = false;
    for (_, other) in quarantined {
        let labels: &Labels = &other.spec.selector.match_labels;
        if overlap(own, labels) == Overlap::None {
            continue;
        }
        match labels.iter().find(|(key, _)| !own.contains_key(*key)) {
            Some((key, value)) => drop(left_out.entry(key).or_default().insert(value)),
            None => covered = true,
        }
    }
    if !left_out.is_empty() {
        let terms = left_out.into_iter();
        let term = |(key, values)| json!({"key": key, "operator": "NotIn", "values": values});
        pods["matchExpressions"] = terms.map(term).collect();
    }
    (pods, covered)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn workload(labels: &Value, state: &str) -> AIWorkload {
        let spec = json!({"type": "inference", "roles": ["SystemOperator"], "owners": {"accountable": {"user": "j"}},
            "selector": {"matchLabels": labels}, "lifecycle": {"state": state},
            "externalApis": [{"name": "x", "host": "x.example", "cidrs": ["192.0.2.0/24"], "port": 443, "purpose": "p"}]});
        serde_json::from_value(json!({"metadata": {"name": "chat"}, "spec": spec})).unwrap()
    }

    #[test]
    fn who_is_cut_off_has_no_way_out_by_another_declaration() {
        let built = |own: &Value, other: &Value, state: &str| {
            let mut home = Namespace::default();
            home.workloads.insert("other".to_owned(), Arc::new(workload(other, state)));
            policy(&workload(own, "Active"), &home)
        };
        let (own, part) = (json!({"app": "chat"}), json!({"app": "chat", "tier": "web"}));
        let open = json!({"matchLabels": own});
        for (other, state) in [(json!({"app": "search"}), "Quarantined"), (part.clone(), "Active")] {
            let built = built(&own, &other, state);
            assert!(built["podSelector"] == open && built["egress"].is_array(), "{built}");
        }
        for other in [part.clone(), json!({"tier": "web"})] {
            let built = built(&own, &other, "Quarantined");
            let out = json!([{"key": "tier", "operator": "NotIn", "values": ["web"]}]);
            assert_eq!(built["podSelector"], json!({"matchLabels": own, "matchExpressions": out}));
            assert!(built["egress"].is_array(), "its other pods keep what they have: {built}");
        }
        for other in [own.clone(), json!({"tier": "web"})] {
            assert!(built(&part, &other, "Quarantined").get("egress").is_none(), "{other} covers all");
        }
    }

    #[test]
    fn figures_are_open_to_those_who_are_named_or_to_all() {
        let ingress = |metrics: &Value| {
            let workload = json!({"metadata": {"name": "chat"}, "spec": {"type": "inference", "roles": ["SystemOperator"], "owners": {"accountable": {"user": "j"}},
                "selector": {"matchLabels": {"app": "chat"}}, "monitoring": {"metrics": metrics}}});
            policy(&serde_json::from_value(workload).unwrap(), &Namespace::default())["ingress"][0]["from"]
                .clone()
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
