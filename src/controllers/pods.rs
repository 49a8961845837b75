//! The running pods, as the audit needs them: each distinct specification once, however many pods share it, and as text,
//! which takes a fraction of the memory of what it says.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::gather::objects::PodObject;
use crate::policy::devices;
use crate::policy::facts::{Around, Labels};

/// One running pod.
#[derive(Clone, Debug)]
pub struct RunningPod {
    /// What it is made of; shared between pods that are alike.
    pub made_of: Arc<PodText>,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it is ready.
    pub ready: bool,
    /// Its address, where it has one of its own.
    pub address: Option<IpAddr>,
}

/// What pods that are alike are made of.
#[derive(Debug, PartialEq, Eq)]
pub struct PodText {
    /// Their labels.
    pub labels: Labels,
    /// Whether they end by themselves, as those of Jobs do.
    pub ends: bool,
    /// Their ports that have names.
    ports: Box<[(String, i32)]>,
    /// Annotations and specification, as JSON.
    text: Box<str>,
}

impl PodText {
    fn of(labels: Labels, annotations: &Labels, spec: &PodSpec) -> Self {
        let all = crate::policy::containers::containers(spec);
        let named = all.iter().flat_map(|container| container.ports);
        Self {
            labels,
            ends: spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always"),
            ports: named.filter_map(|port| Some((port.name.clone()?, port.container_port))).collect(),
            text: serde_json::to_string(&(annotations, spec)).unwrap_or_default().into(),
        }
    }

    /// What the text says. One that could not be read would be judged as a pod of unknown fields, which fails.
    #[must_use]
    pub fn read(&self) -> PodObject {
        let read = serde_json::from_str::<(Labels, PodSpec)>(&self.text);
        let unknown_fields = read.as_ref().err().map(|_| "spec".to_owned()).into_iter().collect();
        let (annotations, spec) = read.unwrap_or_default();
        PodObject {
            prefix: String::new(),
            labels: self.labels.clone(),
            annotations,
            spec,
            unknown_fields,
            around: Around::default(),
        }
    }

    /// The number of the port that has this name.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<u16> {
        let (_, number) = self.ports.iter().find(|(known, _)| known == name)?;
        u16::try_from(*number).ok()
    }
}

/// The pods of the cluster.
///
/// Memory: a pod costs its name and a pointer; the text of a specification is kept once. Of pods outside governed namespaces only
/// those that look like AI are kept, by a sentence.
#[derive(Debug, Default)]
pub struct Pods {
    by_namespace: BTreeMap<String, BTreeMap<String, RunningPod>>,
    interned: HashMap<u64, Weak<PodText>>,
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
        let made_of = self.intern(pod);
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
        let changed = known.get(&name).is_none_or(|k| !Arc::ptr_eq(&k.made_of, &made_of) || k.ready != ready);
        known.insert(name, RunningPod { made_of, created, ready, address });
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

    fn intern(&mut self, pod: Pod) -> Arc<PodText> {
        let mut spec = pod.spec.unwrap_or_default();
        let mut labels = pod.metadata.labels.unwrap_or_default();
        let mut annotations = pod.metadata.annotations.unwrap_or_default();
        alike(&mut spec, &mut labels, &mut annotations);
        // The typed form has no maps without order, so equal pods have equal texts.
        let made_of = PodText::of(labels, &annotations, &spec);
        let mut hasher = DefaultHasher::new();
        made_of.labels.hash(&mut hasher);
        made_of.text.hash(&mut hasher);
        let key = hasher.finish();
        let known = self.interned.get(&key).and_then(Weak::upgrade).filter(|known| **known == made_of);
        known.unwrap_or_else(|| {
            let made_of = Arc::new(made_of);
            self.interned.insert(key, Arc::downgrade(&made_of));
            made_of
        })
    }
}

/// Takes away what the cluster adds to each pod by itself, which would make every pod different from its replicas.
fn alike(spec: &mut PodSpec, labels: &mut Labels, annotations: &mut Labels) {
    spec.node_name = None;
    labels.retain(|key, _| !NUMBERED.contains(&key.as_str()));
    annotations.retain(|key, _| !OF_NETWORKS.iter().any(|of| key.starts_with(of)));
    let automatic = |name: &str| name.strip_prefix(TOKENS).is_some_and(|rest| rest.len() == 5);
    for volume in spec.volumes.iter_mut().flatten().filter(|volume| automatic(&volume.name)) {
        TOKENS.clone_into(&mut volume.name);
    }
    let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
    let passing =
        spec.ephemeral_containers.iter_mut().flatten().map(|container| &mut container.volume_mounts);
    let mounts = containers.map(|container| &mut container.volume_mounts).chain(passing);
    for mount in mounts.flat_map(|mounts| mounts.iter_mut().flatten()) {
        if automatic(&mount.name) {
            TOKENS.clone_into(&mut mount.name);
        }
    }
}

/// What the controllers of the cluster number pods by.
const NUMBERED: [&str; 2] = ["apps.kubernetes.io/pod-index", "statefulset.kubernetes.io/pod-name"];
/// What networks write into each pod: its addresses and identifiers. The webhook has judged them as they were written.
const OF_NETWORKS: [&str; 5] = [
    "cni.projectcalico.org/",
    "k8s.ovn.org/",
    "k8s.v1.cni.cncf.io/network-status",
    "ovn.kubernetes.io/",
    "vpc.amazonaws.com/",
];
/// The name of the volume of tokens that the API server adds, up to five letters made up for each pod.
const TOKENS: &str = "kube-api-access-";

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
        let objects: Vec<_> = pods.of("a").map(|(_, p)| Arc::as_ptr(&p.made_of)).collect();
        assert_eq!(objects[0], objects[1]);
        assert!(pods.remove("a", "one") && pods.remove("a", "two"));
        assert!(pods.is_empty());
    }

    #[test]
    fn what_the_cluster_adds_does_not_tell_replicas_apart() {
        let replica = |name: &str, own: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "a", "labels": {"app": "x"},
                    "annotations": {"cni.projectcalico.org/podIP": own, "team": "t"}},
                "spec": {"restartPolicy": "Always",
                    "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80}],
                        "volumeMounts": [{"name": format!("kube-api-access-{own}"), "mountPath": "/t"}]}],
                    "volumes": [{"name": format!("kube-api-access-{own}"), "projected": {}}, {"name": "kube-api-access-mine"}]}
            }))
            .unwrap()
        };
        let mut pods = Pods::default();
        assert!(pods.apply(replica("one", "aaaaa")) && pods.apply(replica("two", "bbbbb")));
        let made_of: Vec<_> = pods.of("a").map(|(_, p)| Arc::clone(&p.made_of)).collect();
        assert!(Arc::ptr_eq(&made_of[0], &made_of[1]));
        assert_eq!(
            (made_of[0].port("http"), made_of[0].port("other"), made_of[0].ends),
            (Some(80), None, false)
        );
        let object = made_of[0].read();
        assert_eq!(object.annotations, [("team".to_owned(), "t".to_owned())].into());
        assert!(object.unknown_fields.is_empty());
        let volumes: Vec<_> =
            object.spec.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
        assert_eq!(volumes, ["kube-api-access-", "kube-api-access-mine"]);
        let mounts = object.spec.containers[0].volume_mounts.as_ref().unwrap();
        assert_eq!(mounts[0].name, volumes[0]);
        assert!(pods.apply(replica("two", "longer")), "a name that somebody gave stays");
    }

    #[test]
    fn a_text_that_cannot_be_read_is_no_empty_pod() {
        let broken =
            PodText { text: "{".into(), ..PodText::of(Labels::new(), &Labels::new(), &PodSpec::default()) };
        assert_eq!(broken.read().unknown_fields, ["spec"]);
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
