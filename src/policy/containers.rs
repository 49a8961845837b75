//! The one visitor of containers and images: init, sidecar, main, ephemeral, and image volumes.
//!
//! A rule that loops over `spec.containers` by itself forgets the others, so none does.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvFromSource, EnvVar, EphemeralContainer, Lifecycle, PodSpec, Probe,
    ResourceRequirements, SecurityContext, VolumeDevice, VolumeMount,
};

/// The part a container plays in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the others start.
    Init,
    /// An init container that keeps running (`restartPolicy: Always`).
    Sidecar,
    /// An ordinary container.
    Main,
    /// Added to a running pod for debugging.
    Ephemeral,
}

/// One container of any kind, seen alike.
#[derive(Clone, Copy, Debug)]
pub struct ContainerView<'a> {
    /// The part it plays.
    pub role: Role,
    list: &'static str,
    index: usize,
    /// Its name.
    pub name: &'a str,
    /// Its image as written; empty when absent.
    pub image: &'a str,
    /// Entry point override.
    pub command: &'a [String],
    /// Arguments.
    pub args: &'a [String],
    /// Where its program starts; that of the image where it says none.
    pub working_dir: Option<&'a str>,
    /// Variables.
    pub env: &'a [EnvVar],
    /// Sources of variables.
    pub env_from: &'a [EnvFromSource],
    /// Ports; ephemeral containers have none.
    pub ports: &'a [ContainerPort],
    /// Requests and limits; ephemeral containers have none.
    pub resources: Option<&'a ResourceRequirements>,
    /// Its security context.
    pub security: Option<&'a SecurityContext>,
    /// Mounts.
    pub mounts: &'a [VolumeMount],
    /// Volumes that it sees as raw block devices.
    pub devices: &'a [VolumeDevice],
    /// Whether it keeps an input or a terminal open for somebody to attach.
    pub interactive: bool,
    /// Hooks.
    pub lifecycle: Option<&'a Lifecycle>,
    /// Probes: liveness, readiness, startup, those that are set.
    pub probes: [Option<(&'static str, &'a Probe)>; 3],
}

impl<'a> ContainerView<'a> {
    /// Path of a field of this container inside the pod, e.g. `spec.initContainers[0].image`; the container itself for
    /// an empty field.
    #[must_use]
    pub fn path(&self, field: &str) -> String {
        let dot = if field.is_empty() { "" } else { "." };
        format!("spec.{}[{}]{dot}{field}", self.list, self.index)
    }

    fn of(role: Role, list: &'static str, index: usize, c: &'a Container) -> Self {
        Self {
            role,
            list,
            index,
            name: &c.name,
            image: c.image.as_deref().unwrap_or_default(),
            command: c.command.as_deref().unwrap_or_default(),
            args: c.args.as_deref().unwrap_or_default(),
            working_dir: c.working_dir.as_deref(),
            env: c.env.as_deref().unwrap_or_default(),
            env_from: c.env_from.as_deref().unwrap_or_default(),
            ports: c.ports.as_deref().unwrap_or_default(),
            resources: c.resources.as_ref(),
            security: c.security_context.as_ref(),
            mounts: c.volume_mounts.as_deref().unwrap_or_default(),
            devices: c.volume_devices.as_deref().unwrap_or_default(),
            interactive: c.stdin == Some(true) || c.tty == Some(true),
            lifecycle: c.lifecycle.as_ref(),
            probes: probes(c.liveness_probe.as_ref(), c.readiness_probe.as_ref(), c.startup_probe.as_ref()),
        }
    }

    fn of_ephemeral(index: usize, c: &'a EphemeralContainer) -> Self {
        Self {
            role: Role::Ephemeral,
            list: "ephemeralContainers",
            index,
            name: &c.name,
            image: c.image.as_deref().unwrap_or_default(),
            command: c.command.as_deref().unwrap_or_default(),
            args: c.args.as_deref().unwrap_or_default(),
            working_dir: c.working_dir.as_deref(),
            env: c.env.as_deref().unwrap_or_default(),
            env_from: c.env_from.as_deref().unwrap_or_default(),
            ports: c.ports.as_deref().unwrap_or_default(),
            resources: c.resources.as_ref(),
            security: c.security_context.as_ref(),
            mounts: c.volume_mounts.as_deref().unwrap_or_default(),
            devices: c.volume_devices.as_deref().unwrap_or_default(),
            interactive: c.stdin == Some(true) || c.tty == Some(true),
            lifecycle: c.lifecycle.as_ref(),
            probes: probes(c.liveness_probe.as_ref(), c.readiness_probe.as_ref(), c.startup_probe.as_ref()),
        }
    }
}

fn probes<'a>(
    liveness: Option<&'a Probe>,
    readiness: Option<&'a Probe>,
    startup: Option<&'a Probe>,
) -> [Option<(&'static str, &'a Probe)>; 3] {
    [
        liveness.map(|p| ("livenessProbe", p)),
        readiness.map(|p| ("readinessProbe", p)),
        startup.map(|p| ("startupProbe", p)),
    ]
}

/// Every container of a pod.
#[must_use]
pub fn containers(spec: &PodSpec) -> Vec<ContainerView<'_>> {
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let ephemeral = spec.ephemeral_containers.as_deref().unwrap_or_default();
    let mut out = Vec::with_capacity(init.len() + spec.containers.len() + ephemeral.len());
    for (index, c) in init.iter().enumerate() {
        let role = if c.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init };
        out.push(ContainerView::of(role, "initContainers", index, c));
    }
    for (index, c) in spec.containers.iter().enumerate() {
        out.push(ContainerView::of(Role::Main, "containers", index, c));
    }
    for (index, c) in ephemeral.iter().enumerate() {
        out.push(ContainerView::of_ephemeral(index, c));
    }
    out
}

/// One image that a pod would pull.
#[derive(Clone, Copy, Debug)]
pub struct ImageUse<'a> {
    /// The reference as written; empty when absent.
    pub reference: &'a str,
    at: ImageAt,
}

#[derive(Clone, Copy, Debug)]
enum ImageAt {
    Container(&'static str, usize),
    Volume(usize),
}

impl ImageUse<'_> {
    /// Path of the reference inside the pod.
    #[must_use]
    pub fn path(&self) -> String {
        match self.at {
            ImageAt::Container(list, index) => format!("spec.{list}[{index}].image"),
            ImageAt::Volume(index) => format!("spec.volumes[{index}].image.reference"),
        }
    }

    /// True for an image volume.
    #[must_use]
    pub fn is_volume(&self) -> bool {
        matches!(self.at, ImageAt::Volume(_))
    }
}

/// Every image that a pod would pull.
pub fn images<'a>(containers: &[ContainerView<'a>], spec: &'a PodSpec) -> impl Iterator<Item = ImageUse<'a>> {
    let of_containers = containers
        .iter()
        .map(|c| ImageUse { reference: c.image, at: ImageAt::Container(c.list, c.index) })
        .collect::<Vec<_>>();
    of_containers.into_iter().chain(spec.volumes.iter().flatten().enumerate().filter_map(
        |(index, volume)| {
            let image = volume.image.as_ref()?;
            Some(ImageUse {
                reference: image.reference.as_deref().unwrap_or_default(),
                at: ImageAt::Volume(index),
            })
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_container_and_image_is_seen() {
        let spec: PodSpec = serde_json::from_value(json!({
            "initContainers": [
                {"name": "i", "image": "a"}, {"name": "s", "image": "b", "restartPolicy": "Always"}],
            "containers": [{"name": "m", "image": "c"}],
            "ephemeralContainers": [{"name": "e", "image": "d"}],
            "volumes": [{"name": "x", "emptyDir": {}}, {"name": "v", "image": {"reference": "f"}}]
        }))
        .unwrap();
        let all = containers(&spec);
        assert_eq!(
            all.iter().map(|c| (c.role, c.path("image"))).collect::<Vec<_>>(),
            [
                (Role::Init, "spec.initContainers[0].image".to_owned()),
                (Role::Sidecar, "spec.initContainers[1].image".to_owned()),
                (Role::Main, "spec.containers[0].image".to_owned()),
                (Role::Ephemeral, "spec.ephemeralContainers[0].image".to_owned()),
            ]
        );
        let seen: Vec<_> = images(&all, &spec).map(|i| (i.reference, i.path(), i.is_volume())).collect();
        assert_eq!(seen.len(), 5);
        assert_eq!(seen[4], ("f", "spec.volumes[1].image.reference".to_owned(), true));
    }
}
