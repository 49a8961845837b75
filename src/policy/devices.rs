//! The devices that only machine learning uses.

use k8s_openapi::api::core::v1::{EnvVar, PodResourceClaim, PodSpec, ResourceRequirements};

use super::facts::{DeviceClaim, Namespace};

/// How their names begin behind the domain of the vendor, as device plugins call them: whole devices, and parts of one.
const DEVICES: [&str; 12] =
    ["gpu", "vgpu", "mig-", "tpu", "npu", "gaudi", "hpu", "neuron", "ascend", "mlu", "dcu", "xpu"];
/// How the domains of vendors begin that hand out nothing else.
const VENDORS: [&str; 2] = ["gpu.", "cloud-tpus."];
/// Words in the names of classes of devices that connect and do not calculate.
const NETWORKS: [&str; 5] = ["nic", "sriov", "rdma", "net", "roce"];

/// The first such device that is asked for. A device that is requested is limited too, or the API server refuses it.
#[must_use]
pub fn asked(resources: &ResourceRequirements) -> Option<&str> {
    let mut limits = resources.limits.iter().flat_map(|limits| limits.keys());
    limits.find(|name| is_one(name)).map(String::as_str)
}

fn is_one(name: &str) -> bool {
    let Some((vendor, device)) = name.split_once('/') else { return false };
    let device = device.to_ascii_lowercase();
    // What only watches devices takes none.
    !device.ends_with("_monitoring")
        && (DEVICES.iter().any(|known| device.starts_with(known))
            || VENDORS.iter().any(|known| vendor.starts_with(known)))
}

/// A claim of a pod as its kind and name, and what is known of it; nothing for a claim that names neither a claim nor a
/// template, which the API server does not take.
#[must_use]
pub fn known<'n>(
    namespace: &'n Namespace,
    claim: &PodResourceClaim,
) -> Option<(String, Option<&'n DeviceClaim>)> {
    let key = match (&claim.resource_claim_name, &claim.resource_claim_template_name) {
        (Some(name), _) => format!("ResourceClaim/{name}"),
        (None, Some(name)) => format!("ResourceClaimTemplate/{name}"),
        (None, None) => return None,
    };
    let known = namespace.device_claims.get(&key);
    Some((key, known))
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

/// The first claim of a container on devices, unless all of the claim are known to be of classes of networks.
#[must_use]
pub fn claimed<'r>(
    namespace: &Namespace,
    spec: &PodSpec,
    resources: &'r ResourceRequirements,
) -> Option<&'r str> {
    let network = |class: &String| {
        let class = class.to_ascii_lowercase();
        class.split(|mark: char| !mark.is_alphanumeric()).any(|word| NETWORKS.contains(&word))
    };
    let connects = |name: &str| {
        let claim = spec.resource_claims.iter().flatten().find(|claim| claim.name == name)?;
        let (_, known) = known(namespace, claim)?;
        let mut classes = known?.requests.iter().map(|request| &request.classes);
        Some(classes.all(|classes| !classes.is_empty() && classes.iter().all(network)))
    };
    let mut claims = resources.claims.iter().flatten().map(|claim| claim.name.as_str());
    claims.find(|name| connects(name) != Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_what_plugins_call_them() {
        for name in [
            "nvidia.com/gpu",
            "nvidia.com/gpu.shared",
            "nvidia.com/mig-1g.10gb",
            "amd.com/gpu",
            "gpu.intel.com/i915",
            "gpu.intel.com/xe",
            "aws.amazon.com/neurondevice",
            "huawei.com/Ascend910",
            "google.com/tpu",
            "habana.ai/gaudi",
        ] {
            assert!(is_one(name), "{name}");
        }
        for name in
            ["cpu", "hugepages-2Mi", "rdma/hca", "nvidia.com/hostdev", "gpu.intel.com/i915_monitoring"]
        {
            assert!(!is_one(name), "{name}");
        }
    }
}
