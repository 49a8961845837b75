//! Programs that a container runs from what is mounted into it from the cluster's own objects: neither signed with the
//! image nor read, since anybody who may write the object says what they do.

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeMount, VolumeProjection};

use super::declared::Declared;
use super::languages::Language;
use super::{At, ENV, Fault, Faults, Reading, Wrong};
use crate::policy::fix::Fix;
use crate::policy::maps::{lies_in, mount_at, walked};

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

/// Where images keep their programs and libraries, and what says which libraries are loaded first.
const PROGRAMS: &[&str] = &[
    "/bin",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/libexec",
    "/usr/local/sbin",
    "/usr/sbin",
];
/// Folders of libraries, wherever they are.
const LIBRARIES: &[&str] = &["dist-packages", "node_modules", "site-packages"];
/// Ends of names of files that hold data only.
const DATA: &[&str] = &[
    "cacerts",
    "cfg",
    "conf",
    "crt",
    "csv",
    "html",
    "ini",
    "jks",
    "json",
    "md",
    "p12",
    "pem",
    "properties",
    "toml",
    "txt",
    "xml",
    "yaml",
    "yml",
];

/// Whether a file or folder at this path may take the place of programs or libraries of an image.
fn holds_programs(path: &str) -> bool {
    PROGRAMS.iter().any(|place| lies_in(place, path) || lies_in(path, place))
        || path.split('/').any(|part| LIBRARIES.contains(&part))
}

/// Whether a file is data by its name alone.
fn is_data(path: &str) -> bool {
    path.rsplit(['.', '/']).next().is_some_and(|end| DATA.contains(&end))
}

/// Whether a file is the one by its name that images begin with.
fn is_entry_point(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains("entrypoint"))
}

/// Whether files of a volume may be run as programs.
fn is_executable(volume: &Volume) -> bool {
    let runs = |mode: Option<i32>| mode.is_some_and(|mode| mode & 0o111 != 0);
    let keys = |items: &Option<Vec<KeyToPath>>| items.iter().flatten().any(|item| runs(item.mode));
    let fields =
        |items: &Option<Vec<DownwardAPIVolumeFile>>| items.iter().flatten().any(|item| runs(item.mode));
    let of_source = |source: &VolumeProjection| {
        source.config_map.as_ref().is_some_and(|map| keys(&map.items))
            || source.secret.as_ref().is_some_and(|secret| keys(&secret.items))
            || source.downward_api.as_ref().is_some_and(|api| fields(&api.items))
    };
    volume.config_map.as_ref().is_some_and(|map| runs(map.default_mode) || keys(&map.items))
        || volume.secret.as_ref().is_some_and(|secret| runs(secret.default_mode) || keys(&secret.items))
        || volume.downward_api.as_ref().is_some_and(|api| runs(api.default_mode) || fields(&api.items))
        || volume.projected.as_ref().is_some_and(|projected| {
            runs(projected.default_mode) || projected.sources.iter().flatten().any(of_source)
        })
}

/// Whether a file is code by its name alone.
pub(super) fn is_code(name: &str) -> bool {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    Language::of_file(name, "").is_some() || matches!(end, "so" | "pth")
}

/// What the fields of a pod are filled into a volume from.
const OWN: &str = "the fields of the pod";

/// Whether objects of the cluster, or the fields of the pod, may fill a volume.
const fn is_filled(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.projected.is_some()
        || volume.downward_api.is_some()
}

/// What a volume is filled from, where that is an object of the cluster.
fn filled_from(volume: &Volume) -> Option<String> {
    if let Some(map) = &volume.config_map {
        return Some(format!("ConfigMap {:?}", map.name));
    }
    if let Some(secret) = &volume.secret {
        return Some(format!("Secret {:?}", secret.secret_name.as_deref().unwrap_or_default()));
    }
    if volume.downward_api.is_some() {
        return Some(OWN.to_owned());
    }
    let sources = || volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let mut objects = sources().filter_map(|source| {
        let map = source.config_map.as_ref().map(|map| format!("ConfigMap {:?}", map.name));
        map.or_else(|| source.secret.as_ref().map(|secret| format!("Secret {:?}", secret.name)))
    });
    let own = || sources().any(|source| source.downward_api.is_some()).then(|| OWN.to_owned());
    objects.next().or_else(own)
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
            self.covers(index, mount, out);
        }
    }

    /// A mount that puts programs into the image, or may.
    fn covers(&self, index: usize, mount: &VolumeMount, out: &mut Faults) {
        let mut volumes = self.pod().spec.volumes.iter().flatten();
        let Some(volume) = volumes.find(|volume| volume.name == mount.name && is_filled(volume)) else {
            return;
        };
        let path = walked(&mount.mount_path);
        let is_file = mount.sub_path.is_some() || mount.sub_path_expr.is_some();
        let data = || is_file && is_data(&path) && !path.starts_with("/etc/ld.so");
        let code = is_file && (is_code(&path) || is_entry_point(&path));
        let runs = is_executable(volume);
        if !code && !runs && (!holds_programs(&path) || data()) {
            return;
        }
        let Some(object) = filled_from(volume) else { return };
        let what = if code {
            format!("puts code from {object} into the image")
        } else if runs {
            format!("shows files of {object} that may be run, by their mode")
        } else {
            format!("shows {object} where the image has its programs or libraries")
        };
        push(out, format!("volumeMounts[{index}].mountPath"), &mount.mount_path, &what);
        if let Some(fault) = out.all.last_mut().filter(|_| !is_code(&path)) {
            fault.fix = Some(Fix::Text(
                "if it is no program, mount it at a path of its own, with mode 0644 (defaultMode and mode of the volume); else \
                 build it into the image and sign that"
                    .to_owned(),
            ));
        }
    }

    /// The object that the file at a path of the container comes from.
    fn object_at(&self, path: &str) -> Option<String> {
        let mount = mount_at(self.container.mounts, path)?;
        let mut volumes = self.pod().spec.volumes.iter().flatten();
        filled_from(volumes.find(|volume| volume.name == mount.name)?)
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
