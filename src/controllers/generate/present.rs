//! Whether what is to be generated is there already. Pure.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::DynamicObject;
use serde_json::Value;

use super::{Desired, Resource};
use crate::gather::world::World;

/// Whether the world already shows `desired`, as far as the world knows that kind.
#[must_use]
pub fn present(world: &World, desired: &Desired) -> bool {
    let namespace = world.namespace(&desired.namespace);
    let name = desired.name.as_str();
    let account = namespace.service_accounts.get(name);
    // What the index knows of roles says nothing of whose they are; the identity that they are for does.
    let ours = account.is_some_and(|account| account.generated_for.as_deref() == Some(name));
    match desired.resource {
        Resource::ServiceAccount => account.is_some_and(|account| {
            let wanted = &desired.object["metadata"]["annotations"];
            ours && account.automount == Some(false)
                && wanted.as_object().map_or(0, serde_json::Map::len) == account.cloud.len()
                && account.cloud.iter().all(|(key, value)| wanted[*key] == value.as_str())
        }),
        Resource::NetworkPolicy => namespace.network_policies.get(name).is_some_and(|policy| {
            policy.generated
                && serde_json::from_value(desired.object["spec"].clone()).is_ok_and(
                    |spec: k8s_openapi::api::networking::v1::NetworkPolicySpec| {
                        same_policy(&spec, &policy.spec)
                    },
                )
        }),
        Resource::Role => world.rbac.role(Some(&desired.namespace), name).is_some_and(|rules| {
            let wanted: Result<Vec<k8s_openapi::api::rbac::v1::PolicyRule>, _> =
                serde_json::from_value(desired.object["rules"].clone());
            ours && wanted.is_ok_and(|wanted| wanted == rules)
        }),
        Resource::RoleBinding => world.rbac.grants(&desired.namespace, name).iter().any(|g| {
            ours && g.binding.namespace == Some(&desired.namespace)
                && g.binding.name == name
                && g.role == format!("Role/{name}")
        }),
        Resource::PodMonitor => namespace.pod_monitors.get(name).is_some_and(|known| {
            let wanted = &desired.object["spec"];
            serde_json::from_value(wanted["selector"].clone())
                .is_ok_and(|selector: LabelSelector| selector == known.selector)
                && known.namespaces.is_none()
                && wanted["podMetricsEndpoints"][0]["port"].as_str().is_some_and(|port| known.ports == [port])
        }),
        Resource::TrafficPolicy => namespace.traffic_policies.get(name).is_some_and(|known| {
            serde_json::from_value(desired.object.clone())
                .is_ok_and(|wanted: DynamicObject| crate::gather::world::traffic_policy(&wanted) == *known)
        }),
        Resource::AlertRule => {
            let rules = desired.object.pointer("/spec/groups/0/rules").and_then(Value::as_array);
            let wanted: BTreeSet<&str> =
                rules.into_iter().flatten().filter_map(|rule| rule["alert"].as_str()).collect();
            let known = namespace.alert_rules.get(name);
            known.is_some_and(|known| known.iter().map(String::as_str).eq(wanted))
        }
    }
}

/// Equal up to what the API server drops: an empty list and an absent one say the same here.
fn same_policy(
    a: &k8s_openapi::api::networking::v1::NetworkPolicySpec,
    b: &k8s_openapi::api::networking::v1::NetworkPolicySpec,
) -> bool {
    let types = |types: &Option<Vec<String>>| {
        let mut types = types.clone().unwrap_or_default();
        types.sort_unstable();
        types
    };
    a.pod_selector == b.pod_selector
        && types(&a.policy_types) == types(&b.policy_types)
        && a.egress.as_deref().unwrap_or_default() == b.egress.as_deref().unwrap_or_default()
        && a.ingress.as_deref().unwrap_or_default() == b.ingress.as_deref().unwrap_or_default()
}
