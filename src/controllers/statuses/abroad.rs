//! Who uses the datasets of a namespace from other namespaces. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::asset::CONSUMERS;
use crate::api::AIDataset;
use crate::api::common::AssetStatus;
use crate::policy::facts::Cluster;

/// What other namespaces use of one.
#[derive(Debug, Default)]
pub struct Abroad<'a> {
    /// These namespaces.
    pub homes: BTreeSet<&'a str>,
    /// The workloads of each dataset, as `namespace/name`; of one dataset no more than a status has room for.
    of: BTreeMap<&'a str, BTreeSet<String>>,
}

/// What is used from other namespaces, by the namespace that it lies in.
#[must_use]
pub fn abroad(cluster: &Cluster) -> BTreeMap<&str, Abroad<'_>> {
    let mut out: BTreeMap<&str, Abroad<'_>> = BTreeMap::new();
    for (home, namespace) in &cluster.namespaces {
        for (name, workload) in &namespace.workloads {
            let foreign =
                workload.spec.datasets.iter().filter_map(|used| Some((used.namespace.as_deref()?, used)));
            for (lies, used) in foreign.filter(|(lies, _)| lies != home) {
                let of = out.entry(lies).or_default();
                of.homes.insert(home);
                let users = of.of.entry(used.name.as_str()).or_default();
                if users.len() < CONSUMERS {
                    users.insert(format!("{home}/{name}"));
                }
            }
        }
    }
    out
}

impl Abroad<'_> {
    /// Adds those who use `dataset` from elsewhere to its status, behind those of its own namespace.
    pub fn add(&self, dataset: &AIDataset, status: &mut AssetStatus) {
        let users = self.of.get(dataset.metadata.name.as_deref().unwrap_or_default());
        let room = CONSUMERS.saturating_sub(status.consumers.len());
        status.consumers.extend(users.into_iter().flatten().take(room).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::world::{Object, World};
    use serde_json::json;

    #[test]
    fn who_uses_a_dataset_from_another_namespace_stands_in_its_status() {
        let mut world = World::default();
        for (namespace, name, lies) in
            [("team-a", "chat", Some("data")), ("team-b", "search", Some("data")), ("data", "prepare", None)]
        {
            let workload = json!({
                "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"selector": {"matchLabels": {"app": name}}, "type": "inference",
                         "owners": {"accountable": {"user": "j"}},
                         "datasets": [{"name": "manual", "namespace": lies, "access": "read"}]}});
            let _ = world.apply(Object::Workload(Box::new(serde_json::from_value(workload).unwrap())));
        }
        let dataset: AIDataset = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIDataset",
            "metadata": {"name": "manual", "namespace": "data"}, "spec": {}}))
        .unwrap();
        let all = abroad(&world.cluster);
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), ["data"]);
        assert_eq!(all["data"].homes.iter().copied().collect::<Vec<_>>(), ["team-a", "team-b"]);
        let mut status = AssetStatus { consumers: vec!["data/prepare".to_owned()], ..AssetStatus::default() };
        all["data"].add(&dataset, &mut status);
        assert_eq!(status.consumers, ["data/prepare", "team-a/chat", "team-b/search"]);
        // No more than there is room for.
        let mut full =
            AssetStatus { consumers: vec!["data/x".to_owned(); CONSUMERS - 1], ..AssetStatus::default() };
        all["data"].add(&dataset, &mut full);
        assert_eq!(
            (full.consumers.len(), full.consumers[CONSUMERS - 1].as_str()),
            (CONSUMERS, "team-a/chat")
        );
    }
}
