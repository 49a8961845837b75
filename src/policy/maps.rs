//! The ConfigMaps that a pod takes values from: mounted, or as variables.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{KeyToPath, PodSpec, Volume, VolumeMount, VolumeProjection};

use super::containers::ContainerView;
use super::facts::{ConfigMap, Namespace};

/// Maps that the platform publishes in each namespace, which hold certificates and no settings.
const PUBLISHED: [&str; 2] = ["kube-root-ca.crt", "openshift-service-ca.crt"];

/// The names of the ConfigMaps, each with the first path inside the pod that names it.
#[must_use]
pub fn named<'a>(spec: &'a PodSpec, containers: &[ContainerView<'a>]) -> BTreeMap<&'a str, String> {
    let mut out = BTreeMap::new();
    let mut add = |name: &'a str, path: &dyn Fn() -> String| {
        if !PUBLISHED.contains(&name) {
            out.entry(name).or_insert_with(path);
        }
    };
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        for name in of_volume(volume) {
            add(name, &|| format!("spec.volumes[{index}]"));
        }
    }
    for container in containers {
        for (index, variable) in container.env.iter().enumerate() {
            let from = variable.value_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref());
            if let Some(map) = from {
                add(&map.name, &|| container.path(&format!("env[{index}].valueFrom.configMapKeyRef.name")));
            }
        }
        for (index, source) in container.env_from.iter().enumerate() {
            if let Some(map) = &source.config_map_ref {
                add(&map.name, &|| container.path(&format!("envFrom[{index}].configMapRef.name")));
            }
        }
    }
    out
}

fn of_volume(volume: &Volume) -> impl Iterator<Item = &str> {
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let projected = projected.filter_map(|source| source.config_map.as_ref());
    let direct = volume.config_map.iter().map(|map| map.name.as_str());
    direct.chain(projected.map(|map| map.name.as_str()))
}

/// Those with settings whose values are known, by name.
#[must_use]
pub fn settings<'a>(
    spec: &'a PodSpec,
    containers: &[ContainerView<'a>],
    namespace: &'a Namespace,
) -> BTreeMap<&'a str, &'a ConfigMap> {
    if namespace.settings_maps.is_empty() {
        return BTreeMap::new();
    }
    let names = named(spec, containers).into_keys();
    names.filter_map(|name| Some((name, namespace.settings_maps.get(name)?))).collect()
}

/// Every `ConfigMap` that a volume mounts, with the place and the keys that it shows, where it says which.
#[must_use]
pub fn mounted(index: usize, volume: &Volume) -> Vec<(String, &str, Option<&[KeyToPath]>)> {
    let mut out = Vec::new();
    if let Some(map) = &volume.config_map {
        out.push((format!("spec.volumes[{index}].configMap"), map.name.as_str(), map.items.as_deref()));
    }
    for (source, projected) in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()).enumerate() {
        if let Some(map) = &projected.config_map {
            let at = format!("spec.volumes[{index}].projected.sources[{source}].configMap");
            out.push((at, map.name.as_str(), map.items.as_deref()));
        }
    }
    out
}

/// Which values of a `ConfigMap` are handed over.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'r> {
    /// One, by a variable.
    One(&'r str),
    /// Those that a volume names; all of them where it names none.
    Mounted(Option<&'r [KeyToPath]>),
    /// All, as variables.
    Brought,
}

impl<'r> Keys<'r> {
    /// Each of `map`, with the field beside its name that says so, where there is one.
    #[must_use]
    pub fn of(self, map: Option<&'r ConfigMap>) -> Vec<(Option<String>, &'r str)> {
        match self {
            Self::One(key) => vec![(Some("key".to_owned()), key)],
            Self::Mounted(Some(items)) if !items.is_empty() => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| (Some(format!("items[{index}].key")), item.key.as_str())).collect()
            }
            Self::Mounted(_) | Self::Brought => {
                map.into_iter().flat_map(|map| map.digests.keys()).map(|key| (None, key.as_str())).collect()
            }
        }
    }
}

/// The kind of a source of a projected volume, where it may show something at a path that `meets`.
pub fn shows(source: &VolumeProjection, meets: impl Fn(&str) -> bool) -> Option<&'static str> {
    // Without items every key is a file, and which there are changes.
    let keys = |items: Option<&[KeyToPath]>| {
        items.is_none_or(|items| items.is_empty() || items.iter().any(|item| meets(&item.path)))
    };
    if let Some(map) = &source.config_map {
        keys(map.items.as_deref()).then_some("configMap")
    } else if let Some(secret) = &source.secret {
        keys(secret.items.as_deref()).then_some("secret")
    } else if let Some(fields) = &source.downward_api {
        fields.items.iter().flatten().any(|item| meets(&item.path)).then_some("downwardAPI")
    } else if let Some(token) = &source.service_account_token {
        meets(&token.path).then_some("serviceAccountToken")
    } else if let Some(bundle) = &source.cluster_trust_bundle {
        meets(&bundle.path).then_some("clusterTrustBundle")
    } else {
        let made = source.pod_certificate.as_ref()?;
        let paths = [&made.credential_bundle_path, &made.key_path, &made.certificate_chain_path];
        paths.into_iter().flatten().any(|path| meets(path)).then_some("podCertificate")
    }
}

/// Whether `path`, as it is walked, is `folder` or lies below it.
#[must_use]
pub fn lies_in(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The mount through which a container sees `path`, as it is walked: the deepest, and of several at one place the last, however
/// they spell it.
#[must_use]
pub fn mount_at<'m>(mounts: &'m [VolumeMount], path: &str) -> Option<&'m VolumeMount> {
    let placed = mounts.iter().map(|mount| (walked(&mount.mount_path), mount));
    placed.filter(|(at, _)| lies_in(path, at)).max_by_key(|(at, _)| at.len()).map(|(_, mount)| mount)
}

/// The mounts of other volumes than `volume` that lie at `path`, as it is walked, or below it, with their indexes.
pub fn over<'m>(
    mounts: &'m [VolumeMount],
    volume: &'m str,
    path: &'m str,
) -> impl Iterator<Item = (usize, &'m VolumeMount)> {
    let lies = move |other: &VolumeMount| other.name != volume && lies_in(&walked(&other.mount_path), path);
    mounts.iter().enumerate().filter(move |(_, other)| lies(other))
}

/// A path as the kernel walks it, from the top and without what leads back.
#[must_use]
pub fn walked(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}
