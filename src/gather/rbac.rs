//! The index of what an identity can do, and through which binding; and of who holds what matters in a namespace.
//!
//! Looking up an identity touches its own bindings and those of three groups, however many others exist. Who holds rights
//! in a namespace is asked by the audit alone, once a namespace; of the group that oversees a workload it is asked whether it
//! may stop it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};
use kube::core::ObjectMeta;
use serde::Deserialize;

use crate::policy::facts::{BindingRef, Grant, KnownRights, Via};
use crate::policy::rights::{Holder, Rights, of_the_cluster};

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
    /// Whoever holds rights in a namespace, or in all of them: what is said of the namespace, not of its identities.
    Holders(Option<String>),
    /// A group of people, with the namespace of the binding; no ServiceAccount is in it.
    Group(Option<String>, String),
}

#[derive(Debug)]
struct Binding {
    role: RoleKey,
    /// As messages write it: `ClusterRole/view`.
    role_label: String,
    reaches: Vec<Reach>,
    /// Whether its only subject is one ServiceAccount, named as such.
    alone: bool,
    /// Users and groups that no ServiceAccount is, as lists of profiles name them.
    people: Box<[Box<str>]>,
}

/// Subjects of one namespace that are looked at: more are for nobody to read.
const MOST_HOLDERS: usize = 1024;

/// Roles, bindings, and the way between them.
#[derive(Debug, Default)]
pub struct RbacIndex {
    roles: HashMap<RoleKey, Arc<[PolicyRule]>>,
    /// Of the roles that give any of the rights that few should hold.
    rights: HashMap<RoleKey, Rights>,
    bindings: BTreeMap<BindingKey, Binding>,
    by_reach: HashMap<Reach, BTreeSet<BindingKey>>,
    by_role: HashMap<RoleKey, BTreeSet<BindingKey>>,
    complete: bool,
}

impl KnownRights for RbacIndex {
    /// By a binding of the group's own or of everybody; `None` where none names the group and not all bindings are known.
    fn group_may(&self, group: &str, namespace: &str, name: &str) -> Option<bool> {
        let here = Reach::Group(Some(namespace.to_owned()), group.to_owned());
        let everywhere = Reach::Group(None, group.to_owned());
        let mut named = false;
        for reach in [here, everywhere, Reach::Authenticated] {
            named |= reach != Reach::Authenticated && self.by_reach.contains_key(&reach);
            for key in self.by_reach.get(&reach).into_iter().flatten() {
                if key.0.as_deref().is_some_and(|home| home != namespace) {
                    continue;
                }
                let rules = self.bindings.get(key).and_then(|binding| self.roles.get(&binding.role));
                if rules.is_some_and(|rules| rules.iter().any(|rule| changes(rule, name))) {
                    return Some(true);
                }
            }
        }
        (named || self.complete).then_some(false)
    }
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
        let mut reached = self.reached_by_role(&key);
        self.set_rights(&key, Rights::of(&rules), &mut reached);
        self.roles.insert(key, rules.into());
        reached
    }

    /// Forgets a role. Returns whom the change reaches.
    pub fn remove_role(&mut self, namespace: Option<&str>, name: &str) -> BTreeSet<Reach> {
        let key = (namespace.map(str::to_owned), name.to_owned());
        self.roles.remove(&key);
        let mut reached = self.reached_by_role(&key);
        self.set_rights(&key, Rights::default(), &mut reached);
        reached
    }

    /// Notes the rights of a role, and whose namespaces hear of a change of them.
    fn set_rights(&mut self, key: &RoleKey, rights: Rights, reached: &mut BTreeSet<Reach>) {
        let former =
            if rights.is_empty() { self.rights.remove(key) } else { self.rights.insert(key.clone(), rights) };
        if former.unwrap_or_default() != rights {
            let bindings = self.by_role.get(key).into_iter().flatten();
            reached.extend(bindings.map(|binding| Reach::Holders(binding.0.clone())));
        }
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
        let people: Box<[Box<str>]> = subjects.iter().filter_map(person).collect();
        if reaches.is_empty() && people.is_empty() {
            return touched;
        }
        let key: BindingKey = (namespace.map(str::to_owned), name.to_owned());
        let role_key = role_key(namespace, role);
        if self.rights.contains_key(&role_key) {
            touched.insert(Reach::Holders(key.0.clone()));
        }
        for reach in &reaches {
            self.by_reach.entry(reach.clone()).or_default().insert(key.clone());
            touched.insert(reach.clone());
        }
        self.by_role.entry(role_key.clone()).or_default().insert(key.clone());
        let alone = matches!(subjects, [only] if only.kind == "ServiceAccount");
        let role_label = format!("{}/{}", role.kind, role.name);
        self.bindings.insert(key, Binding { role: role_key, role_label, reaches, alone, people });
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
        let holders = self.rights.contains_key(&binding.role).then_some(Reach::Holders(key.0));
        binding.reaches.into_iter().chain(holders).collect()
    }

    /// Who holds any right in `namespace` that few should, by its own bindings and by those of the cluster: everybody but
    /// the components of the cluster itself and the operator, bounded.
    #[must_use]
    pub fn holders(&self, namespace: &str) -> Vec<Holder<'_>> {
        let everywhere = self.bindings.range(..(Some(String::new()), String::new()));
        self.held(everywhere.chain(self.of_namespace(namespace)))
    }

    /// The same by the bindings of the namespace alone.
    #[must_use]
    pub fn own_holders(&self, namespace: &str) -> Vec<Holder<'_>> {
        self.held(self.of_namespace(namespace))
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = (&BindingKey, &Binding)> {
        let from = (Some(namespace.to_owned()), String::new());
        let namespace = namespace.to_owned();
        self.bindings.range(from..).take_while(move |(key, _)| key.0.as_deref() == Some(namespace.as_str()))
    }

    fn held<'a>(&'a self, bindings: impl Iterator<Item = (&'a BindingKey, &'a Binding)>) -> Vec<Holder<'a>> {
        let mut out = Vec::new();
        for (key, binding) in bindings {
            let Some(rights) = self.rights.get(&binding.role) else { continue };
            let accounts = binding.reaches.iter().filter_map(spelt).map(Cow::Owned);
            let people = binding.people.iter().map(|who| Cow::Borrowed(who.as_ref()));
            let ours = |who: &str| {
                key.0.is_none()
                    && key.1.starts_with("portcullis-")
                    && who
                        .strip_prefix("serviceaccount:")
                        .and_then(|account| account.split_once('/'))
                        .is_some_and(|(_, name)| {
                            matches!(name, "portcullis-controller" | "portcullis-webhook")
                        })
            };
            for who in people.chain(accounts).filter(|who| !of_the_cluster(who) && !ours(who)) {
                let binding = BindingRef { namespace: key.0.as_deref(), name: &key.1 };
                out.push(Holder { who, rights: *rights, binding, research: None });
            }
            if out.len() >= MOST_HOLDERS {
                break;
            }
        }
        out
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

    /// Says that all bindings are known: what is not here does not exist.
    pub fn complete(&mut self) {
        self.complete = true;
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

    /// Whether the binding `name` of a namespace hands out the Role of that name to the ServiceAccount of that name, and to
    /// nobody else.
    #[must_use]
    pub fn binds_only(&self, namespace: &str, name: &str) -> bool {
        let key: BindingKey = (Some(namespace.to_owned()), name.to_owned());
        self.bindings.get(&key).is_some_and(|binding| {
            let account = Reach::Account(namespace.to_owned(), name.to_owned());
            binding.role == key && binding.alone && binding.reaches == [account]
        })
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
            name => match name.strip_prefix("system:serviceaccounts:") {
                Some(namespace) => Some(Reach::Namespace(namespace.to_owned())),
                // Groups of the system are no people.
                None if name.starts_with("system:") => None,
                None => Some(Reach::Group(binding_namespace.map(str::to_owned), name.to_owned())),
            },
        },
        _ => None,
    }
}

/// A user or a group that stands for no ServiceAccount, as lists of profiles name it.
fn person(subject: &Subject) -> Option<Box<str>> {
    match subject.kind.as_str() {
        "User" if !subject.name.starts_with("system:serviceaccount:") => {
            Some(format!("user:{}", subject.name).into())
        }
        "Group" if matches!(reach(None, subject), None | Some(Reach::Group(..))) => {
            Some(format!("group:{}", subject.name).into())
        }
        _ => None,
    }
}

/// A reach, as lists of profiles name it.
fn spelt(reach: &Reach) -> Option<String> {
    Some(match reach {
        Reach::Account(namespace, name) => format!("serviceaccount:{namespace}/{name}"),
        Reach::Namespace(namespace) => format!("group:system:serviceaccounts:{namespace}"),
        Reach::AllAccounts => "group:system:serviceaccounts".to_owned(),
        Reach::Authenticated => "group:system:authenticated".to_owned(),
        Reach::Holders(_) | Reach::Group(..) => return None,
    })
}

/// Whether a rule lets somebody change the AIWorkload `name`.
fn changes(rule: &PolicyRule, name: &str) -> bool {
    let any = |list: &Option<Vec<String>>, wanted: &str| {
        list.iter().flatten().any(|word| word == wanted || word == "*")
    };
    let verb = |wanted: &str| rule.verbs.iter().any(|verb| verb == wanted || verb == "*");
    let names = rule.resource_names.as_deref().unwrap_or_default();
    (verb("patch") || verb("update"))
        && any(&rule.api_groups, crate::api::common::GROUP)
        && any(&rule.resources, "aiworkloads")
        && (names.is_empty() || names.iter().any(|known| known == name))
}

#[cfg(test)]
#[path = "rbac_tests.rs"]
mod tests;
