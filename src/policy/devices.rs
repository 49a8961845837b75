//! The devices that only machine learning uses.

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements};

/// How their names end, as device plugins call them.
const DEVICES: [&str; 6] = ["/gpu", "/tpu", "/gaudi", "/neuron", "/neuroncore", "/npu"];

/// The first such device that is asked for. A device that is requested is limited too, or the API server refuses it.
#[must_use]
pub fn asked(resources: &ResourceRequirements) -> Option<&str> {
    let mut limits = resources.limits.iter().flat_map(|limits| limits.keys());
    limits.find(|name| DEVICES.iter().any(|device| name.ends_with(device))).map(String::as_str)
}

/// The first variable by which the runtime of the devices shows them to a container that asks for none; its place, and what it
/// says. Images of the maker set it themselves, so that one which hides them is common.
#[must_use]
pub fn shown(env: &[EnvVar]) -> Option<(usize, &str)> {
    env.iter().enumerate().find_map(|(index, variable)| {
        let value = variable.value.as_deref().filter(|value| !["", "void", "none"].contains(value))?;
        (variable.name == "NVIDIA_VISIBLE_DEVICES").then_some((index, value))
    })
}

/// The first claim on devices of whatever kind, which its class alone tells.
#[must_use]
pub fn claimed(resources: &ResourceRequirements) -> Option<&str> {
    resources.claims.iter().flatten().next().map(|claim| claim.name.as_str())
}
