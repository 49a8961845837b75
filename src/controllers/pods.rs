//! The running pods, as the audit needs them: each distinct specification once, however many pods share it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::gather::objects::PodObject;

/// Resources that only machine learning asks for, by the end of their name.
const DEVICES: [&str; 6] = ["/gpu", "/tpu", "/gaudi", "/neuron", "/neuroncore", "/npu"];

/// One running pod.
#[derive(Clone, Debug)]
pub struct RunningPod {
    /// What it is made of; shared between pods that are alike.
    pub object: Arc<PodObject>,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it is ready.
    pub ready: bool,
    /// Its address, where it has one of its own.
    pub address: Option<IpAddr>,
}

/// The pods of the cluster.
///
/// Memory: a pod costs its name and a pointer; a specification is kept once. Of pods outside governed namespaces only
/// those that look like AI are kept, by a sentence.
#[derive(Debug, Default)]
pub struct Pods {
    by_namespace: BTreeMap<String, BTreeMap<String, RunningPod>>,
    interned: HashMap<u64, Weak<PodObject>>,
    undeclared: BTreeMap<(String, String), String>,
}

impl Pods {
    /// Takes in a pod. Returns whether what the audit sees of it has changed.
    pub fn apply(&mut self, pod: Pod) -> bool {
        let (Some(namespace), Some(name)) = (pod.metadata.namespace.clone(), pod.metadata.name.clone())
        else {
            return false;
        };
        if finished(&pod) {
            return self.remove(&namespace, &name);
        }
        let devices = device(&pod);
        let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let ready = pod.status.as_ref().is_some_and(|status| {
            status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
        });
        let own = pod.spec.as_ref().is_some_and(|spec| spec.host_network != Some(true));
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).filter(|_| own);
        let address = address.and_then(|address| address.parse().ok());
        let object = self.intern(pod);
        match devices {
            Some(device) => {
                let sentence = format!("Pod {namespace}/{name} requests {device}");
                self.undeclared.insert((namespace.clone(), name.clone()), sentence);
            }
            None => {
                self.undeclared.remove(&(namespace.clone(), name.clone()));
            }
        }
        let known = self.by_namespace.entry(namespace).or_default();
        let changed = known.get(&name).is_none_or(|k| !Arc::ptr_eq(&k.object, &object) || k.ready != ready);
        known.insert(name, RunningPod { object, created, ready, address });
        changed
    }

    /// Forgets a pod. Returns whether it was known.
    pub fn remove(&mut self, namespace: &str, name: &str) -> bool {
        self.undeclared.remove(&(namespace.to_owned(), name.to_owned()));
        let Some(pods) = self.by_namespace.get_mut(namespace) else { return false };
        let known = pods.remove(name).is_some();
        if pods.is_empty() {
            self.by_namespace.remove(namespace);
        }
        if self.interned.len() > 2 * self.len() + 64 {
            self.interned.retain(|_, object| object.strong_count() > 0);
        }
        known
    }

    /// Forgets the pods that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
        let gone: Vec<(String, String)> = self
            .by_namespace
            .iter()
            .flat_map(|(namespace, pods)| pods.keys().map(move |name| (namespace, name)))
            .filter(|(namespace, name)| !keep(namespace, name))
            .map(|(namespace, name)| (namespace.clone(), name.clone()))
            .collect();
        for (namespace, name) in gone {
            self.remove(&namespace, &name);
        }
    }

    /// The pods of a namespace by name.
    pub fn of(&self, namespace: &str) -> impl Iterator<Item = (&String, &RunningPod)> {
        self.by_namespace.get(namespace).into_iter().flatten()
    }

    /// Pods that look like AI, as namespace and sentence.
    pub fn undeclared(&self) -> impl Iterator<Item = (&str, &str)> {
        self.undeclared.iter().map(|((namespace, _), sentence)| (namespace.as_str(), sentence.as_str()))
    }

    /// How many pods are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_namespace.values().map(BTreeMap::len).sum()
    }

    /// Whether no pod is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_namespace.is_empty()
    }

    fn intern(&mut self, pod: Pod) -> Arc<PodObject> {
        let mut spec = pod.spec.unwrap_or_default();
        // What the cluster adds to each pod by itself would make every pod different.
        spec.node_name = None;
        let mut labels = pod.metadata.labels.unwrap_or_default();
        labels.retain(|key, _| {
            key != "apps.kubernetes.io/pod-index" && key != "statefulset.kubernetes.io/pod-name"
        });
        let annotations = pod.metadata.annotations.unwrap_or_default();
        let object = PodObject {
            prefix: String::new(),
            labels,
            annotations,
            spec,
            unknown_fields: Vec::new(),
            around: crate::policy::facts::Around::default(),
        };
        let mut hasher = DefaultHasher::new();
        // The typed form has no maps without order, so equal pods have equal texts.
        serde_json::to_string(&object.spec).unwrap_or_default().hash(&mut hasher);
        object.labels.hash(&mut hasher);
        object.annotations.hash(&mut hasher);
        let key = hasher.finish();
        if let Some(known) = self.interned.get(&key).and_then(Weak::upgrade)
            && known.spec == object.spec
            && known.labels == object.labels
            && known.annotations == object.annotations
        {
            return known;
        }
        let object = Arc::new(object);
        self.interned.insert(key, Arc::downgrade(&object));
        object
    }
}

fn finished(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed"))
}

/// The device a pod asks for, if only machine learning uses such.
fn device(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    crate::policy::containers::containers(spec)
        .iter()
        .filter_map(|container| container.resources?.limits.as_ref())
        .flat_map(BTreeMap::keys)
        .find(|name| DEVICES.iter().any(|device| name.ends_with(device)))
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, node: &str, limits: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "a", "labels": {"app": "x"}},
            "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"limits": limits}}]},
            "status": {"phase": "Running"}
        }))
        .unwrap()
    }

    #[test]
    fn pods_that_are_alike_are_kept_once() {
        let mut pods = Pods::default();
        assert!(pods.apply(pod("one", "n1", &json!({}))));
        assert!(pods.apply(pod("two", "n2", &json!({}))));
        assert!(!pods.apply(pod("two", "n2", &json!({}))), "nothing new");
        let objects: Vec<_> = pods.of("a").map(|(_, p)| Arc::as_ptr(&p.object)).collect();
        assert_eq!(objects[0], objects[1]);
        assert!(pods.remove("a", "one") && pods.remove("a", "two"));
        assert!(pods.is_empty());
    }

    #[test]
    fn a_pod_with_an_accelerator_is_noted() {
        let mut pods = Pods::default();
        pods.apply(pod("gpu", "n", &json!({"nvidia.com/gpu": "1"})));
        assert_eq!(pods.undeclared().collect::<Vec<_>>(), [("a", "Pod a/gpu requests nvidia.com/gpu")]);
    }
}
