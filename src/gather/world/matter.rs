//! What the world keeps of volumes and devices.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::core::DynamicObject;

use super::{Touched, World, name_of, read};
use crate::policy::facts::NodeVolume;
use crate::policy::node_paths;

impl World {
    /// Of volumes only those are kept whose content outlives their claim. What is bound to them is judged when it goes.
    pub(super) fn put_volume(&mut self, volume: &PersistentVolume) -> Touched {
        let name = name_of(&volume.metadata);
        let touched = self.put_node_volume(name, volume);
        let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        if policy.unwrap_or("Retain") == "Delete" {
            self.cluster.kept_volumes.remove(name);
        } else {
            self.cluster.kept_volumes.insert(name.to_owned());
        }
        touched
    }

    /// Of volumes that are folders of a node those are kept by which a pod would rule it.
    fn put_node_volume(&mut self, name: &str, volume: &PersistentVolume) -> Touched {
        let spec = volume.spec.as_ref();
        let host = spec.and_then(|spec| spec.host_path.as_ref()).map(|at| (at.path.as_str(), false));
        let local = spec.and_then(|spec| spec.local.as_ref()).map(|at| (at.path.as_str(), true));
        let claim = spec.and_then(|spec| spec.claim_ref.as_ref());
        let known = host.or(local).and_then(|(path, local)| {
            let why = node_paths::rules_node(path, local)?;
            let claim = claim.and_then(|claim| Some((claim.namespace.clone()?, claim.name.clone()?)));
            Some(NodeVolume { path: path.to_owned(), why, claim })
        });
        let all = &mut self.cluster.node_volumes;
        let former = if let Some(known) = &known {
            all.insert(name.to_owned(), known.clone())
        } else {
            all.remove(name)
        };
        if former == known {
            return Touched::nothing();
        }
        // A claim may be bound to it by its own word, which says nothing of the volume's.
        let homes = [former, known].into_iter().flatten().filter_map(|one| one.claim).map(|(home, _)| home);
        let bound = self
            .cluster
            .namespaces
            .values()
            .filter(|home| home.claims.values().any(|claim| claim.volume.as_deref() == Some(name)));
        Touched { all: false, namespaces: homes.chain(bound.map(|home| home.name.clone())).collect() }
    }

    pub(super) fn take_volume(&mut self, name: &str) -> Touched {
        // Claims that were bound to it say so themselves.
        self.cluster.kept_volumes.remove(name);
        self.cluster.node_volumes.remove(name);
        Touched::nothing()
    }

    /// Of what scales a workload, what it scales and to how many at least.
    pub(super) fn put_autoscaler(&mut self, scaler: HorizontalPodAutoscaler) -> Touched {
        let known = read::autoscaler(&scaler);
        self.put(scaler.metadata, |ns| &mut ns.autoscalers, known)
    }

    /// A claim that was made for one pod is known by its template.
    pub(super) fn put_devices(&mut self, kind: &str, claim: &DynamicObject) -> Touched {
        let for_pod = "resource.kubernetes.io/pod-claim-name";
        if claim.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(for_pod)) {
            return Touched::nothing();
        }
        let mut metadata = claim.metadata.clone();
        metadata.name = metadata.name.map(|name| format!("{kind}/{name}"));
        self.put(metadata, |ns| &mut ns.device_claims, read::device_claim(claim))
    }

    pub(super) fn take_devices(&mut self, namespace: Option<&str>, kind: &str, name: &str) -> Touched {
        self.take(namespace, |ns| ns.device_claims.remove(&format!("{kind}/{name}")).is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gather::world::{Kind, Object};

    fn volume(spec: &Value) -> Object {
        let object =
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec});
        Object::Volume(Box::new(serde_json::from_value(object).unwrap()))
    }

    #[test]
    fn of_folders_of_a_node_those_are_kept_that_rule_it() {
        let mut world = World::default();
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "a"},
            "spec": {"volumeName": "pv"}});
        world.apply(Object::Claim(Box::new(serde_json::from_value(claim).unwrap())));
        let of = |names: &[&str]| Touched {
            all: false,
            namespaces: names.iter().map(|n| (*n).to_owned()).collect(),
        };
        let kept =
            json!({"hostPath": {"path": "/run/containerd"}, "claimRef": {"namespace": "b", "name": "d"}});
        // Both the claim that says so and the one that the volume names.
        assert_eq!(world.apply(volume(&kept)), of(&["a", "b"]));
        assert_eq!(world.apply(volume(&kept)), Touched::nothing());
        let known = &world.cluster.node_volumes["pv"];
        assert_eq!(
            (known.path.as_str(), known.claim.as_ref().map(|(_, name)| name.as_str())),
            ("/run/containerd", Some("d"))
        );
        let harmless = json!({"hostPath": {"path": "/opt/local-path-provisioner/pvc-1"}});
        assert_eq!(world.apply(volume(&harmless)), of(&["a", "b"]));
        assert!(world.cluster.node_volumes.is_empty());
        for other in [
            json!({"local": {"path": "/mnt/disks/1"}}),
            json!({"csi": {"driver": "x", "volumeHandle": "/etc"}}),
        ] {
            assert_eq!(world.apply(volume(&other)), Touched::nothing(), "{other}");
        }
        assert_eq!(world.apply(volume(&json!({"local": {"path": "/etc"}}))), of(&["a"]));
        world.remove(Kind::Volume, None, "pv");
        assert!(world.cluster.node_volumes.is_empty());
    }
}
