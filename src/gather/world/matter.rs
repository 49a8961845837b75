//! What the world keeps of volumes and devices.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::core::DynamicObject;

use super::{Touched, World, name_of, read};

impl World {
    /// Of volumes only those are kept whose content outlives their claim. What is bound to them is judged when it goes.
    pub(super) fn put_volume(&mut self, volume: &PersistentVolume) -> Touched {
        let name = name_of(&volume.metadata);
        let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        if policy.unwrap_or("Retain") == "Delete" {
            self.cluster.kept_volumes.remove(name);
        } else {
            self.cluster.kept_volumes.insert(name.to_owned());
        }
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
