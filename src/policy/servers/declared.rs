//! What a container loads, held against what its workload declares.

use super::faults::{Fault, Faults, Wrong};
use super::mend::{Mend, Op};
use super::mounted::{folder, plain};
use super::{Form, Load, Reading, Switch, What, is_hub, read};
use crate::api;
use crate::api::model::{ModelSource, ModelSourceKind};
use crate::api::workload::WorkloadType;
use crate::policy::containers::{ContainerView, Role};
use crate::policy::data;
use crate::policy::facts::{Facts, PodFacts};
use crate::policy::fix::Fix;
use crate::policy::image::ImageRef;
use crate::policy::maps;

/// Compares what a container is told to load with what its workload declares.
pub(super) fn compare(facts: &Facts<'_>, world: &Declared<'_, '_, '_>, reading: &Reading<'_>) -> Faults {
    let mut out = Faults::default();
    let (container, workload) = (world.container, world.workload);
    world.mounts(facts, reading, world.pod.prefix, &mut out);
    world.scripts(reading, &mut out);
    world.serves(facts, reading, &mut out);
    if reading.loads.is_empty()
        && reading.switches.is_empty()
        && reading.open.is_empty()
        && reading.server.is_none()
    {
        return out;
    }
    for load in &reading.loads {
        world.load(facts, reading, load, &mut out);
    }
    let imports = workload.spec.type_ == WorkloadType::Import;
    for seen in reading.switches.iter().filter(|seen| !(imports && seen.switch.fetches())) {
        let mended = out.mend.switch(container, reading, seen);
        out.all.push(Fault {
            mended,
            wrong: Wrong::Switched(seen.switch),
            field: seen.at.field(),
            value: Some(seen.word.to_string()),
            detail: seen.switch.as_str().to_owned(),
            fix: None,
        });
    }
    let loads = reading.server.is_some()
        || reading.loads.iter().any(|load| load.form != Form::Name)
        || world.mounts_a_model();
    if loads {
        for open in &reading.open {
            out.all.push(Fault {
                mended: false,
                wrong: Wrong::Unreadable,
                field: open.at.field(),
                value: None,
                detail: format!("cannot be read: {}", open.why),
                fix: None,
            });
        }
        world.reaches_hubs(reading, imports, &mut out);
    }
    out
}

/// A container, and the models that its workload declares.
pub(super) struct Declared<'w, 'p, 'a> {
    pod: &'p PodFacts<'a>,
    pub(super) container: &'p ContainerView<'a>,
    pub(super) workload: &'w api::AIWorkload,
    pub(super) models: Vec<(&'w str, &'w ModelSource)>,
    /// Volumes of images that hold datasets.
    data: Vec<&'p str>,
    /// Whether every model that the workload names is known; another control speaks of those that are not.
    pub(super) complete: bool,
}

impl<'w, 'p, 'a> Declared<'w, 'p, 'a> {
    pub(super) fn of(
        facts: &Facts<'w>,
        pod: &'p PodFacts<'a>,
        container: &'p ContainerView<'a>,
        workload: &'w api::AIWorkload,
    ) -> Self
    where
        'w: 'p,
    {
        let mut complete = true;
        let mut models = Vec::with_capacity(workload.spec.models.len());
        for used in &workload.spec.models {
            let model = facts.namespace.models.get(&used.name);
            match model.and_then(|model| model.spec.source.as_ref()) {
                Some(source) => models.push((used.name.as_str(), source)),
                None => complete = false,
            }
        }
        let volumes = pod.spec.volumes.iter().flatten();
        let of_data = volumes.filter(|volume| {
            let image = volume.image.as_ref().and_then(|image| image.reference.as_deref());
            image.is_some_and(|image| !data::in_image(facts, image).is_empty())
        });
        let data = of_data.map(|volume| volume.name.as_str()).collect();
        Self { pod, container, workload, models, data, complete }
    }

    pub(super) const fn pod(&self) -> &'p PodFacts<'a> {
        self.pod
    }

    /// Whether the container mounts a volume that holds a declared model.
    pub(super) fn mounts_a_model(&self) -> bool {
        self.container.mounts.iter().any(|mount| self.volume_holds_a_model(&mount.name))
    }

    /// Whether a volume holds a declared model: as an artifact, or as the claim of one.
    pub(super) fn volume_holds_a_model(&self, name: &str) -> bool {
        let Some(volume) = self.pod.spec.volumes.iter().flatten().find(|v| v.name == name) else {
            return false;
        };
        // Which artifact it may be is the matter of declared-workloads-only.
        (volume.image.is_some() && !self.data.contains(&name))
            || volume
                .persistent_volume_claim
                .as_ref()
                .is_some_and(|claim| self.on_claim(&claim.claim_name).next().is_some())
    }

    /// The claim that a volume of this name mounts.
    pub(super) fn claim(&self, volume: &str) -> Option<&'p str> {
        let volume = self.pod.spec.volumes.iter().flatten().find(|v| v.name == volume)?;
        Some(&volume.persistent_volume_claim.as_ref()?.claim_name)
    }

    /// The declared models whose source is on a claim.
    pub(super) fn on_claim(&self, claim: &str) -> impl Iterator<Item = &'w ModelSource> {
        let sources = self.models.iter().map(|(_, source)| *source);
        sources.filter(move |source| source.claim_name.as_deref() == Some(claim))
    }

    pub(super) fn load(&self, facts: &Facts<'_>, reading: &Reading<'_>, load: &Load<'_>, out: &mut Faults) {
        let fault = match load.form {
            Form::Name => None,
            Form::Path if load.what == What::Part => None,
            Form::Path => self.path(facts, &load.value).err().map(|why| (Wrong::Undeclared, why)),
            Form::Hub | Form::Address => {
                self.fetched(facts, reading, load).err().map(|why| (Wrong::Fetched, why))
            }
        };
        let Some((wrong, detail)) = fault else { return };
        if !self.complete {
            return;
        }
        let mended = self.mend(facts, reading, load, &mut out.mend);
        let fix = load.download.then(|| {
            Fix::Text(
                "take the command that fetches away, and mount the declared model where it is loaded from: from its \
                 claim, or as an image volume"
                    .to_owned(),
            )
        });
        let value = load
            .revision
            .as_ref()
            .map_or_else(|| load.value.to_string(), |revision| format!("{}@{revision}", load.value));
        out.all.push(Fault { wrong, field: load.at.field(), value: Some(value), detail, mended, fix });
    }

    /// Whether a path lies in a declared model; the error says where it lies instead.
    fn path(&self, facts: &Facts<'_>, path: &str) -> Result<(), String> {
        let name = Facts::name_of(self.workload);
        let path = path.strip_prefix("file://").unwrap_or(path);
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err("is no plain absolute path, so what it names depends on the image".to_owned());
        }
        let Some(mount) = maps::mount_at(self.container.mounts, &maps::walked(path)) else {
            return if self.in_image(self.container.image) {
                Ok(())
            } else {
                Err(format!("lies in the image, and no model that {name} declares is inside that image"))
            };
        };
        let Some(volume) = self.pod.spec.volumes.iter().flatten().find(|v| v.name == mount.name) else {
            return Ok(());
        };
        if self.volume_holds_a_model(&mount.name) && volume.image.is_some() {
            return Ok(());
        }
        if let Some(claim) = &volume.persistent_volume_claim {
            if self.on_claim(&claim.claim_name).next().is_none() {
                return Err(format!(
                    "lies on claim {:?}, which holds no model that {name} declares",
                    claim.claim_name
                ));
            }
            return self.within(facts, &claim.claim_name, path, mount);
        }
        if volume.empty_dir.is_some() && self.filled(facts, &mount.name) {
            return Ok(());
        }
        Err(format!("lies on volume {:?}, which holds no model that {name} declares", mount.name))
    }

    /// A model that is a folder of a claim is loaded from that folder.
    fn within(
        &self,
        facts: &Facts<'_>,
        claim: &str,
        path: &str,
        mount: &k8s_openapi::api::core::v1::VolumeMount,
    ) -> Result<(), String> {
        let folders: Vec<String> = self.on_claim(claim).map(folder).collect();
        if folders.iter().any(String::is_empty) {
            return Ok(());
        }
        let name = Facts::name_of(self.workload);
        let begin = self.begins(mount);
        let related = |begin: &String| folders.iter().any(|f| below(begin, f) || below(f, begin));
        if self.only_models_on(facts, claim) && !begin.as_ref().is_ok_and(related) {
            // The fault is the mount's, and said of it.
            return Ok(());
        }
        let begin = begin.map_err(|why| format!("lies where nobody can tell: {why}"))?;
        let place = plain(&format!("{begin}/{}", &path[mount.mount_path.trim_end_matches('/').len()..]));
        if folders.iter().any(|folder| below(&place, folder)) {
            return Ok(());
        }
        let names: Vec<String> = folders.iter().map(|folder| format!("{:?}", &folder[1..])).collect();
        Err(format!(
            "lies at {:?} of its claim, and the model that {name} declares at {}",
            place.trim_start_matches('/'),
            names.join(", ")
        ))
    }

    fn in_image(&self, image: &str) -> bool {
        let Ok(image) = ImageRef::parse(image) else { return false };
        self.models.iter().any(|(_, source)| {
            source.kind == ModelSourceKind::Image
                && source.reference.as_deref().and_then(|r| ImageRef::parse(r).ok()).is_some_and(|declared| {
                    declared.name() == image.name()
                        && declared.digest().is_some()
                        && declared.digest() == image.digest()
                })
        })
    }

    /// Whether an init container brings a declared model to the volume: from its image, from a mount, or from outside.
    fn filled(&self, facts: &Facts<'_>, volume: &str) -> bool {
        self.pod.containers.iter().filter(|c| matches!(c.role, Role::Init | Role::Sidecar)).any(|other| {
            if !other.mounts.iter().any(|mount| mount.name == volume) {
                return false;
            }
            let from_mount =
                other.mounts.iter().any(|m| m.name != volume && self.volume_holds_a_model(&m.name));
            from_mount || self.in_image(other.image) || {
                let reading = read(other);
                let mut fetched =
                    reading.loads.iter().filter(|l| matches!(l.form, Form::Hub | Form::Address));
                fetched.any(|load| self.fetched(facts, &reading, load).is_ok())
            }
        })
    }

    /// Whether something from outside is a declared model at its pinned state; the error says why not.
    fn fetched(&self, facts: &Facts<'_>, reading: &Reading<'_>, load: &Load<'_>) -> Result<(), String> {
        use ModelSourceKind as K;
        if self.workload.spec.type_ == WorkloadType::Import {
            return Ok(());
        }
        let elsewhere =
            !self.models.is_empty() && self.models.iter().all(|(_, source)| source.kind == K::Api);
        if load.form == Form::Hub && elsewhere && reading.server.is_none() {
            // The name of a model behind an interface looks like that of a repository.
            return Ok(());
        }
        if load.form == Form::Hub && reading.offline {
            let Some(cache) = reading.cache.as_deref() else {
                return Err(
                    "is a repository of a hub, and no cache is named in which it already lies".to_owned()
                );
            };
            return self
                .path(facts, cache)
                .map_err(|why| format!("is taken from the cache {cache:?}, which {why}"));
        }
        let same = |reference: &str| {
            let plain =
                |text: &str| version_of(text).0.trim_start_matches("hf://").trim_end_matches('/').to_owned();
            plain(reference) == plain(&load.value)
        };
        let declared = self.models.iter().find(|(_, s)| s.reference.as_deref().is_some_and(same));
        let what = if load.form == Form::Hub { "a hub" } else { "outside" };
        let Some((name, source)) = declared else {
            return Err(format!(
                "is fetched from {what} when the program starts, and {} declares no model from there",
                Facts::name_of(self.workload)
            ));
        };
        if load.form == Form::Address && !load.value.starts_with("hf://") {
            return source.takes_version(version_of(&load.value).1);
        }
        match (&load.revision, source.revision.as_deref()) {
            (Some(given), Some(pinned)) if given == pinned => Ok(()),
            (Some(_), Some(pinned)) => {
                Err(format!("is not the commit {pinned:?} that AIModel {name:?} names"))
            }
            (_, pinned) => Err(format!(
                "is fetched without a commit, so what comes can change; AIModel {name:?} names {:?}",
                pinned.unwrap_or_default()
            )),
        }
    }

    /// The change that makes the container load a declared model: its commit, or the path where it is mounted.
    fn mend(&self, facts: &Facts<'_>, reading: &Reading<'_>, load: &Load<'_>, mend: &mut Mend) -> bool {
        let pinned = self.models.iter().find_map(|(_, source)| {
            let same = source.reference.as_deref() == Some(&*load.value);
            source.revision.as_deref().filter(|_| same && source.kind == ModelSourceKind::HuggingFace)
        });
        if let Some(commit) = pinned {
            if load.revision.is_none() && load.form == Form::Hub && load.what == What::Model {
                if load.at.inner || load.at.element().is_none_or(|(list, _)| list == "env") {
                    return false;
                }
                mend.push(load.at, Op::After(format!("--revision={commit}")));
                return true;
            }
            return false;
        }
        let mut places = self.container.mounts.iter().filter(|mount| self.volume_holds_a_model(&mount.name));
        let (Some(mount), None, What::Model, false) =
            (places.next(), places.next(), load.what, load.download)
        else {
            return false;
        };
        // A path in place of what a command fetches would be nonsense, and the same model twice too.
        let other = reading.loads.iter().position(|other| other == load).and_then(|own| {
            let mut rest =
                reading.loads.iter().enumerate().filter(|(_, l)| l.what == What::Model && !l.download);
            let fits = |l: &Load<'_>| l.form == Form::Path && self.path(facts, &l.value).is_ok();
            rest.find(|(index, l)| *index != own && (*index < own && l.form != Form::Name || fits(l)))
        });
        if other.is_some() && mend.drop_with_flag(self.container, load.at) {
            return true;
        }
        let Some(place) = self.shown_at(mount) else { return false };
        mend.value(self.container, load.at, &load.value, &place)
    }

    /// A program that may reach a hub and reads names of hubs is told never to fetch.
    fn reaches_hubs(&self, reading: &Reading<'_>, imports: bool, out: &mut Faults) {
        let fetches = reading.server.is_some_and(super::Server::names_hubs);
        if imports || reading.offline || !fetches || !out.all.is_empty() {
            return;
        }
        let Some(api) = self.workload.spec.external_apis.iter().find(|api| is_hub(&api.host)) else { return };
        let index = self.container.env.len();
        out.mend.push_variable(index, "HF_HUB_OFFLINE", "1");
        out.all.push(Fault {
            mended: true,
            fix: None,
            wrong: Wrong::Switched(Switch::Fetch),
            field: "env".to_owned(),
            value: None,
            detail: format!(
                "lacks HF_HUB_OFFLINE=1, though the pod may reach {:?} and fetch from there",
                api.host
            ),
        });
    }
}

/// An address, and the version of an object in a bucket that it names: `s3://bucket/key?versionId=VERSION`.
pub(super) fn version_of(address: &str) -> (&str, Option<&str>) {
    let Some((plain, query)) = address.split_once('?') else { return (address, None) };
    let mut parts = query.split('&').filter_map(|part| part.split_once('='));
    let version = parts.find(|(key, _)| key.eq_ignore_ascii_case("versionId")).map(|(_, version)| version);
    (plain, version)
}

impl ModelSource {
    /// Whether an object of a bucket is taken at the version that is declared, in `revision` or in the address itself.
    ///
    /// # Errors
    /// What is wrong, as a clause.
    pub(super) fn takes_version(&self, given: Option<&str>) -> Result<(), String> {
        let own = self.revision.as_deref().or_else(|| version_of(self.reference.as_deref()?).1);
        match (own, given) {
            (None, None) => Ok(()),
            (Some(own), Some(given)) if own == given => Ok(()),
            (Some(own), Some(_)) => Err(format!("is not the version {own:?} that its AIModel names")),
            (Some(own), None) => Err(format!(
                "is fetched without a version, so what comes can change; its AIModel names {own:?}, and a program that \
                 takes none needs a copy on a claim"
            )),
            (None, Some(_)) => {
                Err("names a version, and its AIModel none in spec.source.revision".to_owned())
            }
        }
    }
}

/// Whether `path` is `folder` or lies in it.
pub(super) fn below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
