//! What the operator generated, where nothing else that is kept of a kind says so.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;

use super::{Kind, Touched, World, generated};
use crate::policy::facts::Namespace;

impl World {
    /// Whether the operator generated an object, of the kinds whose other facts do not tell: Roles, their bindings, monitors,
    /// alerts and traffic policies.
    #[must_use]
    pub fn is_generated(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.generated.contains(&(kind, namespace.to_owned(), name.to_owned()))
    }

    /// Notes whether the operator generated an object. Where that is news, its namespace is looked at: it may be all that
    /// changed.
    pub(super) fn note_generated(&mut self, kind: Kind, metadata: &ObjectMeta) -> Touched {
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else {
            return Touched::nothing();
        };
        let key = (kind, namespace.clone(), name.clone());
        let news = if generated(metadata) { self.generated.insert(key) } else { self.generated.remove(&key) };
        if news { Touched::namespace(namespace) } else { Touched::nothing() }
    }

    /// Takes in an object of a kind that may be generated.
    pub(super) fn put_generated<T: PartialEq>(
        &mut self,
        kind: Kind,
        metadata: ObjectMeta,
        of: fn(&mut Namespace) -> &mut BTreeMap<String, T>,
        value: T,
    ) -> Touched {
        let whose = self.note_generated(kind, &metadata);
        self.put(metadata, of, value).and(whose)
    }

    /// Forgets an object.
    pub(super) fn forget_generated(&mut self, kind: Kind, namespace: Option<&str>, name: &str) {
        if let Some(namespace) = namespace {
            self.generated.remove(&(kind, namespace.to_owned(), name.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Object;
    use super::*;

    #[test]
    fn whose_an_object_is_follows_its_label_and_is_news() {
        let of = |kind: Kind, by: &str| {
            let mut object = json!({"apiVersion": "a/v1", "kind": "K", "spec": {},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "chat"},
                "metadata": {"name": "chat", "namespace": "a", "labels": {"app.kubernetes.io/managed-by": by}}});
            let rbac = matches!(kind, Kind::Role | Kind::RoleBinding);
            if rbac && let Some(object) = object.as_object_mut() {
                object.retain(|field, _| {
                    field == "metadata" || field == "roleRef" && kind == Kind::RoleBinding
                });
            }
            match kind {
                Kind::Role => Object::Role(serde_json::from_value(object).unwrap()),
                Kind::RoleBinding => Object::RoleBinding(serde_json::from_value(object).unwrap()),
                Kind::PodMonitor => Object::PodMonitor(serde_json::from_value(object).unwrap()),
                Kind::AlertRule => Object::AlertRule(serde_json::from_value(object).unwrap()),
                _ => Object::TrafficPolicy(serde_json::from_value(object).unwrap()),
            }
        };
        let kinds = [Kind::Role, Kind::RoleBinding, Kind::PodMonitor, Kind::AlertRule, Kind::TrafficPolicy];
        let mut world = World::default();
        let here = Touched::namespace("a");
        for kind in kinds {
            world.apply(of(kind, "helm"));
            assert!(!world.is_generated(kind, "a", "chat"), "{kind:?}");
            assert_eq!(world.apply(of(kind, "portcullis")), here, "{kind:?}");
            assert!(
                world.is_generated(kind, "a", "chat") && !world.is_generated(kind, "b", "chat"),
                "{kind:?}"
            );
            assert_eq!(world.apply(of(kind, "portcullis")), Touched::nothing(), "{kind:?}");
        }
        assert_eq!(world.apply(of(Kind::Role, "helm")), here);
        assert!(
            !world.is_generated(Kind::Role, "a", "chat")
                && world.is_generated(Kind::RoleBinding, "a", "chat")
        );
        for kind in kinds {
            world.remove(kind, Some("a"), "chat");
            assert!(!world.is_generated(kind, "a", "chat"), "{kind:?}");
        }
    }
}
