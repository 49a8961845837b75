//! Whether what is to be generated is there already. Pure.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::DynamicObject;
use serde_json::Value;

use super::{Desired, Resource};
use crate::gather::world::{Kind, World};

/// Whether the world already shows `desired`, as far as the world knows that kind.
#[must_use]
pub fn present(world: &World, desired: &Desired) -> bool {
    let namespace = world.namespace(&desired.namespace);
    let name = desired.name.as_str();
    // What is somebody else's is not in place, however like it is: each look says again that it stands in the way.
    if !ours(world, desired.resource, &desired.namespace, name) {
        return false;
    }
    match desired.resource {
        Resource::ServiceAccount => namespace.service_accounts.get(name).is_some_and(|account| {
            let wanted = &desired.object["metadata"]["annotations"];
            account.automount == Some(false)
                && wanted.as_object().map_or(0, serde_json::Map::len) == account.cloud.len()
                && account.cloud.iter().all(|(key, value)| wanted[*key] == value.as_str())
        }),
        Resource::NetworkPolicy => namespace.network_policies.get(name).is_some_and(|policy| {
            serde_json::from_value(desired.object["spec"].clone()).is_ok_and(
                |spec: k8s_openapi::api::networking::v1::NetworkPolicySpec| same_policy(&spec, &policy.spec),
            )
        }),
        Resource::Role => world.rbac.role(Some(&desired.namespace), name).is_some_and(|rules| {
            let wanted: Result<Vec<k8s_openapi::api::rbac::v1::PolicyRule>, _> =
                serde_json::from_value(desired.object["rules"].clone());
            wanted.is_ok_and(|wanted| wanted == rules)
        }),
        Resource::RoleBinding => world.rbac.binds_only(&desired.namespace, name),
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

/// Whether the world shows an object of this kind and name that the operator generated.
pub(super) fn ours(world: &World, resource: Resource, namespace: &str, name: &str) -> bool {
    let home = world.namespace(namespace);
    let kind = match resource {
        Resource::ServiceAccount => {
            let account = home.service_accounts.get(name);
            return account.is_some_and(|account| account.generated_for.as_deref() == Some(name));
        }
        Resource::NetworkPolicy => {
            return home.network_policies.get(name).is_some_and(|policy| policy.generated);
        }
        Resource::Role => Kind::Role,
        Resource::RoleBinding => Kind::RoleBinding,
        Resource::PodMonitor => Kind::PodMonitor,
        Resource::AlertRule => Kind::AlertRule,
        Resource::TrafficPolicy => Kind::TrafficPolicy,
    };
    world.is_generated(kind, namespace, name)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::surplus::tests::{ALL, seen, whole, workload, world};
    use super::super::{build, build_namespace};
    use super::*;

    /// What is not in place of what the whole workload asks for.
    fn missing(world: &World) -> Vec<Resource> {
        let desired = build(&workload(&whole()), world.namespace("chat-prod"), ALL);
        desired.iter().filter(|one| !present(world, one)).map(|one| one.resource).collect()
    }

    #[test]
    fn what_is_somebody_elses_is_not_in_place_however_like_it_is() {
        let workload = workload(&whole());
        let mut world = world(&workload);
        assert_eq!(missing(&world), []);
        for desired in build(&workload, world.namespace("chat-prod"), ALL) {
            let mut released = desired.object.clone();
            released["metadata"]["labels"] = json!({});
            released["metadata"]["ownerReferences"] = json!([]);
            world.apply(seen(desired.resource, released));
            assert_eq!(missing(&world), [desired.resource]);
            world.apply(seen(desired.resource, desired.object));
            assert_eq!(missing(&world), []);
        }
    }

    #[test]
    fn a_binding_with_one_more_subject_is_not_in_place() {
        let workload = workload(&whole());
        let mut world = world(&workload);
        let desired = build(&workload, world.namespace("chat-prod"), ALL);
        let mut binding =
            desired.into_iter().find(|one| one.resource == Resource::RoleBinding).unwrap().object;
        let Some(subjects) = binding["subjects"].as_array_mut() else { panic!("subjects") };
        subjects.push(json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}));
        world.apply(seen(Resource::RoleBinding, binding));
        assert_eq!(missing(&world), [Resource::RoleBinding]);
    }

    #[test]
    fn a_closed_network_of_somebody_else_is_not_in_place() {
        let mut world = World::default();
        let desired = build_namespace(&crate::policy::facts::Namespace {
            name: "chat-prod".to_owned(),
            ..crate::policy::facts::Namespace::default()
        });
        let mut own = desired.object.clone();
        own["metadata"]["labels"] = json!({});
        world.apply(seen(Resource::NetworkPolicy, own));
        assert!(!present(&world, &desired));
        world.apply(seen(Resource::NetworkPolicy, desired.object.clone()));
        assert!(present(&world, &desired));
    }
}
