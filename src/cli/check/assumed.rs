//! What the operator would have brought about by the time a pod arrives: assumed where only files are known.

use serde_json::Value;

use crate::api::workload::Manage;
use crate::controllers::generate::{Desired, Kinds, Resource, build, build_namespace};
use crate::gather::world::{Object, World};
use crate::policy::facts::Namespace;

/// Adds to `world` what the controllers generate from the declarations that are known: each governed namespace's
/// default-deny, and what belongs to each AIWorkload with `manage: Generate`.
///
/// An object of that name that is there already is left alone, because the operator adopts nothing that it did not make.
pub fn assume_generated(world: &mut World) {
    let kinds = Kinds::of(&world.cluster);
    let mut wanted = Vec::new();
    for namespace in world.cluster.namespaces.values().filter(|ns| ns.governed()) {
        let observed = !namespace.workloads.is_empty()
            && namespace.workloads.values().all(|w| w.spec.manage == Manage::Observe);
        let of_namespace = (!observed).then(|| build_namespace(namespace));
        let of_workloads =
            namespace.workloads.values().flat_map(|workload| build(workload, namespace, kinds));
        let missing = of_namespace.into_iter().chain(of_workloads).filter(|d| !taken(namespace, d));
        wanted.extend(missing.filter_map(object));
    }
    for object in wanted {
        world.apply(object);
    }
}

fn taken(namespace: &Namespace, desired: &Desired) -> bool {
    let name = desired.name.as_str();
    match desired.resource {
        Resource::ServiceAccount => namespace.service_accounts.contains_key(name),
        Resource::NetworkPolicy => namespace.network_policies.contains_key(name),
        Resource::PodMonitor => namespace.pod_monitors.contains_key(name),
        Resource::AlertRule => namespace.alert_rules.contains_key(name),
        Resource::TrafficPolicy => namespace.traffic_policies.contains_key(name),
        // Rights of one's own under the name of the generated ones are bound to the same identity and add to them.
        Resource::Role | Resource::RoleBinding => false,
    }
}

/// The object as the world takes it; what is generated can always be read.
fn object(desired: Desired) -> Option<Object> {
    fn read<T: serde::de::DeserializeOwned>(wrap: fn(Box<T>) -> Object, value: Value) -> Option<Object> {
        serde_json::from_value(value).ok().map(|object| wrap(Box::new(object)))
    }
    match desired.resource {
        Resource::ServiceAccount => read(Object::ServiceAccount, desired.object),
        Resource::NetworkPolicy => read(Object::NetworkPolicy, desired.object),
        Resource::PodMonitor => read(Object::PodMonitor, desired.object),
        Resource::AlertRule => read(Object::AlertRule, desired.object),
        Resource::TrafficPolicy => read(Object::TrafficPolicy, desired.object),
        Resource::Role => read(Object::Role, desired.object),
        Resource::RoleBinding => read(Object::RoleBinding, desired.object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::common::DEFAULT_DENY;
    use crate::gather::files::documents::Documents;
    use crate::gather::files::{Assumptions, Manifests};

    const WORKLOAD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: chat-prod, labels: {portcullis.dev/environment: production, portcullis.dev/sensitivity: internal}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AIWorkload
metadata: {name: chat, namespace: chat-prod}
spec:
  type: inference
  selector: {matchLabels: {app: chat}}
  owners: {accountable: {user: ada}}
  identity: {permissions: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]}
";

    fn world(text: &str) -> World {
        let mut documents = Documents::default();
        documents.text("x.yaml", text);
        let mut manifests = Manifests::of(documents, &Assumptions::default());
        assert_eq!(manifests.problems, []);
        assume_generated(&mut manifests.world);
        manifests.world
    }

    #[test]
    fn what_the_operator_would_generate_is_there() {
        let world = world(WORKLOAD);
        let namespace = world.namespace("chat-prod");
        assert_eq!(namespace.service_accounts["chat"].generated_for.as_deref(), Some("chat"));
        assert!(namespace.network_policies[DEFAULT_DENY].generated);
        assert_eq!(world.rbac.grants("chat-prod", "chat").len(), 1);
    }

    #[test]
    fn what_stands_in_the_files_is_not_taken_over() {
        let account =
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: chat, namespace: chat-prod}\n";
        let world = world(&format!("{WORKLOAD}{account}"));
        assert_eq!(world.namespace("chat-prod").service_accounts["chat"].generated_for, None);
    }

    #[test]
    fn what_claims_to_be_generated_does_not_count() {
        let forged = "---\napiVersion: v1\nkind: ServiceAccount\nautomountServiceAccountToken: true\nmetadata: {name: chat, \
                      namespace: chat-prod, labels: {app.kubernetes.io/managed-by: portcullis}}\n";
        let world = world(&format!("{WORKLOAD}{forged}"));
        let account = &world.namespace("chat-prod").service_accounts["chat"];
        assert_eq!((account.automount, account.generated_for.as_deref()), (Some(false), Some("chat")));
    }
}
