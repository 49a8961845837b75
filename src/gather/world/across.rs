//! What of one namespace concerns others: routes, datasets and evidence.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::core::DynamicObject;

use super::{Touched, World, read};
use crate::api;

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
        touched
    }

    pub(super) fn take_route(&mut self, namespace: Option<&str>, key: &str) -> Touched {
        let mut touched = self.take(namespace, |ns| ns.routes.remove(key).is_some());
        let across = self.cluster.routes_across.remove(&format!("{}/{key}", namespace.unwrap_or_default()));
        touched
            .namespaces
            .extend(across.into_iter().flat_map(|route| route.backends).filter_map(|(home, _)| home));
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
