//! Which pods in the cluster are the verifier's: those that equal what is built from a model and the trust policies.

use k8s_openapi::api::core::v1::PodSpec;

use super::trust::for_volumes;
use super::world::World;
use crate::api::AIModel;
use crate::models::job::{Settings, is_ours};

/// What the verifier of a model is given, beside the model.
///
/// # Errors
/// A sentence where there can be no verifier.
pub fn settings(world: &World, model: &AIModel) -> Result<Settings, String> {
    if world.verifier_image.is_empty() {
        return Err("the operator was not told which image verifies models".to_owned());
    }
    let digest = model.spec.digest.as_deref().unwrap_or_default();
    let policies = world.cluster.trust_policies.values().map(AsRef::as_ref);
    Ok(Settings { image: world.verifier_image.clone(), trust: for_volumes(policies, digest)? })
}

/// Whether a pod is exactly the verifier of one of the namespace's models. Who asks for it proves nothing.
#[must_use]
pub fn is_verifier(world: &World, namespace: &str, pod: &PodSpec) -> bool {
    // The image tells nearly every pod apart before anything is built.
    let is_likely = |pod: &PodSpec| {
        !world.verifier_image.is_empty()
            && pod.containers.len() == 1
            && pod.containers.iter().all(|c| c.image.as_deref() == Some(&world.verifier_image))
    };
    is_likely(pod)
        && world
            .namespace(namespace)
            .models
            .values()
            .any(|model| settings(world, model).is_ok_and(|settings| is_ours(pod, model, &settings)))
}
