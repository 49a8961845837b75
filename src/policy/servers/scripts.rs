//! Programs that a container runs from what is mounted into it from the cluster's own objects: neither signed with the
//! image nor read, since anybody who may write the object says what they do.

use k8s_openapi::api::core::v1::Volume;

use super::declared::{Declared, below};
use super::languages::Language;
use super::{At, ENV, Fault, Faults, Reading, Wrong};
use crate::policy::fix::Fix;
use crate::policy::maps::walked;

/// Variables that name what a program loads as code.
const LOADED: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NODE_PATH",
    "PERL5LIB",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
];

/// Whether a file is code by its name alone.
pub(super) fn is_code(name: &str) -> bool {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    Language::of_file(name, "").is_some() || matches!(end, "so" | "pth")
}

/// What a volume is filled from, where that is an object of the cluster.
fn filled_from(volume: &Volume) -> Option<String> {
    if let Some(map) = &volume.config_map {
        return Some(format!("ConfigMap {:?}", map.name));
    }
    if let Some(secret) = &volume.secret {
        return Some(format!("Secret {:?}", secret.secret_name.as_deref().unwrap_or_default()));
    }
    let projected = volume.projected.as_ref()?.sources.iter().flatten();
    let mut objects = projected.filter_map(|source| {
        let map = source.config_map.as_ref().map(|map| format!("ConfigMap {:?}", map.name));
        map.or_else(|| source.secret.as_ref().map(|secret| format!("Secret {:?}", secret.name)))
    });
    objects.next()
}

impl Declared<'_, '_, '_> {
    /// Judges the programs that a container runs from mounted objects.
    pub(super) fn scripts(&self, reading: &Reading<'_>, out: &mut Faults) {
        for (path, at) in &reading.programs {
            let start = if path.starts_with('/') { "" } else { self.container.working_dir.unwrap_or("/") };
            let whole = walked(&format!("{start}/{path}"));
            if let Some(object) = self.object_at(&whole) {
                push(out, at.field(), path, &format!("runs {whole:?} from {object}"));
            }
        }
        for (index, variable) in self.container.env.iter().enumerate() {
            let value = variable.value.as_deref().unwrap_or_default();
            let paths = value.split([':', ' ']).filter(|path| path.starts_with('/'));
            let mut objects = paths.filter_map(|path| self.object_at(&walked(path)));
            if LOADED.contains(&variable.name.as_str())
                && let Some(object) = objects.next()
            {
                let at = At { list: ENV, index, inner: false };
                push(out, at.field(), value, &format!("loads code from {object}"));
            }
        }
        for (index, mount) in self.container.mounts.iter().enumerate() {
            if is_code(&mount.mount_path)
                && mount.sub_path.is_some()
                && let Some(object) = self.object_at(&walked(&mount.mount_path))
            {
                let field = format!("volumeMounts[{index}].mountPath");
                push(out, field, &mount.mount_path, &format!("puts code from {object} into the image"));
            }
        }
    }

    /// The object that the file at a path of the container comes from.
    fn object_at(&self, path: &str) -> Option<String> {
        let mounts = self.container.mounts.iter().filter(|mount| below(path, &mount.mount_path));
        let mount = mounts.max_by_key(|mount| mount.mount_path.trim_end_matches('/').len())?;
        let volumes = self.pod().spec.volumes.iter().flatten();
        volumes.filter(|volume| volume.name == mount.name).find_map(filled_from)
    }
}

fn push(out: &mut Faults, field: String, value: &str, what: &str) {
    out.all.push(Fault {
        wrong: Wrong::Unreadable,
        field,
        value: Some(value.to_owned()),
        detail: format!("{what}, which is neither signed with the image nor read here"),
        mended: false,
        fix: Some(Fix::Text(
            "build the file into the image and sign that, or write a script into command, where it is read"
                .to_owned(),
        )),
    });
}
