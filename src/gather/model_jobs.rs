//! Which pods in the cluster are the verifier's: those that equal what is built from a model or dataset and the trust
//! policies.

use k8s_openapi::api::core::v1::PodSpec;

use super::world::World;
use crate::models::basis::for_volumes;
use crate::models::job::{Settings, Stored, is_ours};

/// What a verifier is given, beside what it verifies.
///
/// # Errors
/// A sentence where there can be no verifier.
pub fn settings(world: &World, of: impl Into<Stored>) -> Result<Settings, String> {
    let stored = of.into();
    if world.verifier_image.is_empty() {
        return Err("the operator was not told which image verifies models".to_owned());
    }
    let digest = stored.digest.as_deref().unwrap_or_default();
    let policies = world.cluster.trust_policies.values().map(AsRef::as_ref);
    let trust = for_volumes(policies, digest, stored.is_data)?;
    Ok(Settings { image: world.verifier_image.clone(), trust })
}

/// Whether a pod is exactly the verifier of one of the namespace's models or datasets. Who asks for it proves nothing.
#[must_use]
pub fn is_verifier(world: &World, namespace: &str, pod: &PodSpec) -> bool {
    // The image tells nearly every pod apart before anything is built.
    let is_likely = |pod: &PodSpec| {
        !world.verifier_image.is_empty()
            && pod.containers.len() == 1
            && pod.containers.iter().all(|c| c.image.as_deref() == Some(&world.verifier_image))
    };
    let home = world.namespace(namespace);
    let is_of = |stored: Stored| {
        stored.claim.is_some()
            && settings(world, &stored).is_ok_and(|settings| is_ours(pod, &stored, &settings))
    };
    is_likely(pod)
        && (home.models.values().any(|model| is_of(model.as_ref().into()))
            || home.datasets.values().any(|dataset| is_of(dataset.as_ref().into())))
}
