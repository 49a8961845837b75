//! Rights: what gives them, whom a change of them concerns, and who holds those that few should.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Kind, Object, Touched, World, name_of};
use crate::api;
use crate::gather::rbac::Reach;
use crate::policy::facts::Namespace;
use crate::policy::rights::Holder;

impl World {
    /// Takes in what gives identities rights.
    pub(super) fn apply_rights(&mut self, object: Object) -> Touched {
        match object {
            Object::Role(role) => {
                let whose = self.note_generated(Kind::Role, &role.metadata);
                let reached = self.rbac.set_role(
                    role.metadata.namespace.as_deref(),
                    name_of(&role.metadata),
                    role.rules.unwrap_or_default(),
                );
                Touched::reached(reached).and(whose)
            }
            Object::ClusterRole(role) => Touched::reached(self.rbac.set_role(
                None,
                name_of(&role.metadata),
                role.rules.unwrap_or_default(),
            )),
            Object::RoleBinding(binding) => {
                let whose = self.note_generated(Kind::RoleBinding, &binding.metadata);
                let reached = self.rbac.set_binding(
                    binding.metadata.namespace.as_deref(),
                    name_of(&binding.metadata),
                    &binding.role_ref,
                    binding.subjects.as_deref().unwrap_or_default(),
                );
                Touched::reached(reached).and(whose)
            }
            Object::ClusterRoleBinding(binding) => Touched::reached(self.rbac.set_binding(
                None,
                name_of(&binding.metadata),
                &binding.role_ref,
                binding.subjects.as_deref().unwrap_or_default(),
            )),
            _ => Touched::nothing(),
        }
    }

    /// The AI workloads that a reach of a binding concerns, in governed namespaces.
    #[must_use]
    pub fn workloads_reached<'a>(&'a self, reach: &'a Reach) -> Vec<&'a Arc<api::AIWorkload>> {
        let of = |namespace: &'a str, name: Option<&'a str>| {
            self.cluster.namespaces.get(namespace).into_iter().filter(|ns| ns.governed()).flat_map(
                move |ns| {
                    ns.workloads
                        .iter()
                        .filter(move |(n, _)| name.is_none_or(|name| *n == name))
                        .map(|(_, w)| w)
                },
            )
        };
        match reach {
            Reach::Account(namespace, name) => of(namespace, Some(name)).collect(),
            Reach::Namespace(namespace) => of(namespace, None).collect(),
            Reach::AllAccounts | Reach::Authenticated => self
                .cluster
                .namespaces
                .values()
                .filter(|ns| ns.governed())
                .flat_map(|ns| ns.workloads.values())
                .collect(),
            Reach::Holders(_) | Reach::Group(..) => Vec::new(),
        }
    }

    /// Who holds rights in a namespace that few should; for production also whether they can write in research too.
    pub(super) fn holders<'a>(&'a self, namespace: &'a Namespace) -> Vec<Holder<'a>> {
        let mut holders = self.rbac.holders(&namespace.name);
        if namespace.environment() != Some(api::Environment::Production) || holders.is_empty() {
            return holders;
        }
        let all = self.cluster.namespaces.values();
        for research in all.filter(|other| other.environment() == Some(api::Environment::Research)) {
            let own = self.rbac.own_holders(&research.name);
            let writers: HashSet<&str> =
                own.iter().filter(|held| held.rights.writes()).map(|held| held.who.as_ref()).collect();
            for holder in holders.iter_mut().filter(|holder| holder.rights.writes()) {
                if holder.binding.namespace.is_none() || writers.contains(holder.who.as_ref()) {
                    holder.research.get_or_insert(&research.name);
                }
            }
        }
        holders
    }
}
