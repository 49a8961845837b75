//! Judging what surrounds pods: bindings of roles to their identities, and network policies.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kube::core::DynamicObject;

use super::judge::{Judge, concluded, read, unreadable};
use super::wire::{Answer, Request};
use crate::gather::rbac::{AnyBinding, Reach, reaches};
use crate::gather::world::{World, generated, read as kept};
use crate::policy::facts::{BindingFacts, BindingRef, Subject, Via, Way};
use crate::policy::{Enforcement, decide, evaluate, texts};

/// Workloads that a warning of a group is worked out for: the first ones tell enough.
const OF_A_GROUP: usize = 4;

impl Judge {
    /// A binding that names the identity of an AI workload.
    pub(super) fn role_binding(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.object else { return Answer::allow() };
        let binding: AnyBinding = match read(raw) {
            Ok(binding) => binding,
            Err(error) => return unreadable(request, &error),
        };
        let namespace = (!request.namespace.is_empty()).then_some(request.namespace.as_ref());
        let reaches = reaches(namespace, binding.subjects.as_deref().unwrap_or_default());
        let (direct, groups): (Vec<Reach>, Vec<Reach>) =
            reaches.into_iter().partition(|reach| matches!(reach, Reach::Account(..)));
        let world = self.world();
        let mut answer = self.reaching(request, &world, &binding, &direct);
        // A group holds others too, who may need it: whoever binds it is told, and the audit finds what came of it.
        for group in &groups {
            let of_group = self.reaching(request, &world, &binding, std::slice::from_ref(group));
            answer.warnings.extend(of_group.warnings);
        }
        answer
    }

    /// What a binding gives to the AI identities that it reaches in some ways.
    fn reaching(
        &self,
        request: &Request<'_>,
        world: &World,
        binding: &AnyBinding,
        reaches: &[Reach],
    ) -> Answer {
        let via = match reaches.first() {
            // People hold no identity of an AI workload.
            None | Some(Reach::Holders(_) | Reach::Group(..)) => return Answer::allow(),
            Some(Reach::Account(..)) => Via::Account,
            Some(Reach::Namespace(_)) => Via::NamespaceGroup,
            Some(Reach::AllAccounts) => Via::AllAccounts,
            Some(Reach::Authenticated) => Via::Authenticated,
        };
        let most = if via == Via::Account { usize::MAX } else { OF_A_GROUP };
        let workloads: Vec<_> =
            reaches.iter().flat_map(|reach| world.workloads_reached(reach)).take(most).collect();
        let Some(first) = workloads.first() else { return Answer::allow() };
        let namespace = (!request.namespace.is_empty()).then_some(request.namespace.as_ref());
        let home = world.namespace(first.metadata.namespace.as_deref().unwrap_or_default());
        let settings = world.settings(home);
        let now = (self.clock)();
        let role = format!("{}/{}", binding.role_ref.kind, binding.role_ref.name);
        let name = if request.name.is_empty() {
            binding.metadata.generate_name.as_deref().unwrap_or_default()
        } else {
            request.name.as_ref()
        };
        let enforcement = Enforcement::of(home, &world.cluster, Some(first), now);
        let workload = first.metadata.name.clone();
        let subject = Subject::Binding(BindingFacts {
            binding: BindingRef { namespace, name },
            role: &role,
            rules: world.rbac.rules(namespace, &binding.role_ref),
            workloads,
            via,
            written: true,
        });
        let facts = world.facts(now, subject, home, &settings);
        let mut decision = decide(evaluate(&facts), &enforcement, workload.as_deref(), false);
        if via != Via::Account {
            decision.warned.append(&mut decision.refused);
        }
        concluded(&format!("{} {name}", request.kind.kind), &request.kind.kind, &decision)
    }

    /// A Service, an Ingress or a route in a governed namespace: a way in that nobody declared is not opened at all.
    pub(super) fn way(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.object else { return Answer::allow() };
        let kind = request.kind.kind.as_ref();
        let name = request.name.as_ref();
        match kind {
            "Service" => match read::<Service>(raw) {
                Ok(service) => self.opened(request, &Way::Service(name, &kept::service(&service))),
                Err(error) => unreadable(request, &error),
            },
            "Ingress" => match read::<Ingress>(raw) {
                Ok(ingress) => self.opened(request, &Way::Ingress(name, &kept::ingress(&ingress))),
                Err(error) => unreadable(request, &error),
            },
            _ => match read::<DynamicObject>(raw) {
                Ok(route) => {
                    self.opened(request, &Way::Route(&format!("{kind}/{name}"), &kept::route(&route)))
                }
                Err(error) => unreadable(request, &error),
            },
        }
    }

    /// A claim of a volume goes: what it holds of models and data is accounted for first.
    pub(super) fn claim_goes(&self, request: &Request<'_>) -> Answer {
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let now = (self.clock)();
        let facts = world.facts(now, Subject::ClaimDeletion(&request.name), namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, None, now);
        let decision = decide(evaluate(&facts), &enforcement, None, false);
        let kind = request.kind.kind.as_ref();
        concluded(&format!("{kind} {}/{}", request.namespace, request.name), kind, &decision)
    }

    fn opened(&self, request: &Request<'_>, way: &Way<'_>) -> Answer {
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let now = (self.clock)();
        let facts = world.facts(now, Subject::Way(*way), namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, None, now);
        let decision = decide(evaluate(&facts), &enforcement, None, false);
        let kind = request.kind.kind.as_ref();
        concluded(&format!("{kind} {}/{}", request.namespace, request.name), kind, &decision)
    }

    /// A ConfigMap in a governed namespace: its text is looked into, and not kept.
    pub(super) fn config_map(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.object else { return Answer::allow() };
        let map: ConfigMap = match read(raw) {
            Ok(map) => map,
            Err(error) => return unreadable(request, &error),
        };
        let found = texts::credentials(&map);
        if found.is_empty() {
            return Answer::allow();
        }
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let now = (self.clock)();
        let subject = Subject::ConfigMap { name: &request.name, found: &found };
        let facts = world.facts(now, subject, namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, None, now);
        let decision = decide(evaluate(&facts), &enforcement, None, false);
        concluded(&format!("ConfigMap {}/{}", request.namespace, request.name), "ConfigMap", &decision)
    }

    /// A network policy in a governed namespace.
    pub(super) fn network_policy(&self, request: &Request<'_>) -> Answer {
        let Some(raw) = request.object.filter(|_| request.user_info.username != self.operator) else {
            return Answer::allow();
        };
        let policy: NetworkPolicy = match read(raw) {
            Ok(policy) => policy,
            Err(error) => return unreadable(request, &error),
        };
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let now = (self.clock)();
        let spec = policy.spec.unwrap_or_default();
        let subject = Subject::NetworkPolicy {
            name: &request.name,
            spec: &spec,
            generated: generated(&policy.metadata),
        };
        let facts = world.facts(now, subject, namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, None, now);
        let decision = decide(evaluate(&facts), &enforcement, None, false);
        concluded(
            &format!("NetworkPolicy {}/{}", request.namespace, request.name),
            "NetworkPolicy",
            &decision,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[test]
    fn both_kinds_of_binding_are_read() -> anyhow::Result<()> {
        for kind in ["RoleBinding", "ClusterRoleBinding"] {
            let raw = RawValue::from_string(format!(
                r#"{{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "{kind}", "metadata": {{"name": "b"}},
                "roleRef": {{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}},
                "subjects": [{{"kind": "ServiceAccount", "name": "chat", "namespace": "shop"}}]}}"#
            ))?;
            let binding: AnyBinding = read(&raw)?;
            assert_eq!(binding.role_ref.name, "admin");
            assert_eq!(binding.subjects.map(|subjects| subjects.len()), Some(1));
        }
        Ok(())
    }
}
