//! The running pods, as the audit needs them: each distinct specification once, however many pods share it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::gather::objects::PodObject;
use crate::policy::devices;

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
    /// Digests of the image volumes of pods that look like nothing else.
    artifacts: BTreeMap<(String, String), Vec<String>>,
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
        let looks = device(&pod).or_else(|| server(&pod));
        let artifacts = if looks.is_none() { artifacts(&pod) } else { Vec::new() };
        let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let ready = pod.status.as_ref().is_some_and(|status| {
            status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
        });
        let own = pod.spec.as_ref().is_some_and(|spec| spec.host_network != Some(true));
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).filter(|_| own);
        let address = address.and_then(|address| address.parse().ok());
        let object = self.intern(pod);
        let key = (namespace.clone(), name.clone());
        match looks {
            Some(how) => drop(self.undeclared.insert(key.clone(), format!("Pod {namespace}/{name} {how}"))),
            None => drop(self.undeclared.remove(&key)),
        }
        if artifacts.is_empty() {
            self.artifacts.remove(&key);
        } else {
            self.artifacts.insert(key, artifacts);
        }
        let known = self.by_namespace.entry(namespace).or_default();
        let changed = known.get(&name).is_none_or(|k| !Arc::ptr_eq(&k.object, &object) || k.ready != ready);
        known.insert(name, RunningPod { object, created, ready, address });
        changed
    }

    /// Forgets a pod. Returns whether it was known.
    pub fn remove(&mut self, namespace: &str, name: &str) -> bool {
        let key = (namespace.to_owned(), name.to_owned());
        self.undeclared.remove(&key);
        self.artifacts.remove(&key);
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

    /// Pods that mount artifacts, as namespace, name and the digests of these.
    pub fn artifacts(&self) -> impl Iterator<Item = (&str, &str, &[String])> {
        self.artifacts
            .iter()
            .map(|((namespace, name), all)| (namespace.as_str(), name.as_str(), all.as_slice()))
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

/// The model server that a container runs, as its command or its image says.
fn server(pod: &Pod) -> Option<String> {
    let all = crate::policy::containers::containers(pod.spec.as_ref()?);
    let found = all.iter().find(|container| crate::policy::servers::read(container).server.is_some())?;
    Some(format!("runs a model server in container {:?}", found.name))
}

/// The digests of the image volumes of a pod.
fn artifacts(pod: &Pod) -> Vec<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let references = volumes.filter_map(|volume| volume.image.as_ref()?.reference.as_deref());
    references.filter_map(|reference| Some(reference.rsplit_once('@')?.1.to_owned())).take(8).collect()
}

/// The device a pod asks for, if only machine learning uses such.
fn device(pod: &Pod) -> Option<String> {
    let all = crate::policy::containers::containers(pod.spec.as_ref()?);
    all.iter().find_map(|container| Some(format!("requests {}", devices::asked(container.resources?)?)))
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

    #[test]
    fn a_model_server_and_a_mounted_artifact_are_noted() {
        let made = |spec: serde_json::Value| -> Pod {
            let object = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec, "status": {"phase": "Running"}});
            serde_json::from_value(object).unwrap()
        };
        let mut pods = Pods::default();
        pods.apply(made(json!({"containers": [{"name": "c", "command": ["vllm", "serve", "m"]}]})));
        let found: Vec<_> = pods.undeclared().collect();
        assert_eq!(found, [("a", "Pod a/p runs a model server in container \"c\"")]);
        pods.apply(made(json!({"containers": [{"name": "c"}],
            "volumes": [{"name": "v", "image": {"reference": "r.example/m@sha256:ab"}}]})));
        assert_eq!(pods.undeclared().count(), 0);
        assert_eq!(pods.artifacts().collect::<Vec<_>>(), [("a", "p", &["sha256:ab".to_owned()][..])]);
        pods.remove("a", "p");
        assert_eq!(pods.artifacts().count(), 0);
    }
}
