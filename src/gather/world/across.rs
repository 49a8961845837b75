//! What of one namespace concerns others: routes, Services by other names, datasets and evidence.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use kube::core::DynamicObject;

use super::{Touched, World, read};
use crate::api;
use crate::policy::facts;

/// As many Services of type `ExternalName` are followed from one object that changes; what lies beyond is looked at with
/// everything else, every few minutes.
const MOST: usize = 16;

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
        let from = backends(namespace, &known);
        self.entry(namespace).routes.insert(key, known);
        self.onward(touched, from)
    }

    pub(super) fn take_route(&mut self, namespace: Option<&str>, key: &str) -> Touched {
        let home = namespace.unwrap_or_default();
        let from = self.namespace(home).routes.get(key).map(|known| backends(home, known));
        let mut touched = self.take(namespace, |ns| ns.routes.remove(key).is_some());
        let across = self.cluster.routes_across.remove(&format!("{}/{key}", namespace.unwrap_or_default()));
        touched
            .namespaces
            .extend(across.into_iter().flat_map(|route| route.backends).filter_map(|(home, _)| home));
        self.onward(touched, from.unwrap_or_default())
    }

    /// An Ingress concerns the namespaces to which its Services lead too.
    pub(super) fn put_ingress(&mut self, ingress: Ingress) -> Touched {
        let from =
            self.behind_ingress(ingress.metadata.namespace.as_deref(), ingress.metadata.name.as_deref());
        let known = read::ingress(&ingress);
        let home = ingress.metadata.namespace.clone().unwrap_or_default();
        let now: Vec<_> = known.backends.iter().map(|name| (home.clone(), name.clone())).collect();
        let touched = self.put(ingress.metadata, |ns| &mut ns.ingresses, known);
        if touched.is_empty() { touched } else { self.onward(self.onward(touched, from), now) }
    }

    pub(super) fn take_ingress(&mut self, namespace: Option<&str>, name: &str) -> Touched {
        let from = self.behind_ingress(namespace, Some(name));
        let touched = self.take(namespace, |ns| ns.ingresses.remove(name).is_some());
        self.onward(touched, from)
    }

    /// The Services that a known Ingress leads to, each as namespace and name.
    fn behind_ingress(&self, namespace: Option<&str>, name: Option<&str>) -> Vec<(String, String)> {
        let (Some(namespace), Some(name)) = (namespace, name) else { return Vec::new() };
        let known = self.namespace(namespace).ingresses.get(name);
        let backends = known.into_iter().flat_map(|known| &known.backends);
        backends.map(|backend| (namespace.to_owned(), backend.clone())).collect()
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
        for end in known.stands_for() {
            let aliases = self.cluster.aliases.entry(end).or_default();
            aliases.insert((namespace.clone(), name.clone()));
        }
        self.entry(namespace).services.insert(name.clone(), known);
        self.onward(touched, vec![(namespace.clone(), name.clone())])
    }

    pub(super) fn take_service(&mut self, namespace: Option<&str>, name: &str) -> Touched {
        let home = namespace.unwrap_or_default();
        let key = (home.to_owned(), name.to_owned());
        let known = self.namespace(home).services.get(name);
        let ends = known.map(facts::Service::stands_for).unwrap_or_default();
        let touched = self.onward(Touched::nothing(), vec![key.clone()]);
        for end in ends {
            if let Some(aliases) = self.cluster.aliases.get_mut(&end) {
                aliases.remove(&key);
                if aliases.is_empty() {
                    self.cluster.aliases.remove(&end);
                }
            }
        }
        self.take(namespace, |ns| ns.services.remove(name).is_some()).and(touched)
    }

    /// Adds the namespaces of the Services that those of `from` stand for, one after the other.
    fn onward(&self, mut touched: Touched, from: Vec<(String, String)>) -> Touched {
        let mut next = from;
        let mut followed = BTreeSet::new();
        while let Some((home, name)) = next.pop() {
            let known = self.namespace(&home).services.get(&name);
            let ends = known.map(facts::Service::stands_for).unwrap_or_default();
            if ends.is_empty() || !followed.insert((home, name)) {
                continue;
            }
            if followed.len() > MOST {
                break;
            }
            touched.namespaces.extend(ends.iter().map(|(home, _)| home.clone()));
            next.extend(ends);
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

/// The Services that a route of `home` leads to, each as namespace and name.
fn backends(home: &str, route: &facts::Route) -> Vec<(String, String)> {
    let named = |(namespace, name): &(Option<String>, String)| {
        (namespace.clone().unwrap_or_else(|| home.to_owned()), name.clone())
    };
    route.backends.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Kind, Object};
    use super::*;

    fn service(namespace: &str, name: &str, host: &str) -> Object {
        let spec = json!({"type": "ExternalName", "externalName": host});
        let object = json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec});
        Object::Service(serde_json::from_value(object).unwrap())
    }

    fn ingress(namespace: &str, backends: &[&str]) -> Object {
        let path = |name: &&str| json!({"pathType": "Prefix", "backend": {"service": {"name": name}}});
        let paths: Vec<_> = backends.iter().map(path).collect();
        let object = json!({"metadata": {"namespace": namespace, "name": "in"}, "spec": {"rules": [{"http": {"paths": paths}}]}});
        Object::Ingress(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn one_change_touches_few_namespaces_by_other_names() {
        let mut world = World::default();
        let names: Vec<String> = (0..40).map(|number| format!("x{number}")).collect();
        for name in &names {
            world.apply(service("trans", name, &format!("help.{name}.svc")));
        }
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(world.apply(ingress("trans", &all)).namespaces.len(), 1 + MOST);
        // One that goes round in a circle is followed once.
        world.apply(service("trans", "round", "trip.shop.svc"));
        let round = world.apply(service("shop", "trip", "round.trans.svc"));
        assert_eq!(round.namespaces.len(), 2);
    }

    #[test]
    fn a_service_by_another_name_touches_where_it_leads() {
        let all = |namespaces: &[&str]| -> BTreeSet<String> {
            namespaces.iter().map(|one| (*one).to_owned()).collect()
        };
        let key = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        let mut world = World::default();
        let near = world.apply(service("shop", "near", "help.desk.svc"));
        assert_eq!(near.namespaces, all(&["desk", "shop"]));
        let far = world.apply(service("trans", "ext", "near.shop.svc.cluster.local"));
        assert_eq!(far.namespaces, all(&["desk", "shop", "trans"]));
        assert_eq!(world.apply(ingress("trans", &["ext"])).namespaces, all(&["desk", "shop", "trans"]));
        // What leads to other Services of that namespace concerns none of these.
        assert_eq!(world.apply(ingress("trans", &["own"])).namespaces, all(&["desk", "shop", "trans"]));
        assert_eq!(world.apply(ingress("trans", &["other"])).namespaces, all(&["trans"]));
        assert_eq!(world.remove(Kind::Ingress, Some("trans"), "in").namespaces, all(&["trans"]));
        assert!(world.cluster.aliases[&key("desk", "help")].contains(&key("shop", "near")));
        let elsewhere = world.apply(service("trans", "ext", "www.example.com"));
        assert_eq!(elsewhere.namespaces, all(&["desk", "shop", "trans"]));
        assert!(!world.cluster.aliases.contains_key(&key("shop", "near")));
        assert!(world.remove(Kind::Service, Some("shop"), "near").namespaces.contains("desk"));
        assert!(world.cluster.aliases.is_empty());
    }
}
