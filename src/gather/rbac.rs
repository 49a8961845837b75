//! The index of what an identity can do, and through which binding.
//!
//! Only bindings that can reach a ServiceAccount are kept: those that name one, its groups, or everybody who is
//! signed in. Looking up an identity touches its own bindings and those of three groups, however many others exist.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};
use kube::core::ObjectMeta;
use serde::Deserialize;

use crate::policy::facts::{BindingRef, Grant, Via};

/// Namespace (absent for cluster-wide) and name of a role.
type RoleKey = (Option<String>, String);
/// Namespace (absent for cluster-wide) and name of a binding.
pub type BindingKey = (Option<String>, String);

/// A RoleBinding or ClusterRoleBinding: both say the same, and the types of the API insist on their own kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnyBinding {
    /// Name and the like.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The role that it hands out.
    pub role_ref: RoleRef,
    /// To whom.
    pub subjects: Option<Vec<Subject>>,
}

/// Something that a binding names and that an identity may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// One ServiceAccount: namespace and name.
    Account(String, String),
    /// Every ServiceAccount of a namespace.
    Namespace(String),
    /// Every ServiceAccount.
    AllAccounts,
    /// Everybody who is signed in.
    Authenticated,
}

#[derive(Debug)]
struct Binding {
    role: RoleKey,
    /// As messages write it: `ClusterRole/view`.
    role_label: String,
    reaches: Vec<Reach>,
}

/// Roles, the bindings that reach ServiceAccounts, and the way between them.
#[derive(Debug, Default)]
pub struct RbacIndex {
    roles: HashMap<RoleKey, Arc<[PolicyRule]>>,
    bindings: BTreeMap<BindingKey, Binding>,
    by_reach: HashMap<Reach, BTreeSet<BindingKey>>,
    by_role: HashMap<RoleKey, BTreeSet<BindingKey>>,
}

impl RbacIndex {
    /// Sets the rules of a role (`namespace` absent for a ClusterRole). Returns whom the change reaches.
    pub fn set_role(
        &mut self,
        namespace: Option<&str>,
        name: &str,
        rules: Vec<PolicyRule>,
    ) -> BTreeSet<Reach> {
        let key = (namespace.map(str::to_owned), name.to_owned());
        let reached = self.reached_by_role(&key);
        self.roles.insert(key, rules.into());
        reached
    }

    /// Forgets a role. Returns whom the change reaches.
    pub fn remove_role(&mut self, namespace: Option<&str>, name: &str) -> BTreeSet<Reach> {
        let key = (namespace.map(str::to_owned), name.to_owned());
        self.roles.remove(&key);
        self.reached_by_role(&key)
    }

    /// Sets a binding (`namespace` absent for a ClusterRoleBinding). Returns whom it reached before or reaches now.
    pub fn set_binding(
        &mut self,
        namespace: Option<&str>,
        name: &str,
        role: &RoleRef,
        subjects: &[Subject],
    ) -> BTreeSet<Reach> {
        let mut touched = self.remove_binding(namespace, name);
        let reaches = reaches(namespace, subjects);
        if reaches.is_empty() {
            return touched;
        }
        let key: BindingKey = (namespace.map(str::to_owned), name.to_owned());
        let role_key = role_key(namespace, role);
        for reach in &reaches {
            self.by_reach.entry(reach.clone()).or_default().insert(key.clone());
            touched.insert(reach.clone());
        }
        self.by_role.entry(role_key.clone()).or_default().insert(key.clone());
        self.bindings.insert(
            key,
            Binding { role: role_key, role_label: format!("{}/{}", role.kind, role.name), reaches },
        );
        touched
    }

    /// Forgets a binding. Returns whom it reached.
    pub fn remove_binding(&mut self, namespace: Option<&str>, name: &str) -> BTreeSet<Reach> {
        let key: BindingKey = (namespace.map(str::to_owned), name.to_owned());
        let Some(binding) = self.bindings.remove(&key) else { return BTreeSet::new() };
        for reach in &binding.reaches {
            if let Some(keys) = self.by_reach.get_mut(reach) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.by_reach.remove(reach);
                }
            }
        }
        if let Some(keys) = self.by_role.get_mut(&binding.role) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_role.remove(&binding.role);
            }
        }
        binding.reaches.into_iter().collect()
    }

    /// Every grant that reaches the ServiceAccount `name` of `namespace`, sorted by binding.
    ///
    /// A RoleBinding in another namespace counts as well: it grants rights there.
    #[must_use]
    pub fn grants(&self, namespace: &str, name: &str) -> Vec<Grant<'_>> {
        let mut out = Vec::new();
        let ways = [
            (Reach::Account(namespace.to_owned(), name.to_owned()), Via::Account),
            (Reach::Namespace(namespace.to_owned()), Via::NamespaceGroup),
            (Reach::AllAccounts, Via::AllAccounts),
            (Reach::Authenticated, Via::Authenticated),
        ];
        for (reach, via) in ways {
            for key in self.by_reach.get(&reach).into_iter().flatten() {
                let Some((key, binding)) = self.bindings.get_key_value(key) else { continue };
                out.push(Grant {
                    binding: BindingRef { namespace: key.0.as_deref(), name: &key.1 },
                    role: &binding.role_label,
                    rules: self.roles.get(&binding.role).map(AsRef::as_ref),
                    via,
                });
            }
        }
        out
    }

    /// The rules of a role as a binding in `namespace` names it; `None` when it does not exist.
    #[must_use]
    pub fn rules(&self, namespace: Option<&str>, role: &RoleRef) -> Option<&[PolicyRule]> {
        self.roles.get(&role_key(namespace, role)).map(AsRef::as_ref)
    }

    /// The rules of a role by its own namespace and name; `None` when it does not exist.
    #[must_use]
    pub fn role(&self, namespace: Option<&str>, name: &str) -> Option<&[PolicyRule]> {
        self.roles.get(&(namespace.map(str::to_owned), name.to_owned())).map(AsRef::as_ref)
    }

    /// The bindings that hand out a role, with whom they reach.
    pub fn bindings_of_role(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> impl Iterator<Item = (&BindingKey, &[Reach])> {
        self.by_role
            .get(&(namespace.map(str::to_owned), name.to_owned()))
            .into_iter()
            .flatten()
            .filter_map(|key| self.bindings.get(key).map(|binding| (key, binding.reaches.as_slice())))
    }

    /// How many bindings are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether no binding is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    fn reached_by_role(&self, key: &RoleKey) -> BTreeSet<Reach> {
        self.by_role
            .get(key)
            .into_iter()
            .flatten()
            .filter_map(|binding| self.bindings.get(binding))
            .flat_map(|binding| binding.reaches.iter().cloned())
            .collect()
    }
}

fn role_key(binding_namespace: Option<&str>, role: &RoleRef) -> RoleKey {
    let namespace = if role.kind == "Role" { binding_namespace.map(str::to_owned) } else { None };
    (namespace, role.name.clone())
}

/// Whom the subjects of a binding reach, as far as ServiceAccounts go.
#[must_use]
pub fn reaches(binding_namespace: Option<&str>, subjects: &[Subject]) -> Vec<Reach> {
    subjects.iter().filter_map(|subject| reach(binding_namespace, subject)).collect()
}

fn reach(binding_namespace: Option<&str>, subject: &Subject) -> Option<Reach> {
    match subject.kind.as_str() {
        "ServiceAccount" => {
            let namespace = subject.namespace.as_deref().filter(|ns| !ns.is_empty()).or(binding_namespace)?;
            Some(Reach::Account(namespace.to_owned(), subject.name.clone()))
        }
        "User" => {
            let (namespace, name) = subject.name.strip_prefix("system:serviceaccount:")?.split_once(':')?;
            Some(Reach::Account(namespace.to_owned(), name.to_owned()))
        }
        "Group" => match subject.name.as_str() {
            "system:serviceaccounts" => Some(Reach::AllAccounts),
            "system:authenticated" => Some(Reach::Authenticated),
            name => name
                .strip_prefix("system:serviceaccounts:")
                .map(|namespace| Reach::Namespace(namespace.to_owned())),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn role(kind: &str, name: &str) -> RoleRef {
        RoleRef { api_group: Some("rbac.authorization.k8s.io".into()), kind: kind.into(), name: name.into() }
    }

    fn subjects(value: serde_json::Value) -> Vec<Subject> {
        serde_json::from_value(value).unwrap()
    }

    fn rule(verb: &str) -> PolicyRule {
        PolicyRule { verbs: vec![verb.into()], ..PolicyRule::default() }
    }

    #[test]
    fn an_identity_is_reached_by_name_by_groups_and_by_user() {
        let mut index = RbacIndex::default();
        index.set_role(None, "view", vec![rule("get")]);
        index.set_role(Some("a"), "own", vec![rule("list")]);
        let everybody = subjects(json!([{"kind": "Group", "name": "system:authenticated"}]));
        index.set_binding(None, "all", &role("ClusterRole", "view"), &everybody);
        let accounts = subjects(json!([{"kind": "Group", "name": "system:serviceaccounts:a"}]));
        index.set_binding(Some("a"), "group", &role("Role", "own"), &accounts);
        let user = subjects(json!([{"kind": "User", "name": "system:serviceaccount:a:chat"}]));
        index.set_binding(Some("b"), "user", &role("Role", "missing"), &user);
        let implied = subjects(json!([{"kind": "ServiceAccount", "name": "chat"}]));
        index.set_binding(Some("a"), "named", &role("ClusterRole", "view"), &implied);

        let grants = index.grants("a", "chat");
        let seen: Vec<_> = grants.iter().map(|g| (g.binding.name, g.via, g.rules.map(<[_]>::len))).collect();
        assert_eq!(
            seen,
            [
                ("named", Via::Account, Some(1)),
                ("user", Via::Account, None),
                ("group", Via::NamespaceGroup, Some(1)),
                ("all", Via::Authenticated, Some(1)),
            ]
        );
        assert_eq!(index.grants("b", "chat").len(), 1, "only what everybody holds");
    }

    #[test]
    fn a_changed_role_reaches_those_it_is_bound_to() {
        let mut index = RbacIndex::default();
        let chat = subjects(json!([{"kind": "ServiceAccount", "name": "chat", "namespace": "a"}]));
        index.set_binding(None, "b", &role("ClusterRole", "r"), &chat);
        let reached = index.set_role(None, "r", vec![rule("*")]);
        assert_eq!(reached.into_iter().collect::<Vec<_>>(), [Reach::Account("a".into(), "chat".into())]);
        index.remove_binding(None, "b");
        assert!(index.is_empty());
        assert!(index.set_role(None, "r", vec![]).is_empty());
    }
}
