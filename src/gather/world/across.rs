//! What of one namespace concerns others: routes, Services by other names, datasets and evidence.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use kube::core::DynamicObject;

use super::{Touched, World, read};
use crate::api;
use crate::policy::facts;

impl World {
    /// A route stands in its own namespace and, where it leads into others, for these too.
    pub(super) fn put_route(&mut self, kind: &str, route: &DynamicObject) -> Touched {
        let (Some(namespace), Some(name)) = (&route.metadata.namespace, &route.metadata.name) else {
            return Touched::nothing();
        };
        let (known, key) = (read::route(route), format!("{kind}/{name}"));
        if self.entry(namespace).routes.get(&key) == Some(&known) {
            return Touched::nothing();
        }
        let mut touched = self.take_route(Some(namespace), &key);
        touched.namespaces.insert(namespace.clone());
        let across =
            known.backends.iter().filter_map(|(home, _)| home.clone()).filter(|home| home != namespace);
        let others: Vec<String> = across.collect();
        if !others.is_empty() {
            self.cluster.routes_across.insert(format!("{namespace}/{key}"), known.clone());
        }
        touched.namespaces.extend(others);
        self.entry(namespace).routes.insert(key, known);
        self.onward(touched)
    }

    pub(super) fn take_route(&mut self, namespace: Option<&str>, key: &str) -> Touched {
        let mut touched = self.take(namespace, |ns| ns.routes.remove(key).is_some());
        let across = self.cluster.routes_across.remove(&format!("{}/{key}", namespace.unwrap_or_default()));
        touched
            .namespaces
            .extend(across.into_iter().flat_map(|route| route.backends).filter_map(|(home, _)| home));
        self.onward(touched)
    }

    /// A Service that stands for another concerns the namespace of that one too.
    pub(super) fn put_service(&mut self, service: &Service) -> Touched {
        let (Some(namespace), Some(name)) = (&service.metadata.namespace, &service.metadata.name) else {
            return Touched::nothing();
        };
        let known = read::service(service);
        if self.entry(namespace).services.get(name) == Some(&known) {
            return Touched::nothing();
        }
        let mut touched = self.take_service(Some(namespace), name);
        touched.namespaces.insert(namespace.clone());
        if let Some(end) = known.stands_for() {
            let aliases = self.cluster.aliases.entry(end).or_default();
            aliases.insert((namespace.clone(), name.clone()));
        }
        self.entry(namespace).services.insert(name.clone(), known);
        self.onward(touched)
    }

    pub(super) fn take_service(&mut self, namespace: Option<&str>, name: &str) -> Touched {
        let home = namespace.unwrap_or_default();
        let known = self.namespace(home).services.get(name);
        let mut touched = Touched::nothing();
        if let Some(end) = known.and_then(facts::Service::stands_for) {
            touched = self.onward(Touched::namespace(home));
            if let Some(aliases) = self.cluster.aliases.get_mut(&end) {
                aliases.remove(&(home.to_owned(), name.to_owned()));
                if aliases.is_empty() {
                    self.cluster.aliases.remove(&end);
                }
            }
        }
        self.take(namespace, |ns| ns.services.remove(name).is_some()).and(touched)
    }

    /// Adds the namespaces to which Services of the touched ones stand for a Service, one after the other.
    pub(super) fn onward(&self, mut touched: Touched) -> Touched {
        let mut next: Vec<String> = touched.namespaces.iter().cloned().collect();
        while let Some(at) = next.pop() {
            let ends = self.namespace(&at).services.values().filter_map(facts::Service::stands_for);
            let fresh: Vec<String> =
                ends.map(|(home, _)| home).filter(|home| touched.namespaces.insert(home.clone())).collect();
            next.extend(fresh);
        }
        touched
    }

    /// A dataset concerns the namespaces whose Secrets open it too.
    pub(super) fn put_dataset(&mut self, dataset: api::AIDataset) -> Touched {
        let (Some(namespace), Some(name)) =
            (dataset.metadata.namespace.clone(), dataset.metadata.name.clone())
        else {
            return Touched::nothing();
        };
        let mut touched = self.put(dataset.metadata.clone(), |ns| &mut ns.datasets, Arc::new(dataset));
        if !touched.is_empty() {
            touched.namespaces.append(&mut self.close(&namespace, &name));
            let known = self.namespace(&namespace).datasets.get(&name).cloned();
            let secrets = known.iter().filter_map(|dataset| dataset.spec.source.as_ref());
            for secret in secrets.flat_map(|source| &source.opened_by) {
                let home = secret.namespace.as_ref().unwrap_or(&namespace).clone();
                touched.namespaces.insert(home.clone());
                let opened = self.cluster.opened_by.entry((home, secret.name.clone())).or_default();
                opened.insert((namespace.clone(), name.clone()));
            }
        }
        touched
    }

    pub(super) fn take_dataset(&mut self, namespace: Option<&str>, name: &str) -> Touched {
        let mut touched = self.take(namespace, |ns| ns.datasets.remove(name).is_some());
        touched.namespaces.append(&mut self.close(namespace.unwrap_or_default(), name));
        touched
    }

    /// Forgets which Secrets open a dataset. Returns the namespaces of these.
    fn close(&mut self, namespace: &str, name: &str) -> BTreeSet<String> {
        let mut homes = BTreeSet::new();
        self.cluster.opened_by.retain(|(home, _), opened| {
            if opened.remove(&(namespace.to_owned(), name.to_owned())) {
                homes.insert(home.clone());
            }
            !opened.is_empty()
        });
        homes
    }

    /// Evidence of the governance namespace speaks for everything; any other only for its own namespace.
    pub(super) fn put_evidence(&mut self, evidence: api::AIEvidence) -> Touched {
        let touched = self.put(evidence.metadata.clone(), |ns| &mut ns.evidence, Arc::new(evidence));
        self.of_governance(touched)
    }

    pub(super) fn take_evidence(&mut self, namespace: Option<&str>, name: &str) -> Touched {
        let touched = self.take(namespace, |ns| ns.evidence.remove(name).is_some());
        self.of_governance(touched)
    }

    fn of_governance(&self, touched: Touched) -> Touched {
        let governs = |name: &String| {
            let mut all = self.cluster.governances.values();
            all.any(|organisation| organisation.spec.governance_namespace.as_ref() == Some(name))
        };
        if touched.namespaces.iter().any(governs) { Touched::everything() } else { touched }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::networking::v1::Ingress;
    use serde_json::json;

    use super::super::{Kind, Object};
    use super::*;

    #[test]
    fn a_service_by_another_name_touches_where_it_leads() {
        let service = |namespace: &str, name: &str, host: &str| -> Object {
            let spec = json!({"type": "ExternalName", "externalName": host});
            let object = json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec});
            Object::Service(serde_json::from_value(object).unwrap())
        };
        let all = |namespaces: &[&str]| -> BTreeSet<String> {
            namespaces.iter().map(|one| (*one).to_owned()).collect()
        };
        let key = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        let mut world = World::default();
        let near = world.apply(service("shop", "near", "help.desk.svc"));
        assert_eq!(near.namespaces, all(&["desk", "shop"]));
        let far = world.apply(service("trans", "ext", "near.shop.svc.cluster.local"));
        assert_eq!(far.namespaces, all(&["desk", "shop", "trans"]));
        let written: Ingress =
            serde_json::from_value(json!({"metadata": {"namespace": "trans", "name": "in"}})).unwrap();
        assert_eq!(
            world.apply(Object::Ingress(Box::new(written))).namespaces,
            all(&["desk", "shop", "trans"])
        );
        assert!(world.cluster.aliases[&key("desk", "help")].contains(&key("shop", "near")));
        let elsewhere = world.apply(service("trans", "ext", "www.example.com"));
        assert_eq!(elsewhere.namespaces, all(&["desk", "shop", "trans"]));
        assert!(!world.cluster.aliases.contains_key(&key("shop", "near")));
        assert!(world.remove(Kind::Service, Some("shop"), "near").namespaces.contains("desk"));
        assert!(world.cluster.aliases.is_empty());
    }
}
